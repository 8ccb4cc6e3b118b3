"""Which value wins: the artist's, or what suits the model."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from underpaint_client import messages, model_messages, wire
from underpaint_client.descriptions import describe_bytes, describe_misfits, describe_model
from underpaint_client.errors import BadInputError
from underpaint_client.model_entry import ModelEntry
from underpaint_client.parameters import parameters_of, settled
from underpaint_client.recommended import USUAL, Recommended, settle_request
from underpaint_client.request import Request
from underpaint_client.rules import check_request
from underpaint_client.steps import plan_request

FEW = Recommended(4, 1.0, "k_euler")
FLUX = Recommended(28, 3.5, "k_euler", takes_negative=False)
MANY = Recommended(100, 7.5, "dpmpp_2m")
NAMES = ("steps", "guidance_scale", "sampler", "clip_skip")


@pytest.mark.parametrize(
    ("asked", "recommended", "wanted"),
    [
        ({}, USUAL, (20, 7.5, "dpmpp_2m", 1)),
        ({}, FEW, (4, 1.0, "k_euler", 1)),
        ({"steps": 20}, FEW, (20, 1.0, "k_euler", 1)),
        ({"guidance_scale": 7.5}, FEW, (4, 7.5, "k_euler", 1)),
        ({"guidance_scale": 0.0}, FEW, (4, 0.0, "k_euler", 1)),
        ({"sampler": "auto"}, FEW, (4, 1.0, "k_euler", 1)),
        ({"sampler": "AUTO"}, FEW, (4, 1.0, "k_euler", 1)),
        ({"sampler": "Euler a"}, FEW, (4, 1.0, "k_euler_a", 1)),
        ({"steps": 20, "guidance_scale": 7.5, "sampler": "ddim"}, FEW, (20, 7.5, "ddim", 1)),
        ({"sampler": "lcm"}, MANY, (50, 7.5, "lcm", 1)),
        ({"clip_skip": 3}, FEW, (4, 1.0, "k_euler", 3)),
        ({}, Recommended(clip_skip=2), (20, 7.5, "dpmpp_2m", 2)),
        ({"clip_skip": 1}, Recommended(clip_skip=2), (20, 7.5, "dpmpp_2m", 1)),
        ({"steps": 30, "sampler": "lcm"}, MANY, (30, 7.5, "lcm", 1)),
    ],
)
def test_what_the_artist_chose_wins_and_the_model_fills_the_rest(
    asked: dict[str, Any], recommended: Recommended, wanted: tuple[Any, ...]
) -> None:
    request = Request.of(prompt="a lake", seed=3, **asked)
    check_request(request)
    run = settle_request(request, recommended)
    check_request(run)
    assert tuple(run.value(name) for name in NAMES) == wanted
    assert settle_request(run, MANY) == run  # which leaves nothing open
    others = set(request.values()) - set(NAMES)
    assert all(run.value(name) == request.value(name) for name in others)


def test_what_is_declared_to_be_left_to_the_model_is_recommended() -> None:
    by_model = [name for name, one in parameters_of(Request).items() if one.by_model]
    assert sorted(by_model) == sorted(NAMES)
    assert all(hasattr(USUAL, name) for name in by_model)


def test_a_request_that_is_not_settled_cannot_be_planned() -> None:
    with pytest.raises(ValueError, match="settle the request first"):
        plan_request(Request(), "img2img", 1.0)
    assert plan_request(settle_request(Request(), FEW), "img2img", 1.0).run == 3
    with pytest.raises(ValueError, match="settle the request first"):
        settled(None)
    assert settled(0) == 0


def test_what_is_left_to_the_model_travels_as_such() -> None:
    (header, *_) = wire.encode(messages.Run("j", Request.of(seed=1), allow_paths=True))
    message, _ = wire.decode([header])
    assert isinstance(message, messages.Run)
    assert (message.request.sampling.steps, message.request.sampling.guidance_scale) == (None, None)
    assert message.request == Request.of(seed=1)


def test_a_models_description_travels_and_what_is_new_in_it_is_passed_over() -> None:
    entry = ModelEntry("schnell", "flux", 1024, recommended=FEW)
    (header, *_) = wire.encode(model_messages.Models((entry,)))
    assert wire.decode([header])[0] == model_messages.Models((entry,))
    newer = bytes(header).replace(b'"steps": 4', b'"steps": 4, "mood": "sunny"')
    assert wire.decode([newer])[0] == model_messages.Models((entry,))


def test_a_client_reads_the_descriptions_of_many_models_and_the_daemon_no_such_header() -> None:
    entries = tuple(
        ModelEntry(f"anime/model number {n}", "sdxl", 1024, title="SDXL", licence="x" * 80)
        for n in range(10_000)
    )
    parts = wire.encode(model_messages.Models(entries))
    assert len(parts[0]) > wire.MAX_HEADER
    assert wire.decode(parts)[0] == model_messages.Models(entries)
    with pytest.raises(BadInputError, match=f"over {wire.MAX_HEADER} bytes"):
        wire.open_envelope(parts)


SIZES = "1024 pixels, fp16, 6.9 GB on disk, needs 8.9 GB of memory."
NOTHING = {"size": 0, "memory": 0, "precision": "", "licence": ""}
KNOWN = ModelEntry(
    "a/b", "sdxl", 1024, title="SDXL", purpose="plain", precision="fp16",
    size=6_938_040_682, memory=8_938_040_682, licence="openrail++",
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, f"SDXL. {SIZES} Licence: openrail++."),
        (
            {"purpose": "inpainting", "recommended": FEW, "licence": ""},
            f"SDXL, inpainting, 4 steps. {SIZES}",
        ),
        (
            {"purpose": "edit", "licence": ""},
            f"SDXL, edit. {SIZES} This is an edit model: in the mode edit it follows the prompt as"
            " an instruction, such as 'make it winter'; in others it paints what the prompt"
            " describes.",
        ),
        ({"problem": "its vae is missing"}, "Cannot be used: its vae is missing."),
        ({"title": "", **NOTHING}, "sdxl. 1024 pixels."),
        ({"title": "", "family": "", "native": 0, **NOTHING}, ""),
    ],
)
def test_a_model_in_words(changes: dict[str, Any], told: str) -> None:
    assert describe_model(dataclasses.replace(KNOWN, **changes)) == told


@pytest.mark.parametrize(
    ("size", "told"), [(0, ""), (900, "1 kB"), (3_200_000, "3 MB"), (6_938_040_682, "6.9 GB")]
)
def test_bytes_in_words(size: int, told: str) -> None:
    assert describe_bytes(size) == told


@pytest.mark.parametrize(
    ("asked", "recommended", "told"),
    [
        ({}, USUAL, []),
        ({}, FEW, []),
        ({"steps": 30, "guidance_scale": 12.0, "negative_prompt": "rain"}, USUAL, []),
        ({"steps": 8, "guidance_scale": 2.0}, FEW, []),
        ({"steps": 20}, FEW, ["20 steps are more than this model is made for; 4 suit it"]),
        ({"steps": 60}, FLUX, []),
        (
            {"guidance_scale": 7.5},
            FEW,
            ["a guidance scale of 7.5 is too high for this model; 1 suits it"],
        ),
        (
            {"guidance_scale": 7.5},
            FLUX,
            ["a guidance scale of 7.5 is too high for this model; 3.5 suits it"],
        ),
        ({"negative_prompt": "rain"}, FLUX, ["this model takes no negative prompt"]),
        (
            {"negative_prompt": "rain"},
            FEW,
            ["the negative prompt is not used at a guidance scale of 1 or less"],
        ),
        ({"negative_prompt": "rain", "guidance_scale": 1.5}, FEW, []),
        (
            {"negative_prompt": "rain", "guidance_scale": 1.0},
            USUAL,
            ["the negative prompt is not used at a guidance scale of 1 or less"],
        ),
        ({"negative_prompt": " "}, FLUX, []),
    ],
)
def test_what_is_far_from_what_the_model_is_made_for_is_said(
    asked: dict[str, Any], recommended: Recommended, told: list[str]
) -> None:
    assert list(describe_misfits(Request.of(**asked), recommended)) == told
