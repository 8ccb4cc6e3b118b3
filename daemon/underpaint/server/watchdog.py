"""Finds workers that no longer move: processes that are stopped, engines that hang in a driver.

A worker's process says a word every few seconds, whatever its engine does. The engine reports its
phases and steps. How long each takes is measured; where one takes many times longer, the worker
hangs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

HEARTBEAT = 2.0
"""Seconds between two signs of life of a worker's process."""

MAX_SILENCE = 60.0
"""Seconds without a sign of life after which a process is ended."""

MAX_START = 300.0
"""The same while it starts: importing PyTorch from a slow disk may keep it from answering."""

PATIENCE = 10.0
"""How many times as long as ever measured a phase may go without progress, before the worker is
ended."""

LEAST_PATIENCE = 120.0
"""Seconds that any phase may go without progress."""

UNMEASURED = 1800.0
"""The same where nothing was measured yet: a large model's first step on a CPU takes minutes."""

TELL_AFTER = 30.0
"""Seconds without progress after which the client is told, and three times the longest measured."""

BETWEEN_WORDS = 10.0
"""Seconds between two times that it is told."""

MAX_TICK = 1.0
"""Seconds that pass at most between two looks at the clock."""


class AwakeClock:
    """Seconds, counted only while the daemon is awake.

    A machine that slept, or a daemon that was stopped, has not waited for anybody.
    """

    def __init__(self) -> None:
        self._looked = time.monotonic()
        self.now = 0.0

    def tick(self) -> None:
        """Look at the clock; to be called about every `MAX_TICK`."""
        now = time.monotonic()
        self.now += min(now - self._looked, MAX_TICK)
        self._looked = now


@dataclass
class Watchdog:
    """Watches one worker, over all its restarts. All times are an `AwakeClock`'s.

    Parameters
    ----------
    heard : float
        When its process last said something.
    moved : float
        When its engine last advanced.
    phase : str
        What the engine does, as `wire.Progress` says; empty while it has no job.
    work : float
        The size of its job, in pixels.
    measured : dict of (str, str) to (float, float)
        By model and phase: the longest time without progress, in seconds, and the job's size.
    """

    heard: float = 0.0
    moved: float = 0.0
    phase: str = ""
    work: float = 1.0
    told: float = 0.0
    starting: bool = True
    measured: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def start(self, now: float) -> None:
        """Note that a new process was started."""
        self.heard = self.moved = now
        self.phase, self.starting = "", True

    def hear(self, now: float) -> None:
        """Note a sign of life."""
        self.heard = now

    def begin(self, now: float, work: float) -> None:
        """Note that the worker was given a job."""
        self.moved = self.told = now
        self.phase, self.work = "Beginning", max(1.0, work)

    def advance(self, now: float, model: str, phase: str = "") -> None:
        """Note progress, and measure how long it took.

        Parameters
        ----------
        now : float
        model : str
            What the worker has opened.
        phase : str
            What begins; empty where the last one goes on.
        """
        key, took = (model, self.phase), now - self.moved
        longest, _ = self.measured.get(key, (0.0, 1.0))
        if took >= longest:
            self.measured[key] = (took, self.work)
        self.moved = self.told = now
        self.phase = phase or self.phase

    def end(self, now: float) -> None:
        """Note that the job has ended."""
        self.moved, self.phase = now, ""

    def _expected(self, model: str) -> float | None:
        """Return the longest that the phase should go without progress; None if not measured.

        That grows with the square of the job's size, as attention does.
        """
        known = self.measured.get((model, self.phase))
        return known and known[0] * max(1.0, self.work / known[1]) ** 2

    def patience(self, model: str) -> float:
        """Return the seconds for which the engine may go on without progress."""
        expected = self._expected(model)
        return UNMEASURED if expected is None else max(LEAST_PATIENCE, PATIENCE * expected)

    def why_ended(self, now: float, model: str) -> str:
        """Say why the worker is to be ended, after "the worker"; nothing where it is well."""
        silent, quiet = now - self.heard, now - self.moved
        if silent > (MAX_START if self.starting else MAX_SILENCE):
            return f"gave no sign of life for {silent:.0f} seconds and was ended"
        if self.phase and quiet > self.patience(model):
            return f"did not advance for {quiet:.0f} seconds and was ended"
        return ""

    def word(self, now: float, model: str) -> str:
        """Say what the job's client should know meanwhile; nothing where all is well."""
        silent, quiet = now - self.heard, now - self.moved
        is_late = quiet > max(TELL_AFTER, 3 * (self._expected(model) or 0.0))
        if not self.phase or not (is_late or silent > MAX_SILENCE / 3):
            return ""
        if now - self.told < BETWEEN_WORDS:
            return ""
        self.told = now
        left = min(self.patience(model) - quiet, MAX_SILENCE - silent)
        return (
            f"{self.phase}: no progress for {quiet:.0f} seconds. After {max(left, 0):.0f} more the"
            " worker is started again"
        )
