"""Download models from the Hugging Face Hub: the files that are needed, and no others.

Of a repository in the diffusers format, one variant of each part's weights is taken, with its
configs and tokenizers; of any other, one weight file. Only safetensors, GGUF, JSON and a
tokenizer's texts are ever written. What was downloaded is compared with the Hub's list of files,
its sizes and hashes, before it counts as a model: `snapshot_download` may return a folder that
lacks files.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from underpaint_client.errors import BadInputError, ModelUnavailableError
from underpaint_client.home import home, make_folder

from .hub_answers import hub_endpoint, hub_errors, hub_page, refuse_long_waits
from .hub_files import RemoteFile, choose_file, choose_folder
from .model_index import INDEX
from .targets import choose_part_name, find_part, free_target

PATIENCE = 10.0
"""Seconds that the Hub may take to answer."""

RESERVE = 10**9
"""Bytes of the disk that a download leaves free."""


@dataclass(frozen=True)
class RemoteModel:
    """A model on the Hub, as it would be downloaded.

    Parameters
    ----------
    repository : str
        Its id, `OWNER/NAME`.
    revision : str
        The commit, so that all files are of one version.
    licence : str
        As its page says; empty where it does not.
    files : tuple of RemoteFile
        What is needed.
    is_folder : bool
        Whether it is a folder in the diffusers format, or one file.
    page : str
        Its address for people.
    """

    repository: str
    revision: str
    licence: str
    files: tuple[RemoteFile, ...]
    is_folder: bool
    page: str

    @property
    def size(self) -> int:
        """How many bytes all files have."""
        return sum(file.size for file in self.files)

    @property
    def name(self) -> str:
        """What it is called in the folder of models."""
        if self.is_folder:
            return self.repository.rpartition("/")[2]
        return self.files[0].path.rpartition("/")[2]


def split_id(said: str) -> tuple[str, str]:
    """Return the id of a repository and a file in it, from either or the address of its page.

    Raises
    ------
    BadInputError
        It is neither.
    """
    address = re.fullmatch(r"https?://(?P<host>[^/]+)/(?P<path>.+?)/?", said)
    if address and address["host"].lower() not in _hosts():
        raise BadInputError(
            "{address!r} is not an address of the Hugging Face Hub; download the file with a"
            " browser, and put it into the folder of models",
            address=said[:200],
        )
    path = address["path"] if address else said
    path = re.sub(r"^([^/]+/[^/]+)/(tree|blob|resolve)/[^/]+", r"\1", path).split("?")[0]
    found = re.fullmatch(r"(?P<id>[\w.-]+/[\w.-]+)(?:/(?P<file>.+))?", path, re.ASCII)
    if not found or ".." in path or len(path) > _LONGEST_PATH or not path.isprintable():
        raise BadInputError(
            "{id!r} is not an id of the Hugging Face Hub; give OWNER/NAME, OWNER/NAME/FILE, or the"
            " address of the model's page",
            id=said[:200],
        )
    if found["id"].partition("/")[0] in ("datasets", "spaces"):
        raise BadInputError(
            "{id!r} is not a model of the Hugging Face Hub; name a model", id=said[:200]
        )
    return found["id"], found["file"] or ""


def check_file(said: str) -> str:
    """Return the path of a file in a repository.

    Raises
    ------
    BadInputError
        It is not such a path.
    """
    if not _is_safe(said):
        raise BadInputError(
            "{path!r} is not the path of a file in a repository; give it as the Hugging Face Hub"
            " shows it, such as vae/model.safetensors",
            path=said[:200],
        )
    return said


def _hosts() -> set[str]:
    own = re.fullmatch(r"https?://([^/]+).*", hub_endpoint() or "")
    return {"huggingface.co", "www.huggingface.co", "hf.co", *([own[1].lower()] if own else [])}


def look_up(repository: str, file: str = "", precision: str = "") -> RemoteModel:
    """Ask the Hub for a model.

    Parameters
    ----------
    repository : str
        `OWNER/NAME`.
    file : str
        Which weight file, if it is not a folder in the diffusers format.
    precision : str
        Which variant of the weights is wanted, of `PRECISIONS`; where it is empty or missing, the
        smallest.

    Raises
    ------
    ModelUnavailableError
        There is no such model, it is gated, it has nothing that can be used, or the Hub cannot be
        reached. The message names the model and the way out.
    """
    from huggingface_hub import HfApi  # noqa: PLC0415 - slow, and only needed here

    with hub_errors(repository):
        try:
            info = HfApi(endpoint=hub_endpoint()).model_info(
                repository, files_metadata=True, timeout=PATIENCE
            )
            everything = [_remote(one) for one in info.siblings or ()]
            revision, licence = _revision(info), _licence(info)
        except (AttributeError, KeyError, RecursionError, TypeError) as error:
            raise ModelUnavailableError(
                "{repository} cannot be looked up: {server} does not answer as the Hugging Face Hub"
                " does ({kind}: {error}); try again later",
                repository=repository,
                server=hub_endpoint() or "https://huggingface.co",
                kind=type(error).__name__,
                error=str(error)[:200],
            ) from None
    files = {one.path: one for one in everything if _is_safe(one.path)}
    if not file and INDEX in files:
        chosen = choose_folder(repository, files, precision)
    else:
        chosen = [choose_file(repository, files, file, hub_page(repository))]
    return RemoteModel(
        repository=repository,
        revision=revision,
        licence=licence,
        files=tuple(files[path] for path in sorted(chosen)),
        is_folder=not file and INDEX in files,
        page=hub_page(repository),
    )


def _remote(sibling: Any) -> RemoteFile:
    large = sibling.lfs
    sha256 = (large.get("sha256", "") if isinstance(large, dict) else large.sha256) if large else ""
    path, size, blob = sibling.rfilename, sibling.size or 0, sibling.blob_id or ""
    if (
        type(size) is not int
        or size < 0
        or not all(type(one) is str for one in (path, sha256, blob))
    ):
        raise TypeError(f"{str(path)[:80]!r} is described by values of the wrong kind")
    return RemoteFile(path, size, sha256, blob)


def _revision(info: Any) -> str:
    found = info.sha or "main"
    if not re.fullmatch(r"[\w.-]{1,100}", found, re.ASCII):
        raise TypeError(f"its version is {found[:80]!r}")
    return str(found)


_LONGEST_PATH = 500
"""Characters of the path of a file in a repository."""


def _is_safe(path: str) -> bool:
    """Return whether a file may be written and shown by its path on the Hub."""
    odd = re.search(r"(^|/)(\.\.?)?(/|$)|[\\:]", path)
    return not odd and len(path) <= _LONGEST_PATH and path.isprintable()


def _licence(info: Any) -> str:
    card = info.card_data
    said = getattr(card, "license_name", None) or getattr(card, "license", None)
    if isinstance(said, list):
        said = ", ".join(map(str, said))
    tags = [tag.partition(":")[2] for tag in info.tags or () if tag.startswith("license:")]
    return str(said or ", ".join(tags))[:100]


def download(
    model: RemoteModel,
    name: str = "",
    tell: Callable[[RemoteFile, int], None] = lambda _file, _number: None,
) -> Path:
    """Download a model into Underpaint's folder, going on where an earlier try ended.

    A file that is a VAE or a text encoder goes into `parts` in that folder.

    Parameters
    ----------
    model : RemoteModel
        From `look_up`.
    name : str
        What to call it; its own name where empty.
    tell : callable
        Called with each file before it is downloaded, and with its number.

    Returns
    -------
    Path
        The folder or file, complete and verified.

    Raises
    ------
    ModelUnavailableError
        It cannot be downloaded, the disk is too full, or a file differs from the Hub's list.
    BadInputError
        There is a file or folder of that name already.
    """
    target, part_target = _find_targets(model, name)
    staging = _staging(model)
    make_folder(staging)
    lock = filelock.FileLock(staging.with_name(f"{staging.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise BadInputError(
            "{repository} is being downloaded already", repository=model.repository
        ) from None
    try:
        check_space([model])
        for number, file in enumerate(model.files):
            tell(file, number)
            _fetch(model, file, staging)
        shutil.rmtree(staging / ".cache", ignore_errors=True)
        source = staging if model.is_folder else staging / model.files[0].path
        if not model.is_folder and find_part(source):
            target = part_target
            make_folder(target.parent)
        source.rename(target)
        shutil.rmtree(staging, ignore_errors=True)
    finally:
        lock.release()
        with contextlib.suppress(OSError):
            Path(lock.lock_file).unlink()
    return target


def _find_targets(model: RemoteModel, name: str) -> tuple[Path, Path]:
    """Return where a download goes if it is a model, and if it is a part of one.

    Only its header tells which, so both must be free before anything is downloaded.
    """
    models = home() / "models"
    if model.is_folder:
        target = free_target(models, name or model.name)
        return target, target
    own = model.name
    part = name or choose_part_name(own, model.repository)
    return free_target(models, name or own, own), free_target(models / "parts", part, own)


def find_downloaded(model: RemoteModel) -> Path | None:
    """Return the complete single file that was downloaded before; None if there is none."""
    models, (file,) = home() / "models", model.files
    part = choose_part_name(model.name, model.repository)
    places = (models / model.name, models / "parts" / part)
    return next((place for place in places if _is_right(place, file)), None)


def _staging(model: RemoteModel) -> Path:
    """Return the folder that a model is downloaded into before it is complete.

    Each single file of a repository has its own: one that was interrupted is kept while another
    is downloaded.
    """
    name = model.repository.replace("/", "--")
    if not model.is_folder:
        name += f"--{hashlib.sha256(model.files[0].path.encode()).hexdigest()[:16]}"
    return home() / "models" / ".downloads" / name


def received_bytes(model: RemoteModel) -> int:
    """Return how many bytes of a model are on the disk, while it is downloaded."""
    total = 0
    for one in _staging(model).rglob("*"):
        with contextlib.suppress(OSError):  # it was renamed this moment
            total += one.stat().st_size if one.is_file() else 0
    return total


def check_space(models: Sequence[RemoteModel]) -> None:
    """Check that the disk has room for all of what is to be downloaded together.

    Parameters
    ----------
    models : sequence of RemoteModel
        One or more, of one repository.

    Raises
    ------
    ModelUnavailableError
        It has not.
    """
    folder = home() / "models"
    make_folder(folder)
    missing = sum(max(0, model.size - received_bytes(model)) for model in models)
    free = shutil.disk_usage(folder).free
    if missing + RESERVE > free:
        raise ModelUnavailableError(
            "{repository} needs {missing:.1f} GB more and 1 GB to spare, and {free:.1f} GB are"
            " free in {folder}; make room, or put Underpaint's models onto another disk"
            " (UNDERPAINT_HOME)",
            repository=models[0].repository,
            missing=missing / 1e9,
            free=free / 1e9,
            folder=folder,
        )


def _fetch(model: RemoteModel, file: RemoteFile, staging: Path) -> None:
    """Download a file and compare it with the Hub's list; try once more if it differs."""
    from huggingface_hub import hf_hub_download  # noqa: PLC0415 - slow, and only needed here

    for force in (False, True):
        with hub_errors(model.repository):
            refuse_long_waits(model.repository)
            hf_hub_download(
                model.repository,
                file.path,
                revision=model.revision,
                local_dir=staging,
                endpoint=hub_endpoint(),
                etag_timeout=PATIENCE,
                force_download=force,
            )
        if _is_right(staging / file.path, file):
            return
    raise ModelUnavailableError(
        "{path} of {repository} did not arrive as the Hub lists it, twice; try again later",
        path=file.path,
        repository=model.repository,
    )


def _is_right(path: Path, file: RemoteFile) -> bool:
    try:
        size = path.stat().st_size
        if size != file.size:
            return False
        with path.open("rb") as stream:
            if file.sha256:
                return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256
            if file.blob:
                whole = b"blob %d\0" % size + stream.read()
                return hashlib.sha1(whole, usedforsecurity=False).hexdigest() == file.blob
    except OSError:
        return False
    return True
