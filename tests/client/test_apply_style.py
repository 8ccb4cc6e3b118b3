"""What a style does to a request: its settings where the request has none of its own."""

from __future__ import annotations

from typing import Any

import pytest

from underpaint_client.conditioning import LoraWeight
from underpaint_client.errors import BadInputError
from underpaint_client.request import Request
from underpaint_client.styles import Style, apply_style

INK = LoraWeight("styles/ink", 0.8)
STYLE = Style(
    "ink",
    prompt="ink drawing of {prompt}, black and white",
    negative_prompt="colour",
    model="anime",
    loras=(INK,),
    sampler="k_euler_a",
    steps=30,
    guidance_scale=5.0,
    clip_skip=2,
)
PLAIN = {"prompt": "a lake"}
OF_STYLE = {
    "prompt": "ink drawing of a lake, black and white",
    "negative_prompt": "colour",
    "model": "anime",
    "loras": (INK,),
    "sampler": "k_euler_a",
    "steps": 30,
    "guidance_scale": 5.0,
    "clip_skip": 2,
}


@pytest.mark.parametrize(
    ("asked", "changed"),
    [
        ({}, {}),
        ({"steps": 20}, {"steps": 20}),
        ({"guidance_scale": 1.0}, {"guidance_scale": 1.0}),
        ({"sampler": "ddim"}, {"sampler": "ddim"}),
        ({"model": "plain"}, {"model": "plain"}),
        ({"clip_skip": 1}, {"clip_skip": 1}),
        ({"negative_prompt": "fog"}, {"negative_prompt": "fog, colour"}),
        ({"loras": (LoraWeight("oil"),)}, {"loras": (LoraWeight("oil"), INK)}),
        ({"loras": (LoraWeight("Ink", 0.2),)}, {"loras": (LoraWeight("Ink", 0.2),)}),
        (
            {"prompt": "<lora:ink:1> a lake"},
            {"prompt": "ink drawing of <lora:ink:1> a lake, black and white", "loras": ()},
        ),
        ({"prompt": ""}, {"prompt": "ink drawing of, black and white"}),
        (
            {"prompt": "a lake\n# at dawn?"},
            {"prompt": "ink drawing of a lake, black and white"},
        ),
        (
            {"prompt": "a {red|pale} __sky__"},
            {"prompt": "ink drawing of a {red|pale} __sky__, black and white"},
        ),
        (
            {"prompt": "<lora:ink"},
            {"prompt": "ink drawing of <lora:ink, black and white"},
        ),
        (
            {"prompt": r"a \1 {prompt}"},
            {"prompt": r"ink drawing of a \1 {prompt}, black and white"},
        ),
    ],
)
def test_what_the_request_has_wins(asked: dict[str, Any], changed: dict[str, Any]) -> None:
    request = Request.of(**{**PLAIN, **asked, "style": "ink", "seed": 7})
    wanted = request.with_values(**{**OF_STYLE, **changed})
    assert apply_style(request, STYLE) == wanted


def test_a_style_may_say_little() -> None:
    request = Request.of(prompt="a lake", steps=12)
    assert apply_style(request, Style("plain")) == request
    assert apply_style(Request(), Style("oil", "{prompt}, oil")).prompt.positive == "oil"
    twice = apply_style(request, Style("twice", "{prompt}, ({prompt}:0.5)"))
    assert twice.prompt.positive == "a lake, (a lake:0.5)"


def test_one_that_cannot_be_used_says_why() -> None:
    with pytest.raises(BadInputError, match=r"style 'x': it is not JSON"):
        apply_style(Request(), Style("x", problem="style 'x': it is not JSON"))
