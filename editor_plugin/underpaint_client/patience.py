"""How long a daemon may be silent before it counts as gone. Pure: the caller has the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import messages

if TYPE_CHECKING:
    from .frames import Frame
    from .messages import Message

PATIENCE = 10.0
"""Seconds of silence after which the daemon counts as gone."""

LONGEST_PATIENCE = 600.0
"""Seconds that `Silence.wait_longer` stops at."""

SLOWEST = 500_000
"""Bytes a second of the slowest connection that is waited for."""


def seconds_to_send(frames: tuple[Frame, ...]) -> float:
    """Return the seconds that the slowest connection may take for pixels."""
    return sum(memoryview(frame.data).nbytes for frame in frames) / SLOWEST


class Silence:
    """How long a daemon has been silent, and how long it may be.

    Pixels may keep a slow connection busy: those of a layer until its job is accepted, and then
    those of one result of the same size at a time, until the job ends. Of any other large message
    the daemon says the size beforehand.

    Parameters
    ----------
    now : float
        Seconds of a monotonic clock, as everywhere here.
    slow : bool
        Whether sending pixels may take long at all.
    shortest : float, optional
        Seconds of silence that are always tolerated; `PATIENCE` without it.
    """

    def __init__(self, now: float, *, slow: bool, shortest: float | None = None) -> None:
        self._slow = slow
        self._shortest = PATIENCE if shortest is None else shortest
        self._since = now
        self._factor = 1
        self._going: dict[str, float] = {}  # seconds by job, until it is accepted
        self._coming: dict[str, float] = {}  # until it has ended
        self._announced = 0.0  # seconds for the next message

    @property
    def patience(self) -> float:
        """Seconds of silence after which the daemon counts as gone, now."""
        # Of what was sent, all is on its way; of results, one at a time.
        coming = max(self._coming.values(), default=0.0)
        pixels = sum(self._going.values()) + max(coming, self._announced)
        patience = self._shortest + pixels
        return max(patience, min(self._factor * patience, LONGEST_PATIENCE))

    @property
    def since(self) -> float:
        """When the last message arrived, or when the daemon was first asked for one."""
        return self._since

    def begin(self, now: float) -> None:
        """Count from now on: nothing was asked of the daemon before."""
        self._since = now

    def sent(self, message: Message, frames: tuple[Frame, ...]) -> None:
        """Note what was sent."""
        if self._slow and isinstance(message, messages.Submit):
            self._going[message.job] = self._coming[message.job] = seconds_to_send(frames)

    def received(self, message: Message, now: float) -> None:
        """Note that a message has arrived."""
        self._since = now
        self._announced = 0.0
        if isinstance(message, messages.Incoming):
            self._announced = message.bytes / SLOWEST
        job = getattr(message, "job", "")
        if job:
            self._going.pop(job, None)
        if isinstance(message, messages.Picture):
            self._factor = 1
        if isinstance(message, (messages.Done, messages.Failed)):
            self._coming.pop(job, None)

    def forget(self, job: str) -> None:
        """Expect nothing more of a job."""
        self._going.pop(job, None)
        self._coming.pop(job, None)

    def wait_longer(self) -> None:
        """Double the patience until a picture has arrived: something large may be on its way."""
        if self.patience < LONGEST_PATIENCE:
            self._factor *= 2

    def wait_longer_than(self, earlier: Silence) -> None:
        """Continue for a connection that fell silent, with twice its patience."""
        self._factor = earlier._factor
        self.wait_longer()

    def is_too_long(self, now: float) -> bool:
        """Return whether the daemon counts as gone."""
        return now - self._since > self.patience
