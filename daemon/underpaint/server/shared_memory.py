"""Pixels between the daemon and a worker, through shared memory instead of a socket.

A layer goes from client to daemon to worker and back. On one machine the two inner ways need no
socket: the sender copies large frames into a block of shared memory that it keeps warm, and sends
their names. The receiver looks at the block itself; when nobody looks at it any more, the sender is
told and uses it again. Under the wire's messages lies a manifest, a last frame that only
`SharedFrames` reads::

    {"laid": [[part, block, bytes], ...], "seen": [block, ...]}

Where there is no shared memory, or none left, frames travel by socket as ever.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import shutil
import weakref
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from underpaint_client.errors import DaemonUnavailableError
from underpaint_client.frames import Bytes

from .paths import home_digest, private_folder

SMALLEST = 2**16
"""Bytes below which a socket is as fast."""

LARGEST = 2**26
"""Bytes above which copying would keep the daemon from answering; the socket has its own thread."""

KEEP = 2**28
"""Bytes of free blocks that are kept warm: the pages of a new one cost ten times a copy."""

MAX_BLOCKS = 64
"""Blocks of one side. Each takes a descriptor here, and one on the other side."""

_MEMORY = Path("/dev/shm")  # noqa: S108 - a private folder is made in it


def shared_memory_folder() -> Path | None:
    """Return the private folder of this home's shared memory; None if there is none."""
    if not _MEMORY.is_dir() or not hasattr(mmap, "MAP_POPULATE"):
        return None
    try:
        return private_folder(_MEMORY / f"underpaint-{os.getuid()}-{home_digest()}")
    except (OSError, DaemonUnavailableError):
        return None  # somebody else took the name


def clear_shared_memory() -> None:
    """Remove what dead processes of this home left; for the one that holds its lock."""
    folder = shared_memory_folder()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def remove_shared_memory(name: str) -> None:
    """Remove one side's blocks; what the other side looks at stays valid until it is done."""
    folder = shared_memory_folder()
    if folder is not None:
        shutil.rmtree(folder / name, ignore_errors=True)


@dataclass(frozen=True)
class _Block:
    """A file in shared memory, mapped by the process that fills it."""

    path: Path
    memory: mmap.mmap

    @classmethod
    def make(cls, path: Path, size: int) -> _Block:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)  # or a full memory would end the process later
            return cls(path, mmap.mmap(descriptor, size))
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(descriptor)

    def drop(self) -> None:
        self.memory.close()
        self.path.unlink(missing_ok=True)


class SharedFrames:
    """One side of the shared memory: writes its own frames, and reads the other side's.

    Parameters
    ----------
    name : str
        Of this side; no two live ones of a home share it.
    keep : int
        Bytes of free blocks that are kept.
    max_blocks : int
        Blocks at most, since each needs a descriptor.
    """

    def __init__(self, name: str, keep: int = KEEP, max_blocks: int = MAX_BLOCKS) -> None:
        self._keep, self._max_blocks = keep, max_blocks
        folder = shared_memory_folder()
        self._folder = private_folder(folder / name) if folder else None
        self._made = 0
        self._lent: dict[str, _Block] = {}
        self._free: list[_Block] = []
        self._seen: deque[str] = deque()  # filled by finalizers, in whatever thread
        self._spare = _spare_descriptor()

    def has_news(self) -> bool:
        """Return whether there are blocks of the other side that are no longer read."""
        return bool(self._seen)

    def pack(self, parts: list[Bytes]) -> list[Bytes]:
        """Return the message to send: parts, large ones in shared memory, and the manifest.

        Without parts, it only says which blocks are no longer read.
        """
        laid: list[tuple[int, str, int]] = []
        packed = list(parts)
        for number, part in enumerate(parts):
            size = memoryview(part).nbytes
            block = self._take(size) if SMALLEST <= size <= LARGEST else None
            if block is not None:
                block.memory[:size] = memoryview(part).cast("B")
                laid.append((number, block.path.name, size))
                packed[number] = b""
        seen = [self._seen.popleft() for _ in range(len(self._seen))]
        return [*packed, json.dumps({"laid": laid, "seen": seen}).encode()]

    def unpack(self, packed: list[Bytes], folder: str) -> list[Bytes]:
        """Return the parts that `pack` was given on the other side, without a copy.

        Parameters
        ----------
        packed : list of bytes-like
            What came.
        folder : str
            The name of the other side's shared memory.
        """
        *parts, last = packed
        manifest = json.loads(bytes(last))
        for name in manifest["seen"]:
            self._give_back(self._lent.pop(name))
        for number, name, size in manifest["laid"]:
            parts[number] = self._look(folder, name, size)
        return parts

    def close(self) -> None:
        """Remove all blocks, as `remove_shared_memory` does."""
        if self._folder is not None:
            remove_shared_memory(self._folder.name)
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    def _take(self, size: int) -> _Block | None:
        """Return the smallest free block that is large enough, or make one."""
        # A system may clear its shared memory when its user logs out.
        self._free = [block for block in self._free if block.path.exists()]
        fitting = [block for block in self._free if len(block.memory) >= size]
        if fitting:
            block = min(fitting, key=lambda found: len(found.memory))
            self._free.remove(block)
        elif self._folder is None or len(self._lent) >= self._max_blocks:
            return None
        else:
            self._made += 1
            try:
                block = _Block.make(self._folder / str(self._made), size)
            except OSError:
                return None  # no memory left: by socket, then
        self._lent[block.path.name] = block
        return block

    def _give_back(self, block: _Block) -> None:
        self._free.append(block)
        while (
            sum(len(kept.memory) for kept in self._free) > self._keep
            or len(self._free) + len(self._lent) > self._max_blocks
        ):
            self._free.pop(0).drop()

    def _look(self, folder: str, name: str, size: int) -> memoryview:
        shelves = shared_memory_folder()
        if shelves is None:
            raise OSError("frames are in shared memory that this process cannot see")
        path = shelves / folder / name
        try:
            memory = _map(path, size)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            data = self._read(path, size)
            self._seen.append(name)
            return memoryview(data)
        weakref.finalize(memory, self._seen.append, name)
        return memoryview(memory)

    def _read(self, path: Path, size: int) -> bytes:
        """Copy a block where no descriptor is left to look at it: the spare one does for that."""
        if self._spare is not None:
            os.close(self._spare)
        try:
            with path.open("rb") as file:
                return file.read(size)
        finally:
            self._spare = _spare_descriptor()


def _map(path: Path, size: int) -> mmap.mmap:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return mmap.mmap(
            descriptor, size, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE, prot=mmap.PROT_READ
        )
    finally:
        os.close(descriptor)


def _spare_descriptor() -> int | None:
    """Open one descriptor more, to be given up when there is no other; None if none is left."""
    try:
        return os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return None
