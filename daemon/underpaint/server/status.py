"""What `underpaint status` shows."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import underpaint
from underpaint_client import messages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .job_queue import JobQueue


def describe_status(
    owner: str | None,
    addresses: Iterable[str],
    uptime: float,
    default_model: str,
    workers: tuple[messages.WorkerStatus, ...],
    queue: JobQueue,
) -> messages.Status:
    """Return what the daemon is doing, as far as a client may know.

    Parameters
    ----------
    owner : str or None
        Who asks from another machine: of the jobs of others, they learn only that they are there,
        and of the addresses only those of TCP. None for the user of this machine.
    addresses : iterable of str
        Where clients reach the daemon.
    uptime : float
        Seconds since it was started.
    default_model : str
    workers : tuple of WorkerStatus
    queue : JobQueue
    """
    theirs = {job.name for job in queue if owner is None or job.client.owner == owner}
    return messages.Status(
        version=underpaint.__version__,
        pid=os.getpid(),
        endpoints=tuple(
            address
            for address in addresses
            if owner is None or address.startswith("tcp")  # the other names this machine's user
        ),
        uptime=round(uptime, 3),
        default_model=default_model,
        workers=workers,
        jobs=tuple(
            job if job.job in theirs else replace(job, job="", prompt="") for job in queue.status()
        ),
    )
