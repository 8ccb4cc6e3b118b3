"""The command line: `underpaint serve | generate | models | status | stop`.

Results go to standard output, messages to standard error. Exit codes: 0 done, 2 bad input,
3 daemon or model unavailable, 4 generation failed, 130 cancelled.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import underpaint
from underpaint_client.errors import (
    BadInputError,
    CancelledError,
    DaemonUnavailableError,
    GenerationFailedError,
    ModelUnavailableError,
    UnderpaintError,
)

from . import daemon, generate, models

EXIT_CODES: dict[type[UnderpaintError], int] = {
    BadInputError: 2,
    DaemonUnavailableError: 3,
    ModelUnavailableError: 3,
    GenerationFailedError: 4,
    CancelledError: 130,
}

COMMANDS: dict[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "generate": (generate.run, "paint: from a prompt, over a picture, or into its erased parts"),
    "serve": (daemon.run_serve, "run the daemon"),
    "status": (daemon.run_status, "show the daemon, its workers and its queue"),
    "stop": (daemon.run_stop, "end the daemon"),
    "models": (models.run, "list the models that are there"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in COMMANDS:
        return _run(COMMANDS[words[0]][0], words[1:])
    if words == ["--version"]:
        print(f"underpaint {underpaint.__version__}")
        return 0
    if words in (["-h"], ["--help"]):
        print(_overview())
        return 0
    print(f"underpaint: {' '.join(words)!r} is no command\n\n{_overview()}", file=sys.stderr)
    return EXIT_CODES[BadInputError]


def _run(command: Callable[[Sequence[str]], int], words: Sequence[str]) -> int:
    try:
        return command(words)
    except UnderpaintError as error:
        code, message = EXIT_CODES[type(error)], str(error)
    except KeyboardInterrupt:
        code, message = EXIT_CODES[CancelledError], "cancelled"
    print(f"underpaint: {message}", file=sys.stderr)
    return code


def _overview() -> str:
    lines = [f"  {name:10}{what}" for name, (_, what) in COMMANDS.items()]
    return "\n".join(
        ["usage: underpaint COMMAND ...", "", *lines, "", "`underpaint COMMAND --help` has more."]
    )
