"""What is offered at the caret, and what comes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpaint_client.errors import BadInputError
from underpaint_client.name_search import NameIndex
from underpaint_client.prompt_choices import expand_prompt
from underpaint_client.prompt_completion import (
    MOST,
    Candidates,
    Completion,
    Kind,
    can_be_referred_to,
    complete,
    offer_trigger_words,
    read_tags,
)
from underpaint_client.prompt_language import parse_prompt

ALL = Candidates(
    loras=NameIndex(["ink", "style/Ink_wash", "old pink"]),
    other_loras=NameIndex(["inkling", "gold"]),
    layers=NameIndex(["Sky", "Sky copy", "the sky"]),
    wildcards=NameIndex(["birds", "animals/birds", "weather"]),
    embeddings=NameIndex(["inkblot", "style/Ink"]),
    other_embeddings=NameIndex(["ink-xl"]),
    tags=NameIndex(["blue sky", "blue eyes", "sky", "skyline (city)", "sunset"]),
    notes={"gold": "for SDXL", "ink-xl": "for SDXL"},
    trigger_words={"ink": ("ink wash", "black")},
)


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        (Kind.LORA, "style/ink (1)", True),
        (Kind.LORA, "x<y", False),
        (Kind.LORA, "a:b", False),
        (Kind.LAYER, "a:b", True),
        (Kind.LAYER, "a>b", False),
        (Kind.LAYER, "Line\nbreak", False),
        (Kind.EMBEDDING, "style/bad-hands_5", True),
        (Kind.EMBEDDING, "a b", False),
        (Kind.EMBEDDING, "a:b", False),
    ],
)
def test_names_that_references_can_have(kind: Kind, name: str, expected: bool) -> None:
    assert can_be_referred_to(kind, name) is expected


@pytest.mark.parametrize("name", ["my__old__ink", "{ink|wash}", "a__b", "odd { one"])
@pytest.mark.parametrize("kind", ["lora", "layer"])
def test_a_completed_name_is_never_read_as_a_choice(kind: str, name: str) -> None:
    index = NameIndex([name])
    (written,) = offered(f"<{kind}:{name[0]}|", Candidates(loras=index, layers=index))
    assert written.endswith("|")
    parsed = parse_prompt(expand_prompt(written[:-1], 1, fail))
    found = [one.name for one in parsed.loras] + [one.name for one in parsed.layers]
    assert found == [name]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("embedding:in|", ["embedding:inkblot|", "embedding:style/Ink|", "embedding:ink-xl|"]),
        ("Embedding:ink-|, x", ["Embedding:ink-xl|, x"]),
        ("<embedding:inkb|", ["<embedding:inkblot>|"]),
        ("<embedding:inkb|> x", ["<embedding:inkblot|> x"]),
        ("(embedding:inkb|:1.2)", ["(embedding:inkblot|:1.2)"]),
        ("xembedding:inkb|", []),
    ],
)  # fmt: skip
def test_embeddings_are_completed_as_they_are_written(prompt: str, expected: list[str]) -> None:
    assert offered(prompt) == expected


def test_an_embedding_for_another_model_says_so() -> None:
    found = {one.label: one.note for one in complete("embedding:ink", 13, ALL)}
    assert found == {"inkblot": "", "style/Ink": "", "ink-xl": "for SDXL"}


def fail(name: str) -> list[str]:
    raise AssertionError(name)


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
        (
            "a <lora:in|",
            [
                "a <lora:ink:1>|",
                "a <lora:style/Ink_wash:1>|",
                "a <lora:old pink:1>|",
                "a <lora:inkling:1>|",
            ],
        ),
        (
            "a <LORA:INK|",
            [
                "a <LORA:ink:1>|",
                "a <LORA:style/Ink_wash:1>|",
                "a <LORA:old pink:1>|",
                "a <LORA:inkling:1>|",
            ],
        ),
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
        ("blue\n|", []),
        ("<lora:\n|", []),
        ("__we\n|", []),
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
    many = Candidates(tags=NameIndex(f"blue {number}" for number in range(5000)))
    assert offered("blue|", many)[:2] == ["blue 0, |", "blue 1, |"]
    assert len(offered("blue|", many)) == MOST


def test_a_lora_for_another_model_is_marked_and_its_words_are_known() -> None:
    assert complete("<lora:go", 8, ALL) == (
        Completion("gold", 6, 8, "gold:1>", Kind.LORA, "for SDXL", "gold"),
    )


@pytest.mark.parametrize(
    ("prompt", "words", "expected"),
    [
        ("<lora:ink:1>|", ("wash",), ["<lora:ink:1> wash|"]),
        ("a lake, <lora:ink:1>|", ("wash",), ["a lake, <lora:ink:1> wash|"]),
        ("a lake <lora:ink:1>|", ("wash",), ["a lake <lora:ink:1>, wash|"]),
        ("(<lora:ink:1>|)", ("wash",), ["(<lora:ink:1> wash|)"]),
        ("<lora:ink:1>| a lake", ("wash",), ["<lora:ink:1> wash,| a lake"]),
        ("<lora:ink:1>|a lake", ("wash",), ["<lora:ink:1> wash, |a lake"]),
        ("<lora:ink:1>|, a lake", ("wash",), ["<lora:ink:1> wash|, a lake"]),
        ("", ("wash",), ["wash|"]),
        ("<lora:ink:1>|", ("a", "b"), ["<lora:ink:1> a, b|", "<lora:ink:1> a|", "<lora:ink:1> b|"]),
        ("<lora:ink:1> a|", ("a", "b"), ["<lora:ink:1> a, b|"]),
        ("pinks <lora:ink:1>|", ("ink", "pinks"), ["pinks <lora:ink:1>, ink|"]),
        ("INK WASH <lora:ink:1>|", ("ink wash",), []),
        ("<lora:ink:1>|", ("by ink (artist)",), ["<lora:ink:1> by ink \\(artist\\)|"]),
        ("<lora:ink:1>|", (r"ink \(artist\)",), [r"<lora:ink:1> ink \(artist\)|"]),
        (r"ink \(artist\), <lora:ink:1>|", ("ink (artist)",), []),
        ("<lora:ink:1>|", (), []),
    ],
)  # fmt: skip
def test_trigger_words(prompt: str, words: tuple[str, ...], expected: list[str]) -> None:
    caret = prompt.find("|")
    text = prompt.replace("|", "")
    found = []
    for one in offer_trigger_words(text, max(0, caret), "ink", words):
        changed, place = one.apply(text)
        found.append(f"{changed[:place]}|{changed[place:]}")
        assert (one.kind, one.lora) == (Kind.TRIGGER_WORD, "ink")
    assert found == expected


def test_a_search_finds_what_reading_every_name_finds() -> None:
    names = ["a_b", "b a", "B", "ab", "(b)", "xb", "b_", "x-b b", "ßa", "b\nx", "", " "]
    index = NameIndex(names)
    for wanted in ("b", "a b", "B", "_b", "b)", "ss", "-b", "zz", " ", "b b"):
        plain = wanted.casefold().replace("_", " ")
        folded = [name.casefold().replace("_", " ").replace("\n", " ") for name in names]
        having = {name for name, fold in zip(names, folded) if plain in fold}
        first = [name for name, fold in zip(names, folded) if fold.startswith(plain)]
        found = index.find(wanted, 100)
        assert found[: len(first)] == first
        assert len(found) == len(set(found))
        assert set(found) == having
        assert index.find(wanted, 2) == found[:2]
    assert index.find("", 3) == names[:3]
    assert index.find("b", 100) == ["b a", "B", "b_", "b\nx", "a_b", "(b)", "x-b b", "ab", "xb"]


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
    with pytest.raises(BadInputError, match="line 2 of the list of tags is not CSV"):
        list(read_tags(["sunset\n", '"' + "x" * 200_000]))
