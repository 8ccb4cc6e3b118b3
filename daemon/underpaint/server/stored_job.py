"""A job and its pictures as they lie in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from underpaint_client.frames import Bytes

QUEUED, RUNNING, ENDED, TAKEN = "queued", "running", "ended", "taken"
"""A job's states: `TAKEN` is what is left of one whose client has its results."""


@dataclass(frozen=True)
class StoredJob:
    """A job as it lies in the store.

    Parameters
    ----------
    name : str
        Its id.
    owner : str
        Who may have its results: empty for this machine's user, else a client's public key.
    trusted : bool
        Whether its client may open models anywhere on this machine.
    digest : bytes
        Of the message that it came as, to know that again; as `job_digest` makes it.
    state : str
        See the module's constants.
    deaths : int
        How many processes have ended while they ran it.
    header : bytes
        Of the submission; empty once taken.
    ending : bytes or None
        The header of the message that it ended with.
    changed : float
        When it entered its state, in seconds of the epoch.
    """

    name: str
    owner: str
    trusted: bool
    digest: bytes
    state: str
    deaths: int
    header: bytes
    ending: bytes | None
    changed: float


class Pictures(NamedTuple):
    """A job's pictures as they could be read.

    Parameters
    ----------
    whole : list of list of bytes-like
        The messages that they travel in, in their order.
    unreadable : dict of int to str
        Why the others could not be read, by number.
    """

    whole: list[list[Bytes]]
    unreadable: dict[int, str]
