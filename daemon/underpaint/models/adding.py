"""Put a model that is already on this machine into Underpaint's folder, as a link or as a copy."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from underpaint_client.errors import BadInputError, ModelUnavailableError
from underpaint_client.home import home, make_folder
from underpaint_client.sentences import sentence

from .describe import describe_model
from .find import find_in_hub
from .model_index import INDEX
from .probes import MODEL
from .reading import check_regular, expand_user, is_folder
from .scanning import contents_of
from .targets import free_target


def add_model(said: str, name: str = "", *, copy: bool = False) -> Path:
    """Link to a model from Underpaint's folder, or copy it there.

    Parameters
    ----------
    said : str
        A folder, a file, or the id of a repository that the Hugging Face Hub's cache holds.
    name : str
        What to call it; empty for its own name.
    copy : bool
        Whether to copy it, so that the original can be deleted.

    Raises
    ------
    BadInputError
        There is a model of that name already, or links are not allowed here.
    ModelUnavailableError
        It is not a model, or it is damaged.
    """
    path = _find(said)
    own = path.name
    if is_folder(path):
        if not os.path.lexists(path / INDEX):
            raise ModelUnavailableError(
                "{path} is not a model: there is no {file} in it. For a folder of many models,"
                " name it in config.toml: [models] folders = [...]",
                path=path,
                file=INDEX,
            )
        describe_model(path)  # says what is wrong with it
        if path.parent.name == "snapshots":
            own = said.rpartition("/")[2]
    else:
        kind = contents_of(path).kind
        if kind != MODEL:
            raise ModelUnavailableError(
                "{file} is not a model: {kind}",
                file=path,
                kind=kind or sentence("nothing that Underpaint knows"),
            )
    make_folder(home() / "models")
    target = free_target(home() / "models", name or own, "" if is_folder(path) else own)
    if copy:
        _copy(path, target)
        return target
    try:
        target.symlink_to(path.absolute(), target_is_directory=is_folder(path))
    except OSError as error:
        raise BadInputError(
            "no link to {path} can be made ({reason}); add it with --copy",
            path=path,
            reason=error.strerror or error,
        ) from None
    return target


def _find(said: str) -> Path:
    path = expand_user(Path(said))
    if path.exists():
        return path
    cached = find_in_hub(said)
    if cached is not None:
        return cached
    raise ModelUnavailableError(
        "there is no file or folder {path}, and no downloaded model of that id; `underpaint models"
        " get OWNER/NAME` downloads one",
        path=said,
    )


def _copy(path: Path, target: Path) -> None:
    """Copy under another name first, so that an incomplete copy does not count as a model."""
    draft = target.with_name(f".{target.name}.copy")
    size = _size(path)
    free = shutil.disk_usage(target.parent).free
    if size > free:
        raise ModelUnavailableError(
            "{path} has {size:.1f} GB, and {free:.1f} GB are free in {folder}; make room, or leave"
            " out --copy",
            path=path,
            size=size / 1e9,
            free=free / 1e9,
            folder=target.parent,
        )
    try:
        if is_folder(path):
            shutil.copytree(path, draft, ignore=_links_to_folders, copy_function=_copy_file)
        else:
            shutil.copyfile(path, draft)
        draft.rename(target)
    finally:
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)


def _links_to_folders(folder: str, names: list[str]) -> list[str]:
    """Return the names to leave out of a copy: links to folders, which may lead anywhere."""
    paths = {name: Path(folder, name) for name in names}
    return [name for name, path in paths.items() if path.is_symlink() and is_folder(path)]


def _copy_file(source: str, target: str) -> None:
    """Copy a file, or the file that a link leads to; not a pipe or a device."""
    path = Path(source)
    check_regular(path.parent, path.name)
    shutil.copyfile(path, target)


def _size(path: Path) -> int:
    files = path.rglob("*") if is_folder(path) else [path]
    return sum(one.stat().st_size for one in files if one.is_file())
