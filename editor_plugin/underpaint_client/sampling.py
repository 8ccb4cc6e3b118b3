"""How noise becomes images: strength, steps, guidance, seed, sampler and model."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import BadInputError
from .parameters import Parameter, ParameterGroup, declare
from .samplers import SAMPLERS, TRAIN_STEPS, choose_sampler

SEEDS = 2**32
"""How many seeds there are: torch's CPU generator tells no more apart."""

SEED_LIMITS = (0, SEEDS - 1)
"""The least and the greatest seed."""

MAX_NAME = 1024
"""Characters of the longest name or path of a model that is taken."""

PICTURE_MODES = ("img2img", "inpaint", "edit")
"""The modes that begin with a picture."""


def _check_model(name: str) -> None:
    if "\0" in name:
        raise BadInputError(
            "model {name!r} contains a null character; give the name of a model or the path of its"
            " folder",
            name=name[:40],
        )


@dataclass(frozen=True)
class SamplingSettings(ParameterGroup):
    """How noise becomes images: by which model, in which steps, from which seed."""

    strength: float = declare(
        0.75,
        Parameter(
            "Denoising strength: 0 keeps the image, 1 ignores it. 0.35 is a minor, 0.55 a moderate,"
            " 0.75 a significant change. What you erased halfway changes half as much.",
            limits=(0.0, 1.0),
            flags=("-f", "--strength"),
            label="Strength",
            step=0.05,
            decimals=2,
            modes=PICTURE_MODES,
        ),
    )
    steps: int | None = declare(
        None,
        Parameter(
            "Sampling steps: more take longer and add detail. Only steps x strength are run: 15 of"
            " 20 at strength 0.75.",
            limits=(1, TRAIN_STEPS),
            flags=("-s", "--steps"),
            label="Steps",
            by_model=True,
        ),
    )
    compensate: bool = declare(
        False,
        Parameter(
            "Runs all steps whatever the strength. Slower, with more detail at low strengths.",
            flags=("--compensate",),
            label="Run all steps",
            modes=PICTURE_MODES,
        ),
    )
    guidance_scale: float | None = declare(
        None,
        Parameter(
            "How closely to follow the prompt. Low values are loose and soft, high values literal"
            " and harsh.",
            limits=(0.0, 50.0),
            flags=("-C", "--guidance-scale", "--cfg-scale"),
            usage="1 or less switches classifier-free guidance off.",
            label="Guidance (CFG)",
            step=0.5,
            decimals=1,
            by_model=True,
        ),
    )
    seed: int | None = declare(
        None,
        Parameter(
            "The same seed and settings give the same image.",
            limits=SEED_LIMITS,
            flags=("-S", "--seed"),
            usage="It is the seed of the first image. Without it one is drawn and printed.",
            label="Seed",
            tip="Unless it is locked, each run draws a new seed.",
        ),
    )
    images: int = declare(
        1,
        Parameter(
            "How many images to make. Each one uses the next seed.",
            limits=(1, 64),
            flags=("-n", "--images"),
            label="Images",
        ),
    )
    sampler: str = declare(
        "auto",
        Parameter(
            "The sampling method. Automatic chooses one that suits the model. dpmpp_2m is fast and"
            " stable; those ending in _a (ancestral) vary more, and blend filled holes in better.",
            choices={"auto": "Automatic", **{name: name for name in SAMPLERS}},
            is_open=True,
            check=choose_sampler,
            flags=("-A", "--sampler"),
            usage="auto is k_euler_a for the starter model, k_euler for FLUX and other"
            " flow-matching models, and dpmpp_2m for others, unless the model's side-car file says"
            ' {"sampler": "NAME"}. The class name of a diffusers scheduler and the name that Stable'
            " Diffusion WebUI uses (Euler a) work too.",
            label="Sampler",
            by_model=True,
        ),
    )
    clip_skip: int | None = declare(
        None,
        Parameter(
            "Clip skip, as Stable Diffusion WebUI counts it: which of the last layers of CLIP the"
            " prompt is taken from; 1 is the last.",
            limits=(1, 12),
            flags=("--clip-skip",),
            usage="For Stable Diffusion 1, 2 and XL, where 2 and XL take 1 for 2.",
            by_model=True,
        ),
    )
    model: str = declare(
        "",
        Parameter(
            "The starter model knows landscapes only. For everything else, put a model into"
            " Underpaint's models folder.",
            choices={"": "Default"},
            is_open=True,
            most=MAX_NAME,
            check=_check_model,
            flags=("-m", "--model"),
            usage="Give a name that `underpaint models` lists, or the path of a file or folder.",
            label="Model",
        ),
    )
