"""The exact files that a model is opened from.

A folder in the diffusers format may hold the same part several times (in full precision, `fp16`,
before the moving average), whole or in shards, as safetensors and as pickles. Which of them
diffusers would open depends on arguments and differs between it and transformers. Here it is
decided once: `resolve_files` lists the files, and checking, hashing and opening use that list
alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from underpaint_client.errors import ModelUnavailableError

from .model_index import check_classes, is_tokenizer
from .reading import check_regular, list_names, read_json

FOLDER_SIDECAR = "underpaint.json"
"""What describes a model in its folder, where its own files do not."""

WEIGHTS_NAMES = {"diffusers": "diffusion_pytorch_model", "transformers": "model"}
"""What each library calls a part's weights."""

WEIGHTS_ENDINGS = (".safetensors", ".gguf")
"""The formats of weights that are opened."""

_VARIANTS = ("", "fp32", "fp16", "bf16")
"""Which variant of a part is taken first; then any other, by name, and `non_ema` last."""

_PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")


@dataclass(frozen=True)
class ModelFile:
    """A file that opening uses.

    Parameters
    ----------
    path : str
        Relative to the model's folder, with `/` between; absolute where it lies elsewhere.
    opened_as : str
        The name, in its part's folder, under which the libraries look for it: without a variant.
    changes : tuple of pairs
        Values that take the place of those in a JSON file: what is known better from elsewhere.
    """

    path: str
    opened_as: str
    changes: tuple[tuple[str, Any], ...] = ()

    @property
    def is_weights(self) -> bool:
        """Whether it holds tensors."""
        return self.path.endswith(WEIGHTS_ENDINGS)

    @property
    def is_index(self) -> bool:
        """Whether it says which tensor is in which shard."""
        return self.opened_as.endswith(".safetensors.index.json")


LIBRARY = "library"
"""The names of the library that opens a part: diffusers' or transformers' own."""

ORIGINAL = "original"
"""The names that the model's authors chose, which must be converted."""

LLAMA_CPP = "llama.cpp"
"""The names of llama.cpp, for text encoders in GGUF."""


@dataclass(frozen=True)
class Inside:
    """How the tensors of a part are named in a file that diffusers did not save.

    Parameters
    ----------
    prefix : str
        What the names of this part begin with, and those of other parts in the same file do not.
    layout : str
        Whose names the rest are: `LIBRARY`, `ORIGINAL` or `LLAMA_CPP`.
    """

    prefix: str
    layout: str


@dataclass(frozen=True)
class Part:
    """A part of a model, as `model_index.json` names it.

    Parameters
    ----------
    name : str
        Such as `unet`; its folder has the same name.
    library : str
        `diffusers` or `transformers`.
    class_name : str
        Its class there.
    files : tuple of ModelFile
        All that it is opened from.
    inside : Inside, optional
        How its tensors are named, where its weights are not in a folder in the diffusers format.
    """

    name: str
    library: str
    class_name: str
    files: tuple[ModelFile, ...]
    inside: Inside | None = None

    @property
    def has_weights(self) -> bool:
        """Whether it is a network; a scheduler and a tokenizer are not."""
        return any(file.is_weights for file in self.files)

    def changed(self, **values: Any) -> Part:
        """Return the part with other values in its own config, which is its first file."""
        config = self.files[0]
        changes = dict(config.changes) | values
        return replace(
            self, files=(replace(config, changes=tuple(changes.items())), *self.files[1:])
        )

    @property
    def weights(self) -> str:
        """The path of its weights, or of the first shard."""
        return next(file.path for file in self.files if file.is_weights)


def read_config(model: Path, file: ModelFile) -> dict[str, Any]:
    """Return what a JSON file of a model says, with what is known better.

    Raises
    ------
    ModelUnavailableError
        As `read_json`.
    """
    return {**read_json(model, file.path), **dict(file.changes)}


def resolve_files(model: Path, family: str, index: dict[str, Any]) -> tuple[Part, ...]:
    """List the files that each part of a model is opened from.

    Parameters
    ----------
    model : Path
        The model's folder.
    family : str
        From `read_family`.
    index : dict
        What `model_index.json` holds.

    Raises
    ------
    ModelUnavailableError
        A part is missing, has a class that is not its family's, lacks a file, or is kept in
        anything but safetensors.
    """
    classes = check_classes(model, family, index)
    return tuple(_resolve_part(model, name, given) for name, given in classes.items())


def _resolve_part(model: Path, name: str, given: tuple[str, str]) -> Part:
    library, class_name = given
    if name == "scheduler":
        config = "scheduler_config.json"
        files: tuple[ModelFile, ...] = (ModelFile(f"{name}/{config}", config),)
    elif is_tokenizer(name):
        files = tuple(ModelFile(f"{name}/{one}", one) for one in tokenizer_files(model, name))
    else:
        described = ModelFile(f"{name}/config.json", "config.json")
        files = (described, *choose_weights(model, name, WEIGHTS_NAMES[library]))
    for file in files:
        check_regular(model, file.path)
    return Part(name, library, class_name, files)


def tokenizer_files(model: Path, part: str) -> Iterator[str]:
    """Yield the names of the files that a tokenizer is opened from."""
    names = list_names(model, part)
    if "tokenizer.json" in names:
        yield "tokenizer.json"
    elif "vocab.json" in names and "merges.txt" in names:
        yield from ("vocab.json", "merges.txt")
    else:
        raise ModelUnavailableError(
            "model {model} is incomplete: there is neither {part}/tokenizer.json nor"
            " {part}/vocab.json with merges.txt, without which prompts cannot be read; fetch it"
            " again",
            model=model,
            part=part,
        )
    for name in (
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "chat_template.jinja",
    ):
        if name in names:
            yield name


def choose_weights(model: Path, part: str, base: str) -> tuple[ModelFile, ...]:
    """Choose a part's weights: one file, or an index and its shards."""
    names = list_names(model, part)
    whole = re.compile(rf"{base}(?:\.(?P<variant>.+))?\.safetensors")
    index = re.compile(rf"{base}\.safetensors(?:\.(?P<old>.+))?\.index(?:\.(?P<variant>.+))?\.json")
    found: dict[str, str] = {}
    for name in names:
        if (match := whole.fullmatch(name)) and not re.search(r"\d{5}-of-\d{5}", name):
            found.setdefault(match["variant"] or "", name)
    for name in names:  # an index says where a part is, as diffusers takes it: it comes first
        if match := index.fullmatch(name):
            found[match["variant"] or match["old"] or ""] = name
    if not found:
        raise _no_weights(model, part, base, names)
    chosen = found[min(found, key=_preference)]
    if chosen.endswith(".safetensors"):
        return (ModelFile(f"{part}/{chosen}", f"{base}.safetensors"),)
    shards = sorted(set(read_weight_map(model, f"{part}/{chosen}").values()))
    return (
        ModelFile(f"{part}/{chosen}", f"{base}.safetensors.index.json"),
        *(ModelFile(f"{part}/{shard}", shard) for shard in shards),
    )


def _preference(variant: str) -> tuple[int, str]:
    if variant in _VARIANTS:
        return _VARIANTS.index(variant), variant
    return len(_VARIANTS) + ("non_ema" in variant), variant


def read_weight_map(model: Path, name: str) -> dict[str, str]:
    """Return which tensor is in which shard, as an index says.

    Parameters
    ----------
    model : Path
        The model's folder.
    name : str
        The index, relative to it.

    Raises
    ------
    ModelUnavailableError
        It names anything but safetensors in its own folder.
    """
    found = read_json(model, name).get("weight_map")
    if not isinstance(found, dict) or not found:
        raise ModelUnavailableError(
            "model {model} cannot be read: {name} has no weight_map; fetch it again",
            model=model,
            name=name,
        )
    for shard in found.values():
        if not isinstance(shard, str) or "/" in shard or "\\" in shard or "\0" in shard:
            raise ModelUnavailableError(
                "model {model}: {name} names {shard!r}, which is not beside it; fetch it again",
                model=model,
                name=name,
                shard=str(shard)[:120],
            )
        if not shard.endswith(".safetensors"):
            raise ModelUnavailableError(
                "model {model}: {name} names {shard!r}, which is not safetensors; a pickle can run"
                " any program when opened: convert it to safetensors",
                model=model,
                name=name,
                shard=shard[:120],
            )
    return found


def _no_weights(model: Path, part: str, base: str, names: list[str]) -> ModelUnavailableError:
    pickles = [name for name in names if name.endswith(_PICKLES)]
    others = [name for name in names if name.endswith(".safetensors")]
    if any(re.search(r"\d{5}-of-\d{5}", name) for name in others):
        return ModelUnavailableError(
            "model {model} is incomplete: {part} has shards ({others}, ...) without"
            " {base}.safetensors.index.json; fetch that file",
            model=model,
            part=part,
            others=others[0],
            base=base,
        )
    if others:
        return ModelUnavailableError(
            "model {model} is incomplete: there are no weights called {base}.safetensors in"
            " {part}, but {others}; if that file is the whole {part} in the diffusers format,"
            " rename it to {base}.safetensors",
            model=model,
            base=base,
            part=part,
            others=others[0],
        )
    if pickles:
        return ModelUnavailableError(
            "model {model} keeps its {part} in {pickles}, a pickle, which can run any program when"
            " opened; convert it to safetensors",
            model=model,
            part=part,
            pickles=pickles[0],
        )
    return ModelUnavailableError(
        "model {model} is incomplete: there are no weights ({part}/{base}.safetensors); fetch it"
        " again",
        model=model,
        part=part,
        base=base,
    )
