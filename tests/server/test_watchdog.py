"""A worker that hangs is noticed, told of and ended; one that is slow is not."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from daemons import until
from limited import limited_daemon
from underpaint.server.watchdog import (
    LEAST_PATIENCE,
    MAX_SILENCE,
    MAX_START,
    UNMEASURED,
    AwakeClock,
    Watchdog,
)
from underpaint_client import connect, messages
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.inputs import InputFrames
from underpaint_client.request import Request

MODEL = "sd"


def running(*, step: float, work: float = 1e6) -> tuple[Watchdog, float]:
    """Return one whose steps took so long in an earlier job, in the middle of one, and the time."""
    watched = Watchdog()
    watched.start(0)
    watched.starting = False
    watched.begin(0, MODEL, work)
    watched.advance(0.5, "Loading the model")
    watched.advance(1, "Denoising")
    watched.advance(1 + step, "Denoising")
    watched.advance(1 + step)  # a preview
    watched.end(1 + step)
    watched.begin(1 + step, MODEL, work)
    watched.advance(1 + step, "Denoising")
    return watched, 1 + step


def alive(watched: Watchdog, now: float) -> tuple[str, str]:
    watched.hear(now)
    return watched.why_ended(now), watched.word(now)


def test_a_silent_process_is_ended() -> None:
    watched, now = running(step=1)
    watched.hear(now)
    assert not watched.why_ended(now + MAX_SILENCE)
    assert "no sign of life for 61 seconds" in watched.why_ended(now + MAX_SILENCE + 1)
    watched.end(now)  # without a job, too
    assert watched.why_ended(now + MAX_SILENCE + 1)


def test_a_process_that_starts_is_given_more_time() -> None:
    watched = Watchdog()
    watched.start(5)
    assert not watched.why_ended(5 + MAX_START)
    assert watched.why_ended(5 + MAX_START + 1)


@pytest.mark.parametrize("step", [0.1, 30.0, 500.0])
def test_an_engine_may_take_ten_times_as_long_as_ever(step: float) -> None:
    watched, now = running(step=step)
    patience = max(LEAST_PATIENCE, 10 * step)
    assert alive(watched, now + patience - 1)[0] == ""
    assert "did not advance" in alive(watched, now + patience + 1)[0]


def test_a_larger_job_is_given_more_time() -> None:
    watched, now = running(step=30)
    watched.end(now)
    watched.begin(now, MODEL, 4e6)
    watched.advance(now, "Denoising")
    assert not alive(watched, now + 16 * 299)[0]
    assert alive(watched, now + 16 * 301)[0]


@pytest.mark.parametrize(
    ("model", "phase"),
    [("another", "Denoising"), (MODEL, "Encoding"), (MODEL, "Loading the model")],
)
def test_what_was_never_measured_is_given_much_time(model: str, phase: str) -> None:
    watched, now = running(step=1)
    watched.end(now)
    watched.begin(now, model, 1e6)
    watched.advance(now, phase)
    watched.advance(now, phase)  # a phase that goes on was not measured yet
    assert not alive(watched, now + UNMEASURED - 1)[0]
    assert alive(watched, now + UNMEASURED + 1)[0]


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
    assert alive(watched, now + 10 * UNMEASURED) == ("", "")


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
from underpaint.server import watchdog
watchdog.MAX_SILENCE, watchdog.LEAST_PATIENCE, watchdog.TELL_AFTER = 6.0, 6.0, 1.0
watchdog.BETWEEN_WORDS = 0.5
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_worker_that_is_stopped_is_replaced_and_its_job_done(home: Path) -> None:
    with limited_daemon("--device", "cpu", before=IMPATIENT), connect() as connection:
        until(lambda: connection.status().workers[0].state == "idle", 120)
        stopped = connection.status().workers[0].pid
        os.kill(stopped, signal.SIGSTOP)
        frame = Frame("layer", Box(0, 0, 8, 8), "u1", "RGBA", bytes(range(256)))
        told: list[messages.Message] = []
        job = connection.submit(Request.of(strength=0.0), InputFrames(frame))
        for message, frames in connection.events(job):
            told.append(message)
            if isinstance(message, messages.Picture):
                assert bytes(frames[0].data) == bytes(frame.data)
        assert isinstance(told[-1], messages.Done)
        phases = [message.phase for message in told if isinstance(message, messages.Progress)]
        late = next(n for n, phase in enumerate(phases) if "no progress for" in phase)
        again = next(n for n, phase in enumerate(phases) if "Starting again" in phase)
        assert late < again
        assert "gave no sign of life" in phases[again]
        idle = connection.status().workers[0].pid
        assert idle != stopped
        os.kill(idle, signal.SIGSTOP)  # without a job
        until(lambda: connection.status().workers[0].pid != idle)
