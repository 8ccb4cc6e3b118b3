"""How long a daemon may say nothing before it counts as gone. Pure: whoever calls has the clock."""

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
"""Bytes a second of the slowest line that is waited for."""


def seconds_to_send(frames: tuple[Frame, ...]) -> float:
    """Return how long the slowest line may take for pixels."""
    return sum(memoryview(frame.data).nbytes for frame in frames) / SLOWEST


class Silence:
    """How long nothing was heard of a daemon, and how long that may be.

    Pixels may keep a slow line busy. A layer is on its way until its job is accepted. A result of
    the same size may be, one at a time, until the job ends.

    Parameters
    ----------
    now : float
        Seconds of a clock that only goes forward, as everywhere here.
    slow : bool
        Whether pixels may take long at all.
    """

    def __init__(self, now: float, *, slow: bool) -> None:
        self._slow = slow
        self._since = now
        self._factor = 1
        self._going: dict[str, float] = {}  # seconds by job, until it is accepted
        self._coming: dict[str, float] = {}  # until it has ended

    @property
    def patience(self) -> float:
        """Seconds of silence after which the daemon counts as gone, now."""
        # Of what was sent, all is on its way; of results, one at a time.
        pixels = sum(self._going.values()) + max(self._coming.values(), default=0.0)
        patience = PATIENCE + pixels
        return max(patience, min(self._factor * patience, LONGEST_PATIENCE))

    @property
    def since(self) -> float:
        """When the daemon was heard last, or was first to say something."""
        return self._since

    def begin(self, now: float) -> None:
        """Count from now: nobody was asked anything before."""
        self._since = now

    def sent(self, message: Message, frames: tuple[Frame, ...]) -> None:
        """Note what is sent."""
        if self._slow and isinstance(message, messages.Submit):
            self._going[message.job] = self._coming[message.job] = seconds_to_send(frames)

    def heard(self, message: Message, now: float) -> None:
        """Note what has come."""
        self._since = now
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
        """Double the patience until a picture has come, as something large may be on its way."""
        if self.patience < LONGEST_PATIENCE:
            self._factor *= 2

    def is_too_long(self, now: float) -> bool:
        """Return whether the daemon counts as gone."""
        return now - self._since > self.patience
