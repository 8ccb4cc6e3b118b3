"""Find parts of models in files and folders of their own, and parts inside a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.sentences import NO_TEXT, Sentence, sentence

from .architectures import COMPONENTS, Architecture, Component, find_providers
from .files import (
    WEIGHTS_ENDINGS,
    WEIGHTS_NAMES,
    Inside,
    ModelFile,
    Part,
    choose_weights,
    tokenizer_files,
)
from .headers import read_header
from .layouts import encoder_width, namings
from .model_index import INDEX, PARTS, find_family
from .reading import expand_user, is_folder, read_json
from .roots import Root, used_roots
from .sidecar import Sidecar
from .tensors import Header
from .walking import SIDECAR, find_snapshot, leads_up
from .weights import read_tensors


def find_inside(part: Part, header: Header, config: dict[str, Any]) -> Inside | None:
    """Return how a part's tensors are named in a file; None where the part is not in it.

    Parameters
    ----------
    part : Part
        Its name and its class are used.
    header : Header
        Of the file.
    config : dict
        The part's own: text encoders are told apart by their width.
    """
    for inside, probe in namings(part):
        tensor = header.tensors.get(inside.prefix + probe)
        if tensor is None:
            continue
        width = encoder_width(config) if part.library == "transformers" else None
        if width is None or tensor.shape[-1:] == (width,):
            return inside
    return None


# ---- where parts lie ------------------------------------------------------------------------

_OTHER_TOOLS = ("VAE", "vae", "text_encoder", "text_encoders", "clip")
"""What WebUI, Forge and ComfyUI call the folders of parts, beside those of their models."""

_DEEPEST = 3
"""How many folders deep to look for parts: the Hub's own downloads have two."""

_MOST = 2000
"""The most files and folders that are examined in a folder of parts; the others are left out."""


def parts_folders() -> list[Path]:
    """Return the folders to search for parts that models lack, in their order.

    `parts` in each folder of models that its user named, then those of other tools that are used.
    """
    roots = used_roots()
    folders = [root.path / "parts" for root in roots if root.is_own]
    for root in roots:
        if not root.is_own and not root.is_hub:
            folders += [root.path.parent / name for name in _OTHER_TOOLS]
    return list({os.path.realpath(folder): folder for folder in folders}.values())


def _model_folders() -> Iterator[Path]:
    """Yield folders in the diffusers format, whose parts other models may use.

    They are directly in a folder of models, or in the Hub's cache.
    """
    for root in used_roots():
        folders = _snapshots(root) if root.is_hub else _folders(root.path)
        yield from (one for one in folders if (one / INDEX).is_file())


def _snapshots(root: Root) -> Iterator[Path]:
    for repository in _folders(root.path):
        if repository.name.startswith("models--"):
            snapshot = find_snapshot(repository)
            if snapshot is not None:
                yield snapshot


def _look_into(folder: Path, depth: int = _DEEPEST) -> list[Path]:
    """Return what may be a part in a folder and below it, by name, the upper levels first."""
    here = _list(folder)[:_MOST]
    folders = [one for one in here if is_folder(one)]
    found = [one for one in here if one.suffix.lower() in WEIGHTS_ENDINGS or one in folders]
    for one in folders if depth > 1 else ():
        is_part = (one / "config.json").exists()
        if not (is_part or (one.is_symlink() and leads_up(one, folder))):
            found += _look_into(one, depth - 1)
    return found[:_MOST]


def _folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, by name; there may be thousands of files beside them."""
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir())
    except OSError:
        return []


def _list(folder: Path) -> list[Path]:
    """Return what is in a folder, by name; nothing if it is not a folder or cannot be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


# ---- parts with weights ---------------------------------------------------------------------


def find_part(model: Path, kind: Architecture | None, part: Part, said: Sidecar) -> Part | None:
    """Find a part of a model outside its file.

    Parameters
    ----------
    model : Path
        The model, for errors and for paths in its side-car file.
    kind : Architecture, optional
        The model's; needed where the side-car file does not name the part.
    part : Part
        With its config, and without weights.
    said : Sidecar
        What the user says; a part that is named there must exist.

    Returns
    -------
    Part or None
        With weights, and where they are in a folder in the diffusers format, its own config. None
        where there is none and the model may do without it.

    Raises
    ------
    ModelUnavailableError
        There is none that can be read. The message names the part and where to put it.
    """
    named = said.parts.get(part.name)
    if named is not None:
        return _open_named(model, part, (model.parent / expand_user(Path(named))).absolute())
    wanted = kind.parts.get(part.name) if kind is not None else None
    if kind is None or wanted is None:
        raise ModelUnavailableError(
            "model {model} names the tensors of its {name} in no way that Underpaint knows; take"
            " another file of it, or its folder in the diffusers format",
            model=model,
            name=part.name,
        )
    problem: ModelUnavailableError | None = None
    for where in _candidates(wanted):
        try:
            found = _open_candidate(model, part, where)
            if found is not None:
                read_tensors(model, found)  # says what cannot be read
                return found
        except ModelUnavailableError as error:
            problem = problem or error
    if problem is not None:
        raise problem
    if kind.is_optional(part.name):
        return None
    component = COMPONENTS[wanted]
    place = parts_folders()[0]
    raise ModelUnavailableError(
        "model {model} has no {title} in it ({name}); put one into {folder}, as"
        ' {names}.safetensors, or name one in {stem}{sidecar}, as {{"{name}": "FILE"}}{source}',
        model=model,
        title=component.title,
        name=part.name,
        folder=place,
        names=component.names[0],
        stem=model.stem,
        sidecar=SIDECAR,
        source=_say_source(component, place),
    )


def _say_source(component: Component, place: Path) -> Sentence:
    """Return how to get a component from the Hugging Face Hub; empty where that is not known.

    `underpaint models get` takes weights alone, and the Hub's own command a tokenizer's texts too.
    """
    if not component.repository:
        return NO_TEXT
    if all(file.endswith(WEIGHTS_ENDINGS) for file in component.files):
        return sentence(
            ". `underpaint models get {repository} {files}` gets it",
            repository=component.repository,
            files=" ".join(f"--file {file}" for file in component.files),
        )
    return sentence(
        ". `hf download {repository} {files} --local-dir {folder}` gets it",
        repository=component.repository,
        files=" ".join(component.files),
        folder=place,
    )


def _candidates(wanted: str) -> Iterator[Path]:
    """Yield files and folders that may hold a component."""
    component = COMPONENTS[wanted]
    for folder in parts_folders():
        yield from (one for one in _look_into(folder) if component.is_called(one.name))
    yield from _provided(wanted)


def _provided(wanted: str) -> Iterator[Path]:
    """Yield the folders of parts, in models in the diffusers format, that may be a component."""
    providers = find_providers(wanted)
    for folder in _model_folders():
        try:
            family = find_family(read_json(folder, INDEX))
        except ModelUnavailableError:  # a fault of the other model
            continue
        for name in PARTS.get(family, ()):
            if (family, name) in providers and is_folder(folder / name):
                yield folder / name


def _open_candidate(model: Path, part: Part, where: Path) -> Part | None:
    """Return a part made of what was found, or None if it belongs to another kind of model."""
    provided = (where.parent / INDEX).is_file()
    try:
        if provided and not _fits(model, part, where):
            return None
        return _open_named(model, part, where)
    except ModelUnavailableError:
        if provided:  # it was not named for this model, and may be incomplete
            return None
        raise


_TELLING = ("hidden_size", "d_model", "vocab_size", "num_hidden_layers", "num_layers",
            "latent_channels", "z_dim", "base_dim", "block_out_channels", "scaling_factor",
            "shift_factor")  # fmt: skip
"""The values in configs that tell parts of the same class apart."""


def _fits(model: Path, part: Part, where: Path) -> bool:
    """Return whether a part of another model is the one that this model was trained with."""
    expected, own = read_json(model, part.files[0].path), read_json(where, "config.json")
    if own.get("quantization_config") is not None:
        return False
    inner = (one.get("text_config", one) for one in (expected, own))
    first, second = (one if isinstance(one, dict) else {} for one in inner)
    return all(first.get(name) == second.get(name) for name in _TELLING if name in first)


def _open_named(model: Path, part: Part, where: Path) -> Part:
    """Return a part that is opened from another file or folder."""
    config = part.files[0]
    if is_folder(where):
        folder = where / part.name if is_folder(where / part.name) else where
        own = ModelFile(f"{folder.name}/{config.opened_as}", config.opened_as)
        base = WEIGHTS_NAMES[part.library]
        files = (own, *choose_weights(folder.parent, folder.name, base))
        return replace(
            part,
            files=tuple(replace(one, path=str(folder.parent / one.path)) for one in files),
            inside=None,
        )
    header = read_header(where)
    inside = find_inside(part, header, read_json(model, config.path))
    if inside is None:
        raise ModelUnavailableError(
            "model {model}: {file} has no {name} in it that fits; name another file, or remove it",
            model=model,
            file=where,
            name=part.name,
        )
    weights = ModelFile(str(where), f"weights{where.suffix.lower()}")
    return replace(part, files=(config, weights), inside=inside)


# ---- tokenizers -----------------------------------------------------------------------------


def find_tokenizer(model: Path, kind: Architecture, part: Part) -> Part:
    """Find a tokenizer outside a model's file.

    Parameters
    ----------
    model : Path
        The model, for errors.
    kind : Architecture
        The model's.
    part : Part
        The tokenizer, with a config of its kind, which is used where there is none beside it.

    Raises
    ------
    ModelUnavailableError
        There is none. The message names the part, where to put it, and a source.
    """
    wanted = kind.parts[part.name]
    component = COMPONENTS[wanted]
    for folder in _tokenizer_candidates(wanted, component):
        try:
            names = list(tokenizer_files(folder.parent, folder.name))
        except ModelUnavailableError:
            continue
        own = part.files[0]
        files = tuple(ModelFile(str(folder / name), name) for name in names)
        return replace(part, files=files if own.opened_as in names else (*files, own))
    place = parts_folders()[0] / component.names[0]
    raise ModelUnavailableError(
        "model {model} has no {title} in it ({name}), without which prompts cannot be read; put"
        " its tokenizer.json into {folder}{source}",
        model=model,
        title=component.title,
        name=part.name,
        folder=place,
        source=_say_source(component, place),
    )


def _tokenizer_candidates(wanted: str, component: Component) -> Iterator[Path]:
    for folder in parts_folders():
        for name in component.names:
            yield folder / name
            yield from (one for one in _list(folder / name) if one.name.startswith("tokenizer"))
    yield from _provided(wanted)


# ---- when to look again ---------------------------------------------------------------------


def stamp_names(model: Path, said: Sidecar, *, is_file: bool) -> list[str]:
    """Return the paths outside of a model that may decide which files it is opened from.

    Parameters
    ----------
    model : Path
        A folder, which has its own parts, or a file, which may lack some.
    said : Sidecar
        What its user says.
    is_file : bool
        Whether it is a file.
    """
    names = [str(model.absolute().with_suffix(".yaml"))] if is_file else []
    for folder in parts_folders() if is_file else ():
        names += [str(folder), *(str(file) for file in _look_into(folder))]
    for named in (*said.parts.values(), said.config):
        if named:
            place = (model.parent / expand_user(Path(named))).absolute()
            names.append(str(place))
            there = _list(place)
            names += map(str, (*there, *(file for folder in there for file in _list(folder))))
    return names


def stamp_providers() -> list[str]:
    """Return such paths in other models: their indices and parts."""
    names = [str(root.path) for root in used_roots()]
    for folder in _model_folders():
        names.append(str(folder / INDEX))
        for part in _list(folder):
            if part.name.startswith(("vae", "text_encoder", "tokenizer", "processor")):
                names += [str(part), *(str(file) for file in _list(part))]
    for folder in parts_folders():
        for one in _list(folder):
            if "tokenizer" in one.name:
                names += [str(one), *(str(file) for file in _list(one))]
    return names
