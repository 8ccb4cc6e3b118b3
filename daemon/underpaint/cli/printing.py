"""The one place that prints for commands.

What is printed may come from others: a guest's prompt, another machine's daemon, the name of a
model or a file. None of it may command the terminal.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any

from underpaint_client.printable import escape_json, printable

_troubles: list[OSError] = []
"""Why results could not be printed, since `flush` was last called."""


def say(text: str) -> None:
    """Print a message on standard error; one that nobody can read stops nothing."""
    with contextlib.suppress(OSError):
        print(printable(text), file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Print a result on standard output; `flush` tells whether that worked."""
    _print(printable(text))


def show_path(path: os.PathLike[str] | str) -> None:
    """Print a path, for programs exactly as it is: only on a terminal `printable`."""
    _print(printable(str(path)) if sys.stdout.isatty() else str(path))


def show_json(found: Any) -> None:
    """Print an object as one line of JSON."""
    _print(escape_json(json.dumps(found, ensure_ascii=False)))


def flush() -> str:
    """Print what is held back, and return why results could not be printed; empty if they were.

    A reader that stops early, as `head` does, has what it wants: that is not an error.
    """
    with _noted():
        sys.stdout.flush()
    found = [error for error in _troubles if not isinstance(error, BrokenPipeError)]
    _troubles.clear()
    return f"the results cannot be printed: {found[0].strerror}" if found else ""


def _print(text: str) -> None:
    with _noted():
        print(text, flush=True)


@contextlib.contextmanager
def _noted() -> Any:
    try:
        yield
    except OSError as error:  # the command goes on: what it does is not only printed
        _troubles.append(error)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python fails again when it ends
