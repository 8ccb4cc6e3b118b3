"""Start a daemon in the background, and find or start one."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

from underpaint_client import Connection, connect
from underpaint_client.daemon_lock import lock_holder
from underpaint_client.errors import DaemonUnavailableError, UnderpaintError
from underpaint_client.home import ConnectionInfo, home, read_connection_file, remote_file
from underpaint_client.sentences import sentence

from .logs import turn_log
from .paths import daemon_runs, log_file, make_home, open_private

PATIENCE = 30.0
"""Seconds that a daemon may take to answer after its start."""


def start_background(options: Sequence[str] = ()) -> Connection:
    """Start a daemon that outlives this process, and connect to it.

    Parameters
    ----------
    options : sequence of str
        More options of `underpaint serve`.

    Raises
    ------
    DaemonUnavailableError
        If it ends or does not answer; the message has the last lines of its log.
    """
    make_home()
    turn_log()
    with open(log_file(), "ab", opener=open_private) as log:
        begin = log.tell()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "underpaint", "serve", *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        connection = _try()
        if connection is not None:
            return connection
        if process.poll() is not None and not daemon_runs():
            break
        time.sleep(0.05)
    process.kill()
    lines = log_file().read_bytes()[begin:].decode("utf-8", errors="replace").splitlines()[-5:]
    raise DaemonUnavailableError(
        "the daemon did not start; its log {log} ends with: {lines}",
        log=log_file(),
        lines=" | ".join(lines) or "nothing",
    )


def find_or_start() -> tuple[Connection, bool]:
    """Connect to the running daemon, or to one started for the purpose.

    Returns
    -------
    connection : Connection
        Greeted and answered.
    started : bool
        Whether it was started now.
    """
    if remote_file().exists():
        return _send_accepted(), False
    if daemon_runs():
        return connect_running(), False
    return start_background(), True


def connect_running() -> Connection:
    """Connect to the daemon that holds this home's lock; it may be starting this moment.

    Raises
    ------
    DaemonUnavailableError
        If it does not answer.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and daemon_runs():
        connection = _try()
        if connection is not None:
            return connection
        time.sleep(0.05)
    pid = lock_holder()
    process = sentence("its process id is not known")
    if pid:
        process = sentence("process id {pid}", pid=pid)
    raise DaemonUnavailableError(
        "a daemon of {home} is running ({process}) but does not answer; look into {log}, or end its"
        " process",
        home=home(),
        process=process,
        log=log_file(),
    )


def _try() -> Connection | None:
    info = read_connection_file()  # this machine's own, though another's may be in use
    if info is None:
        return None
    try:
        connection = _send_accepted(info, timeout=2)
    except DaemonUnavailableError:
        return None
    if connection.welcome.pid == info.pid:
        return connection
    connection.close()  # the file is a dead daemon's
    return None


def _send_accepted(info: ConnectionInfo | None = None, timeout: float = 5.0) -> Connection:
    connection = connect(info)
    try:
        connection.hello(timeout)
    except UnderpaintError:
        connection.close(0)  # or its thread would wait for ever
        raise
    return connection
