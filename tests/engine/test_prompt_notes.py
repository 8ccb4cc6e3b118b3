"""A prompt that loses anything says so."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from runs import make, texture
from underpaint.engine import Engine, prompt_notes
from underpaint.engine.prompt_notes import Reading, describe_losses
from underpaint_client.parsed_prompt import ParsedPrompt


def read(prompt: ParsedPrompt) -> Reading:
    words = prompt.words.split()
    return Reading(len(words), 75, tuple(word for word in words if not word.isascii()))


def notes_of(
    prompt: str, negative: str = "", *, guided: bool = True, weighs_words: bool = True
) -> tuple[str, ...]:
    return describe_losses(prompt, negative, read, guided=guided, weighs_words=weighs_words)


@pytest.mark.parametrize(
    "prompt",
    [
        "", "a lake", "a lake (in winter), [sic]", "a red:blue lake at 10:30", "a (lake: winter)",
        "a break, and a rest", "BREAKFAST IN SANDALS", "x < y > z, <br>", r"a \(lake:1.3\)",
        "a lake, 1:3", r"\[a:b:3\]", "word " * 75, "a (lake:1.3)", "((lake))", "a BREAK b",
    ],
)  # fmt: skip
def test_prompts_that_lose_nothing(prompt: str) -> None:
    assert notes_of(prompt, prompt) == ()


@pytest.mark.parametrize(
    "prompt",
    ["", "a lake", "a break, and a rest", r"a \(lake:1.3\)", "a (lake:1)", "a lake, 1:3", "( )"],
)
def test_prompts_that_lose_nothing_where_words_are_not_weighed(prompt: str) -> None:
    assert notes_of(prompt, prompt, weighs_words=False) == ()


@pytest.mark.parametrize(
    ("prompt", "quoted", "told"),
    [
        ("a (lake:1.3) at dusk", "lake", "this model cannot weigh words"),
        ("a (lake, hill : 0.8)", "lake, hill", "this model cannot weigh words"),
        ("(a:.5)", "a", "this model cannot weigh words"),
        ("(a:-1)", "a", "this model cannot weigh words"),
        ("a ((lake))", "lake", "this model cannot weigh words"),
        ("a [[lake]]", "lake", "this model cannot weigh words"),
        ("a (((lake)))", "lake", "this model cannot weigh words"),
        (r"a \(((lake))", "lake", "this model cannot weigh words"),
        ("a (lake)", "lake", "this model cannot weigh words"),
        ("as in <layer:sky>", "sky", "not used"),
        ("<hypernet:x:1>", "<hypernet:x:1>", "not loaded"),
        ("a lake, embedding:easy", "embedding:easy", "not loaded"),
        ("[day:night:0.5]", "[day:night:0.5]", "from step to step"),
        ("[day|night]", "[day|night]", "from step to step"),
        ("a lake BREAK a hill", "BREAK", "this model reads it as one"),
        ("a lake AND a hill", "AND", "not divided"),
        ("a lake 湖", "湖", "does not know"),
        ("word " * 76, "", "has 76 tokens and the model reads the first 75; the rest was left out"),
    ],
)
def test_what_is_lost_is_said_of_either_prompt(prompt: str, quoted: str, told: str) -> None:
    for which, notes in (
        ("the prompt", notes_of(prompt, weighs_words=False)),
        ("the negative prompt", notes_of("a lake", prompt, weighs_words=False)),
    ):
        (note,) = notes
        assert note.startswith(f"{which} has ")
        assert told in note
        assert not quoted or repr(quoted) in note


def test_a_lora_is_named_in_the_prompt_and_nowhere_else() -> None:
    assert notes_of("a lake <lora:ink:0.7>") == ()
    (note,) = notes_of("a lake", "mud <LyCO:x>")
    assert note == "the negative prompt has the LoRA 'x': it was not used; name it in the prompt"


def test_several_losses_are_several_notes() -> None:
    notes = notes_of("(a:1.3) (b:1.4) <layer:x> BREAK", "word " * 80, weighs_words=False)
    assert len(notes) == 4


def test_what_is_quoted_is_short_and_shows_no_controls() -> None:
    (note,) = notes_of(f"<layer:{'x' * 5000}\x1b[2J>")
    assert len(note) < 200
    assert "\x1b" not in note


def test_of_many_unknown_words_some_are_quoted() -> None:
    (note,) = describe_losses(
        " ".join(f"湖{number}" for number in range(5000)),
        "",
        lambda prompt: Reading(1, 75, tuple(prompt.words.split())),
        guided=True,
    )
    assert note.startswith("the prompt has words that the model does not know: '湖0', '湖1'")
    assert note.endswith("and 4990 more")
    assert len(note) < 500


SEARCH = """
import itertools, resource, runpy, sys
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
patterns = runpy.run_path(sys.argv[1])["_SYNTAX"]
parts = ["<", "< ", "<hyper", "<hypernet:", "embedding:", "embedding", " ", "a", "AND", "AND "]
firsts = ["", "<", "<hypernet", "<hypernet:"]
for first, rest in itertools.product(firsts, parts):
    text = first + rest * (20_000 // len(rest))
    for pattern, _ in patterns:
        pattern.search(text)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs limits of processes")
def test_no_prompt_takes_long_to_look_at() -> None:
    """Ends by a limit on the CPU's time, many times what is needed, where one does."""
    subprocess.run([sys.executable, "-c", SEARCH, prompt_notes.__file__], check=True)


@pytest.mark.parametrize("negative", ["fog", "word " * 80, "(fog:1.3)"])
def test_a_negative_prompt_without_guidance_is_one_note(negative: str) -> None:
    (note,) = notes_of("a lake", negative, guided=False)
    assert note.startswith("the negative prompt is not used at a guidance scale of 1 or less")
    assert notes_of("a lake", "  ", guided=False) == ()


@pytest.mark.parametrize("model", ["sd", "sdxl"])
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"negative_prompt": "word " * 600}, "the negative prompt has 2400 tokens"),
        ({"negative_prompt": "fog", "guidance_scale": 1.0}, "the negative prompt is not used"),
        ({"prompt": "a [day:night:0.5]"}, "the prompt has '[day:night:0.5]'"),
    ],
)
def test_recipes_carry_what_a_prompt_has_lost(
    engine: Engine, model: str, changes: dict[str, object], told: str
) -> None:
    notes = make(engine, texture(16, 16), model=model, steps=1, **changes).recipe.facts.notes
    assert any(note.startswith(told) for note in notes)


def test_the_second_tokenizer_counts_too(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    model = engine.load("sdxl")
    assert not model.prompts.notes("a " * 30)
    monkeypatch.setattr(model.pipeline.tokenizer_2, "model_max_length", 3)
    (note,) = model.prompts.notes("a " * 30)
    assert "the model reads the first 24" in note  # chunks of one token


def test_words_without_tokens_are_named(engine: Engine) -> None:
    """The starter model's vocabulary is small; others' read every byte."""
    notes = engine.load("starter").prompts.notes("a lake, 湖", "雨 and fog")
    assert notes == (
        "the prompt has words that the model does not know: '湖'",
        "the negative prompt has words that the model does not know: '雨'",
    )
