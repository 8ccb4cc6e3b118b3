from __future__ import annotations

from example_recipe import make_recipe
from underpaint_client import Request, Variation
from underpaint_client.conditioning import LoraWeight
from underpaint_client.recipe import UsedLora
from underpaint_client.rules import check_request
from underpaint_client.samplers import SAMPLER_LABELS, SAMPLERS, choose_sampler
from underpaint_client.webui_text import describe_parameters


def test_parameters_as_others_read_them() -> None:
    recipe = make_recipe(
        prompt="a lake,\nat dusk", negative_prompt="text", sampler="k_euler_a", steps=20,
        guidance_scale=7.5, seed=7, mode="inpaint", strength=0.6, model="a, b",
        facts={
            "model_hash": "0123456789abcdef", "work_size": (512, 448),
            "versions": {"underpaint": "0.1.0"}, "variations": (Variation(9, 0.25),),
        },
    )  # fmt: skip
    assert describe_parameters(recipe) == (
        "a lake,\nat dusk\nNegative prompt: text\n"
        "Steps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 7, Size: 512x448,"
        ' Model hash: 0123456789, Model: "a, b", Denoising strength: 0.6, Variation seed: 9,'
        " Variation seed strength: 0.25, Version: underpaint 0.1.0"
    )
    assert "Clip skip: 2, " in describe_parameters(make_recipe(clip_skip=2))
    for usual in (None, 1):  # which the WebUI leaves out
        assert "Clip skip" not in describe_parameters(make_recipe(clip_skip=usual))
    fresh = make_recipe(mode="txt2img")
    assert "Denoising" not in describe_parameters(fresh)
    assert "Variation" not in describe_parameters(fresh)
    assert "Negative" not in describe_parameters(fresh)


def test_loras_are_named_as_others_name_them() -> None:
    recipe = make_recipe(
        prompt="a lake <lora:ink:0.5>",
        loras=(LoraWeight("styles/oil", 0.8), LoraWeight("a, b", 1.0, 0.25)),
        facts={
            "loras": (
                UsedLora("styles/oil", "12" * 32, 0.8, 0.8, "ab" * 32),
                UsedLora("ink", "34" * 32, 0.5, 0.5, "cd" * 32),
            )
        },
    )
    first, last = describe_parameters(recipe).split("\n")
    assert first == "a lake <lora:ink:0.5> <lora:oil:0.8> <lora:a b:0.25:1>"
    assert ', Lora hashes: "oil: abababababab, ink: cdcdcdcdcdcd", Version: ' in last
    assert "ora" not in describe_parameters(make_recipe())


def test_samplers_are_understood_as_our_pictures_call_them() -> None:
    assert SAMPLER_LABELS.keys() == SAMPLERS.keys()
    for sampler, label in SAMPLER_LABELS.items():
        for name in (label, label.upper(), f" {label.replace(' ', '  ')}", label.replace(" ", "_")):
            assert choose_sampler(name) == sampler, name
    check_request(Request.of(sampler="Euler a"))
