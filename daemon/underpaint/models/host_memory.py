"""How much memory this computer has for a program: all of it, or what a container may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import psutil

_ROOT = Path("/")


def total_memory() -> int:
    """Return the bytes of memory that this process can have at most.

    A container or a systemd unit may have less than the computer: a process that takes more than
    its control group may have is killed.
    """
    return min([psutil.virtual_memory().total, *_read_limits(_ROOT)])


def _read_limits(root: Path) -> Iterator[int]:
    """Return the limits of this process's control groups and of those that they belong to.

    Parameters
    ----------
    root : Path
        Where `/proc` and `/sys` are.
    """
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        group = PurePosixPath(path.strip().lstrip("/"))
        if not controllers:  # version 2
            folder, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            folder, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        if ".." in group.parts:
            continue
        for one in (group, *group.parents):  # the root of a container is the last of them
            limit = _read(folder / one / name).strip()
            if limit.isdecimal():  # `max` stands for none
                yield int(limit)


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, ValueError):  # another system, or no such group
        return ""
