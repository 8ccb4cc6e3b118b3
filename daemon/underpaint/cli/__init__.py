"""The command line: `underpaint generate | replay | serve | status | stop | keys | connect | ...`.

Results go to standard output, messages to standard error. Exit codes: 0 done, 2 bad input,
3 daemon or model unavailable, 4 generation failed, 130 cancelled.
"""

from __future__ import annotations

import difflib
import importlib
import io
import os
import sys
from collections.abc import Sequence

from underpaint_client.errors import (
    BadInputError,
    CancelledError,
    DaemonUnavailableError,
    GenerationFailedError,
    ModelUnavailableError,
    UnderpaintError,
)

from .printing import flush, say, show

EXIT_CODES: dict[type[UnderpaintError], int] = {
    BadInputError: 2,
    DaemonUnavailableError: 3,
    ModelUnavailableError: 3,
    GenerationFailedError: 4,
    CancelledError: 130,
}

COMMANDS = {
    "generate": "generate images: from a prompt, from a picture, or into its erased parts",
    "replay": "make a picture again from the recipe in it",
    "control": "make the picture of a control layer: edges, depth, a pose and the like",
    "serve": "run the daemon",
    "status": "show the daemon, its workers and its queue",
    "stop": "stop the daemon; its jobs go on when it starts again",
    "cancel": "cancel jobs in the queue, from any program",
    "results": "list, save or delete results that nobody has fetched",
    "keys": "choose which machines may use the daemon over the network",
    "connect": "use the daemon of another machine",
    "doctor": "check everything that Underpaint needs, and list what is missing",
    "models": "list models, add and download more",
    "loras": "list LoRAs, and the models that they fit",
    "controlnets": "list ControlNets, what they read, and the models that they fit",
    "ip-adapters": "list IP-Adapters, by which reference layers are read",
    "preprocessors": "list what makes pictures of control layers",
    "styles": "list styles, and add more",
    "install": "put the plug-in into Krita or GIMP",
    "uninstall": "remove it again",
}

_MODULES = {"serve": "daemon", "status": "daemon", "stop": "daemon", "uninstall": "install"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    _prepare_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    message = ""
    try:
        code = _run(words)
    except UnderpaintError as error:
        code = next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))
        message = str(error)
    except KeyboardInterrupt:
        code, message = EXIT_CODES[CancelledError], "cancelled"
    except OSError as error:
        code = EXIT_CODES[DaemonUnavailableError]
        what = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "a file"
        message = f"{what} cannot be used: {error.strerror or error}"
    except SystemExit:  # --help was printed
        flush()
        raise
    unprinted = flush()
    if unprinted and not code:
        code, message = EXIT_CODES[GenerationFailedError], unprinted
    if message:
        say(f"underpaint: {message}")
    return code


def _run(words: list[str]) -> int:
    if words and words[0] in COMMANDS:
        # Imported when needed: Ctrl-C during an import is a cancel like any other.
        name = words[0].replace("-", "_")
        module = importlib.import_module(f".{_MODULES.get(name, name)}", __name__)
        code: int = getattr(module, f"run_{name}")(words[1:])
        return code
    if words == ["--version"]:
        from underpaint import __version__  # noqa: PLC0415

        show(f"underpaint {__version__}")
        return 0
    if words in (["-h"], ["--help"]):
        show(_overview())
        return 0
    if words:
        say(f"underpaint: {words[0]!r} is not a command{_hint(words[0])}\n")
    say(_overview())
    return EXIT_CODES[BadInputError]


def _hint(word: str) -> str:
    near = difflib.get_close_matches(word, COMMANDS, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _prepare_streams() -> None:
    """Print UTF-8 whatever the locale, and ignore what is printed to closed streams."""
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")


def _overview() -> str:
    lines = [f"  {name:13}{what}" for name, what in COMMANDS.items()]
    return "\n".join(
        ["usage: underpaint COMMAND ...", "", *lines, "", "`underpaint COMMAND --help` has more."]
    )
