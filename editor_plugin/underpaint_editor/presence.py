"""Whether the daemon is there, decided from what was received and from the time.

Pure: the caller has the clock, and knows whether there is a connection and a process.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from underpaint_client.patience import PATIENCE, Silence

if TYPE_CHECKING:
    from underpaint_client.frames import Frame
    from underpaint_client.messages import Message

MAX_ABSENCE = 120.0
"""Seconds after which an editor no longer waits for a daemon; its jobs are offered later."""


class Presence(Enum):
    """What is known of the daemon."""

    PRESENT = "present"
    """It is connected, and was heard of lately."""
    ENDED = "ended"
    """Its process is gone, though the connection is still open."""
    SILENT = "silent"
    """It has sent nothing for too long."""
    ABSENT = "absent"
    """There is no connection to it."""


class DaemonPresence:
    """See the module. All times are in seconds of one monotonic clock.

    Parameters
    ----------
    patience : float
        Seconds of silence after which the daemon counts as gone.
    max_absence : float
        Seconds after which its jobs are given up.
    """

    def __init__(self, patience: float = PATIENCE, max_absence: float = MAX_ABSENCE) -> None:
        # Pixels may take long on any connection: which one it is may change on reconnection.
        self._silence = Silence(0.0, slow=True, shortest=patience)
        self._max_absence = max_absence
        self._absent_since: float | None = None

    def begin(self, now: float) -> None:
        """Count silence from now on: nothing was asked of the daemon before."""
        self._silence.begin(now)

    def sent(self, message: Message, frames: tuple[Frame, ...]) -> None:
        """Note what was sent: a slow connection needs time for pixels."""
        self._silence.sent(message, frames)

    def received(self, message: Message, now: float) -> None:
        """Note that a message has arrived."""
        self._silence.received(message, now)
        self._absent_since = None

    def forget(self, job: str) -> None:
        """Expect nothing more of a job."""
        self._silence.forget(job)

    def examine(self, now: float, *, connected: bool, process_lives: bool) -> Presence:
        """Return what is known of the daemon now.

        Parameters
        ----------
        now : float
        connected : bool
        process_lives : bool
            Whether its process runs, as far as that can be seen.
        """
        if not connected:
            if self._absent_since is None:
                self._absent_since = now
            return Presence.ABSENT
        if not process_lives:
            return Presence.ENDED
        if not self._silence.is_too_long(now):
            return Presence.PRESENT
        if self._absent_since is None:
            self._absent_since = self._silence.since
        self._silence.wait_longer()
        return Presence.SILENT

    def seconds_silent(self, now: float) -> float:
        """Return for how long nothing was received."""
        return now - self._silence.since

    def seconds_absent(self, now: float) -> float:
        """Return for how long the daemon has been away; 0 if it is not."""
        return 0.0 if self._absent_since is None else now - self._absent_since

    def is_absent_too_long(self, now: float) -> bool:
        """Return whether the jobs should be given up."""
        return self.seconds_absent(now) > self._max_absence
