"""Prompts are read as Stable Diffusion WebUI reads them, and none of them takes long."""

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
from underpaint_client.parsed_prompt import (
    LayerReference,
    LoraReference,
    ParsedPrompt,
    PromptError,
    Segment,
)
from underpaint_client.prompt_language import parse_prompt

UP, DOWN = 1.1, round(1 / 1.1, 6)


def weights_of(text: str) -> list[list[tuple[str, float]]]:
    return [[(one.text, one.weight) for one in chunk] for chunk in parse_prompt(text).chunks]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("", []),
        ("a lake", [("a lake", 1)]),
        ("(lake)", [("lake", UP)]),
        ("a (lake) at dusk", [("a ", 1), ("lake", UP), (" at dusk", 1)]),
        ("((lake))", [("lake", 1.21)]),
        ("(((lake)))", [("lake", 1.331)]),
        ("[lake]", [("lake", DOWN)]),
        ("[[lake]]", [("lake", 0.826446)]),
        ("(lake:1.3)", [("lake", 1.3)]),
        ("(lake : 1.3 )", [("lake ", 1.3)]),
        ("(lake, hill:.5)", [("lake, hill", 0.5)]),
        ("(lake:0)", [("lake", 0)]),
        ("(lake:-1)", [("lake", -1)]),
        ("(lake:+1.5)", [("lake", 1.5)]),
        ("(lake:2.)", [("lake", 2)]),
        ("(a (lake:1.5) b:2)", [("a ", 2), ("lake", 3), (" b", 2)]),
        ("((a:1.2) b)", [("a", 1.32), (" b", UP)]),
        ("([lake])", [("lake", 1)]),
        ("[(lake:2)]", [("lake", 1.818182)]),
        # a weight belongs to round brackets only
        ("[lake:1.3)", [("lake:1.3)", DOWN)]),
        # of equal weights, one segment
        ("sun(set:1)", [("sunset", 1)]),
        ("(a)(b)", [("ab", UP)]),
        # brackets that are text
        (r"a \(lake\)", [("a (lake)", 1)]),
        (r"(fate \(series\):1.2)", [("fate (series)", 1.2)]),
        (r"\[a\]", [("[a]", 1)]),
        (r"a\\b", [("a\\b", 1)]),
        (r"C:\lakes", [(r"C:\lakes", 1)]),
        ("\\", [("\\", 1)]),
        # brackets that have no other
        ("a :) b", [("a :) b", 1)]),
        ("a ] b", [("a ] b", 1)]),
        ("a:1.3) b", [("a:1.3) b", 1)]),
        ("a (b", [("a ", 1), ("b", UP)]),
        ("(a", [("a", UP)]),
        ("a [b", [("a ", 1), ("b", DOWN)]),
        ("((a)", [("a", 1.21)]),
        (
            "a (((hut:1.3)) [by] a (lake:0.5), dusk",
            [
                ("a ", 1), ("hut", 1.573), (" ", UP), ("by", 1), (" a ", UP), ("lake", 0.55),
                (", dusk", UP),
            ],
        ),
        ("(a))", [("a", UP), (")", 1)]),
        # overlapping, as in A1111
        ("(a[b)c]", [("a", UP), ("b", 1), ("c", DOWN)]),
        # what is no weight
        ("(lake: winter)", [("lake: winter", UP)]),
        ("(lake:1.2.3)", [("lake:1.2.3", UP)]),
        ("(at 10:30)", [("at 10", 30.0)]),  # as in A1111, which does not limit it
        ("a red:blue lake", [("a red:blue lake", 1)]),
        ("(:1.3)", []),
        ("()", []),
        # what changes from step to step is read as words
        ("[day:night:0.5]", [("[day:night:0.5]", 1)]),
        ("[night:5]", [("[night:5]", 1)]),
        ("[day|night]", [("[day|night]", 1)]),
        ("[(day:1.2):night:0.5]", [("[", 1), ("day", 1.2), (":night:0.5]", 1)]),
        ("[a|b] [c]", [("[a|b] ", 1), ("c", DOWN)]),
        ("[sic: a lake]", [("sic: a lake", DOWN)]),
        ("[(a|b)]", [("a|b", 1)]),
        # references leave nothing
        ("a <lora:ink:0.8> lake", [("a  lake", 1)]),
        ("(a <lora:ink:0.8> lake:1.2)", [("a  lake", 1.2)]),
        ("a <layer:sky> lake", [("a  lake", 1)]),
        # other angles are words
        ("x < y > z, <br>", [("x < y > z, <br>", 1)]),
        ("<hypernet:x:1>", [("<hypernet:x:1>", 1)]),
        ("a <lora:ink lake", [("a <lora:ink lake", 1)]),
    ],
)  # fmt: skip
def test_weights(prompt: str, expected: list[tuple[str, float]]) -> None:
    limited = [(text, min(weight, 10.0)) for text, weight in expected]
    assert weights_of(prompt) == [limited]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a BREAK b", [[("a ", 1)], [(" b", 1)]]),
        ("a\nBREAK\nb", [[("a\n", 1)], [("\nb", 1)]]),
        ("BREAK a", [[], [(" a", 1)]]),
        ("a BREAK", [[("a ", 1)], []]),
        ("a BREAK BREAK b", [[("a ", 1)], [(" ", 1)], [(" b", 1)]]),
        ("(a BREAK b:1.2) c", [[("a ", 1.2)], [(" b", 1.2), (" c", 1)]]),
        ("BREAKFAST, a break, OUTBREAK", [[("BREAKFAST, a break, OUTBREAK", 1)]]),
        (r"a (B:1.2) \(B\)", [[("a ", 1), ("B", 1.2), (" (B)", 1)]]),
    ],
)  # fmt: skip
def test_breaks(prompt: str, expected: list[list[tuple[str, float]]]) -> None:
    assert weights_of(prompt) == expected


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("<lora:ink>", LoraReference("ink", 1.0, 1.0)),
        ("<lora:ink:>", LoraReference("ink", 1.0, 1.0)),
        ("<lora:ink:0.8>", LoraReference("ink", 0.8, 0.8)),
        ("<LoRA: my ink v1.5 : -.5 >", LoraReference("my ink v1.5", -0.5, -0.5)),
        ("<lora:a/b-c_d.e:2>", LoraReference("a/b-c_d.e", 2.0, 2.0)),
        ("<lyco:ink:0.8>", LoraReference("ink", 0.8, 0.8)),
        ("<lora:ink:0.8:0.6>", LoraReference("ink", 0.6, 0.8)),
        ("<lora:ink:te=0.5:unet=0.7>", LoraReference("ink", 0.7, 0.5)),
        ("<lora:ink:0.8:lbw=MIDD>", LoraReference("ink", 0.8, 0.8)),
        ("<lora:ink:0.8:0.6:16>", LoraReference("ink", 0.6, 0.8)),
    ],
)
def test_loras(prompt: str, expected: LoraReference) -> None:
    assert parse_prompt(prompt).loras == (expected,)
    found = parse_prompt(f"a lake, {prompt}, at dusk <lora:other:1>")
    assert found.loras == (expected, LoraReference("other"))
    assert found.loras[0].position == 8
    assert found.words == "a lake, , at dusk "


def test_layers() -> None:
    found = parse_prompt("as in <layer: Sky: v2 (copy) > and <LAYER:sea>")
    assert found.layers == (LayerReference("Sky: v2 (copy)"), LayerReference("sea"))
    assert [one.position for one in found.layers] == [6, 35]
    assert not found.loras


@pytest.mark.parametrize(
    ("prompt", "position", "told"),
    [
        ("a lake <lora::0.8>", 7, "no LoRA is named; write <lora:NAME:0.8>"),
        ("<lora:>", 0, "no LoRA is named"),
        ("(a <lora:ink:much>:1.2)", 3, "its strength 'much' is not a number; write <lora:ink:0.8>"),
        ("<lora:ink:0,8>", 0, "its strength '0,8' is not a number"),
        ("<lora:ink:nan>", 0, "is not a number"),
        ("<lora:ink:1e9>", 0, "is not a number"),
        ("<lora:ink:unet=x>", 0, "its strength 'x' is not a number"),
        ("a\n<layer: >", 2, "no layer is named; write <layer:NAME>"),
    ],
)
def test_errors_point_at_the_character(prompt: str, position: int, told: str) -> None:
    with pytest.raises(BadInputError) as caught:
        parse_prompt(prompt)
    error = caught.value
    assert isinstance(error, PromptError)
    assert error.position == position
    assert prompt[position:].startswith(error.excerpt)
    assert f"character {position + 1}, {error.excerpt!r}: " in str(error)
    assert told in str(error)


@pytest.mark.parametrize(
    ("prompt", "position", "excerpt", "told"),
    [
        ("a :( face", 3, "( face", "not closed, so it weighs all that follows; close it"),
        ("a :( face", 3, "( face", r"write \( for a bracket"),
        ("a [b (c)", 2, "[b (c)", r"write \["),
        ("in [day:night:0.5] light", 3, "[day:night:0.5]", "from step to step"),
        ("a (lake:12)", 3, "lake", "its weight is over 10; 10 is used"),
        ("a <lora:ink lake", 2, "<lora:ink lake", "no '>' closes it; write <lora:NAME>"),
        ("<lora:ink:1:lbw=X>", 0, "<lora:ink:1:lbw=X>", "'lbw=X' of it is not used"),
    ],
)  # fmt: skip
def test_what_is_read_otherwise_is_remarked(
    prompt: str, position: int, excerpt: str, told: str
) -> None:
    (remark,) = parse_prompt(prompt).remarks
    assert (remark.position, remark.excerpt) == (position, excerpt)
    assert told in remark.explanation


def test_words_and_plainness() -> None:
    plain = parse_prompt("a lake (hill:1) <lora:ink:1>")
    assert (plain.words, plain.is_plain, plain.weighted) == ("a lake hill ", True, None)
    weighted = parse_prompt("a ( ) (lake:1.2)")
    assert not weighted.is_plain
    assert weighted.weighted == Segment("lake", 1.2)
    broken = parse_prompt("a BREAK b")
    assert (broken.words, broken.is_plain, broken.weighted) == ("a   b", False, None)


PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="()[]\\<>:|"))


@given(PLAIN.filter(lambda text: "BREAK" not in text))
def test_text_without_syntax_is_left_alone(text: str) -> None:
    found = parse_prompt(text)
    assert found == ParsedPrompt(((Segment(text),),) if text else ((),))
    assert found.words == text


PARTS = ["(", ")", "[", "]", ":1.2)", ":", "|", "a", " ", "\\", "\\(", "BREAK", "<lora:x:1>", "<",
         "<lora:", "<layer:x>", ":0)", ":-99)", "0.5", "\n", "B", "BREAK "]  # fmt: skip


@given(st.lists(st.sampled_from(PARTS)).map("".join))
def test_any_brackets_are_read_in_some_way(text: str) -> None:
    found = parse_prompt(text)
    assert len(found.chunks) >= 1
    assert len(found.remarks) <= 10
    for chunk in found.chunks:
        for one, following in zip(chunk, (*chunk[1:], None)):
            assert one.text
            assert -10 <= one.weight <= 10
            assert following is None or following.weight != one.weight
    letters = "".join(letter for letter in text if letter == "a")
    assert found.words.replace("<lora:", "").replace("layer", "").count("a") >= len(letters) - (
        text.count("<lora:") + text.count("<layer:")
    )


@given(st.text())
def test_any_text_is_read_or_refused_at_a_character(text: str) -> None:
    try:
        parse_prompt(text)
    except PromptError as error:
        assert text[error.position :].startswith(error.excerpt)


HOSTILE = """
import itertools, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
from underpaint_client.errors import BadInputError
from underpaint_client.prompt_language import parse_prompt
parts = ["(", "[", "]", ":", "|", "(a:9)", "[a:1]", "[a|b]", "[:", ":1", "1", ": ", "<lora:", "<",
         "<lora:x:1:lbw=y>", "\\\\", "BREAK ", "BREA", "([", "(a])"]
firsts = ["", "[:", "(:1.", "<lora:x:"]
for first, rest in itertools.product(firsts, parts):
    try:
        parse_prompt(first + rest * (15_000 // len(rest)) + ")" * 2500 + "]" * 2500)
    except BadInputError:
        pass
"""


@pytest.mark.skipif(os.name != "posix", reason="needs limits of processes")
def test_no_prompt_takes_long() -> None:
    """Ends by a limit on the CPU's time, many times what is needed, where one does."""
    folder = Path(underpaint_client.__file__).parents[1]
    subprocess.run([sys.executable, "-c", HOSTILE], check=True, env={"PYTHONPATH": str(folder)})
