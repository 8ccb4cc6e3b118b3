"""Walk folders of models and list what is there, by name. No file is opened."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.sentences import sentence

from .files import FOLDER_SIDECAR
from .headers import ENDINGS
from .model_index import INDEX
from .reading import is_folder, read_text
from .roots import Root
from .stamps import FileStamp, stamp_status

MOST = 200_000
"""The most files and folders that are visited in a root; the others are left out."""

MOST_LEVELS = 32
"""How deeply folders may be nested."""

SIDECAR = ".underpaint.json"
"""How a file that describes a model ends, after the model's own name."""


class Found(NamedTuple):
    """What may be a model: a folder in the diffusers format, or a weight file.

    Parameters
    ----------
    name : str
        From the root, with `/` between folders, without the file's ending; no two have the same.
    path : Path
        The folder or file.
    root : Root
        Where it was found.
    stamp : FileStamp
        Of a file; zeros for a folder.
    sidecar : Path or None
        The file beside it or in it that describes it.
    problem : str
        Why it cannot be accessed; empty if it can.
    """

    name: str
    path: Path
    root: Root
    is_folder: bool = False
    stamp: FileStamp = (0, 0, 0)
    sidecar: Path | None = None
    problem: str = ""


def walk_roots(roots: Iterable[Root]) -> list[Found]:
    """Return what is in folders of models, in the order of the folders, then of names."""
    walk = _Walk()
    found: list[tuple[str, int, Found]] = []
    for root in roots:
        here = list(walk.root(root))
        found += sorted(((*_split(one), one) for one in here), key=lambda one: one[:2])
    return list(_with_names(found))


def _split(found: Found) -> tuple[str, int]:
    """Return a name without the ending of a weight file, and which come first of one name."""
    if found.is_folder:
        return found.name, -1
    lower = found.name.lower()
    for rank, ending in enumerate(ENDINGS):
        if lower.endswith(ending):
            return found.name[: -len(ending)], rank
    return found.name, len(ENDINGS)


def _with_names(found: list[tuple[str, int, Found]]) -> Iterator[Found]:
    """Yield all without the endings of files, and so that no two have one name."""
    taken: dict[str, Path] = {}
    for stem, _, one in found:
        where = one.root.name
        names = [stem, f"{stem} ({where})", f"{one.name} ({where})"]
        if taken.get(stem) == one.root.path:
            names.insert(1, one.name)
        number = 2
        while all(name in taken for name in names):
            names.append(f"{one.name} ({where} {number})")
            number += 1
        name = next(name for name in names if name not in taken)
        taken[name] = one.root.path
        yield one._replace(name=name)


class _Walk:
    """One walk: no folder is entered twice, however links lead to it."""

    def __init__(self) -> None:
        self._entered: set[tuple[int, int]] = set()
        self._left = MOST

    def root(self, root: Root) -> Iterator[Found]:
        """Yield what lies in a folder of models."""
        self._left = MOST
        yield from self.hub(root) if root.is_hub else self.folder(root, root.path, "")

    def hub(self, root: Root) -> Iterator[Found]:
        """Yield the models in a cache of the Hugging Face Hub, named by the repositories' ids."""
        try:
            names = sorted(one.name for one in root.path.iterdir())
        except OSError:
            return
        for name in names:
            kind, _, repository = name.partition("--")
            if kind == "models" and repository:
                snapshot = find_snapshot(root.path / name)
                if snapshot is not None:
                    yield from self._enter(root, snapshot, repository.replace("--", "/"))

    def folder(self, root: Root, folder: Path, prefix: str) -> Iterator[Found]:
        """Yield the models in a folder and below it."""
        if not self._is_new(folder):
            return
        if prefix.count("/") > MOST_LEVELS:
            reason = sentence("it is over {most} folders deep", most=MOST_LEVELS)
            yield _problem(root, prefix.removesuffix("/"), folder, reason)
            return
        try:
            with os.scandir(folder) as entries:
                here = sorted(entries, key=lambda entry: (entry.is_symlink(), entry.name))
        except ValueError:  # the path cannot exist
            return
        except OSError as error:
            if prefix:  # a root need not be there
                yield _unreadable(root, prefix.removesuffix("/"), folder, error)
            return
        names = {entry.name for entry in here}
        for entry in here:
            self._left -= 1
            if self._left < 0:
                return
            if not entry.name.startswith("."):  # macOS puts ._NAME beside NAME
                yield from self._entry(root, entry, prefix, names)

    def _entry(
        self, root: Root, entry: os.DirEntry[str], prefix: str, names: set[str]
    ) -> Iterator[Found]:
        name = prefix + entry.name
        try:
            if entry.is_dir():
                if entry.is_symlink() and leads_up(Path(entry.path), root.path):
                    if not self._was_entered(Path(entry.path)):
                        told = "a link to a folder that it lies in"
                        yield _problem(root, name, Path(entry.path), told)
                    return
                yield from self._enter(root, Path(entry.path), name, names)
                return
            if not _may_be_model(entry.name):  # most files: the rest would take longer
                return
            path = Path(entry.path)
            if entry.is_symlink() and not path.exists():
                yield _problem(root, name, path, sentence("a link to what is not there"))
                return
            if _is_weights(entry.name):
                status = entry.stat()
                if stat.S_ISREG(status.st_mode):
                    beside = entry.name.rpartition(".")[0] + SIDECAR
                    sidecar = path.with_name(beside) if beside in names else None
                    yield _checked(Found(name, path, root, False, stamp_status(status), sidecar))
        except OSError as error:
            if _may_be_model(entry.name):
                yield _unreadable(root, name, Path(entry.path), error)

    def _enter(
        self, root: Root, path: Path, name: str, beside: Iterable[str] = ()
    ) -> Iterator[Found]:
        if not os.path.lexists(path / INDEX):
            yield from self.folder(root, path, f"{name}/")
            return
        sidecar = path / FOLDER_SIDECAR
        if f"{path.name}{SIDECAR}" in beside:
            sidecar = path.with_name(f"{path.name}{SIDECAR}")
        there = sidecar if os.path.lexists(sidecar) else None
        yield _checked(Found(name, path, root, is_folder=True, sidecar=there))

    def _is_new(self, folder: Path) -> bool:
        key = _folder_key(folder)
        if key in self._entered:
            return False
        if key is not None:
            self._entered.add(key)
        return True

    def _was_entered(self, folder: Path) -> bool:
        return _folder_key(folder) in self._entered


def _folder_key(folder: Path) -> tuple[int, int] | None:
    """Return what tells a folder from others; None where the file system does not tell it."""
    try:
        status = folder.stat()
    except (OSError, ValueError):
        return None  # what is wrong with it is said where it is read
    return (status.st_dev, status.st_ino) if status.st_ino else None


def leads_up(link: Path, root: Path) -> bool:
    """Return whether a link leads to a folder that it, or its folder of models, lies in.

    Such a link may lead to all of a disk. In a circle it is found where it begins anyway.
    """
    target = os.path.realpath(link)
    inner = (os.path.realpath(place) for place in (link.parent, root))
    return any(Path(place).is_relative_to(target) for place in inner)


def find_snapshot(repository: Path) -> Path | None:
    """Return the folder of a repository's newest version in a cache of the Hugging Face Hub.

    It is the one that `refs/main` names, else the one that was written last.
    """
    snapshots = repository / "snapshots"
    try:
        main = read_text(repository, "refs/main").strip()
        if re.fullmatch(r"[0-9a-f]{4,64}", main) and is_folder(snapshots / main):
            return snapshots / main
    except ModelUnavailableError:
        pass
    try:
        there = [one for one in snapshots.iterdir() if is_folder(one)]
        return max(there, key=lambda one: one.stat().st_mtime_ns, default=None)
    except OSError:
        return None


def _is_weights(name: str) -> bool:
    """Return whether a file may hold a whole model: by its ending, and as no shard of one."""
    return name.lower().endswith(ENDINGS) and not re.search(r"\d{5}-of-\d{5}", name)


def _may_be_model(name: str) -> bool:
    """Return whether what cannot be accessed may be a model, by the ending of its name."""
    return _is_weights(name) or not re.search(r"\.[A-Za-z]{1,11}$", name)


def _checked(found: Found) -> Found:
    """Return it, or why its name cannot be sent: POSIX allows any bytes."""
    try:
        found.name.encode()
    except UnicodeEncodeError:
        shown = found.name.encode("utf-8", "backslashreplace").decode()
        problem = sentence(
            "model {folder}/{name} has a name that is not UTF-8; rename it",
            folder=found.root.path,
            name=shown,
        )
        return found._replace(name=shown, problem=problem)
    return found


def _unreadable(root: Root, name: str, path: Path, error: OSError) -> Found:
    return _problem(root, name, path, error.strerror or str(error))


def _problem(root: Root, name: str, path: Path, reason: str) -> Found:
    shown = name.encode("utf-8", "backslashreplace").decode()
    problem = sentence(
        "{path} cannot be read ({reason}); repair or remove it",
        path=str(path).encode("utf-8", "backslashreplace").decode(),
        reason=reason,
    )
    return Found(shown, path, root, problem=problem)
