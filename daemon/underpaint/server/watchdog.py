"""Finds workers that make no progress: stopped processes, and engines that hang in a driver.

A worker's process sends a message every few seconds, whatever its engine does. The engine reports
its phases and steps. How long each takes is measured; where one takes many times longer, the worker
hangs. What a larger job may take follows from the size that the model works at, and has limits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from underpaint_client.sentences import NO_TEXT, Sentence, as_sentence, sentence

HEARTBEAT = 2.0
"""Seconds between two signs of life of a worker's process."""

MAX_TICK = 1.0
"""Seconds that pass at most between two looks at the clock."""

_BEGINNING = "Beginning"

_NEVER_MEASURED = (_BEGINNING, "Loading the model")
"""Phases that read from the disk, which may be a hundred times slower than it was before."""


class AwakeClock:
    """Seconds, counted only while the daemon is awake.

    A machine that slept, or a daemon that was stopped, has not waited for anybody.

    Parameters
    ----------
    clock : callable
        Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looked = clock()
        self.now = 0.0

    def tick(self) -> None:
        """Look at the clock; to be called about every `MAX_TICK`."""
        now = self._clock()
        self.now += min(now - self._looked, MAX_TICK)
        self._looked = now


@dataclass(frozen=True)
class WatchdogLimits:
    """How long a worker may take before its client is told, and before it is ended.

    Parameters
    ----------
    silence : float
        Seconds without a sign of life after which a process is ended.
    silence_at_start : float
        The same while it starts: importing PyTorch from a slow disk may keep it from answering.
    start : float
        Seconds that it may take to become ready. PyTorch with its GPU libraries is about 5 GB; a
        network disk that delivers 5 MB a second takes 17 minutes for them.
    factor : float
        How many times as long as ever measured a phase may go without progress, before the worker
        is ended.
    growth : float
        How many times as long as a measured job a larger one is expected to take, at most. The
        pixel budget keeps sizes of one model within a factor of 4, and attention's time within 16;
        a size that the artist asked for may exceed it.
    least : float
        Seconds that any phase may go without progress.
    most : float
        Seconds that no phase may exceed, whatever was measured: at 2 hours a step, 20 steps would
        take almost two days.
    unmeasured : float
        The same where nothing was measured yet: a large model's first step on a CPU takes minutes.
    tell_after : float
        Seconds without progress after which the client is told, and three times the longest
        measured; a tenth of `unmeasured` where nothing was.
    between_notices : float
        Seconds between two times that it is told.
    """

    silence: float = 60.0
    silence_at_start: float = 300.0
    start: float = 1800.0
    factor: float = 10.0
    growth: float = 64.0
    least: float = 120.0
    most: float = 7200.0
    unmeasured: float = 1800.0
    tell_after: float = 30.0
    between_notices: float = 10.0


@dataclass(frozen=True)
class Work:
    """What the model works on at once.

    Parameters
    ----------
    pixels : int
        Of each image, at the size that the model works at; 0 where that is not known.
    together : int
        How many images.
    """

    pixels: int = 0
    together: int = 1

    def growth_since(self, measured: Work) -> float:
        """Return how many times as long this takes as what was measured; never below 1.

        The time grows with the square of the pixels, as attention does, and with the images.
        """
        known = self.pixels and measured.pixels
        pixels = max(1.0, self.pixels / measured.pixels) if known else 1.0
        return pixels**2 * max(1.0, self.together / measured.together)


@dataclass
class Watchdog:
    """Watches one worker, over all its restarts. All times are an `AwakeClock`'s.

    Parameters
    ----------
    limits : WatchdogLimits
    last_message : float
        When its process last sent a message.
    last_progress : float
        When its engine last advanced.
    started : float
        When its process was started.
    phase : str
        What the engine does, as `messages.Progress` says; empty while it has no job.
    model : str
        What its job asks for.
    work : Work
        What the model works on in this phase.
    longest : float
        The longest time without progress in this phase until now, in seconds.
    measured : dict of (str, str) to (float, Work)
        By model and phase, of phases that were seen to their end: the longest time without
        progress, in seconds, and what the model worked on.
    """

    limits: WatchdogLimits = field(default_factory=WatchdogLimits)
    last_message: float = 0.0
    last_progress: float = 0.0
    started: float = 0.0
    phase: str = ""
    model: str = ""
    work: Work = Work()
    longest: float = 0.0
    last_notice: float = 0.0
    starting: bool = True
    measured: dict[tuple[str, str], tuple[float, Work]] = field(default_factory=dict)
    _pixels: int = 0

    def start(self, now: float) -> None:
        """Note that a new process was started."""
        self.last_message = self.last_progress = self.started = now
        self.phase, self.longest, self.starting = "", 0.0, True

    def note_message(self, now: float) -> None:
        """Note a sign of life."""
        self.last_message = now

    def begin(self, now: float, model: str) -> None:
        """Note that the worker was given a job."""
        self.last_progress = self.last_notice = now
        self.phase, self.model, self.longest = _BEGINNING, model, 0.0
        self.work, self._pixels = Work(), 0

    def plan(self, pixels: int) -> None:
        """Note the size at which the model works from the next phase or step on."""
        self._pixels = pixels

    def advance(self, now: float, phase: str = "", together: int = 1) -> None:
        """Note progress, and measure how long it took.

        Parameters
        ----------
        now : float
        phase : str
            What the engine does from now on; empty where it goes on as before.
        together : int
            On how many images at once, where there is a phase.
        """
        self.longest = max(self.longest, now - self.last_progress)
        self.last_progress = self.last_notice = now
        work = Work(self._pixels, together)
        if phase and (phase, work) != (self.phase, self.work):
            self._measure()
            self.phase, self.work = phase, work

    def end(self, now: float) -> None:
        """Note that the job has ended."""
        self.advance(now)
        self._measure()
        self.phase = ""

    def _measure(self) -> None:
        if self.phase in _NEVER_MEASURED:
            return
        key = (self.model, self.phase)
        known = self.measured.get(key)
        if known is None or self.longest > known[0]:
            self.measured[key] = self.longest, self.work
        self.longest = 0.0

    def _expected(self) -> float | None:
        """Return the longest that the phase should go without progress; None if not measured."""
        known = self.measured.get((self.model, self.phase))
        if known is None:
            return None
        seconds, work = known
        return seconds * min(self.work.growth_since(work), self.limits.growth)

    def patience(self) -> float:
        """Return the seconds for which the engine may go on without progress."""
        expected = self._expected()
        if expected is None:
            return self.limits.unmeasured
        return min(max(self.limits.least, self.limits.factor * expected), self.limits.most)

    def _silence(self) -> float:
        return self.limits.silence_at_start if self.starting else self.limits.silence

    def why_ended(self, now: float) -> Sentence:
        """Return why the worker is to be ended, as a clause; nothing where it is well."""
        silent, quiet = now - self.last_message, now - self.last_progress
        if silent > self._silence():
            return sentence(
                "the worker gave no sign of life for {seconds:.0f} seconds and was ended",
                seconds=silent,
            )
        if self.starting and now - self.started > self.limits.start:
            return sentence(
                "the worker was not ready after {seconds:.0f} seconds and was ended",
                seconds=now - self.started,
            )
        if self.phase and quiet > self.patience():
            return sentence(
                "the worker did not advance for {seconds:.0f} seconds and was ended", seconds=quiet
            )
        return NO_TEXT

    def delay_notice(self, now: float) -> Sentence:
        """Return what the job's client should know meanwhile; nothing where all is well."""
        silent, quiet = now - self.last_message, now - self.last_progress
        expected = self._expected()
        if expected is None:
            due = self.limits.unmeasured / 10
        else:
            due = min(max(self.limits.tell_after, 3 * expected), self.patience() / 2)
        is_silent = silent > self.limits.silence / 3
        if not self.phase or not (quiet > due or is_silent):
            return NO_TEXT
        if now - self.last_notice < self.limits.between_notices:
            return NO_TEXT
        self.last_notice = now
        left = self.limits.silence - silent if is_silent else self.patience() - quiet
        return sentence(
            "{phase}: no progress for {seconds:.0f} seconds. After {more:.0f} more the worker is"
            " started again",
            phase=as_sentence(self.phase),
            seconds=quiet,
            more=max(left, 0),
        )
