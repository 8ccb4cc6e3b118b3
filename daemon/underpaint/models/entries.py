"""List the models, with all that is known about each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.model_entry import ModelEntry
from underpaint_client.printable import one_line
from underpaint_client.recommended import Recommended
from underpaint_client.rules import STARTER_MODEL
from underpaint_client.sentences import NO_TEXT, Sentence, as_sentence, sentence

from .card_memory import file_memory, folder_memory
from .describe import describe_model
from .facts import family_facts, native_size, why_unusable
from .families import FLOWS, recommend
from .find import STARTER_FOLDER
from .model_index import DENOISERS
from .probes import MODEL, Contents
from .roots import Root
from .scanning import Scanned, contents_of, scan
from .sidecar import (
    Sidecar,
    correct_contents,
    correct_recommended,
    find_sidecar,
    read_sidecar,
)
from .stamps import stamp_files
from .walking import Found


@dataclass(frozen=True)
class ListedModel:
    """A model as `underpaint models` lists it.

    Parameters
    ----------
    name : str
        The name to choose it by.
    path : str
        The folder or file.
    root : str
        Where it was found: `Root.name`, or `starter`.
    form : str
        `folder`, `safetensors` or `gguf`.
    family, variant, purpose, prediction, precision : str
        As `Contents` has them; empty where that is not known.
    zero_snr : bool
        As `Contents` has it.
    native : int
        The side it was trained at, in pixels; 0 where that is not known.
    size, memory : int
        Bytes of its weights on disk, and of a GPU's memory with which all of it stays there, as
        `card_memory` computes them.
    steps : int
    guidance_scale : float
    sampler : str
    takes_negative : bool
    clip_skip : int
        What suits it, as `Recommended` has them.
    licence, note : str
        Where known.
    problem : str
        Why it cannot be used; empty where it can.
    """

    name: str
    path: str
    root: str
    form: str = "folder"
    family: str = ""
    variant: str = ""
    purpose: str = ""
    prediction: str = ""
    zero_snr: bool = False
    native: int = 0
    precision: str = ""
    size: int = 0
    memory: int = 0
    steps: int = Recommended.steps
    guidance_scale: float = Recommended.guidance_scale
    sampler: str = Recommended.sampler
    takes_negative: bool = Recommended.takes_negative
    clip_skip: int = Recommended.clip_skip
    edits: bool = Recommended.edits
    pictures: int = Recommended.pictures
    licence: str = ""
    note: str = ""
    problem: str = ""

    @property
    def recommended(self) -> Recommended:
        """What suits it."""
        return Recommended(
            self.steps,
            self.guidance_scale,
            self.sampler,
            self.takes_negative,
            self.clip_skip,
            self.edits,
            self.pictures,
        )


def list_entries(seconds: float | None = None) -> tuple[ModelEntry, ...]:
    """Describe every model, by name; one that cannot be used says why.

    Parameters
    ----------
    seconds : float, optional
        How long headers of new files may be read; those that are left are not listed yet.
    """
    return tuple(map(_describe_entry, describe_all(seconds=seconds)))


def _describe_entry(one: ListedModel) -> ModelEntry:
    """Return what clients are told about a model, without its path."""
    if one.problem:
        return ModelEntry(one.name, "", 0, one.problem)
    return ModelEntry(
        name=one.name,
        family=one.family,
        native=one.native,
        recommended=one.recommended,
        title=family_facts(one.family, one.variant).title,
        purpose=one.purpose or "plain",
        precision=one.precision,
        size=one.size,
        memory=one.memory,
        licence=one_line(one.licence, _MOST_OF_A_LICENCE),
    )


_MOST_OF_A_LICENCE = 80
"""Characters of a licence that clients are told: a side-car may hold a text of any kind."""


def describe_all(
    *, seconds: float | None = None, tell: Callable[[int, int], None] = lambda _done, _all: None
) -> tuple[ListedModel, ...]:
    """Describe every model with all that is known of it, by name.

    Parameters
    ----------
    seconds : float, optional
        As `list_entries` has it.
    tell : callable
        Is told how many headers were read, of how many.
    """
    return describe_scanned(scan(seconds=seconds, tell=tell, kind=MODEL))


def describe_scanned(scanned: list[Scanned]) -> tuple[ListedModel, ...]:
    """Describe the models in what was found; what is no model is left out."""
    found = {one.name: one for one in map(_list, _with_starter(scanned)) if one is not None}
    return tuple(found[name] for name in sorted(found))


def _with_starter(scanned: list[Scanned]) -> Iterator[Scanned]:
    yield from scanned
    if STARTER_FOLDER.exists() and all(one.found.name != STARTER_MODEL for one in scanned):
        sidecar = find_sidecar(STARTER_FOLDER)
        root = Root(STARTER_MODEL, STARTER_FOLDER.parent)
        yield Scanned(Found(STARTER_MODEL, STARTER_FOLDER, root, True, sidecar=sidecar))


def _list(one: Scanned) -> ListedModel | None:
    found, contents = one.found, one.contents
    problem: str = one.problem
    values: dict[str, Any] = {
        "name": found.name,
        "path": _printable(str(found.path)),
        "root": found.root.name,
        "form": "folder" if found.is_folder else found.path.suffix[1:].lower(),
    }
    if not (one.problem or found.is_folder) and (contents is None or contents.kind != MODEL):
        return None
    try:
        if not one.problem:
            said = read_sidecar(found.sidecar)
            if found.is_folder:
                values |= _folder(found.path, said)
            elif contents is not None:
                values |= _file(found, correct_contents(contents, said), said)
            values |= _said(said)
    except ModelUnavailableError as error:
        problem = error.sentence
    except Exception as error:  # noqa: BLE001 - one odd folder must not hide the others
        problem = sentence(
            "model {path} cannot be read ({error}); fetch it again", path=found.path, error=error
        )
    problem = as_sentence(values.get("problem") or problem).map_text(_printable)
    return ListedModel(**{**values, "problem": problem})


def _file(found: Found, contents: Contents, said: Sidecar) -> dict[str, Any]:
    values = {
        **_contents(contents, found.stamp[0]),
        "family": contents.family,
        "native": native_size(contents),
        "memory": file_memory(contents),
        "problem": _problem(found.path, contents),
    }
    if not values["problem"]:
        values |= asdict(_recommended(found.path, contents, said))
    return values


def _recommended(file: Path, contents: Contents, said: Sidecar) -> Recommended:
    """Return what suits a model in one file that can be painted with."""
    if contents.family in FLOWS:  # whose configs tell the distilled from the others
        return describe_model(file).recommended
    return correct_recommended(recommend(file, contents.family, {}, {}), said)


def _problem(file: Path, contents: Contents) -> Sentence:
    """Return why a file cannot be painted with; empty where it can."""
    reason = why_unusable(contents)
    if reason:
        return sentence("model {file}: {reason}", file=file, reason=reason)
    if not _is_ordinary(contents):
        try:
            describe_model(file)  # says which part is missing, or which form is not read
        except ModelUnavailableError as error:
            return error.sentence
    return NO_TEXT


_ORDINARY = ("fp32", "fp16", "bf16", "fp8")


def _is_ordinary(contents: Contents) -> bool:
    """Return whether a file has all parts in a form that is always read, as most files have.

    The others are looked at as when they are opened, which takes longer: most files of the newer
    families hold the denoiser alone.
    """
    if contents.family in FLOWS:
        return False
    encoders = len(set(contents.parts) - {*DENOISERS, "vae"})
    is_whole = "vae" in contents.parts and encoders >= (2 if contents.family == "sdxl" else 1)
    return is_whole and contents.precision in _ORDINARY


def _contents(contents: Contents, size: int) -> dict[str, Any]:
    return {
        "variant": contents.variant,
        "purpose": contents.purpose,
        "prediction": contents.prediction,
        "zero_snr": contents.zero_snr,
        "precision": contents.precision,
        "licence": contents.licence,
        "size": size,
    }


_SAID = ("family", "variant", "purpose", "native", "prediction", "zero_snr", "licence", "note")
"""What a side-car may say of what is listed."""


def _said(said: Sidecar) -> dict[str, Any]:
    return {name: value for name in _SAID if (value := getattr(said, name)) is not None}


def _folder(path: Path, said: Sidecar) -> dict[str, Any]:
    info = describe_model(path)
    size = sum(
        size for name, size, *_ in stamp_files(path, info.files) if name.endswith(".safetensors")
    )
    listed = {"family": info.family, "native": info.native, "size": size}
    listed |= asdict(info.recommended)
    for part in info.parts:
        if part.name in DENOISERS:
            weights = next(file.path for file in part.files if file.is_weights)
            denoiser = correct_contents(contents_of(path / weights), said)
            listed |= _contents(denoiser, size)
    listed["memory"] = folder_memory(info)
    listed |= {"prediction": info.prediction_type, "zero_snr": info.zero_snr}
    return {**listed, "purpose": info.purpose}


def _printable(text: str) -> str:
    """Escape what cannot be sent: paths may hold any bytes."""
    return text.encode("utf-8", "backslashreplace").decode()
