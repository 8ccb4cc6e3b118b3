"""Weights and chunks of prompts reach the models that can have them."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from runs import make, make_all, texture, with_hole
from tiny_flow_models import build_flow_model
from underpaint.engine import Engine
from underpaint.engine.clip_prompts import CHUNK_COUNTS, Token, cut_chunks, to_length
from underpaint.engine.families.family import Prompt
from underpaint.engine.savings import PLACEMENTS, Saving
from underpaint.models import describe_model, find_model

both = pytest.mark.parametrize("name", ["sd", "sdxl"])

LAYER = with_hole(texture(32, 48))


def encode(
    engine: Engine,
    name: str,
    prompt: str,
    negative: str = "",
    guided: bool = True,
    clip_skip: int | None = None,
) -> Any:
    with torch.no_grad():
        model = engine.load(name)
        model.forget()
        return model.prompts.encode(prompt, negative, guided=guided, clip_skip=clip_skip)


def stock(engine: Engine, name: str, prompt: str, negative: str = "", guided: bool = True) -> Any:
    """What the pipeline itself makes of the words."""
    model = engine.load(name)
    with torch.no_grad():
        outputs = model.pipeline.encode_prompt(
            prompt=prompt,
            device=model.device,
            num_images_per_prompt=1,
            do_classifier_free_guidance=guided,
            negative_prompt=negative or None,
        )
    return model.family.named(outputs)


def assert_same(one: Prompt, other: Prompt) -> None:
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)


@both
@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("", ""),
        ("a lake", "a lake"),
        ("a lake :), 10:30 ]", "a lake :), 10:30 ]"),
        (r"a \(lake\)", "a (lake)"),
        ("a (lake:1)", "a lake"),
        ("a lake <lora:ink:0.8>", "a lake "),
        ("a " * 75, "a " * 75),
    ],
)
def test_a_prompt_without_weights_is_encoded_as_ever(
    engine: Engine, name: str, prompt: str, words: str, guided: bool
) -> None:
    assert_same(
        encode(engine, name, prompt, guided=guided), stock(engine, name, words, guided=guided)
    )
    assert_same(
        encode(engine, name, "hill", prompt, guided), stock(engine, name, "hill", words, guided)
    )


def tokens(engine: Engine, name: str, text: str) -> int:
    return len(engine.load(name).pipeline.tokenizer(text)["input_ids"]) - 2


@both
@pytest.mark.parametrize("weight", [1.3, 0.5, 0.0, -1.0])
def test_a_weight_moves_the_words_from_the_empty_prompt(
    engine: Engine, name: str, weight: float
) -> None:
    plain, empty = (stock(engine, name, text) for text in ("red lake dusk", ""))
    found = encode(engine, name, f"red (lake:{weight}) dusk")
    first = 1 + tokens(engine, name, "red")
    words = slice(first, first + tokens(engine, name, "lake"))
    expected = plain["prompt_embeds"].clone()
    base = empty["prompt_embeds"][:, words]
    expected[:, words] = base + weight * (expected[:, words] - base)
    torch.testing.assert_close(found["prompt_embeds"], expected)
    others = torch.ones(expected.shape[1], dtype=torch.bool)
    others[words] = False
    assert torch.equal(found["prompt_embeds"][:, others], plain["prompt_embeds"][:, others])
    for key in plain.keys() - {"prompt_embeds"}:  # pooled embeddings are not weighted
        assert torch.equal(found[key], plain[key])


@pytest.mark.parametrize(("name", "clip_skip"), [("sd", 2), ("sdxl", 3)])
def test_a_weight_and_a_clip_skip_go_together(engine: Engine, name: str, clip_skip: int) -> None:
    def skipped(prompt: str, clip_skip: int | None = clip_skip) -> Any:
        return encode(engine, name, prompt, "fog BREAK (mist:1.2)", clip_skip=clip_skip)

    plain, empty, found = skipped("red lake"), skipped(""), skipped("red (lake:1.3)")
    words = slice(1 + tokens(engine, name, "red"), 1 + tokens(engine, name, "red lake"))
    expected = plain["prompt_embeds"].clone()
    for chunk in (0, 77):  # repeated, as the negative prompt has two chunks
        where = slice(words.start + chunk, words.stop + chunk)
        base = empty["prompt_embeds"][:, where]
        expected[:, where] = base + 1.3 * (expected[:, where] - base)
    torch.testing.assert_close(found["prompt_embeds"], expected)
    whole = skipped("red (lake:1.3)", None)
    for key in found:
        assert torch.equal(found[key], whole[key]) == ("pooled" in key)  # of the last layer


@both
def test_the_negative_prompt_is_weighed_too(engine: Engine, name: str) -> None:
    found = encode(engine, name, "hill", "red (lake:1.3)")
    plain = stock(engine, name, "hill", "red lake")
    other_way_round = encode(engine, name, "red (lake:1.3)")
    assert torch.equal(found["prompt_embeds"], plain["prompt_embeds"])
    assert torch.equal(found["negative_prompt_embeds"], other_way_round["prompt_embeds"])
    for key in plain.keys() - {"prompt_embeds", "negative_prompt_embeds"}:
        assert torch.equal(found[key], plain[key])


@both
@pytest.mark.parametrize(
    ("prompt", "chunks"),
    [
        ("a lake BREAK a hill", ["a lake", "a hill"]),
        ("BREAK a hill", ["", "a hill"]),
        ("x " * 75 + "y, " + "z " * 30, ["x " * 75, "y, " + "z " * 30]),
        ("x " * 60 + ", " + "y " * 20, ["x " * 60 + ",", "y " * 20]),
    ],
)  # fmt: skip
def test_chunks_are_encoded_one_by_one(
    engine: Engine, name: str, prompt: str, chunks: list[str]
) -> None:
    """The tiny models' tokens are bytes: a word of one letter is one, and a comma another."""
    found = encode(engine, name, prompt, "fog")
    singles = [stock(engine, name, chunk, "fog") for chunk in chunks]
    expected = torch.cat([one["prompt_embeds"] for one in singles], dim=1)
    torch.testing.assert_close(found["prompt_embeds"], expected, rtol=0, atol=0)
    negative = singles[0]["negative_prompt_embeds"].repeat(1, len(chunks), 1)
    torch.testing.assert_close(found["negative_prompt_embeds"], negative, rtol=0, atol=0)
    for key in singles[0].keys() - {"prompt_embeds", "negative_prompt_embeds"}:
        assert torch.equal(found[key], singles[0][key])  # pooled: of the first chunk


@both
@pytest.mark.parametrize(
    ("prompt", "negative", "chunks"),
    [
        ("a BREAK b", "", 2),
        ("", "a BREAK b", 2),
        ("a BREAK b", "a BREAK b BREAK c", 6),
        ("BREAK " * 4 + "a", "", 6),  # five, and an empty one
        ("BREAK " * 300 + "a", "b", 24),
        ("word " * 4000, "word " * 4000, 24),
    ],
)
def test_both_prompts_are_of_one_length(
    engine: Engine, name: str, prompt: str, negative: str, chunks: int
) -> None:
    found = encode(engine, name, prompt, negative)
    for key in ("prompt_embeds", "negative_prompt_embeds"):
        assert found[key].shape[:2] == (1, chunks * 77)


def test_any_prompts_of_a_batch_have_a_short_common_length() -> None:
    lengths = [77 * count for count in CHUNK_COUNTS]
    for some in itertools.combinations(lengths, 3):
        found = to_length(*(torch.zeros(1, length, 1) for length in some))
        assert len({one.shape[1] for one in found}) == 1
        assert found[0].shape[1] <= 48 * 77


@both
def test_an_image_does_not_depend_on_the_length_of_the_others_prompts(
    engine: Engine, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    same: dict[str, Any] = {
        "model": name, "images": 6, "seed": 3, "steps": 4, "negative_prompt": "(mud:1.4)",
        "prompt": "a {lake|(lake:1.3) BREAK hill|hill BREAK sea BREAK sky}",
    }  # fmt: skip
    one_by_one = make_all(engine, LAYER, **same)
    counts = {picture.recipe.facts.prompt.count("BREAK") for picture in one_by_one}
    assert counts == {0, 1, 2}
    monkeypatch.setattr("underpaint.engine.painter.batch_size", lambda *_, **__: 6)
    together = make_all(engine, LAYER, **same)
    for alone, one in zip(one_by_one, together, strict=True):
        assert np.abs(alone.pixels.astype(int) - one.pixels).max() <= 1


@both
def test_weights_change_the_picture_and_are_no_loss(engine: Engine, name: str) -> None:
    pictures = [
        make(engine, LAYER, model=name, steps=3, strength=1.0, prompt=prompt)
        for prompt in ("a lake", "a (lake:1.5)", "a (lake:0.5)", "a BREAK lake", "a (lake:1.5)")
    ]
    assert len({one.pixels.tobytes() for one in pictures}) == 4
    assert pictures[1].pixels.tobytes() == pictures[4].pixels.tobytes()
    for one in pictures:
        assert not any("the prompt" in note for note in one.recipe.facts.notes)


@both
def test_weights_are_the_same_wherever_the_encoders_are(
    gpu: None, session_home: Path, models: Path, name: str
) -> None:
    same: dict[str, Any] = {"model": name, "steps": 2, "prompt": "a (lake:1.4) BREAK [hill] , sky"}
    expected = make(Engine("cpu"), LAYER, **same)
    engine = Engine("cpu")
    for placement in PLACEMENTS:
        info = describe_model(find_model(name))
        engine.experience(info).savings[0] = Saving(placement=placement)
        engine.load(name).forget()
        found = make(engine, LAYER, **same)
        assert engine.load(name).saving.placement == placement
        np.testing.assert_array_equal(found.pixels, expected.pixels)


@both
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_in_half_precision(models: Path, name: str, dtype: torch.dtype) -> None:
    engine = Engine("cpu")
    full = encode(engine, name, "a (lake:1.4) BREAK hill", "(fog:0.5)")
    engine.load(name).pipeline.to(dtype)
    half = encode(engine, name, "a (lake:1.4) BREAK hill", "(fog:0.5)")
    assert half.keys() == full.keys()
    for key, value in half.items():
        assert value.dtype == dtype
        torch.testing.assert_close(value.float(), full[key], rtol=0.05, atol=0.05)


def test_the_starter_model_weighs_words(engine: Engine) -> None:
    plain, weighted = (
        encode(engine, "starter", text)["prompt_embeds"] for text in ("a lake", "a (lake:1.4)")
    )
    assert plain.shape == weighted.shape
    assert not torch.equal(plain, weighted)


@both
def test_a_prompt_of_very_many_chunks_says_what_is_left_out(engine: Engine, name: str) -> None:
    model = engine.load(name)
    assert not model.prompts.notes("word " * 300, "a BREAK b")
    (note,) = model.prompts.notes("word " * 4000)
    assert note.startswith("the prompt has 16000 tokens and the model reads the first 1800;")
    (note,) = model.prompts.notes("a BREAK " * 30)
    assert note.startswith("the prompt has 30 tokens and the model reads the first 24;")


# ---- where chunks end ----------------------------------------------------------------------


def cut(*parts: str, size: int = 75) -> list[str]:
    tokens = [[Token(ord(letter), 1.0) for letter in part] for part in parts]
    return ["".join(chr(one.id) for one in chunk) for chunk in cut_chunks(tokens, size, ord(","))]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([""], [""]),
        (["a" * 75], ["a" * 75]),
        (["a" * 76], ["a" * 75, "a"]),
        (["a" * 150], ["a" * 75, "a" * 75]),
        (["a" * 75, "b"], ["a" * 75, "b"]),
        (["a", "b"], ["a", "b"]),
        (["a", ""], ["a"]),
        (["", "a"], ["", "a"]),
        (["a", "", "b"], ["a", "", "b"]),
        (["", ""], [""]),
        # what is behind a comma near the end goes on
        (["a" * 70 + "," + "b" * 10], ["a" * 70 + ",", "b" * 10]),
        (["a" * 55 + "," + "b" * 30], ["a" * 55 + ",", "b" * 30]),
        (["a" * 54 + "," + "b" * 30], ["a" * 54 + "," + "b" * 20, "b" * 10]),
        (["a" * 70 + ",b,c" + "d" * 10], ["a" * 70 + ",b,", "c" + "d" * 10]),
        # but not where the next token is a comma, or begins another part
        (["a" * 74 + ",b"], ["a" * 74 + ",", "b"]),
        (["a" * 70 + ",bbbb,c"], ["a" * 70 + ",bbbb", ",c"]),
        (["a" * 70 + ",bbbb", "c"], ["a" * 70 + ",bbbb", "c"]),
        # in the second chunk as in the first
        (["a" * 75 + "b" * 70 + "," + "c" * 10], ["a" * 75, "b" * 70 + ",", "c" * 10]),
        # a comma of an earlier chunk does not count
        (["a" * 70 + "," + "b" * 100], ["a" * 70 + ",", "b" * 75, "b" * 25]),
    ],
)
def test_where_chunks_end(parts: list[str], expected: list[str]) -> None:
    assert cut(*parts) == expected


def test_no_token_is_lost() -> None:
    rng = random.Random(1)
    for _ in range(300):
        parts = ["".join(rng.choices("ab,", k=rng.randrange(60))) for _ in range(3)]
        chunks = cut(*parts, size=10)
        assert "".join(chunks) == "".join(parts)
        assert all(len(chunk) <= 10 for chunk in chunks)


# ---- models that cannot --------------------------------------------------------------------


@pytest.fixture(scope="module")
def flow_engine(session_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    models = tmp_path_factory.mktemp("weights")
    for kind in ("flux", "sd3", "z-image"):
        build_flow_model(models / kind, kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERPAINT_MODELS", str(models))
        yield Engine("cpu")


@pytest.mark.parametrize("kind", ["flux", "sd3", "z-image"])
def test_other_models_get_the_words_and_say_so(flow_engine: Engine, kind: str) -> None:
    same: dict[str, Any] = {"model": kind, "steps": 1, "seed": 1}
    layer = texture(64, 64)
    plain = make(flow_engine, layer, prompt="a lake at dusk", **same)
    weighted = make(flow_engine, layer, prompt="a (lake:1.3) [at] dusk<layer:x>", **same)
    assert plain.pixels.tobytes() == weighted.pixels.tobytes()
    assert not any("the prompt" in note for note in plain.recipe.facts.notes)
    told = "\n".join(weighted.recipe.facts.notes)
    assert "the prompt has a weight for 'lake': this model cannot weigh words" in told
    broken = make(flow_engine, layer, prompt="a lake BREAK at dusk", **same)
    assert any("has 'BREAK'" in note for note in broken.recipe.facts.notes)
