"""The pool of workers, with workers that are no processes."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from underpaint.server.pool import (
    CANCEL_PATIENCE,
    MAX_FAILED_STARTS,
    TRY_AGAIN,
    JobMessage,
    Pool,
)
from underpaint.server.watchdog import WatchdogLimits
from underpaint_client import messages, wire
from underpaint_client.frames import Bytes
from underpaint_client.request import Request

LIMITS = WatchdogLimits()
ORDER = messages.Run("j", Request.of(prompt="a lake"), allow_paths=True)


@dataclass
class FakeWorker:
    """A worker that is nothing but a record of what the pool does to it."""

    starts: int = 0
    fails_to_start: bool = False
    sent: list[messages.Message] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    end: str | None = None
    on_message: Callable[[list[Bytes]], None] = lambda _: None

    def start(self, on_message: Callable[[list[Bytes]], None]) -> int:
        if self.fails_to_start:
            raise OSError(12, "Cannot allocate memory")
        self.on_message, self.end = on_message, None
        self.starts += 1
        return 1000 + self.starts

    def send(self, parts: list[Bytes]) -> None:
        self.sent.append(wire.decode(parts)[0])

    def watch(self) -> str | None:
        return self.end

    def stop(self, why: str = "") -> None:
        self.stopped.append(why)
        self.end = why or "the worker was killed"

    def send_up(self, message: messages.Message) -> None:
        self.on_message(wire.encode(message))


@dataclass
class Scene:
    """A pool of fake workers, its clock, and what it says about jobs."""

    count: int = 1
    now: float = 1000.0
    received: list[messages.Message] = field(default_factory=list)
    deaths: list[tuple[int, str]] = field(default_factory=list)
    delays: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.workers = [FakeWorker() for _ in range(self.count)]
        devices = [("auto", worker) for worker in self.workers]
        self.pool = Pool(devices, self, clock=lambda: self.now)
        self.pool.start()

    def on_message(self, worker: int, message: JobMessage, parts: list[Bytes]) -> None:
        assert worker < self.count
        assert wire.decode(parts)[0] == message
        self.received.append(message)

    def on_death(self, worker: int, end: str) -> None:
        self.deaths.append((worker, end))

    def on_delay(self, worker: int, notice: str) -> None:
        self.delays.append((worker, notice))

    @property
    def worker(self) -> FakeWorker:
        return self.workers[0]

    @property
    def states(self) -> list[str]:
        return [status.state for status in self.pool.status()]

    def ready(self) -> None:
        for worker in self.workers:
            worker.send_up(messages.WorkerReady(1, "cuda"))

    def run(self, worker: int = 0) -> None:
        self.pool.run(worker, ORDER, ())

    def wait(self, seconds: float, *, alive: bool = True) -> None:
        """Let time pass as it does for the daemon, which looks at its workers meanwhile."""
        end = self.now + seconds
        while self.now < end:
            self.now += 0.5
            if alive:
                self.worker.on_message([])
            self.pool.watch()


def test_a_worker_is_started_given_a_job_and_idle_again() -> None:
    scene = Scene()
    assert scene.pool.is_starting
    assert scene.pool.status() == (messages.WorkerStatus(1001, "starting", "auto", ""),)
    assert scene.pool.idle() == []
    scene.ready()
    scene.worker.send_up(messages.WorkerModel("sd"))
    assert scene.pool.idle() == [0]
    assert scene.pool.status() == (messages.WorkerStatus(1001, "idle", "cuda", "sd"),)
    scene.run()
    assert scene.states == ["busy"]
    assert scene.worker.sent == [ORDER]
    scene.worker.send_up(messages.Progress("j", "Painting"))
    assert scene.pool.idle() == []
    scene.worker.send_up(messages.Done("j"))
    assert scene.received == [messages.Progress("j", "Painting"), messages.Done("j")]
    assert scene.pool.idle() == [0]


def test_only_a_worker_that_runs_a_job_takes_it_along() -> None:
    scene = Scene(2)
    scene.ready()
    scene.run(1)
    for worker in scene.workers:
        worker.end = "the worker ended with exit code 1"
    scene.pool.watch()
    assert scene.deaths == [(1, "the worker ended with exit code 1")]
    assert [worker.starts for worker in scene.workers] == [2, 2]
    assert scene.states == ["starting", "starting"]


def test_a_worker_that_does_not_cancel_is_replaced() -> None:
    scene = Scene()
    scene.ready()
    scene.run()
    scene.pool.cancel(0, "j")
    scene.pool.cancel(0, "j")
    assert scene.worker.sent == [ORDER, messages.Cancel("j")]
    scene.wait(CANCEL_PATIENCE)
    assert scene.worker.stopped == []
    scene.wait(1)
    assert scene.worker.stopped == [""]
    assert scene.deaths == [(0, "the worker was killed")]
    assert scene.worker.starts == 2


@pytest.mark.parametrize("answer", [messages.Done("j"), messages.Failed("j", "cancelled", "")])
def test_a_worker_that_cancels_in_time_stays(answer: messages.Message) -> None:
    scene = Scene()
    scene.ready()
    scene.run()
    scene.pool.cancel(0, "j")
    scene.worker.send_up(answer)
    scene.run()
    scene.wait(CANCEL_PATIENCE + 1)
    assert scene.worker.stopped == []


def test_a_silent_worker_is_replaced_and_its_job_told_first() -> None:
    scene = Scene()
    scene.ready()
    scene.run()
    scene.wait(LIMITS.silence / 2, alive=False)
    assert "no progress for" in scene.delays[0][1]
    scene.wait(LIMITS.silence / 2 + 1, alive=False)
    ((worker, end),) = scene.deaths
    assert worker == 0
    assert "gave no sign of life" in end
    assert scene.worker.starts == 2


def test_a_worker_that_does_not_advance_is_replaced() -> None:
    assert LIMITS.unmeasured > LIMITS.least
    scene = Scene()
    scene.ready()
    scene.run()
    scene.wait(LIMITS.unmeasured + 1)
    ((_, end),) = scene.deaths
    assert "did not advance" in end


@pytest.mark.parametrize(("pixels", "patience"), [(512 * 512, 200.0), (2 * 512 * 512, 800.0)])
def test_the_size_that_a_worker_reports_decides_how_long_it_may_take(
    pixels: int, patience: float
) -> None:
    scene = Scene()
    scene.ready()
    scene.run()
    scene.worker.send_up(messages.WorkerPlan(512 * 512))
    scene.worker.send_up(messages.Progress("j", "Denoising", 0, 2))
    scene.wait(20)
    scene.worker.send_up(messages.Progress("j", "Denoising", 1, 2))
    scene.worker.send_up(messages.Done("j"))
    scene.run()
    scene.worker.send_up(messages.WorkerPlan(pixels))
    scene.worker.send_up(messages.Progress("j", "Denoising", 0, 2))
    scene.wait(patience - 1)
    assert scene.deaths == []
    scene.wait(2)
    ((_, end),) = scene.deaths
    assert "did not advance" in end


def test_a_worker_that_lives_but_never_becomes_ready_is_replaced() -> None:
    scene = Scene()
    scene.wait(LIMITS.start - 1)
    assert scene.worker.starts == 1
    scene.wait(2)
    assert "was not ready after" in scene.worker.stopped[0]
    assert scene.worker.starts == 2
    scene.ready()
    scene.wait(LIMITS.start + 1)
    assert scene.worker.starts == 2


def test_a_worker_that_cannot_be_understood_is_replaced(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene()
    scene.ready()
    scene.run()
    with caplog.at_level(logging.ERROR):
        scene.worker.on_message([b"{"])
    assert "cannot be read" in caplog.text
    assert scene.worker.stopped == [""]
    scene.pool.watch()
    assert scene.deaths == [(0, "the worker was killed")]
    assert scene.worker.starts == 2


def test_an_end_that_is_not_understood_leaves_no_job_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene()
    scene.ready()
    scene.run()

    def fail(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(scene, "on_message", fail)
    scene.worker.send_up(messages.Done("j"))
    scene.pool.watch()
    assert scene.deaths == [(0, "the worker was killed")]


def test_a_worker_that_was_stopped_is_given_no_job() -> None:
    scene = Scene()
    scene.ready()
    scene.worker.on_message([b"{"])
    assert scene.states == ["idle"]
    assert scene.pool.idle() == []


def test_a_worker_that_does_not_stay_alive_is_given_up_and_tried_again_later() -> None:
    scene = Scene()
    for number in range(MAX_FAILED_STARTS + 1):
        assert scene.worker.starts == number + 1
        assert not scene.pool.is_broken
        scene.worker.end = "the worker ended with exit code 1"
        scene.pool.watch()
    assert scene.states == ["broken"]
    assert scene.pool.is_broken
    assert scene.pool.status()[0].pid == 0
    scene.worker.send_up(messages.WorkerReady(1, "cuda"))  # its last words
    assert scene.states == ["broken"]
    scene.now += TRY_AGAIN - 1
    assert not scene.pool.may_start_again()
    scene.pool.start_again()
    assert scene.states == ["broken"]
    scene.now += 2
    assert scene.pool.may_start_again()
    scene.pool.start_again()
    assert scene.states == ["starting"]
    scene.ready()
    assert scene.states == ["idle"]
    scene.worker.end = "the worker ended with exit code 1"
    scene.pool.watch()
    assert scene.states == ["starting"]


def test_a_worker_that_cannot_be_started_is_tried_again_later() -> None:
    scene = Scene()
    scene.ready()
    scene.worker.fails_to_start = True
    scene.worker.end = "the worker ended with exit code 1"
    scene.pool.watch()
    assert scene.states == ["broken"]
    scene.worker.fails_to_start = False
    scene.pool.start_again()
    assert scene.states == ["broken"]
    scene.now += TRY_AGAIN + 1
    scene.pool.start_again()
    assert scene.states == ["starting"]


def test_the_pool_stops_all_workers_and_starts_no_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(subprocess, "Popen", fail)
    scene = Scene(2)
    scene.pool.stop()
    assert [worker.stopped for worker in scene.workers] == [[""], [""]]
