"""The file beside a model in which its user corrects what Underpaint found out about it.

`NAME.underpaint.json` beside `NAME.safetensors` or beside the folder `NAME`, or `underpaint.json`
in the folder: ``{"prediction": "v_prediction", "steps": 28}``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from underpaint_client.errors import BadInputError, ModelUnavailableError
from underpaint_client.recommended import Recommended
from underpaint_client.samplers import DEFAULT_SAMPLER, choose_sampler, longest_schedule

from .files import FOLDER_SIDECAR
from .probes import Contents
from .reading import is_folder, read_json
from .walking import SIDECAR


@dataclass(frozen=True)
class Sidecar:
    """What a model's user says about it; None for what the user does not say.

    Parameters
    ----------
    family, variant : str
        As `Contents` has them.
    purpose : str
        `plain` or `inpainting`.
    native : int
        The side it was trained at, in pixels.
    prediction : str
        `epsilon`, `v_prediction` or `flow`.
    zero_snr : bool
        Whether it was trained down to a signal-to-noise ratio of 0.
    steps : int
        How many suit it.
    guidance_scale : float
        Which suits it; 1 or less for none.
    sampler : str
        A name of `samplers.SAMPLERS`.
    licence, note : str
        For its user.
    clip_skip : int
        Which of the text encoder's last layers the prompt is taken from: 1 is the last. A request
        may choose another.
    vae, text_encoder, text_encoder_2, text_encoder_3 : str
        Parts to take instead of its own: weight files, or folders in the diffusers format.
        Relative to the model's folder.
    config : str
        A folder in the diffusers format whose configs describe a file. Relative as well.
    """

    family: str | None = None
    variant: str | None = None
    purpose: str | None = None
    native: int | None = None
    prediction: str | None = None
    zero_snr: bool | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    sampler: str | None = None
    licence: str | None = None
    note: str | None = None
    clip_skip: int | None = None
    vae: str | None = None
    text_encoder: str | None = None
    text_encoder_2: str | None = None
    text_encoder_3: str | None = None
    config: str | None = None

    @property
    def parts(self) -> dict[str, str]:
        """The files or folders of parts that are named, by part."""
        parts = ("vae", "text_encoder", "text_encoder_2", "text_encoder_3")
        named = {part: getattr(self, part) for part in parts}
        return {part: str(where) for part, where in named.items() if where is not None}


def correct_contents(contents: Contents, said: Sidecar) -> Contents:
    """Return what a file is, corrected by its side-car."""
    names = ("family", "variant", "purpose", "native", "prediction", "zero_snr", "licence")
    given = {name: getattr(said, name) for name in names if getattr(said, name) is not None}
    return replace(contents, **given)


def correct_recommended(recommended: Recommended, said: Sidecar) -> Recommended:
    """Return what suits a model, corrected by its side-car."""
    names = ("steps", "guidance_scale", "sampler", "clip_skip")
    given = {name: getattr(said, name) for name in names if getattr(said, name) is not None}
    if said.sampler is not None:
        given["sampler"] = choose_sampler(said.sampler)
    return replace(recommended, **given)


def find_sidecar(model: Path) -> Path | None:
    """Return the path of a model's side-car; None where there is none."""
    stem = model.name if is_folder(model) else model.stem
    for file in (model.with_name(f"{stem}{SIDECAR}"), model / FOLDER_SIDECAR):
        if os.path.lexists(file):
            return file
    return None


def read_sidecar(file: Path | None) -> Sidecar:
    """Read a side-car; without one, everything is None.

    Raises
    ------
    ModelUnavailableError
        It cannot be read, or has something unknown or out of range. The message names the value,
        and what is allowed.
    """
    if file is None:
        return Sidecar()
    said = read_json(file.parent, file.name, encoding="utf-8-sig")
    for name, value in said.items():
        try:
            _CHECKS.get(name, _unknown)(value)
        except (ValueError, BadInputError) as error:
            told = str(error) if isinstance(error, BadInputError) else f"{name[:80]} {error}"
            raise ModelUnavailableError(
                "{file}: {problem}; correct it, or remove it", file=file, problem=told
            ) from None
    return Sidecar(**said)


def _unknown(_value: Any) -> None:
    raise ValueError(f"is unknown; there are {', '.join(_CHECKS)}")


def _text(value: Any) -> None:
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise ValueError(f"is {str(value)[:80]!r}; give a text")
    if not value.isprintable():
        raise ValueError(f"is {value[:80]!r}; give a text of one line, without control characters")


_LONGEST = 1000
"""Characters of a text or a path."""


def _path(value: Any) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST or "\0" in value:
        raise ValueError(f"is {str(value)[:80]!r}; give the path of a file or folder")


def _one_of(*choices: str) -> Callable[[Any], None]:
    def check(value: Any) -> None:
        if value not in choices:
            raise ValueError(f"is {str(value)[:80]!r}; give one of {', '.join(choices)}")

    return check


def _number(least: float, most: float, *, whole: bool = False) -> Callable[[Any], None]:
    def check(value: Any) -> None:
        kinds = (int,) if whole else (int, float)
        if type(value) not in kinds or not least <= value <= most or not math.isfinite(value):
            what = "a whole number" if whole else "a number"
            raise ValueError(f"is {str(value)[:80]}; give {what} from {least:g} to {most:g}")

    return check


def _native(value: Any) -> None:
    _number(64, 4096, whole=True)(value)
    if value % 16:
        raise ValueError(f"{str(value)!r} is not a multiple of 16; give one from 64 to 4096")


def _flag(value: Any) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"is {str(value)[:80]!r}; give true or false")  # noqa: TRY004 - as above


def _sampler(value: Any) -> None:
    _text(value)
    sampler = choose_sampler(value)
    if longest_schedule(sampler) < longest_schedule(DEFAULT_SAMPLER):
        raise BadInputError(
            "{sampler} runs {most} steps at most and must be chosen, not recommended; name another"
            " sampler there",
            sampler=sampler,
            most=longest_schedule(sampler),
        )


_CHECKS: dict[str, Callable[[Any], None]] = {
    "family": _text,
    "variant": _text,
    "purpose": _one_of("plain", "inpainting", "edit"),
    "native": _native,
    "prediction": _one_of("epsilon", "v_prediction", "flow"),
    "zero_snr": _flag,
    "steps": _number(1, 1000, whole=True),
    "guidance_scale": _number(0, 50),
    "sampler": _sampler,
    "licence": _text,
    "note": _text,
    "clip_skip": _number(1, 12, whole=True),
    "vae": _path,
    "text_encoder": _path,
    "text_encoder_2": _path,
    "text_encoder_3": _path,
    "config": _path,
}
