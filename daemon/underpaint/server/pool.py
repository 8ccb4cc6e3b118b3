"""The pool of workers: starts them, gives them jobs, watches them, and replaces those that fail.

A worker is known by four methods alone (`Worker`). Where and how it runs is its own matter: as a
process of this machine (`workers`), or as anything else that keeps to the protocol.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from underpaint_client import messages, wire
from underpaint_client.errors import UnderpaintError

from .watchdog import AwakeClock, Watchdog, WatchdogLimits

if TYPE_CHECKING:
    from underpaint_client.frames import Bytes, Frame

    OnMessage = Callable[[list[Bytes]], None]

log = logging.getLogger(__name__)

CANCEL_PATIENCE = 30.0
"""Seconds after which a worker that does not cancel its job is stopped: loading or a driver may
hang."""

MAX_FAILED_STARTS = 3
"""A worker that ends more often than this without having ended a job is not started again."""

TRY_AGAIN = 20.0
"""Seconds after which one that was given up is started again, when there is a job for it."""

JobMessage = (
    messages.Progress | messages.Preview | messages.Picture | messages.Done | messages.Failed
)
"""What a worker says about the job that it runs."""


class Worker(Protocol):
    """One worker, over all its restarts, as the pool knows it."""

    def start(self, on_message: OnMessage) -> int:
        """Start the worker, anew where it ran before.

        Parameters
        ----------
        on_message : callable
            Is to be given the parts of each message of the worker; no parts are a sign of life.

        Returns
        -------
        int
            Its process id, to be shown to people.

        Raises
        ------
        OSError, UnderpaintError
            It cannot be started now.
        """
        ...

    def send(self, parts: list[Bytes]) -> None:
        """Send the worker a message; where it has gone, `watch` will say so."""
        ...

    def watch(self) -> str | None:
        """Do what is due, and return how the worker ended, as a clause.

        Returns
        -------
        str or None
            None while it runs.
        """
        ...

    def stop(self, why: str = "") -> None:
        """End the worker at once; `why` is what `watch` returns then."""
        ...


class Listener(Protocol):
    """Handles what happens to the jobs that workers run. Workers are numbered."""

    def on_message(self, worker: int, message: JobMessage, parts: list[Bytes]) -> None:
        """Take what a worker says about a job; `parts` is the message as it travels."""
        ...

    def on_death(self, worker: int, end: str) -> None:
        """Handle the death of a worker that ran a job; `end` is what `Worker.watch` returned."""
        ...

    def on_delay(self, worker: int, notice: str) -> None:
        """Handle a job that takes longer than expected; `notice` is for its client."""
        ...


@dataclass
class _Slot:
    """A worker and what the pool knows of it.

    Parameters
    ----------
    number : int
        0, 1, ...: which worker it is.
    device : str
        Where it computes, as asked for, and as it is once it is ready.
    worker : Worker
    watchdog : Watchdog
    state : str
        starting, idle, busy or broken.
    pid : int
        The process id; 0 where it does not run.
    model : str
        The model that it has loaded.
    failed_starts : int
        How often it ended without a job since it was ready last.
    given_up : float
        When it was left broken, by the pool's clock.
    cancelled : float or None
        When it was told to cancel the job that it runs.
    stopped : bool
        Whether it was stopped, and its end is not seen yet.
    """

    number: int
    device: str
    worker: Worker
    watchdog: Watchdog
    state: str = "starting"
    pid: int = 0
    model: str = ""
    failed_starts: int = 0
    given_up: float = 0.0
    cancelled: float | None = None
    stopped: bool = False


class Pool:
    """See the module.

    Parameters
    ----------
    workers : sequence of (str, Worker)
        Each with the device that it is asked to compute on.
    listener : Listener
    clock : callable
        Returns seconds.
    limits : WatchdogLimits, optional
    """

    def __init__(
        self,
        workers: Sequence[tuple[str, Worker]],
        listener: Listener,
        clock: Callable[[], float] = time.monotonic,
        limits: WatchdogLimits | None = None,
    ) -> None:
        limits = limits or WatchdogLimits()
        self._slots = [
            _Slot(number, device, worker, Watchdog(limits))
            for number, (device, worker) in enumerate(workers)
        ]
        self._listener = listener
        self._clock = clock
        self._awake = AwakeClock(clock)

    def start(self) -> None:
        """Start all workers.

        Raises
        ------
        OSError, UnderpaintError
            One of them cannot be started.
        """
        for slot in self._slots:
            self._start(slot)

    def stop(self) -> None:
        """End all workers at once."""
        for slot in self._slots:
            slot.worker.stop()

    # ---- jobs ------------------------------------------------------------------------------

    @property
    def is_starting(self) -> bool:
        """Whether a worker is not ready yet."""
        return any(slot.state == "starting" for slot in self._slots)

    @property
    def is_broken(self) -> bool:
        """Whether no worker stays alive."""
        return all(slot.state == "broken" for slot in self._slots)

    def idle(self) -> list[int]:
        """Return the workers that are ready and have no job."""
        return [slot.number for slot in self._slots if slot.state == "idle" and not slot.stopped]

    def run(self, worker: int, order: messages.Run, frames: tuple[Frame, ...]) -> None:
        """Send a job to an idle worker.

        Parameters
        ----------
        worker : int
        order, frames
            The message.
        """
        slot = self._slots[worker]
        slot.state, slot.cancelled = "busy", None
        slot.watchdog.begin(self._awake.now, order.request.sampling.model)
        slot.worker.send(wire.encode(order, frames))

    def cancel(self, worker: int, job: str) -> None:
        """Make a worker cancel the job that it runs; replace a worker that does not."""
        slot = self._slots[worker]
        if slot.cancelled is None:
            slot.cancelled = self._clock()
            slot.worker.send(wire.encode(messages.Cancel(job)))

    def go_on(self, worker: int, job: str) -> None:
        """Let a worker paint the next picture of the job that it runs."""
        self.note_pause(worker)
        self._slots[worker].worker.send(wire.encode(messages.GoOn(job)))

    def note_pause(self, worker: int) -> None:
        """Note that a worker waits for `go_on`, and does not hang."""
        self._slots[worker].watchdog.advance(self._awake.now)

    def status(self) -> tuple[messages.WorkerStatus, ...]:
        """Describe all workers."""
        return tuple(
            messages.WorkerStatus(slot.pid, slot.state, slot.device, slot.model)
            for slot in self._slots
        )

    # ---- messages --------------------------------------------------------------------------

    def _on_message(self, slot: _Slot, parts: list[Bytes]) -> None:
        if slot.state == "broken":
            return  # the last words of one that was given up
        slot.watchdog.note_message(self._awake.now)
        if not parts:
            return
        try:
            self._handle(slot, parts)
        except Exception:
            log.exception(
                "worker %d sent a message that cannot be read; it is replaced", slot.number
            )
            self._stop(slot)  # `watch` sees its end and starts another

    def _handle(self, slot: _Slot, parts: list[Bytes]) -> None:
        message, _ = wire.decode(parts)
        if isinstance(message, messages.WorkerReady):
            slot.state, slot.device, slot.failed_starts = "idle", message.device, 0
            slot.watchdog.starting = False
            log.info("worker %d is ready on %s", slot.number, message.device)
        elif isinstance(message, messages.WorkerModel):
            slot.model = message.model
        elif isinstance(message, messages.WorkerPlan):
            slot.watchdog.plan(message.pixels)
        elif isinstance(message, JobMessage):
            if isinstance(message, messages.Progress):
                slot.watchdog.advance(self._awake.now, message.phase, message.together)
            else:
                slot.watchdog.advance(self._awake.now)
            # Where that fails, the job goes on elsewhere.
            self._listener.on_message(slot.number, message, parts)
            if isinstance(message, messages.Done | messages.Failed):
                slot.state, slot.cancelled = "idle", None
                slot.watchdog.end(self._awake.now)

    # ---- supervision -----------------------------------------------------------------------

    def watch(self) -> None:
        """Replace workers that ended, and end those that hang; to be called several times a second.

        A job whose worker died is told to the listener, before the worker is started again.
        """
        self._awake.tick()
        for slot in self._slots:
            if slot.state == "broken":
                continue
            if not slot.stopped:
                self._check(slot)
            end = slot.worker.watch()
            if end is not None:
                self._replace(slot, end)

    def _check(self, slot: _Slot) -> None:
        """Stop a worker that hangs, and tell of a job that takes long."""
        if slot.cancelled is not None and self._clock() - slot.cancelled > CANCEL_PATIENCE:
            log.warning("worker %d does not stop; it is replaced", slot.number)
            self._stop(slot)
            return
        now = self._awake.now
        why = slot.watchdog.why_ended(now)
        if why:
            self._stop(slot, why)
        elif slot.state == "busy":
            notice = slot.watchdog.delay_notice(now)
            if notice:
                log.warning("worker %d: %s", slot.number, notice)
                self._listener.on_delay(slot.number, notice)

    def _stop(self, slot: _Slot, why: str = "") -> None:
        slot.stopped = True
        slot.worker.stop(why)

    def _replace(self, slot: _Slot, end: str) -> None:
        log.error("worker %d: %s", slot.number, end)
        if slot.state == "busy":
            self._listener.on_death(slot.number, end)
        else:
            slot.failed_starts += 1
        if slot.failed_starts <= MAX_FAILED_STARTS:
            self._try_start(slot)
        else:
            self._give_up(slot)
            log.error("worker %d does not stay alive; it is not started again", slot.number)

    def may_start_again(self) -> bool:
        """Return whether a worker was given up long enough ago to be started again."""
        return any(self._is_due(slot) for slot in self._slots)

    def _is_due(self, slot: _Slot) -> bool:
        return slot.state == "broken" and self._clock() - slot.given_up > TRY_AGAIN

    def start_again(self) -> None:
        """Start those again that were given up a while ago: what kept them from it may have gone.

        To be called when there is a job for them.
        """
        for slot in self._slots:
            if self._is_due(slot):
                self._try_start(slot)

    def _start(self, slot: _Slot) -> None:
        slot.watchdog.start(self._awake.now)
        slot.state, slot.model, slot.cancelled, slot.stopped = "starting", "", None, False
        slot.pid = slot.worker.start(functools.partial(self._on_message, slot))

    def _try_start(self, slot: _Slot) -> None:
        try:
            self._start(slot)
        except (OSError, UnderpaintError) as error:  # no memory, no space: that may pass
            log.error("worker %d cannot be started: %s", slot.number, error)  # noqa: TRY400
            self._give_up(slot)

    def _give_up(self, slot: _Slot) -> None:
        slot.worker.stop()
        slot.state, slot.pid, slot.given_up = "broken", 0, self._clock()
