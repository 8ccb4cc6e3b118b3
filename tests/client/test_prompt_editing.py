"""Ctrl+Up and Ctrl+Down change the weight of the words that an artist means."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import underpaint_client
from underpaint_client.errors import BadInputError
from underpaint_client.prompt_editing import STEP, change_weight
from underpaint_client.prompt_language import parse_prompt


def edit(marked: str, step: float) -> str:
    """Change a weight where `|` is the caret or, twice, the selection; show it in the same way."""
    start = marked.index("|")
    end = marked.rindex("|") - 1 if marked.count("|") == 2 else start
    found = change_weight(marked.replace("|", ""), start, end, step)
    if found.start == found.end:
        return found.text[: found.start] + "|" + found.text[found.start :]
    selected = found.text[found.start : found.end]
    return f"{found.text[: found.start]}|{selected}|{found.text[found.end :]}"


@pytest.mark.parametrize(
    ("before", "up", "down"),
    [
        # the word at the caret, from any place in it
        ("a la|ke at dusk", "a (|lake|:1.05) at dusk", "a (|lake|:0.95) at dusk"),
        ("a |lake", "a (|lake|:1.05)", "a (|lake|:0.95)"),
        ("a lake|, dusk", "a (|lake|:1.05), dusk", "a (|lake|:0.95), dusk"),
        ("lake|.", "(|lake|:1.05).", "(|lake|:0.95)."),
        ("red-brick|", "(|red-brick|:1.05)", "(|red-brick|:0.95)"),
        ("1girl_b|ow", "(|1girl_bow|:1.05)", "(|1girl_bow|:0.95)"),
        (r"fate_\(ser|ies\), b", r"(|fate_\(series\)|:1.05), b", r"(|fate_\(series\)|:0.95), b"),
        ("ein Fluß|", "ein (|Fluß|:1.05)", "ein (|Fluß|:0.95)"),
        # the selection, without the blanks around it
        ("a |lake at dusk|", "a (|lake at dusk|:1.05)", "a (|lake at dusk|:0.95)"),
        ("a| lake |at", "a (|lake|:1.05) at", "a (|lake|:0.95) at"),
        # a weight that is there
        ("a (la|ke:1.3)", "a (|lake|:1.35)", "a (|lake|:1.25)"),
        ("a (|lake|:1.3)", "a (|lake|:1.35)", "a (|lake|:1.25)"),
        ("a |(lake:1.3)| b", "a (|lake|:1.35) b", "a (|lake|:1.25) b"),
        ("(a red la|ke : .5 )", "(|a red lake |:0.55)", "(|a red lake |:0.45)"),
        ("(lake:1.|3)", "(|lake|:1.35)", "(|lake|:1.25)"),
        ("(a (b|:1.2) c:1.5)", "(a (|b|:1.25) c:1.5)", "(a (|b|:1.15) c:1.5)"),
        ("(a (b:1.2) c|:1.5)", "(|a (b:1.2) c|:1.55)", "(|a (b:1.2) c|:1.45)"),
        ("(a |lake| b:1.2)", "(a (|lake|:1.05) b:1.2)", "(a (|lake|:0.95) b:1.2)"),
        # brackets without a number
        ("a (la|ke)", "a (|lake|:1.15)", "a (|lake|:1.05)"),
        ("a ((la|ke))", "a ((|lake|:1.15))", "a ((|lake|:1.05))"),
        ("a [la|ke]", "a (|lake|:0.96)", "a (|lake|:0.86)"),
        # brackets go at 1
        ("a (la|ke:0.95)", "a |lake|", "a (|lake|:0.9)"),
        ("a (la|ke:1.05)", "a (|lake|:1.1)", "a |lake|"),
        # the ends
        ("(lake|:10)", "(|lake|:10)", "(|lake|:9.95)"),
        ("(lake|:0)", "(|lake|:0.05)", "(|lake|:0)"),
        ("(lake|:-1)", "(|lake|:0)", "(|lake|:0)"),
        # brackets that are text
        (r"a \(la|ke\)", r"a (|\(lake\)|:1.05)", r"a (|\(lake\)|:0.95)"),
        ("a :( la|ke", "a :( (|lake|:1.05)", "a :( (|lake|:0.95)"),
        ("la|ke :)", "(|lake|:1.05) :)", "(|lake|:0.95) :)"),
        # no words
        ("|", "|", "|"),
        ("a | b", "a | b", "a | b"),
        ("a, |, b", "a, |, b", "a, |, b"),
        ("a|  |b", "a|  |b", "a|  |b"),
        ("a (|b) c|", "a (|b) c|", "a (|b) c|"),
        # LoRAs
        ("a <lora:ink|:0.8>", "a <|lora:ink|:0.85>", "a <|lora:ink|:0.75>"),
        ("a <lora:i|nk>", "a <|lora:ink|:1.05>", "a <|lora:ink|:0.95>"),
        ("<lora:ink:|0>", "<|lora:ink|:0.05>", "<|lora:ink|:-0.05>"),
        ("<lora:ink:1> la|ke", "<lora:ink:1> (|lake|:1.05)", "<lora:ink:1> (|lake|:0.95)"),
    ],
)
def test_up_and_down(before: str, up: str, down: str) -> None:
    assert (edit(before, STEP), edit(before, -STEP)) == (up, down)


def test_pressing_on_goes_on_with_the_same_words() -> None:
    found = change_weight("a red lake", 3, 3)
    for weight in ("1.1", "1.15", "1.2"):
        found = change_weight(*found)
        assert found.text == f"a (red:{weight}) lake"
    for _ in range(4):
        found = change_weight(*found, -STEP)
    assert found == ("a red lake", 2, 5)
    assert change_weight(*found, -STEP).text == "a (red:0.95) lake"


def test_any_order_and_place_of_a_selection() -> None:
    assert change_weight("a lake", 6, 2) == change_weight("a lake", 2, 6)
    assert change_weight("a lake", -5, 99).text == "(a lake:1.05)"


@pytest.mark.parametrize(("text", "start", "end"), [("[)]", 1, 1), ("()", 0, 2), ("( )", 1, 1)])
def test_brackets_without_words_have_no_weight(text: str, start: int, end: int) -> None:
    assert change_weight(text, start, end) == (text, start, end)


PARTS = ["(", ")", "[", "]", ":1.2)", ":", "a", "lake", " ", "\\", "\\(", "<lora:x:1>", "<", ", "]


@given(st.lists(st.sampled_from(PARTS)).map("".join), st.integers(0, 60), st.integers(0, 60))
def test_the_words_stay(text: str, start: int, end: int) -> None:
    found = change_weight(text, start, end)
    assert 0 <= found.start <= found.end <= len(found.text)
    try:
        before, after = parse_prompt(text), parse_prompt(found.text)
    except BadInputError:
        return
    assert after.words.split() == before.words.split()
    if found.text != text and not after.loras:
        selected = found.text[found.start : found.end]
        assert selected.strip()


HOSTILE = """
import itertools, resource
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
from underpaint_client.prompt_editing import change_weight
for part in ["(", ")", "[", "]", "(a)", ":", ":1", "1", " ", "a", "\\\\\\\\", "<lora:",
             "<lora:x:1>", "((", "a ", ":1)"]:
    text = part * (20_000 // len(part))
    for start, end in ((0, 0), (10_000, 10_000), (0, 20_000), (5_000, 15_001), (20_000, 20_000)):
        change_weight(text, start, end)
        change_weight(text + ")" * 5000, start, end)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs limits of processes")
def test_no_prompt_takes_long_to_change() -> None:
    """Ends by a limit on the CPU's time, many times what is needed, where one does."""
    folder = Path(underpaint_client.__file__).parents[1]
    subprocess.run([sys.executable, "-c", HOSTILE], check=True, env={"PYTHONPATH": str(folder)})
