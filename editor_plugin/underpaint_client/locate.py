"""Find the daemon: which connection file counts, and whether the daemon that left it still runs."""

from __future__ import annotations

import os
from pathlib import Path

from .daemon_lock import is_lock_held, lock_holder
from .errors import DaemonUnavailableError
from .home import ConnectionInfo, connection_file, read_connection_file, remote_file
from .sentences import Sentence, sentence

START_HINT = sentence("start it with `underpaint serve --background`")


def locate_daemon() -> ConnectionInfo:
    """Return where the daemon is: what `remote.json` says if there is one, else the local daemon.

    Raises
    ------
    DaemonUnavailableError
        If there is no daemon, its connection file cannot be trusted or read, or there are no keys
        for a daemon on another machine.
    """
    remote = remote_file()
    if remote.exists():
        return check_remote(read_connection_file(remote), remote)
    return check_local(read_connection_file(), connection_file())


def check_remote(info: ConnectionInfo | None, file: Path) -> ConnectionInfo:
    """Return what a connection file to another machine's daemon says, if it can be used.

    Parameters
    ----------
    info : ConnectionInfo or None
        None if the file cannot be read.
    file : Path
        For the message.

    Raises
    ------
    DaemonUnavailableError
    """
    hint = sentence(
        "run `underpaint connect` to write it again, or `underpaint connect --forget` to use the"
        " daemon of this machine"
    )
    if info is None:
        raise DaemonUnavailableError(
            "{file}, which says where the daemon is, cannot be read; {hint}",
            file=file,
            hint=hint,
        )
    if not info.server_public:
        raise DaemonUnavailableError(
            "{file} has no keys to encrypt the connection to {endpoint}, and Underpaint sends"
            " nothing unencrypted to another machine; {hint}",
            file=file,
            endpoint=info.endpoint,
            hint=hint,
        )
    return info


def check_local(info: ConnectionInfo | None, file: Path) -> ConnectionInfo:
    """Return what a local daemon's connection file says, if that daemon runs.

    Parameters
    ----------
    info : ConnectionInfo or None
        None if there is no file that can be read.
    file : Path
        For the message.

    Raises
    ------
    DaemonUnavailableError
    """
    if info is None:
        raise DaemonUnavailableError(
            "no Underpaint daemon is running (there is no {file}); {hint}",
            file=file,
            hint=START_HINT,
        )
    transport, _, path = info.endpoint.partition("://")
    if not info.is_far and not _is_running(info):
        raise _gone(info)
    if transport == "ipc" and not Path(path).exists():
        raise _gone(info)
    return info


def check_process(info: ConnectionInfo) -> None:
    """Check that the daemon still runs, as far as that can be seen from here.

    Raises
    ------
    DaemonUnavailableError
        If it is gone.
    """
    if info.endpoint.startswith("ipc:") and not _is_running(info):
        raise _gone(info)


def _is_running(info: ConnectionInfo) -> bool:
    """Return whether a daemon of this machine runs: by its lock, else by its process id."""
    is_held = is_lock_held()
    if is_held is None:
        return process_lives(info.pid)
    return is_held and lock_holder() in (0, info.pid)


def _gone(info: ConnectionInfo) -> DaemonUnavailableError:
    return DaemonUnavailableError(
        "the Underpaint daemon with process id {pid} is gone; {hint}", pid=info.pid, hint=START_HINT
    )


def process_lives(pid: int) -> bool:
    """Return whether a process of this machine lives; always True on Windows.

    There, `os.kill` would end the process instead of looking for it.
    """
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it belongs to another user
        return True
    return True


def describe_daemon(info: ConnectionInfo) -> Sentence:
    """Return what to call the daemon in an error."""
    if not info.pid:
        return sentence("the Underpaint daemon ({endpoint})", endpoint=info.endpoint)
    return sentence(
        "the Underpaint daemon (process id {pid}, {endpoint})", pid=info.pid, endpoint=info.endpoint
    )


def suggest_remedy(info: ConnectionInfo) -> Sentence:
    """Return what may help if the daemon does not answer, as a clause."""
    if info.pid:
        return sentence("look at its log, or {hint}", hint=START_HINT)
    return sentence(
        "check on the other machine that it is running and that it allows this one:"
        " `underpaint keys allow {key}`",
        key=info.client_public,
    )
