"""`underpaint doctor`: check everything that Underpaint needs, and list what is missing."""

from __future__ import annotations

import contextlib
import filecmp
import getpass
import importlib.metadata
import os
import platform
import re
import shutil
import socket
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import underpaint
from underpaint.config_file import config_file
from underpaint.models import default_model, describe_model, find_model, list_entries
from underpaint.models.find import name_some
from underpaint.server import keys
from underpaint.server.config import read_config
from underpaint.server.paths import daemon_runs, log_file, make_home
from underpaint_client import connect
from underpaint_client.errors import UnderpaintError
from underpaint_client.home import home, remote_file
from underpaint_editor.log import EDITORS
from underpaint_editor.log import log_file as editor_log_file

from .gimp import PLUGIN as GIMP_PLUGIN
from .gimp import find_gimps
from .krita import PLUGIN as KRITA_PLUGIN
from .krita import KritaFolders
from .options import Parser
from .plugins import SHARED, package_folder
from .printing import show

LOG_LINES = 40
"""Last lines of each log that a report shows."""

LEAST_SPACE = 2**30
"""Bytes of free disk below which `doctor` warns."""

PACKAGES = ("torch", "diffusers", "transformers", "pyzmq", "numpy", "safetensors")

VARIABLES = "UNDERPAINT_MODEL or UNDERPAINT_MODELS"

_MARKS = {"good": "ok  ", "note": "note", "bad": "BAD "}


@dataclass(frozen=True)
class Finding:
    """What was found of one thing.

    Parameters
    ----------
    state : str
        `good`; `note` if something optional is missing; `bad` if something necessary is.
    what, text : str
        The thing, and a sentence, with the way out where there is something to do.
    """

    state: str
    what: str
    text: str


Check = Callable[[], Iterator[Finding]]


def run_doctor(words: Sequence[str], checks: Mapping[str, Check] | None = None) -> int:
    """Run the checks, and print what they find.

    Parameters
    ----------
    words : sequence of str
    checks : mapping of str to callable, optional
        By what is checked; `CHECKS` without it.

    Returns
    -------
    int
        The exit code: 3 if something is bad.
    """
    parser = Parser("doctor", "Check everything that Underpaint needs, and list what is missing.")
    parser.add_argument(
        "--report",
        action="store_true",
        help="with versions and the ends of the logs, to paste where you ask for help: no prompts,"
        " no keys, your name left out",
    )
    options = parser.read(words)
    named = (CHECKS if checks is None else checks).items()
    found = [finding for name, check in named for finding in run_check(name, check)]
    lines = [f"{_MARKS[one.state]} {one.what:9} {one.text}" for one in found]
    if options.report:
        lines = [*_versions(), "", *lines, "", *_ends_of_logs()]
        lines = anonymous("\n".join(lines), _names()).splitlines()
    show("\n".join(lines))
    return 3 if any(one.state == "bad" for one in found) else 0


def run_check(name: str, check: Check) -> Iterator[Finding]:
    """Yield what a check finds; if the check itself fails, that is a finding too."""
    try:
        yield from check()
    except UnderpaintError as error:
        yield Finding("bad", name, str(error))
    except Exception as error:  # noqa: BLE001 - each check is shown, whatever is broken
        yield Finding("bad", name, f"{type(error).__name__}: {error}")


# ---- what is looked at ---------------------------------------------------------------------


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    yield Finding("good", "python", f"{version}, Underpaint {underpaint.__version__}")


def _torch() -> Iterator[Finding]:
    import torch  # noqa: PLC0415 - seconds

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        name = torch.cuda.get_device_name()
        memory = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
        yield Finding("good", "device", f"{name}, {memory}, torch {torch.__version__}")
    elif torch.backends.mps.is_available():
        yield Finding("good", "device", f"Apple GPU, torch {torch.__version__}")
    else:
        text = f"torch {torch.__version__} can use no GPU here; the CPU is used, which is slow"
        yield Finding("note", "device", text)


def _home() -> Iterator[Finding]:
    make_home()
    yield Finding("good", "home", f"{home()} can be written")
    free = shutil.disk_usage(home()).free
    if free < LEAST_SPACE:
        text = f"only {free / 2**20:.0f} MiB are free there; make room"
        yield Finding("bad", "home", text)
    for aside in sorted(home().glob("jobs-aside-*")):
        text = f"a damaged store of jobs was put aside in {aside}; remove it when nothing is missed"
        yield Finding("note", "home", text)
    if os.name != "posix":
        return
    for file in (*home().glob("*.json"), *(home() / "keys").glob("*.json")):
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077 and file.name != "model-hashes.json":
            text = (
                f"{file} can be read by others; chmod 600 it, and replace the keys that others may"
                " have seen"
            )
            yield Finding("bad", "home", text)


def _config() -> Iterator[Finding]:
    found = read_config()
    if config_file().exists():
        kept = found.retention
        text = f"results wait {kept.days:g} days, and {kept.gigabytes:g} GB of them"
        listens = (
            f"; a daemon that starts now listens on {', '.join(found.bind)}" if found.bind else ""
        )
        yield Finding("good", "config", text + listens)


def _keys() -> Iterator[Finding]:
    for file in sorted((home() / "keys").glob("*.json")):
        try:
            keys.own_keys(file.stem)
        except UnderpaintError as error:
            yield Finding("bad", "keys", str(error))


def _models() -> Iterator[Finding]:
    entries, default = list_entries(), default_model()
    usable = [entry.name for entry in entries if not entry.problem]
    for entry in entries:
        if entry.problem:
            yield Finding("bad" if entry.name == default else "note", "model", entry.problem)
    if usable:
        yield Finding("good", "models", f"{name_some(usable)}; {default} by default")
        if default not in {entry.name for entry in entries}:
            describe_model(find_model(default))  # says what is wrong with it
    else:
        yield Finding("bad", "models", f"none; put a model into {home() / 'models'}")


def _daemon() -> Iterator[Finding]:
    far = remote_file().exists()
    if not far and not daemon_runs():
        yield Finding("note", "daemon", "not running; it is started when it is needed")
        return
    with connect() as connection:
        connection.hello()
        status = connection.status()
        where = connection.info.endpoint
        there = {entry.name for entry in connection.models()}
    yield Finding("good", "daemon", f"{status.version} answers at {where}")
    if status.version != underpaint.__version__:
        yield Finding("bad", "daemon", "it is of another version; `underpaint stop`, and start it")
    if not far:
        yield from _environment(status.default_model, there)
    for worker in status.workers:
        state = "bad" if worker.state == "broken" else "good"
        text = f"{worker.state} on {worker.device}, {worker.model or 'no model loaded'}"
        yield Finding(state, "worker", text)


def _environment(default: str, there: set[str]) -> Iterator[Finding]:
    """Compare a daemon's environment with this one: the variables about models."""
    again = "`underpaint stop`, and start it from here, for it to be the same"
    if default != default_model():
        text = (
            f"its default model is {default or 'none'}, but here it is {default_model() or 'none'}"
        )
        yield Finding("note", "daemon", f"{text}: it was started with another {VARIABLES}; {again}")
    here = {entry.name for entry in list_entries()}
    for names, who in ((here - there, "it does not know"), (there - here, "only it knows")):
        if names:
            text = f"{who} {name_some(names)}: it was started with another"
            yield Finding("note", "daemon", f"{text} UNDERPAINT_MODELS; {again}")


def _guests() -> Iterator[Finding]:
    count = len(keys.list_allowed()) if (home() / "keys").exists() else 0
    if count:
        text = f"{count} have access over the network; `underpaint keys list` shows which"
        yield Finding("good", "guests", text)


def _krita() -> Iterator[Finding]:
    yield _plugin("krita", [KritaFolders.find().plugins / name for name in SHARED], KRITA_PLUGIN)


def _gimp() -> Iterator[Finding]:
    for folder in find_gimps():
        library = folder / "plug-ins" / GIMP_PLUGIN / "lib"
        yield _plugin("gimp", [library / name for name in (*SHARED, GIMP_PLUGIN)], GIMP_PLUGIN)


def _plugin(editor: str, copies: list[Path], plugin: str) -> Finding:
    """Compare what an editor has with what is installed here."""
    if not copies[0].exists():
        text = f"the plug-in is not installed; run `underpaint install {editor}`"
        return Finding("note", editor, text)
    if editor == "krita":
        copies = [*copies, copies[0].with_name(plugin)]
    if all(_is_copy(package_folder(copy.name), copy) for copy in copies):
        return Finding("good", editor, f"the plug-in is installed in {copies[0].parent}")
    text = f"the plug-in is of another version; `underpaint install {editor}`, and restart it"
    return Finding("bad", editor, text)


def _is_copy(source: Path, copy: Path) -> bool:
    files = [file.name for file in source.glob("*.py") if file.name != "start.py"]
    same, _, _ = filecmp.cmpfiles(source, copy, files, shallow=False)
    return len(same) == len(files)


CHECKS: dict[str, Check] = {
    "python": _python,
    "torch": _torch,
    "home": _home,
    "config": _config,
    "keys": _keys,
    "models": _models,
    "daemon": _daemon,
    "guests": _guests,
    "krita": _krita,
    "gimp": _gimp,
}
"""The checks, in the order in which they are run."""


# ---- the report ----------------------------------------------------------------------------


def _versions() -> list[str]:
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} missing")
    python = f"Python {platform.python_version()}"
    return [f"Underpaint {underpaint.__version__}, {python}, {system}", ", ".join(found)]


def _ends_of_logs() -> list[str]:
    """Return the last lines of the daemon's log, and of those of the editors' plug-ins."""
    found = _end_of_log(log_file(), "the daemon's log") or ["the daemon has no log"]
    for editor in EDITORS:
        lines = _end_of_log(editor_log_file(editor), f"{editor}'s log")
        found += ["", *lines] if lines else []
    return found


def _end_of_log(file: Path, name: str) -> list[str]:
    """Return a log's last lines under a heading; none if it does not exist."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [f"the last of {len(lines)} lines of {name}:", *lines[-LOG_LINES:]]


def _names() -> dict[str, str]:
    """Return what tells who this is, and what is written in its place."""
    found = {str(Path.home()): "~", str(Path.home()).replace("\\", "\\\\"): "~"}
    for host in (socket.getfqdn(), socket.gethostname()):
        found[host] = "HOST"
    with contextlib.suppress(OSError, KeyError):  # a user without a name
        found[getpass.getuser()] = "USER"
    files = sorted((home() / "keys").glob("*.json"))
    for file in files:
        with contextlib.suppress(UnderpaintError):  # then nobody knows what it was
            pair = keys.own_keys(file.stem)
            found |= {pair.public: "KEY", pair.secret: "KEY"}
    if files:
        with contextlib.suppress(UnderpaintError):  # a check above says why
            found |= {one.public: "KEY" for one in keys.list_allowed()}
    return found


def anonymous(text: str, names: dict[str, str]) -> str:
    """Remove names of users and of their folders from a text.

    Parameters
    ----------
    text : str
        Any lines.
    names : dict of str to str
        What must not be in it, and what is written in its place.
    """
    for name in sorted(names, key=len, reverse=True):  # a folder before a user in its name
        if len(name) > 1:
            text = re.sub(
                rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])",
                lambda _, name=name: names[name],  # type: ignore[misc]
                text,
            )
    text = re.sub(r"\b\d{1,3}(\.\d{1,3}){3}\b", "ADDRESS", text)
    return re.sub(r"tcp://([^\s:\[]+|\[[^\]\s]*\])", "tcp://ADDRESS", text)
