"""A command's connection to the daemon, and what is printed about it."""

from __future__ import annotations

from underpaint.server.background import find_or_start
from underpaint_client import Connection
from underpaint_client.home import ConnectionInfo

from .terminal import Display


def open_connection(display: Display) -> Connection:
    """Connect to the daemon, or start it; print that, and what the daemon remarks."""
    connection, started = find_or_start()
    if started:
        display.say(f"started the daemon (process id {connection.info.pid})")
    if connection.welcome.remark:
        display.note(connection.welcome.remark)
    return connection


def describe_return(before: ConnectionInfo, now: ConnectionInfo, *, started: bool) -> str:
    """Return what to print when a daemon answers after one had fallen silent or ended."""
    if before.pid == now.pid:
        return f"the daemon at {now.endpoint} answers again; the job goes on"
    came = "started another" if started else "another runs"
    return f"the daemon (process id {before.pid}) is gone; {came} ({now.pid}); the job goes on"


def describe_fetch(job: str) -> str:
    """Return how to fetch the results of a job that no client follows."""
    return f"`underpaint results --save FOLDER {job[:8]}` then fetches it"


def describe_loss(job: str, *, accepted: bool, far: bool = False) -> str:
    """Return what happens to a job whose daemon no longer answers.

    Parameters
    ----------
    job : str
        Its id.
    accepted : bool
        Whether the daemon has confirmed that it has the job.
    far : bool
        Whether the daemon is on another machine.
    """
    if not accepted:
        return "it has not confirmed the job: `underpaint results` shows whether it has it"
    kept = "the job goes on there when it runs again" if far else "the daemon keeps the job"
    return f"{kept}; {describe_fetch(job)}"
