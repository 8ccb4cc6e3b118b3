"""What another program's settings mean here: by the names of our parameters, and what has none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .conditioning import MAX_LORAS, LoraWeight, check_loras
from .errors import BadInputError
from .parameters import parameters_of
from .request import Request
from .samplers import SAMPLERS, choose_sampler
from .sentences import Sentence, sentence
from .typed_json import read_value, shorten

MOST_NOTES = 12
"""Sentences about what cannot be used, before the others are counted only."""


@dataclass(frozen=True)
class FoundSettings:
    """Settings that were found in a picture.

    Parameters
    ----------
    program : str
        Which wrote them.
    values : dict of str to object
        By the names of `Request`'s parameters, each checked; without `model`.
    notes : tuple of Sentence
        What cannot be used, each without its capital and stop.
    model, model_hash : str
        The model's name, and the beginning of its SHA-256; empty where they are not told.
    """

    program: str
    values: dict[str, Any]
    notes: tuple[Sentence, ...] = ()
    model: str = ""
    model_hash: str = ""


@dataclass
class Settings:
    """Collects `FoundSettings`, whatever types the values have."""

    program: str
    values: dict[str, Any] = field(default_factory=dict)
    notes: list[Sentence] = field(default_factory=list)
    loras: list[LoraWeight] = field(default_factory=list)
    model: str = ""
    model_hash: str = ""

    def add(self, name: str, value: Any) -> None:
        """Take a value for a parameter, or note that it cannot be used; None is passed over."""
        if value is None or value == "":
            return
        parameter = parameters_of(Request)[name]
        try:
            read = read_value(name, parameter.kind, _as_number(value, parameter.kind))
            parameter.check_value(read)
        except (ValueError, OverflowError, BadInputError):
            self.note_unused(name.replace("_", " "), value)
        else:
            self.values[name] = read

    def add_lora(self, name: Any, weight: Any, encoder_weight: Any = None) -> None:
        """Take a LoRA by the name of its file."""
        encoder = None if encoder_weight in (None, weight) else encoder_weight
        try:
            lora = read_value(
                "lora",
                LoraWeight,
                {"name": stem(name), "weight": weight, "encoder_weight": encoder},
            )
            check_loras((lora,))
        except (ValueError, BadInputError):
            self.notes.append(sentence("the LoRA {name!r} is not used", name=_shorten(name)))
            return
        if len(self.loras) < MAX_LORAS:
            self.loras.append(lora)

    def add_sampler(self, name: Any, schedule: Any = "") -> None:
        """Take a sampler and its schedule of noise, as any of the programs calls them."""
        if not isinstance(name, str) or not name:
            return
        sampler, is_exact = match_sampler(name, schedule if isinstance(schedule, str) else "")
        self.add("sampler", sampler)
        if not sampler:
            self.notes.append(
                sentence(
                    "there is no sampler {name!r} here; the model's own is used", name=name[:60]
                )
            )
        elif not is_exact:
            self.notes.append(
                sentence(
                    "the schedule {schedule!r} is not used; that of the sampler is",
                    schedule=_shorten(schedule),
                )
            )

    def add_model(self, name: Any, digest: Any = "") -> None:
        """Take the model by the name of its file, and its hash."""
        self.model = stem(name)
        self.model_hash = digest if isinstance(digest, str) else ""

    def note_unused(self, setting: str, value: Any) -> None:
        """Note that a setting of the picture cannot be used."""
        self.notes.append(
            sentence("{setting} ({value}) is not used", setting=setting[:60], value=_shorten(value))
        )

    def found(self) -> FoundSettings:
        """Return what was collected."""
        if self.loras:
            self.values["loras"] = tuple(self.loras)
        notes = list(dict.fromkeys(self.notes))
        if len(notes) > MOST_NOTES:
            more = len(notes) - MOST_NOTES + 1
            notes[MOST_NOTES - 1 :] = [sentence("{count} more settings are not used", count=more)]
        return FoundSettings(self.program, self.values, tuple(notes), self.model, self.model_hash)


def _shorten(value: Any) -> str:
    return value[:60] if isinstance(value, str) else shorten(value)


def _as_number(value: Any, kind: Any) -> Any:
    """Return a text as a number where one is wanted, and a whole float as an int."""
    if kind in (int, float) and isinstance(value, str) and len(value) < 40:
        value = float(value) if kind is float else int(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def stem(name: Any) -> str:
    """Return the name of a file without folders and the ending of weights; empty for no text."""
    if not isinstance(name, str):
        return ""
    last = name.replace("\\", "/").rpartition("/")[2]
    return re.sub(r"\.(safetensors|ckpt|gguf|sft|pt|bin)$", "", last, flags=re.IGNORECASE)


def parse_object(text: str) -> dict[str, Any]:
    """Return the JSON object in a text that a stranger wrote.

    Raises
    ------
    ValueError
        There is none, or it is nested too deeply.
    """
    try:
        found = json.loads(text, parse_int=_read_int)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - as json has it
    return found


def _read_int(digits: str) -> int | float:
    return int(digits) if len(digits) < 40 else float("inf")  # long ones take long


# ---- samplers ------------------------------------------------------------------------------

_SAMPLERS = {
    "euler_ancestral": "k_euler_a",
    "dpm_2": "k_dpm_2",
    "dpm_2_ancestral": "k_dpm_2_a",
    "dpm2_ancestral": "k_dpm_2_a",
    "kdpm_2": "k_dpm_2",
    "kdpm_2_a": "k_dpm_2_a",
    "dpm2": "k_dpm_2",
    "dpm2_a": "k_dpm_2_a",
    "uni_pc": "unipc",
    "uni_pc_bh2": "unipc",
}
"""What ComfyUI, InvokeAI and WebUI call samplers, where `choose_sampler` does not know it."""

_USUAL = ("", "automatic", "normal", "simple", "uniform", "discrete")
"""Schedules that are the samplers' own, or nearly so."""


def match_sampler(name: str, schedule: str = "") -> tuple[str, bool]:
    """Return our sampler for another program's, and whether its schedule of noise is the same.

    Parameters
    ----------
    name : str
        As Stable Diffusion WebUI, ComfyUI or InvokeAI calls it; the schedule may be in it.
    schedule : str
        The schedule's name where it has one of its own.

    Returns
    -------
    str
        A name in `SAMPLERS`; empty where there is none.
    bool

    Examples
    --------
    >>> match_sampler("DPM++ 2M Karras"), match_sampler("euler_ancestral", "karras")
    (('dpmpp_2m_karras', True), ('k_euler_a', False))
    """
    base = re.sub(r"[\s_-]+", "_", name.strip().lower()).replace("++", "pp")
    base, of_name = re.subn(r"(?<!^)_(karras|k)$", "", base.removesuffix("_gpu"))
    wanted = "karras" if of_name else re.sub(r"[\s_-]+", "_", schedule.strip().lower())
    base = re.sub(r"^dpmpp2", "dpmpp_2", base)
    try:
        sampler = _SAMPLERS.get(base) or choose_sampler(base)
    except BadInputError:
        return "", False
    if sampler == "auto" or base == "auto":
        return "", False
    if wanted == "automatic" and sampler == "dpmpp_2m":  # which is what WebUI takes for it
        wanted = "karras"
    if wanted == "karras" and f"{sampler}_karras" in SAMPLERS:
        return f"{sampler}_karras", True
    return sampler, wanted in _USUAL


# ---- models --------------------------------------------------------------------------------


def match_model(found: FoundSettings, hashes: Mapping[str, str]) -> tuple[str, list[Sentence]]:
    """Return which of our models a picture was made with.

    Parameters
    ----------
    found : FoundSettings
    hashes : mapping of str to str
        The SHA-256 of each model by its name; empty where it is not known.

    Returns
    -------
    str
        A name of `hashes`; empty where none is it.
    list of Sentence
        That there is none, without its capital and stop.
    """
    digest = found.model_hash.lower()
    by_hash = [name for name, one in hashes.items() if len(digest) >= 8 and one.startswith(digest)]
    by_name = _called(found.model, hashes)
    if by_hash or by_name:
        return (by_hash or by_name)[0], []
    if not (found.model or digest):
        return "", []
    return "", [sentence("the model {model!r} is not here", model=found.model or digest)]


def _called(wanted: str, names: Iterable[str]) -> list[str]:
    there = list(names)
    same = [name for name in there if wanted and stem(name).casefold() == wanted.casefold()]
    return [wanted] if wanted in there else same if len(same) == 1 else []
