"""The prompts that were used, for the arrow keys; kept from one start of an editor to the next."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from underpaint_client.home import home, write_private

MOST = 100
"""Prompts that are kept."""


def prompt_history_file() -> Path:
    """Return the file that all editors share."""
    return home() / "prompts.json"


class PromptHistory:
    """Prompts, the oldest first, and where the artist is in them.

    Parameters
    ----------
    file : Path, optional
        Where they are kept; `prompt_history_file` if not given.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._at: int | None = None
        self._draft = ""

    def add(self, prompt: str) -> None:
        """Keep a prompt that was used, as the newest; do nothing if it cannot be written."""
        self._at = None
        if not prompt.strip():
            return
        kept = [one for one in self._read() if one != prompt]
        self._write([*kept, prompt][-MOST:])

    def older(self, current: str) -> str | None:
        """Return the prompt before the one that is shown; None if there is none.

        Parameters
        ----------
        current : str
            What is shown. It is not lost: `newer` comes back to it.
        """
        prompts = self._read()
        if self._at is None or not self._is_at(prompts, current):
            self._draft, self._at = current, len(prompts)
            if prompts and prompts[-1] == current:
                self._at -= 1
        if self._at == 0:
            return None
        self._at -= 1
        return prompts[self._at]

    def newer(self, current: str) -> str | None:
        """Return the prompt after the one that is shown, in the end what was being written."""
        prompts = self._read()
        if self._at is None or not self._is_at(prompts, current):
            return None
        self._at += 1
        if self._at < len(prompts):
            return prompts[self._at]
        self._at = None
        return self._draft

    def _is_at(self, prompts: list[str], current: str) -> bool:
        return self._at is not None and self._at < len(prompts) and prompts[self._at] == current

    def _read(self) -> list[str]:
        try:
            found = json.loads((self._file or prompt_history_file()).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return []
        return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []

    def _write(self, prompts: list[str]) -> None:
        # A full or read-only disk must not keep the artist from generating.
        with contextlib.suppress(OSError):
            write_private(self._file or prompt_history_file(), json.dumps(prompts))
