"""Frames that clients on other machines have sent, held so that they need not be sent twice."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import replace

from underpaint_client.frames import Frame

from .job_queue import MAX_JOBS, Client

HOLD_EACH = 2**28
"""Bytes that are held for one owner."""

SMALLEST = 2**11
"""Bytes that each frame counts at least."""

HOLD_ALL = 2**30
"""Bytes that are held in all."""


class FrameCache:
    """The frames of each owner by their digest, those used longest ago forgotten first.

    An owner's digest stands for what this owner has sent: nobody gets the frames of another.

    Parameters
    ----------
    max_each, max_all : int
        Bytes that are held for one owner, and in all.
    """

    def __init__(self, max_each: int = HOLD_EACH, max_all: int = HOLD_ALL) -> None:
        self._max_each, self._max_all = max_each, max_all
        self._frames: OrderedDict[tuple[str, str], Frame] = OrderedDict()
        self._of: dict[str, OrderedDict[str, None]] = {}  # each owner's digests, in that order too
        self._bytes: Counter[str] = Counter()  # of each owner
        self._awaited: dict[str, Client] = {}

    def complete(
        self, client: Client, job: str, frames: tuple[Frame, ...]
    ) -> tuple[Frame, ...] | None:
        """Replace digests by the held frames, and hold the frames that have arrived.

        Returns
        -------
        tuple of Frame or None
            None if one is not held: the job is then awaited again, with its pixels.
        """
        found = tuple(self._find(client.owner, frame) for frame in frames)
        if any(frame.encoding == "held" for frame in found):
            self._await(client, job)
            return None
        self._awaited.pop(job, None)
        for frame in found:
            if frame.digest and client.owner:
                self._hold(client.owner, frame)
        return found

    def __len__(self) -> int:
        """Return how many frames are held."""
        return len(self._frames)

    def awaits(self, client: Client) -> list[str]:
        """Return the jobs that a client was asked to send again."""
        return [job for job, whose in self._awaited.items() if whose == client]

    def give_up(self, client: Client, job: str) -> bool:
        """Stop awaiting a job; return whether it was awaited."""
        if self._awaited.get(job) != client:
            return False
        del self._awaited[job]
        return True

    def forget(self, client: Client) -> None:
        """Stop awaiting the jobs of a client that has gone; keep its owner's frames."""
        for job in self.awaits(client):
            del self._awaited[job]

    def drop(self, owner: str) -> None:
        """Drop the frames of an owner whose access was revoked."""
        for digest in list(self._of.get(owner, ())):
            self._remove(owner, digest)

    def _find(self, owner: str, frame: Frame) -> Frame:
        known = self._frames.get((owner, frame.digest)) if frame.encoding == "held" else None
        if known is None or not known.is_like(frame):
            return frame
        self._touch(owner, frame.digest)
        return replace(known, name=frame.name, box=frame.box)

    def _await(self, client: Client, job: str) -> None:
        for oldest in self.awaits(client)[: 1 - MAX_JOBS]:
            del self._awaited[oldest]
        self._awaited[job] = client

    def _hold(self, owner: str, frame: Frame) -> None:
        if _bytes(frame) > self._max_each:
            return
        self._remove(owner, frame.digest)
        self._frames[owner, frame.digest] = frame
        self._of.setdefault(owner, OrderedDict())[frame.digest] = None
        self._bytes[owner] += _bytes(frame)
        while self._bytes[owner] > self._max_each:
            self._remove(owner, next(iter(self._of[owner])))
        while self._bytes.total() > self._max_all:
            self._remove(*next(iter(self._frames)))

    def _touch(self, owner: str, digest: str) -> None:
        self._frames.move_to_end((owner, digest))
        self._of[owner].move_to_end(digest)

    def _remove(self, owner: str, digest: str) -> None:
        frame = self._frames.pop((owner, digest), None)
        if frame is None:
            return
        self._bytes[owner] -= _bytes(frame)
        del self._of[owner][digest]
        if not self._of[owner]:
            del self._of[owner], self._bytes[owner]


def _bytes(frame: Frame) -> int:
    """Return the bytes that a frame counts: small ones need memory for the object, too."""
    return max(SMALLEST, memoryview(frame.data).nbytes)
