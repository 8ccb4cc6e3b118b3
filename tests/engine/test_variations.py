"""Promise 8, chains, wildcards, and recipes that make their picture again."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from runs import make, make_all, texture, with_hole
from underpaint.engine import Engine, Inputs
from underpaint.engine.noise import draw_noise, slerp, vary
from underpaint_client import Recipe, Variation
from underpaint_client.png_chunks import RECIPE_KEY, find_text

LAYER = texture(96, 128)

OLD_PICTURE = Path(__file__).parents[1] / "cli" / "old_pictures" / "format-2-inpaint.png"
OLD = json.loads(find_text(OLD_PICTURE.read_bytes(), RECIPE_KEY) or "")
"""A recipe of the second format."""


def distance(one: Any, other: Any) -> float:
    return float(np.abs(one.pixels.astype(float) - other.pixels.astype(float)).mean())


def test_slerp_keeps_noise_normal_and_meets_both_ends() -> None:
    one, _ = draw_noise(1, (4, 64, 64))
    other, _ = draw_noise(2, (4, 64, 64))
    assert torch.equal(slerp(one, other, 0), one)
    assert torch.equal(slerp(one, other, 1), other)
    half = slerp(one, other, 0.5)
    assert abs(float(half.std()) - 1) < 0.02  # a mean would have 0.71
    assert torch.allclose(slerp(one, other, 0.3), slerp(other, one, 0.7), atol=1e-6)
    assert torch.equal(slerp(one, one, 0.5), one)


def test_variations_are_applied_in_turn() -> None:
    shape = (4, 8, 8)
    noise, _ = vary(1, (Variation(2, 0.5), Variation(3, 0.25)), shape)
    first = slerp(draw_noise(1, shape)[0], draw_noise(2, shape)[0], 0.5)
    assert torch.equal(noise, slerp(first, draw_noise(3, shape)[0], 0.25))


@pytest.mark.parametrize("erased", [False, True], ids=["img2img", "inpaint"])
@pytest.mark.parametrize("sampler", ["dpmpp_2m", "k_euler_a", "k_lms"])
def test_the_ends_of_a_variation_are_the_two_seeds(
    engine: Engine, sampler: str, erased: bool
) -> None:
    layer = with_hole(LAYER) if erased else LAYER
    base = make(engine, layer, sampler=sampler)
    own = make(engine, layer, sampler=sampler, seed=99)
    there = [
        make(engine, layer, sampler=sampler, variation_amount=amount, variation_seed=99)
        for amount in (1e-9, 0.3, 1.0)
    ]
    assert distance(there[0], base) < 0.02
    assert np.array_equal(there[2].pixels, own.pixels)
    assert 0 < distance(there[1], base) < distance(own, base)
    assert there[1].recipe.facts.seed == 7
    assert there[1].recipe.facts.variations == (Variation(99, 0.3),)


def test_a_batch_of_variations_counts_its_own_seeds_up(engine: Engine) -> None:
    pictures = make_all(engine, LAYER, images=3, variation_amount=0.2, variation_seed=2**32 - 1)
    assert [p.recipe.facts.seed for p in pictures] == [7, 7, 7]
    assert [p.recipe.facts.variations[0].seed for p in pictures] == [2**32 - 1, 0, 1]
    again = make(engine, LAYER, variations=(Variation(0, 0.2),))
    assert np.array_equal(again.pixels, pictures[1].pixels)


def test_a_chain_goes_on_from_what_came(engine: Engine) -> None:
    links = make_all(engine, LAYER, images=3, chain=True, strength=0.4)
    second = make(engine, links[0].pixels, seed=8, strength=0.4)
    assert np.abs(links[1].pixels.astype(int) - second.pixels).max() <= 1
    plain = make_all(engine, LAYER, images=3, strength=0.4)
    assert np.array_equal(links[0].pixels, plain[0].pixels)
    assert not np.array_equal(links[1].pixels, plain[1].pixels)
    assert [p.recipe.chained for p in links] == [0, 1, 2]


def test_a_chain_into_a_hole_keeps_the_rest(engine: Engine) -> None:
    layer = with_hole(LAYER)
    links = make_all(engine, layer, images=3, chain=True, strength=0.5)
    kept = layer[..., 3] == 255
    for link in links:
        assert np.array_equal(link.pixels[kept], layer[kept])
        assert (link.pixels[..., 3] == 255).all()
    assert not np.array_equal(links[1].pixels, links[2].pixels)


def test_a_chain_from_nothing_goes_on_by_img2img(engine: Engine) -> None:
    links = make_all(engine, images=2, chain=True, strength=0.3, width=64, height=64)
    fresh = make_all(engine, images=2, width=64, height=64)
    assert np.array_equal(links[0].pixels, fresh[0].pixels)
    second = make(engine, links[0].pixels, seed=8, strength=0.3, width=64, height=64)
    assert np.abs(links[1].pixels.astype(int) - second.pixels).max() <= 1


def test_alternatives_are_chosen_by_seed(engine: Engine) -> None:
    pictures = make_all(engine, LAYER, images=6, prompt="a lake at {day|night|{red|pale} sunset}")
    prompts = {p.recipe.facts.prompt for p in pictures}
    assert len(prompts) > 1
    assert not any("{" in prompt for prompt in prompts)
    for picture in pictures[:2]:
        recipe = picture.recipe
        again = make(engine, LAYER, prompt=recipe.facts.prompt, seed=recipe.facts.seed)
        assert np.array_equal(again.pixels, picture.pixels)


def test_a_chain_from_nothing_at_strength_0_repeats_what_came(engine: Engine) -> None:
    links = make_all(engine, images=3, chain=True, strength=0.0, width=64, height=64)
    assert len(links) == 3
    assert all(np.array_equal(link.pixels, links[0].pixels) for link in links)


def test_braces_that_are_braces(engine: Engine) -> None:
    picture = make(engine, LAYER, prompt=r"a \{x|y\} z")
    assert picture.recipe.facts.prompt == "a {x|y} z"
    again = make(engine, LAYER, prompt=picture.recipe.request.prompt.positive)
    assert again.recipe.facts.prompt == "a {x|y} z"


def random_request(rng: random.Random) -> dict[str, Any]:
    varied = rng.random() < 0.5
    return {
        "prompt": rng.choice(["a lake", "{red|blue|black} hills {at dawn|in fog}", ""]),
        "negative_prompt": rng.choice(["", "text"]),
        "strength": rng.choice([0.2, 0.45, 0.75, 1.0]),
        "steps": rng.randint(2, 9),
        "compensate": rng.random() < 0.3,
        "guidance_scale": rng.choice([1.0, 4.0, 7.5]),
        "seed": rng.randrange(2**32),
        "sampler": rng.choice(["dpmpp_2m", "k_euler_a", "k_lms", "ddim", "unipc", "k_heun"]),
        "images": rng.randint(1, 3),
        "fill": rng.choice(["auto", "underpaint", "neighbours", "noise"]),
        "result": rng.choice(["layer", "patch"]),
        "variation_amount": rng.choice([0.1, 0.6, 1.0]) if varied else 0.0,
        "variation_seed": rng.randrange(2**32),
        "variations": tuple(
            Variation(rng.randrange(2**32), round(rng.random(), 2))
            for _ in range(rng.randint(0, 2))
        ),
        "chain": rng.random() < 0.3,
    }


@pytest.mark.parametrize("number", range(50))
def test_a_recipe_makes_its_picture_again(engine: Engine, number: int) -> None:
    rng = random.Random(number)
    layer = with_hole(LAYER, rng.choice([0, 90])) if rng.random() < 0.6 else LAYER
    pictures = make_all(engine, layer, **random_request(rng))
    picture = rng.choice(pictures)
    recipe = Recipe.from_dict(json.loads(json.dumps(picture.recipe.to_dict())))
    assert recipe == picture.recipe
    again = list(engine.generate(recipe.request.with_values(model="sd"), Inputs(layer)))[-1]
    assert again.recipe.facts == recipe.facts
    assert again.recipe.request == recipe.request.with_values(model="sd")
    assert np.array_equal(again.pixels, picture.pixels)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"seed": "7"}, "seed '7' is not a whole number"),
        ({"strength": True}, "strength True is not a finite number"),
        ({"variations": [{"seed": 1}]}, "variations.0. .* is not an object with seed, weight"),
        ({"variations": [[1, 2]]}, "variations.0. .* is not an object with seed, weight"),
        ({"versions": {"torch": 2}}, "is not text"),
        ({"format": 99}, "newer"),
        ({"variation_amount": 0.2, "variations": []}, "but no variations"),
        ({"variation_amount": float("nan")}, "variation_amount nan is not a finite number"),
        ({"variations": [{"seed": 1, "weight": 10**400}]}, "weight 1000.* is not a finite number"),
        ({"box": [1, 2, 3]}, "not 2 whole numbers"),
        ({"box": ["a", "b"]}, "box.0. 'a' is not a whole number"),
        ({"chained": 10**9}, "out of range"),
        ({"format": "x"}, "newer"),
    ],
)
def test_a_broken_recipe_of_the_second_format_is_refused(broken: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Recipe.from_dict({**OLD, **broken})


@pytest.mark.parametrize(
    ("group", "broken", "told"),
    [
        ("sampling", {"seed": "7"}, "sampling.seed '7' is not a whole number"),
        ("sampling", {"strength": True}, "strength True is not a finite number"),
        ("variation", {"base": [{"seed": 1}]}, "base.0. .* is not an object with seed, weight"),
        ("variation", {"base": [[1, 2]]}, "base.0. .* is not an object with seed, weight"),
        ("variation", {"amount": 0.2}, "but no variations"),
        ("variation", {"amount": float("nan")}, "amount nan is not a finite number"),
        ("size", {"width": [1]}, r"size.width \[1\] is not a whole number"),
        ("sampling", {"steps": 2**32}, "steps 4294967296 is out of range"),
        (None, {"seed": "7"}, "facts.seed '7' is not a whole number"),
        (None, {"seed": -1}, "seed -1 is out of range"),
        (None, {"versions": {"torch": 2}}, "is not text"),
        (None, {"work_area": [1, 2, 3]}, "work_area .* is not 4 whole numbers"),
        (None, {"work_size": ["a", "b"]}, "work_size.0. 'a' is not a whole number"),
        (None, {"variations": [{"seed": 1, "weight": 10**400}]}, "1000.* is not a finite number"),
    ],
)
def test_a_broken_recipe_is_refused(
    engine: Engine, group: str | None, broken: dict[str, Any], told: str
) -> None:
    found = make(engine, LAYER, strength=0.0).recipe.to_dict()
    (found["facts"] if group is None else found["request"][group]).update(broken)
    with pytest.raises(ValueError, match=told):
        Recipe.from_dict(found)


def test_a_chain_that_is_too_long_is_refused(engine: Engine) -> None:
    recipe = make(engine, LAYER, strength=0.0).recipe
    longer = dataclasses.replace(
        recipe, request=recipe.request.with_values(images=10**9, chain=True)
    )
    with pytest.raises(ValueError, match="chained 999999999 is out of range"):
        Recipe.from_dict(longer.to_dict())


def test_a_recipe_of_the_first_format_is_read() -> None:
    found = dict(OLD)
    for name in (
        "format", "variation_amount", "variations", "chained", "source_hash", "template",
    ):  # fmt: skip
        del found[name]
    recipe = Recipe.from_dict(found)
    assert recipe.facts.variations == ()
    assert recipe == Recipe.from_dict({**OLD, "source_hash": ""})
