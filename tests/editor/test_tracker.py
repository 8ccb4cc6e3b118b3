from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemons import serve, until
from editor.fake_connection import FakeConnection
from underpaint_client import Box, DaemonUnavailableError, Frame, Request, connect
from underpaint_client.errors import CancelledError
from underpaint_client.home import ConnectionInfo, read_connection_file, write_connection_file
from underpaint_client.messages import Failed, Progress, WaitingJob
from underpaint_editor.notices import (
    Connected,
    Disconnected,
    Ended,
    ImageReceived,
    ModelsListed,
    Notice,
    Progressed,
    ResultsWaiting,
)
from underpaint_editor.presence import DaemonPresence
from underpaint_editor.progress import Pace, describe_progress
from underpaint_editor.tracker import JobTracker

LAYER = Frame("layer", Box(3, 4, 64, 64), "u1", "BGRA", bytes(range(256)) * 64)


def receive(
    tracker: JobTracker, until: Callable[[Notice], bool], patience: float = 120
) -> list[Notice]:
    """Drive a tracker as an event loop would: by its descriptor."""
    import select

    notices: list[Notice] = []
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        for notice in tracker.receive():
            notices.append(notice)
            if until(notice):
                return notices
        if tracker.fd is not None:
            select.select([tracker.fd], [], [], 0.5)
    raise TimeoutError(notices)


def ended(notice: Notice) -> bool:
    return isinstance(notice, Ended)


def kinds(notices: list[Notice]) -> set[type]:
    return {type(notice) for notice in notices}


def test_a_job_from_greeting_to_end(daemon: Path) -> None:
    tracker = JobTracker("test")
    tracker.open()
    notices = receive(tracker, lambda n: isinstance(n, ModelsListed))
    assert isinstance(notices[0], Connected)
    assert notices[0].default_model == "sd"
    listed = notices[-1]
    assert isinstance(listed, ModelsListed)
    assert [(m.name, m.native) for m in listed.models if m.name != "starter"] == [
        ("sd", 64),
        ("sdxl", 64),
    ]
    job = tracker.submit(
        Request.of(prompt="x", steps=4, images=2, seed=1), {"layer": LAYER}, "here"
    )
    notices = receive(tracker, ended)
    assert kinds(notices) - {ResultsWaiting} == {Progressed, ImageReceived, Ended}
    painted = [notice for notice in notices if isinstance(notice, ImageReceived)]
    assert [notice.picture.recipe.facts.seed for notice in painted] == [1, 2]
    assert painted[0].frame.box == LAYER.box
    assert painted[0].frame.channels == "BGRA"
    assert job.destination == "here"
    assert job.pictures == {0, 1}
    assert notices[-1] == Ended(job, None)
    assert tracker.jobs == {}
    tracker.close()


def test_a_mask_erases_and_keeps_the_colour(daemon: Path) -> None:
    tracker = JobTracker("test")
    pixels = bytes([10, 20, 30, 255]) * 64 * 64
    frames = {
        "layer": Frame("layer", Box(0, 0, 64, 64), "u1", "BGRA", pixels),
        "mask": Frame("mask", Box(0, 0, 64, 64), "u1", "Y", bytes(64 * 32) + b"\x80" * 64 * 32),
    }
    tracker.submit(Request.of(strength=0.0), frames)
    (painted,) = (n for n in receive(tracker, ended) if isinstance(n, ImageReceived))
    half = 4 * 64 * 32
    assert bytes(painted.frame.data[:half]) == bytes([10, 20, 30, 0]) * 64 * 32
    assert bytes(painted.frame.data[half:]) == bytes([10, 20, 30, 128]) * 64 * 32
    tracker.close()


def test_cancel_and_refusal(daemon: Path) -> None:
    tracker = JobTracker("test")
    job = tracker.submit(Request.of(prompt="x", steps=1000, strength=1), {"layer": LAYER})
    receive(tracker, lambda n: isinstance(n, Progressed) and n.fraction is not None)
    tracker.cancel(job)
    (*_, last) = receive(tracker, ended)
    assert isinstance(last, Ended)
    assert isinstance(last.error, CancelledError)
    tracker.submit(Request.of(model="nowhere"), {"layer": LAYER})
    (*_, last) = receive(tracker, ended)
    assert isinstance(last, Ended)
    assert "'nowhere' is unknown" in str(last.error)
    tracker.close()


@pytest.mark.parametrize(("code", "given_up"), [("kept", True), ("failed", False)])
def test_what_the_daemon_could_not_read_is_not_acknowledged(code: str, given_up: bool) -> None:
    connection = FakeConnection((Failed("a", code, "it could not be read"), ()))
    tracker = JobTracker("test", connect=lambda: connection)
    tracker.open()
    job = tracker.fetch(WaitingJob("a", Request(), "", ended=True))
    (notice,) = tracker.receive()
    assert isinstance(notice, Ended)
    assert notice.job is job
    assert notice.given_up == given_up  # then a session does not acknowledge it
    tracker.close()


def test_no_daemon(home: Path) -> None:
    tracker = JobTracker("test")
    with pytest.raises(DaemonUnavailableError, match="no Underpaint daemon is running"):
        tracker.submit(Request(), {})
    assert tracker.fd is None
    assert list(tracker.check()) == []


def test_jobs_outlive_their_daemon(home: Path, models: Path) -> None:
    shutil.copytree(models / "sd", home / "models" / "sd")
    process = serve()
    tracker = JobTracker("test")
    long = Request.of(prompt="x", steps=200, images=2, seed=1)
    job = tracker.submit(long, {"layer": LAYER}, "here")
    receive(tracker, lambda n: isinstance(n, ImageReceived))
    assert not kinds(list(tracker.check())) & {Ended, Disconnected}
    process.kill()
    process.communicate()
    *_, lost = tracker.check()
    assert isinstance(lost, Disconnected)
    assert not lost.planned
    assert "ended unexpectedly" in str(lost.error)
    assert tracker.fd is None
    assert list(tracker.check()) == []
    assert tracker.jobs == {job.name: job}

    process = serve()
    assert list(tracker.check()) == []
    notices = receive(tracker, ended)
    painted = [notice for notice in notices if isinstance(notice, ImageReceived)]
    assert [notice.picture.index for notice in painted] == [1]  # the first had come before
    assert notices[-1] == Ended(job, None)
    tracker.acknowledge(job)

    again = tracker.submit(long, {"layer": LAYER})
    receive(tracker, lambda n: isinstance(n, Progressed) and n.fraction is not None)
    process.terminate()
    process.communicate()
    (*_, lost) = receive(tracker, lambda n: isinstance(n, Disconnected))
    assert isinstance(lost, Disconnected)
    assert lost.planned
    tracker.cancel(again)
    (last,) = tracker.receive()
    assert isinstance(last, Ended)
    assert isinstance(last.error, CancelledError)
    process = serve()
    tracker.open()
    with connect() as connection:
        until(lambda: not connection.status().jobs)
        assert connection.waiting() == ()
    tracker.close()
    process.terminate()
    process.communicate()


def test_a_daemon_that_stays_away_is_given_up(home: Path) -> None:
    process = serve()
    tracker = JobTracker("test", presence=DaemonPresence(max_absence=0.1))
    job = tracker.submit(Request(), {"layer": LAYER})
    process.kill()
    process.communicate()
    notices = list(tracker.check())
    while not any(map(ended, notices)):
        time.sleep(0.05)
        notices += tracker.check()
    assert notices[-1].job is job  # type: ignore[union-attr]
    assert tracker.jobs == {}


def test_results_that_wait_are_offered_to_the_next(daemon: Path) -> None:
    gone = JobTracker("test")
    job = gone.submit(Request.of(prompt="x", steps=4, seed=1), {"layer": LAYER}, note="where")
    receive(gone, lambda n: isinstance(n, ImageReceived))
    gone.close()
    tracker = JobTracker("test")
    until(lambda: job.name in [one.job for one in offered(tracker) if one.ended])
    waiting = next(one for one in offered(tracker) if one.job == job.name)
    assert waiting.note == "where"
    assert waiting.request.prompt.positive == "x"
    fetched = tracker.fetch(waiting, "here")
    notices = receive(tracker, ended)
    assert kinds(notices) == {ImageReceived, Ended}
    tracker.acknowledge(fetched)
    assert job.name not in [one.job for one in offered(tracker)]
    tracker.close()


def offered(tracker: JobTracker) -> tuple[WaitingJob, ...]:
    tracker.close()
    tracker.open()
    (*_, last) = receive(tracker, lambda n: isinstance(n, ResultsWaiting))
    assert isinstance(last, ResultsWaiting)
    return last.jobs


@pytest.mark.parametrize(
    ("progress", "now", "fraction", "text"),
    [
        (Progress("j", "Encoding"), 0, None, "Encoding..."),
        (Progress("j", "Denoising", 0, 15, 1, 1), 0, 0.0, "Step 0 of 15"),
        (Progress("j", "Denoising", 5, 10, 1, 1), 10, 0.5, "Step 5 of 10, 10 s left"),
        (
            Progress("j", "Denoising", 5, 10, 2, 2), 30, 0.75,
            "Step 5 of 10, image 2 of 2, 10 s left",
        ),
        (Progress("j", "Denoising", 1, 1000, 1, 1), 1, 0.001, "Step 1 of 1000, 17 min left"),
    ],
)  # fmt: skip
def test_progress_in_words(progress: Any, now: float, fraction: float | None, text: str) -> None:
    pace = Pace((0, 0.0)) if now else Pace()
    assert describe_progress(progress, pace, now) == (fraction, text)


def test_a_question_from_before_a_job_does_not_end_it(daemon: Path) -> None:
    tracker = JobTracker("test")
    tracker.open()
    receive(tracker, lambda n: isinstance(n, ModelsListed))
    assert not kinds(list(tracker.check())) & {Ended, Disconnected}
    job = tracker.submit(Request.of(strength=0.0), {"layer": LAYER})
    (*_, last) = receive(tracker, ended)
    assert last == Ended(job, None)
    tracker.close()


def test_a_stale_connection_file_is_no_daemon(home: Path) -> None:
    process = serve()
    process.kill()
    process.communicate()
    assert read_connection_file() is not None
    with pytest.raises(DaemonUnavailableError, match="is gone"):
        JobTracker("test").open()


def test_a_daemon_that_slept_is_waited_for(home: Path, models: Path) -> None:
    shutil.copytree(models / "sd", home / "models" / "sd")
    process = serve()
    tracker = JobTracker("test", presence=DaemonPresence(patience=1.0))
    job = tracker.submit(Request.of(prompt="x", steps=100, images=2, seed=1), {"layer": LAYER})
    notices = receive(tracker, lambda n: isinstance(n, Progressed) and n.fraction is not None)
    process.send_signal(signal.SIGSTOP)
    while not any(isinstance(notice, Disconnected) for notice in notices):
        time.sleep(0.1)
        notices += tracker.check()
    assert "has not answered for" in str(
        next(n.error for n in notices if isinstance(n, Disconnected))
    )
    notices += tracker.check()  # which sends a new greeting into the silence
    process.send_signal(signal.SIGCONT)
    while not any(map(ended, notices)):
        time.sleep(0.1)
        notices += tracker.check()
    assert sorted(n.picture.index for n in notices if isinstance(n, ImageReceived)) == [0, 1]
    assert Ended(job, None) in notices
    tracker.close()
    process.terminate()
    process.communicate()


def test_a_daemon_of_another_version_is_named(home: Path) -> None:
    import zmq

    context = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    socket.bind(f"ipc://{home}/other.sock")
    write_connection_file(ConnectionInfo(f"ipc://{home}/other.sock", os.getpid()))
    tracker = JobTracker("test")
    job = tracker.submit(Request(), {"layer": LAYER})
    address, *_ = socket.recv_multipart()
    socket.send_multipart([address, b'{"protocol": 99, "type": "welcome", "body": {}}'])
    first, last = receive(tracker, lambda n: isinstance(n, Disconnected))
    assert isinstance(first, Ended)
    assert first.job is job
    assert isinstance(last, Disconnected)
    assert last.planned  # there is no use in starting another
    assert "protocol 99" in str(last.error)
    assert "update the plug-in with `underpaint install`" in str(last.error)
    tracker.close()
    socket.close(0)
    context.term()
