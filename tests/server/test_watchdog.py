"""A worker that hangs is noticed, told of and ended; one that is slow is not."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from daemons import until
from limited import limited_daemon
from underpaint.server.watchdog import AwakeClock, Watchdog, WatchdogLimits, Work
from underpaint_client import Connection, connect, messages
from underpaint_client.request import Request

MODEL = "sd"
LIMITS = WatchdogLimits()


NATIVE = Work(512 * 512)


def running(*, step: float, work: Work = NATIVE) -> tuple[Watchdog, float]:
    """Return one whose steps took so long in an earlier job, in the middle of one, and the time."""
    watched = Watchdog()
    watched.start(0)
    watched.starting = False
    watched.begin(0, MODEL)
    watched.advance(0.5, "Loading the model")
    watched.plan(work.pixels)
    watched.advance(1, "Denoising", work.together)
    watched.advance(1 + step, "Denoising", work.together)
    watched.advance(1 + step)  # a preview
    watched.end(1 + step)
    begin(watched, 1 + step, work)
    return watched, 1 + step


def begin(watched: Watchdog, now: float, work: Work) -> None:
    """Begin another job, and its first step."""
    watched.begin(now, MODEL)
    watched.plan(work.pixels)
    watched.advance(now, "Denoising", work.together)


def alive(watched: Watchdog, now: float) -> tuple[str, str]:
    watched.note_message(now)
    return watched.why_ended(now), watched.delay_notice(now)


def test_a_silent_process_is_ended() -> None:
    watched, now = running(step=1)
    watched.note_message(now)
    assert not watched.why_ended(now + LIMITS.silence)
    assert "no sign of life for 61 seconds" in watched.why_ended(now + LIMITS.silence + 1)
    watched.end(now)  # without a job, too
    assert watched.why_ended(now + LIMITS.silence + 1)


def test_a_process_that_starts_is_given_more_time() -> None:
    watched = Watchdog()
    watched.start(5)
    assert not watched.why_ended(5 + LIMITS.silence_at_start)
    assert watched.why_ended(5 + LIMITS.silence_at_start + 1)


@pytest.mark.parametrize("step", [0.1, 30.0, 500.0])
def test_an_engine_may_take_ten_times_as_long_as_ever(step: float) -> None:
    watched, now = running(step=step)
    patience = max(LIMITS.least, 10 * step)
    assert alive(watched, now + patience - 1)[0] == ""
    assert "did not advance" in alive(watched, now + patience + 1)[0]


def test_a_larger_job_is_given_more_time() -> None:
    watched, now = running(step=30)
    watched.end(now)
    begin(watched, now, Work(4 * NATIVE.pixels))
    assert not alive(watched, now + 16 * 299)[0]
    assert alive(watched, now + 16 * 301)[0]


@pytest.mark.parametrize(
    ("step", "measured", "work", "patience"),
    [
        (30, NATIVE, NATIVE, 300),
        (30, NATIVE, Work(2 * NATIVE.pixels), 1200),  # attention: the square
        (30, NATIVE, Work(NATIVE.pixels, 8), 2400),  # a batch: eight times as much
        (30, Work(NATIVE.pixels, 8), NATIVE, 300),
        (30, Work(4 * NATIVE.pixels), NATIVE, 300),
        (1, NATIVE, Work(100_000_000), 10 * LIMITS.growth),
        (1, Work(1), NATIVE, 10 * LIMITS.growth),
        (1, Work(), NATIVE, LIMITS.least),  # nothing is known of the size
        (1, NATIVE, Work(), LIMITS.least),
        (30, NATIVE, Work(100_000_000, 64), LIMITS.most),
        (600, NATIVE, Work(4 * NATIVE.pixels), LIMITS.most),
        (5000, NATIVE, NATIVE, LIMITS.most),
    ],
)
def test_patience_follows_from_what_the_model_works_on_and_is_bounded(
    step: float, measured: Work, work: Work, patience: float
) -> None:
    watched, now = running(step=step, work=measured)
    watched.end(now)
    begin(watched, now, work)
    assert watched.patience() == pytest.approx(patience)
    assert alive(watched, now + patience / 2 + 1)[1]  # its client knows long before
    assert not alive(watched, now + patience - 1)[0]
    assert "did not advance" in alive(watched, now + patience + 1)[0]


def test_each_size_of_one_job_is_measured_by_itself() -> None:
    """A batch that did not fit into memory goes on with fewer images at once."""
    watched, now = running(step=1, work=Work(NATIVE.pixels, 8))
    watched.advance(now + 40, "Denoising", 8)
    watched.advance(now + 40, "Denoising", 1)
    watched.advance(now + 45, "Denoising", 1)
    watched.end(now + 45)
    begin(watched, now + 45, Work(NATIVE.pixels, 8))
    assert watched.patience() == pytest.approx(10 * 40)


@pytest.mark.parametrize("is_silent", [False, True])
def test_a_worker_that_never_becomes_ready_is_ended(is_silent: bool) -> None:
    watched = Watchdog()
    watched.start(5)
    limit = LIMITS.silence_at_start if is_silent else LIMITS.start
    why = "gave no sign of life for" if is_silent else "was not ready after 1801 seconds"
    for now in (5 + limit - 1, 5 + limit + 1):
        if not is_silent:
            watched.note_message(now)
        assert (why in watched.why_ended(now)) == (now > 5 + limit)


def test_a_worker_that_was_ready_in_time_is_not_measured_by_its_start() -> None:
    watched = Watchdog()
    watched.start(5)
    watched.starting = False
    assert alive(watched, 5 + 2 * LIMITS.start) == ("", "")
    watched.start(10_000)
    assert alive(watched, 10_000 + LIMITS.start - 1) == ("", "")


@pytest.mark.parametrize(
    ("model", "phase"),
    [("another", "Denoising"), (MODEL, "Encoding"), (MODEL, "Loading the model")],
)
def test_what_was_never_measured_is_given_much_time(model: str, phase: str) -> None:
    watched, now = running(step=1)
    watched.end(now)
    watched.begin(now, model)
    watched.advance(now, phase)
    watched.advance(now, phase)  # a phase that goes on was not measured yet
    assert not alive(watched, now + LIMITS.unmeasured - 1)[0]
    assert alive(watched, now + LIMITS.unmeasured + 1)[0]


def test_the_client_is_told_before_and_not_too_often() -> None:
    watched, now = running(step=1)
    assert alive(watched, now + 29)[1] == ""
    assert alive(watched, now + 31)[1].startswith("Denoising: no progress for 31 seconds. After 89")
    assert alive(watched, now + 35)[1] == ""
    assert alive(watched, now + 42)[1]
    slow, now = running(step=20)
    assert alive(slow, now + 59)[1] == ""
    assert "After 139 more the worker is started again" in alive(slow, now + 61)[1]


def test_a_worker_without_a_job_waits_for_ever() -> None:
    watched, now = running(step=1)
    watched.end(now)
    assert alive(watched, now + 10 * LIMITS.unmeasured) == ("", "")


def test_who_was_asleep_has_not_waited() -> None:
    now = 100.0
    clock = AwakeClock(lambda: now)
    now += 0.25
    clock.tick()
    assert clock.now == pytest.approx(0.25)
    now += 10_000
    clock.tick()
    assert clock.now == pytest.approx(1.25)


IMPATIENT = """
from underpaint.server.config import Config
from underpaint.server.daemon import serve
from underpaint.server.watchdog import WatchdogLimits
limits = WatchdogLimits(
    silence=6.0, least=3.0, unmeasured=10.0, tell_after=1.0, between_notices=0.5
)
serve(Config(devices=("cpu",)), limits, ({python!r}, "-P", {worker!r}))
"""

HANGING_WORKER = """
import ctypes, os, signal, threading
from dataclasses import dataclass
from pathlib import Path
from underpaint.server import worker

@dataclass
class Progress:
    phase: str

class Engine:
    device, model_name = "cpu", ""

    def __init__(self, device):
        pass

    def load(self):
        pass

    def generate(self, request, *_, progress, **__):
        progress(Progress("Denoising"))
        how, times = request.prompt.positive.rsplit(" for ", 1)
        tried = Path(os.environ["UNDERPAINT_HOME"], how)
        tries = len(tried.read_text()) if tried.exists() else 0
        if tries < int(times):
            tried.write_text("x" * (tries + 1))
            if how == "waits":
                threading.Event().wait()
            elif how == "keeps the interpreter":
                ctypes.PyDLL(None).pause()
            else:
                os.kill(os.getpid(), signal.SIGSTOP)
        return []

worker.main(Engine)
"""
"""A real worker process whose engine hangs, as many times as its prompt says."""


@pytest.fixture
def impatient(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A connection to a daemon that soon takes its worker for one that hangs."""
    monkeypatch.setenv("UNDERPAINT_MODEL", "none")
    worker = home / "hanging_worker.py"
    worker.write_text(HANGING_WORKER)
    program = IMPATIENT.format(python=sys.executable, worker=str(worker))
    with limited_daemon(program=program), connect() as connection:
        until(lambda: connection.status().workers[0].state == "idle")
        yield connection


def watch(connection: Connection, prompt: str) -> tuple[list[str], messages.Message]:
    """Return the phases of a job as its client is told them, and how it ended."""
    told = [
        message for message, _ in connection.events(connection.submit(Request.of(prompt=prompt)))
    ]
    return [one.phase for one in told if isinstance(one, messages.Progress)], told[-1]


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("waits", "did not advance for"),
        ("keeps the interpreter", "gave no sign of life for"),
        ("is stopped", "gave no sign of life for"),
    ],
)
def test_a_worker_that_hangs_is_told_of_ended_and_its_job_tried_again(
    impatient: Connection, how: str, why: str
) -> None:
    hanging = impatient.status().workers[0].pid
    phases, end = watch(impatient, f"{how} for 1")
    assert isinstance(end, messages.Done)
    late = next(n for n, phase in enumerate(phases) if "no progress for" in phase)
    again = next(n for n, phase in enumerate(phases) if "Starting again" in phase)
    assert late < again
    assert why in phases[again]
    assert phases[-1] == "Denoising"
    assert impatient.status().workers[0].pid != hanging
    assert not psutil.pid_exists(hanging)
    _, end = watch(impatient, f"{how} for 0")  # the new one goes on
    assert isinstance(end, messages.Done)


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_job_whose_worker_hangs_twice_ends_with_a_reason(impatient: Connection) -> None:
    _, end = watch(impatient, "waits for 2")
    assert isinstance(end, messages.Failed)
    assert "did not advance for" in end.message
    assert "the job is not tried again" in end.message
    _, end = watch(impatient, "waits for 2")
    assert isinstance(end, messages.Done)


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_worker_that_is_stopped_without_a_job_is_replaced(impatient: Connection) -> None:
    idle = impatient.status().workers[0].pid
    os.kill(idle, signal.SIGSTOP)
    until(lambda: impatient.status().workers[0].pid != idle)
    _, end = watch(impatient, "waits for 0")
    assert isinstance(end, messages.Done)
