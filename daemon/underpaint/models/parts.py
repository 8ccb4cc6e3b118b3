"""Parts of models that lie in files of their own, and where in a file a part is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from underpaint_client.errors import ModelUnavailableError

from .files import WEIGHTS_ENDINGS, WEIGHTS_NAMES, Inside, ModelFile, Part, choose_weights
from .headers import Header, read_header
from .reading import expand_user, is_folder, read_json
from .roots import used_roots
from .sidecar import Sidecar
from .walking import SIDECAR

_CLIP_PREFIXES = {
    "text_encoder": (
        "cond_stage_model.transformer.",
        "conditioner.embedders.0.transformer.",
        "text_encoders.clip_l.transformer.",
        "",
    ),
    "text_encoder_2": ("text_encoders.clip_g.transformer.", ""),
}
_OPEN_CLIP_PREFIXES = {
    "text_encoder": ("cond_stage_model.model.", ""),
    "text_encoder_2": ("conditioner.embedders.1.model.", ""),
}
_HIDDEN = "embeddings.token_embedding.weight"
_UNET = ("model.diffusion_model.", "diffusion_model.", "unet.", "")
_VAE = ("first_stage_model.", "vae.", "")


def _namings(part: str) -> Iterator[tuple[Inside, str]]:
    """Yield how files name a part's tensors, and a tensor by which each way is told."""
    if part == "unet":
        for prefix in _UNET:
            yield Inside(prefix, original=True), "input_blocks.0.0.weight"
            yield Inside(prefix, original=False), "time_embedding.linear_1.weight"
    elif part == "vae":
        for prefix in _VAE:
            yield Inside(prefix, original=True), "encoder.down.0.block.0.conv1.weight"
            yield Inside(prefix, original=False), "encoder.down_blocks.0.resnets.0.conv1.weight"
    else:
        for prefix in _CLIP_PREFIXES.get(part, ()):
            yield Inside(prefix, original=False), f"text_model.{_HIDDEN}"
            yield Inside(prefix, original=False), _HIDDEN  # as other versions of it save it
        for prefix in _OPEN_CLIP_PREFIXES.get(part, ()):
            yield Inside(prefix, original=True), "token_embedding.weight"


def find_inside(part: str, header: Header, config: dict[str, Any]) -> Inside | None:
    """Return how a part's tensors are named in a file; None where the part is not in it.

    Parameters
    ----------
    part : str
        Such as `unet`.
    header : Header
        Of the file.
    config : dict
        The part's own: text encoders are told apart by their width.
    """
    for inside, probe in _namings(part):
        tensor = header.tensors.get(inside.prefix + probe)
        if tensor is None:
            continue
        width = config.get("hidden_size")
        if width is None or tensor.shape[-1:] == (width,):
            return inside
    return None


_FILE_NAMES = {
    ("sd1", "vae"): ("sd1_vae", "sd_vae", "vae-ft-mse", "vae-ft-ema"),
    ("sd2", "vae"): ("sd2_vae", "sd_vae", "vae-ft-mse", "vae-ft-ema"),
    ("sdxl", "vae"): ("sdxl_vae", "sdxl-vae", "sdxl.vae"),
    ("sd1", "text_encoder"): ("clip_l",),
    ("sd2", "text_encoder"): ("clip_h", "open_clip_h"),
    ("sdxl", "text_encoder"): ("clip_l",),
    ("sdxl", "text_encoder_2"): ("clip_g",),
}
"""How the files of a part's own begin in name, by architecture; the first is the one to give."""

_TITLES = {"vae": "VAE", "unet": "UNet", "text_encoder": "CLIP text encoder"}

_OTHER_TOOLS = ("VAE", "vae", "text_encoder", "text_encoders", "clip")
"""What WebUI, Forge and ComfyUI call the folders of parts, beside those of their models."""


def parts_folders() -> list[Path]:
    """Return the folders of parts that models may lack, those that come first in a search first.

    `parts` in each folder of models that its user named, then those of other tools that are used.
    """
    roots = used_roots()
    folders = [root.path / "parts" for root in roots if root.is_own]
    for root in roots:
        if not root.is_own and not root.is_hub:
            folders += [root.path.parent / name for name in _OTHER_TOOLS]
    return list({os.path.realpath(folder): folder for folder in folders}.values())


def find_part(model: Path, kind: str, part: Part, said: Sidecar) -> Part:
    """Find a part of a model outside its file.

    Parameters
    ----------
    model : Path
        The model, for errors and for paths in its side-car file.
    kind : str
        A folder in `checkpoint.CONFIGS`.
    part : Part
        With its config, and without weights.
    said : Sidecar
        What the user says; a part that is named there must be there.

    Returns
    -------
    Part
        With weights, and where they are in a folder in the diffusers format, its own config.

    Raises
    ------
    ModelUnavailableError
        There is none. Names the part and where to put it.
    """
    named = said.parts.get(part.name)
    if named is not None:
        return _open_named(model, part, (model.parent / expand_user(Path(named))).absolute())
    names = _FILE_NAMES.get((kind, part.name), (part.name,))
    for folder in parts_folders():
        for file in _look_into(folder):
            if file.name.lower().startswith(names):
                return _open_named(model, part, file)
    title = _TITLES.get(part.name, part.name)
    raise ModelUnavailableError(
        f"model {model} has no {title} in it ({part.name}); put one into {parts_folders()[0]}, as"
        f" {names[0]}.safetensors, or name one in {model.stem}{SIDECAR}, as"
        f' {{"{part.name}": "FILE"}}'
    )


def _look_into(folder: Path) -> list[Path]:
    """Return what may be a part in a folder."""
    found = _list(folder)
    return [file for file in found if file.suffix.lower() in WEIGHTS_ENDINGS or is_folder(file)]


def _list(folder: Path) -> list[Path]:
    """Return what is in a folder, by name; nothing where it is none, or cannot be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


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
    inside = find_inside(part.name, header, read_json(model, config.path))
    if inside is None:
        raise ModelUnavailableError(
            f"model {model}: {where} has no {_TITLES.get(part.name, part.name)} in it that fits"
            f" ({part.name}); name another file, or remove it"
        )
    weights = ModelFile(str(where), f"weights{where.suffix.lower()}")
    return replace(part, files=(config, weights), inside=inside)


def stamp_names(model: Path, said: Sidecar, *, is_file: bool) -> list[str]:
    """Return the paths of all outside a model that may decide which files it is opened from.

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
