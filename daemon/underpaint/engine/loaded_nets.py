"""Networks that run beside a model, such as ControlNets: loaded once, and kept within a budget."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import torch

from underpaint.models.stamps import FileStamp

NetFile = tuple[str, FileStamp]
"""The path of a file, and which of its versions."""


Net = TypeVar("Net", bound=torch.nn.Module)


class LoadedNets(Generic[Net]):
    """The networks that were loaded for a model, by their files."""

    def __init__(self) -> None:
        self._loaded: OrderedDict[NetFile, Net] = OrderedDict()
        self._used: set[NetFile] = set()

    def __getitem__(self, file: NetFile) -> Net:
        return self._loaded[file]

    @property
    def used_bytes(self) -> int:
        """The size of those that the current request uses."""
        return sum(size_of(self._loaded[key]) for key in self._used)

    def use(self, files: Iterable[NetFile], load: Callable[[NetFile], Net], kept: int) -> None:
        """Load networks that are not there; all others wait, or go where they are too many.

        Parameters
        ----------
        files : iterable of NetFile
            Of the networks that the current request uses.
        load : callable
            Loads one in the computer's memory. What it raises leaves no network in use.
        kept : int
            Bytes that may wait in the computer's memory.
        """
        self._used = set()
        files = list(files)
        for file in files:
            if file not in self._loaded:
                self._loaded[file] = load(file)
            self._loaded.move_to_end(file)
        self._used = set(files)
        waiting = [key for key in self._loaded if key not in self._used]
        size = sum(size_of(self._loaded[key]) for key in waiting)
        for key in waiting:  # the one that was used longest ago comes first
            if size > kept:
                size -= size_of(self._loaded.pop(key))
            else:
                self._loaded[key].to("cpu")

    def forget_unused(self) -> None:
        """Let go of those that wait."""
        for key in [key for key in self._loaded if key not in self._used]:
            del self._loaded[key]


def size_of(net: torch.nn.Module) -> int:
    """Return the bytes of a network's parameters."""
    return sum(one.numel() * one.element_size() for one in net.parameters())
