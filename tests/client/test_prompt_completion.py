"""What is offered at the caret, and what comes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpaint_client.errors import BadInputError
from underpaint_client.prompt_completion import MOST, Candidates, complete, read_tags

ALL = Candidates(
    loras=("ink", "style/Ink_wash", "old pink", "x<y"),
    layers=("Sky", "Sky copy", "the sky", "a>b", "Line\nbreak"),
    wildcards=("birds", "animals/birds", "weather"),
    tags=("blue sky", "blue eyes", "sky", "skyline (city)", "sunset"),
)


def offered(marked: str, candidates: Candidates = ALL) -> list[str]:
    """Return what the prompt would be with each completion; `|` is the caret."""
    caret = marked.index("|")
    text = marked.replace("|", "")
    found = []
    for one in complete(text, caret, candidates):
        changed, place = one.apply(text)
        found.append(f"{changed[:place]}|{changed[place:]}")
    return found


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a <lora:in|", ["a <lora:ink:1>|", "a <lora:style/Ink_wash:1>|", "a <lora:old pink:1>|"]),
        ("a <LORA:INK|", ["a <LORA:ink:1>|", "a <LORA:style/Ink_wash:1>|", "a <LORA:old pink:1>|"]),
        ("a <lora:wa|:0.8>", ["a <lora:style/Ink_wash|:0.8>"]),
        ("a <lora:old p|>", ["a <lora:old pink|>"]),
        ("<lora:ink:0.|", []),
        ("<lora:zzz|", []),
        ("<layer:sk|", ["<layer:Sky>|", "<layer:Sky copy>|", "<layer:the sky>|"]),
        ("<layer:Sky c|> b", ["<layer:Sky copy|> b"]),
        ("<layer:|", ["<layer:Sky>|", "<layer:Sky copy>|", "<layer:the sky>|"]),
        ("a __|", ["a __birds__|", "a __animals/birds__|", "a __weather__|"]),
        ("a __bi|", ["a __birds__|", "a __animals/birds__|"]),
        ("a __we|__ b", ["a __weather|__ b"]),
        (r"a \__we|", []),
        ("a lake, bl|", ["a lake, blue sky, |", "a lake, blue eyes, |"]),
        ("blue e|", ["blue eyes, |"]),
        ("blue_e|", ["blue eyes, |"]),
        ("(sky|:1.2)", ["(skyline \\(city\\)|:1.2)", "(blue sky|:1.2)"]),
        ("a, su|, b", ["a, sunset|, b"]),
        ("{su|}", ["{sunset|}"]),
        ("a lake\nsu|", ["a lake\nsunset, |"]),
        ("s|", []),
        ("a lake, |", []),
        ("|", []),
        ("<su|", []),
    ],
)
def test_completions(prompt: str, expected: list[str]) -> None:
    assert offered(prompt) == expected


def test_nothing_is_offered_without_lists() -> None:
    for prompt in ("<lora:|", "<layer:|", "__|", "blue|"):
        assert offered(prompt, Candidates()) == []


def test_not_more_than_fit_are_offered() -> None:
    many = Candidates(tags=tuple(f"blue {number}" for number in range(5000)))
    assert offered("blue|", many)[:2] == ["blue 0, |", "blue 1, |"]
    assert len(offered("blue|", many)) == MOST


@given(st.text(st.sampled_from("<>lora:yexsk_ _(),\n\\")) | st.text(), st.integers(-5, 50))
def test_only_what_is_begun_is_replaced(text: str, caret: int) -> None:
    for one in complete(text, caret, ALL):
        assert 0 <= one.start <= one.end == min(len(text), caret)
        changed, place = one.apply(text)
        assert changed[:place].startswith(text[: one.start])
        assert changed[place:] == text[one.end :]


def test_tag_lists() -> None:
    lines = [
        '1girl,0,5000000,"1girls,sole_female"\n', "blue_sky,0,100\n", "sunset\n", "\n", ",0,1\n",
        "^_^,0,5,", "blue_sky,0,3\n", '"a, b",0,1\n', "nul\0l,1,1\n",
    ]  # fmt: skip
    assert list(read_tags(lines)) == ["1girl", "blue sky", "sunset", "^_^", "a, b", "null"]


def test_a_list_that_is_no_csv_is_refused() -> None:
    with pytest.raises(BadInputError, match="line 2 of the list of tags is no CSV"):
        list(read_tags(["sunset\n", '"' + "x" * 200_000]))
