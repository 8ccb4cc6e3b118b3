"""Messages to clients on other machines: without the paths of this machine's files."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import underpaint
from underpaint.models.find import DEFAULT_VARIABLE
from underpaint.models.roots import all_roots
from underpaint_client.home import home

if TYPE_CHECKING:
    from underpaint_client.frames import Bytes

_THEIR_OWN = ("prompt", "note", "request", "job")
"""Fields of messages that hold what the client itself sent: they go back as they came."""

_RECIPE = "recipe"
"""The field whose request is not as it was sent: the name of the model is the daemon's."""


_LOOK_AGAIN = 1.0
"""Seconds between two looks for folders of models."""


class PathFilter:
    """Replaces this machine's folders in messages by names: `UNDERPAINT_HOME/logs/daemon.log`.

    The folders of models, LoRAs and the like are looked for again now and then, since they may be
    chosen at any time.
    """

    def __init__(self) -> None:
        self._folders: list[Path] | None = None
        self._due = 0.0
        self._look_again()

    def _look_again(self) -> None:
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _LOOK_AGAIN
        found = dict.fromkeys(root.path for root in all_roots())
        folders = [path for path in found if path.parent != home()]
        if folders != self._folders:
            self._folders = folders
            self._read_folders(folders)

    def _read_folders(self, folders: list[Path]) -> None:
        self._names: dict[str, str] = {}
        chosen = os.environ.get(DEFAULT_VARIABLE, "")
        if os.path.isabs(chosen):  # noqa: PTH117 - or it is a name, and no path
            self._add(Path(chosen), Path(chosen).name)
        self._add(home(), "UNDERPAINT_HOME")
        for folder in folders:
            self._add(folder, "UNDERPAINT_MODELS")
        self._add(Path(underpaint.__file__).parent, "underpaint")
        self._add(Path(sys.prefix), "PYTHON")
        with contextlib.suppress(RuntimeError):  # a user without one
            self._add(Path.home(), "HOME")
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile(
            rf"(?<![\w.-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w.-])"
        )
        self._encoded = tuple(json.dumps(path)[1:-1].encode("ascii") for path in longest_first)

    def _add(self, folder: Path, name: str) -> None:
        for path in (folder, Path(os.path.realpath(folder))):
            if len(path.parts) > 1:  # everything begins with the root
                self._names.setdefault(str(path), name)

    def apply(self, parts: list[Bytes]) -> list[Bytes]:
        """Return a message as clients from elsewhere get it.

        Parameters
        ----------
        parts : list of bytes-like
            As it travels: a JSON header, then frames.

        Returns
        -------
        list of bytes-like
            The same frames; the header is another only where it holds a folder.
        """
        self._look_again()
        header = bytes(parts[0])
        if not any(path in header for path in self._encoded):
            return parts
        message = json.loads(header)
        message["body"] = self._without(message["body"])
        return [json.dumps(message).encode("ascii"), *parts[1:]]

    def _without(self, found: Any, own: tuple[str, ...] = _THEIR_OWN) -> Any:
        if isinstance(found, str):
            return self._pattern.sub(lambda match: self._names[match[0]], found)
        if isinstance(found, list):
            return [self._without(one, own) for one in found]
        if isinstance(found, dict):
            return {
                name: value
                if name in own
                else self._without(value, ("prompt",) if name == _RECIPE else own)
                for name, value in found.items()
            }
        return found
