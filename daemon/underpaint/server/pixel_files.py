"""Files of pixels in a folder: each is whole, and on the disk, before anything names it.

A file's name ends in the checksum (CRC-32) of its bytes. They are read and compared before they are
looked at: a disk that returns other bytes, or an error, damages one job, and ends no process.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import secrets
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from underpaint_client.frames import Bytes

from .paths import private_folder

_DRAFT = ".part"

_BLOCK = 2**20


class DamagedFileError(OSError):
    """A file of pixels is missing, cut or changed: reading it again will not help."""


class PixelFiles:
    """See the module.

    Parameters
    ----------
    folder : Path
        Its own; made where there is none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = private_folder(folder)

    @contextlib.contextmanager
    def written(self, pixels: list[Bytes]) -> Iterator[str]:
        """Write pixels into one file, and return its name for a record; it goes where that fails.

        The order keeps a power cut from leaving a record without its pixels: write, force to the
        disk, rename, force the folder to the disk; only then is the record written.

        Raises
        ------
        OSError
            It could not be written.
        """
        file = secrets.token_hex(8)
        draft = self.folder / f"{file}{_DRAFT}"
        checksum = 0
        try:
            with open(draft, "wb", opener=_private, buffering=0) as stream:
                for part in pixels:
                    data = memoryview(part).cast("B")
                    checksum = zlib.crc32(data, checksum)
                    _write_all(stream.fileno(), data)
                sync(stream.fileno())
            file = f"{file}-{checksum:08x}"
            draft.replace(self.folder / file)
            sync_folder(self.folder)
            yield file
        except BaseException:  # Ctrl-C too: no file may stay that no record names
            draft.unlink(missing_ok=True)
            self.remove([file])
            raise

    def read(self, file: str, sizes: list[int]) -> list[Bytes]:
        """Return the pixels of a file, divided as they were written; read when looked at.

        Raises
        ------
        DamagedFileError
            It is missing, or not what was written.
        OSError
            It could not be read this time.
        """
        if not sum(sizes):
            return [b"" for _ in sizes]
        try:
            with (self.folder / file).open("rb") as stream:
                found = os.fstat(stream.fileno()).st_size
                if found != sum(sizes):
                    raise DamagedFileError(f"{file} has {found} bytes instead of {sum(sizes)}")
                _check(stream, file)
                pixels = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        except FileNotFoundError:
            raise DamagedFileError(f"{file} is missing") from None
        parts: list[Bytes] = []
        start = 0
        for size in sizes:
            parts.append(pixels[start : start + size])
            start += size
        return parts

    def remove(self, files: Iterable[str]) -> None:
        """Remove files, if they exist and can be removed."""
        for file in files:
            with contextlib.suppress(OSError):  # somebody looks at it, and nobody can remove it
                (self.folder / file).unlink()

    def names(self) -> set[str]:
        """Return the names of all whole files."""
        return {path.name for path in self.folder.iterdir() if path.suffix != _DRAFT}

    def changed(self, file: str) -> float:
        """Return when a file was written, in seconds of the epoch; infinity where it has gone."""
        try:
            return (self.folder / file).stat().st_mtime
        except OSError:
            return float("inf")

    def remove_drafts(self) -> None:
        """Remove what was half written when a process ended."""
        self.remove([path.name for path in self.folder.iterdir() if path.suffix == _DRAFT])


def _check(stream: BinaryIO, file: str) -> None:
    """Compare a file's bytes with the checksum in its name; older ones have none."""
    _, _, expected = file.partition("-")
    checksum, block = 0, bytearray(_BLOCK)
    while expected and (count := stream.readinto(block)):  # type: ignore[attr-defined]
        checksum = zlib.crc32(memoryview(block)[:count], checksum)
    if expected and f"{checksum:08x}" != expected:
        raise DamagedFileError(f"{file} does not have the bytes that were written")


def sync(descriptor: int) -> None:
    """Force a file to the disk itself, past the disk's own cache where the system can."""
    try:
        from fcntl import F_FULLFSYNC, fcntl  # type: ignore[attr-defined] # noqa: PLC0415 - macOS's
    except ImportError:
        os.fsync(descriptor)
    else:
        fcntl(descriptor, F_FULLFSYNC)


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk; Windows does that by itself."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
