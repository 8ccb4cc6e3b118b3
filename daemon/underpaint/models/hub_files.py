"""Which files of a repository on the Hugging Face Hub a model needs. Pure functions."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.sentences import Listing, Sentence, sentence

from .headers import ENDINGS
from .model_index import INDEX

_PREFERENCES = {
    "fp16": ("fp16", "bf16", "", "fp32"),
    "bf16": ("bf16", "fp16", "", "fp32"),
    "fp32": ("fp32", "", "bf16", "fp16"),
}
PRECISIONS = tuple(_PREFERENCES)


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository.

    Parameters
    ----------
    path : str
        In the repository.
    size : int
        Bytes.
    sha256 : str
        Of a large file; empty if the Hub has only `blob`.
    blob : str
        Git's SHA-1 of a small file.
    """

    path: str
    size: int
    sha256: str = ""
    blob: str = ""


_PART = re.compile(r"(unet|transformer|vae|text_encoder(_\d)?|tokenizer(_\d)?|scheduler)/([^/]+)")
_WEIGHTS = re.compile(
    r"(?:diffusion_pytorch_model|model)(?:\.(?P<before>\w+))?(?:-\d{5}-of-\d{5})?"
    r"(?:\.(?P<after>\w+))?\.safetensors"
)
_INDEX = re.compile(
    r"(?:diffusion_pytorch_model|model)\.safetensors(?:\.(?P<old>\w+))?\.index"
    r"(?:\.(?P<variant>\w+))?\.json"
)
_TEXTS = ("merges.txt", "vocab.txt")


def choose_folder(repository: str, paths: Iterable[str], precision: str) -> list[str]:
    """Return what is needed of a folder in the diffusers format.

    Parameters
    ----------
    repository : str
        For errors.
    paths : iterable of str
        All that it has.
    precision : str
        One of `PRECISIONS`, or empty for the smallest that is usual.

    Raises
    ------
    ModelUnavailableError
        One of its parts is a pickle.
    """
    chosen = [INDEX]
    weights: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    pickles: dict[str, str] = {}
    for path in paths:
        found = _PART.fullmatch(path)
        if found is None:
            continue
        part, name = found[1], found[4]
        if variant := _variant(name):
            weights[part][variant[0]].append(path)
        elif name.endswith((".bin", ".pt", ".ckpt")):
            pickles[part] = path
        elif name.endswith(".json") or name in _TEXTS:
            chosen.append(path)
    for part, pickle in pickles.items():
        if part not in weights:
            raise ModelUnavailableError(
                "model {repository} keeps its {part} in {pickle}, a pickle, which can run any"
                " program when opened; take a model in safetensors",
                repository=repository,
                part=part,
                pickle=pickle,
            )
    wanted = _PREFERENCES.get(precision, _PREFERENCES["fp16"])
    for variants in weights.values():
        best = min(variants, key=lambda one: (wanted.index(one) if one in wanted else 9, one))
        chosen += variants[best]
    return chosen


def _variant(name: str) -> tuple[str] | None:
    """Return which variant a file of weights, or an index of them, belongs to."""
    if found := _INDEX.fullmatch(name):
        return (found["old"] or found["variant"] or "",)
    if found := _WEIGHTS.fullmatch(name):
        return (found["before"] or found["after"] or "",)
    return None


def choose_file(repository: str, files: Mapping[str, RemoteFile], wanted: str, page: str) -> str:
    """Return the one model file of a repository, or the one that is wanted.

    Raises
    ------
    ModelUnavailableError
        There is none, there are several, that one is missing, or it is only a part of a model's
        weights. The message lists the files, and those with names like the wanted one.
    """
    there = [path for path in files if path.lower().endswith(ENDINGS)]
    if wanted and wanted in there:
        if _SHARD.search(wanted):
            raise ModelUnavailableError(
                "{file} of {repository} is one of several files that hold the weights together,"
                " and cannot be opened alone; get the whole model, or another file",
                file=wanted,
                repository=repository,
            )
        return wanted
    if wanted:
        near = _find_nearest(wanted, there)
        files_there = _some(there, files)
        if near:
            raise ModelUnavailableError(
                "{repository} has no model file {file}; did you mean {nearest}? There are {files}",
                repository=repository,
                file=wanted,
                nearest=Listing(near),
                files=files_there,
            )
        raise ModelUnavailableError(
            "{repository} has no model file {file}; there are {files}",
            repository=repository,
            file=wanted,
            files=files_there,
        )
    if len(there) == 1:
        return there[0]
    if there:
        raise ModelUnavailableError(
            "{repository} has several model files; choose one, as in `underpaint models get"
            " {repository}/{first}`: {choices}",
            repository=repository,
            first=there[0],
            choices=_some(there, files),
        )
    raise ModelUnavailableError(
        "{repository} has no model that can be used: neither {file} nor a file that ends in"
        " {endings}; look at {page}",
        repository=repository,
        file=INDEX,
        endings=Listing(ENDINGS),
        page=page,
    )


_SHARD = re.compile(r"-\d{5}-of-(?!00001)\d{5}\.\w+$")


def _find_nearest(wanted: str, paths: list[str]) -> list[str]:
    """Return the paths that are most like the wanted one, at most three.

    Those come first that have its name in another folder.
    """
    by_name: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        by_name[_lower_name(path)].append(path)
    near = difflib.get_close_matches(wanted, paths)
    names = difflib.get_close_matches(_lower_name(wanted), by_name)
    found = [*by_name.get(_lower_name(wanted), ()), *near]
    found += [path for name in names for path in by_name[name]]
    return list(dict.fromkeys(found))[:3]


def _lower_name(path: str) -> str:
    return path.rpartition("/")[2].lower()


def _some(paths: list[str], files: Mapping[str, RemoteFile]) -> Sentence:
    shown = Listing(
        sentence("{file} ({size:.1f} GB)", file=path, size=files[path].size / 1e9)
        for path in sorted(paths)[:20]
    )
    more = len(paths) - len(shown)
    if more > 0:
        return sentence("{files} and {more} more", files=shown, more=more)
    return sentence("{files}", files=shown) if shown else sentence("none")
