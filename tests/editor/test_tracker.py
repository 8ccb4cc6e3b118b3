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
from underpaint_client import Box, DaemonUnavailableError, Frame, Request, connect
from underpaint_client.errors import CancelledError
from underpaint_client.following import Event
from underpaint_client.home import ConnectionInfo, read_connection_file, write_connection_file
from underpaint_client.messages import Failed, Progress, WaitingJob
from underpaint_editor.jobs import (
    Advanced,
    Ended,
    Greeted,
    JobTracker,
    Lost,
    ModelsListed,
    Notice,
    Pace,
    Painted,
    ResultsWait,
    describe_progress,
)

LAYER = Frame("layer", Box(3, 4, 64, 64), "u1", "BGRA", bytes(range(256)) * 64)


def hear(
    tracker: JobTracker, until: Callable[[Notice], bool], patience: float = 30
) -> list[Notice]:
    """Drive a tracker as an event loop would: by its descriptor."""
    import select

    heard: list[Notice] = []
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        for notice in tracker.hear():
            heard.append(notice)
            if until(notice):
                return heard
        if tracker.fd is not None:
            select.select([tracker.fd], [], [], 0.5)
    raise TimeoutError(heard)


def ended(notice: Notice) -> bool:
    return isinstance(notice, Ended)


def kinds(heard: list[Notice]) -> set[type]:
    return {type(notice) for notice in heard}


def test_a_job_from_greeting_to_end(daemon: Path) -> None:
    tracker = JobTracker("test")
    tracker.open()
    heard = hear(tracker, lambda n: isinstance(n, ModelsListed))
    assert isinstance(heard[0], Greeted)
    assert heard[0].default_model == "sd"
    listed = heard[-1]
    assert isinstance(listed, ModelsListed)
    assert [(m.name, m.native) for m in listed.models if m.name != "starter"] == [
        ("sd", 64),
        ("sdxl", 64),
    ]
    job = tracker.submit(
        Request.of(prompt="x", steps=4, images=2, seed=1), {"layer": LAYER}, "here"
    )
    heard = hear(tracker, ended)
    assert kinds(heard) - {ResultsWait} == {Advanced, Painted, Ended}
    painted = [notice for notice in heard if isinstance(notice, Painted)]
    assert [notice.picture.recipe.facts.seed for notice in painted] == [1, 2]
    assert painted[0].frame.box == LAYER.box
    assert painted[0].frame.channels == "BGRA"
    assert job.about == "here"
    assert job.pictures == {0, 1}
    assert heard[-1] == Ended(job, None)
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
    (painted,) = (n for n in hear(tracker, ended) if isinstance(n, Painted))
    half = 4 * 64 * 32
    assert bytes(painted.frame.data[:half]) == bytes([10, 20, 30, 0]) * 64 * 32
    assert bytes(painted.frame.data[half:]) == bytes([10, 20, 30, 128]) * 64 * 32
    tracker.close()


def test_cancel_and_refusal(daemon: Path) -> None:
    tracker = JobTracker("test")
    job = tracker.submit(Request.of(prompt="x", steps=1000, strength=1), {"layer": LAYER})
    hear(tracker, lambda n: isinstance(n, Advanced) and n.fraction is not None)
    tracker.cancel(job)
    (*_, last) = hear(tracker, ended)
    assert isinstance(last, Ended)
    assert isinstance(last.error, CancelledError)
    tracker.submit(Request.of(model="nowhere"), {"layer": LAYER})
    (*_, last) = hear(tracker, ended)
    assert isinstance(last, Ended)
    assert "'nowhere' is unknown" in str(last.error)
    tracker.close()


def test_what_the_daemon_could_not_read_is_not_taken() -> None:
    tracker = JobTracker("test")
    for code, kept in (("kept", True), ("failed", False)):
        job = tracker.fetch(WaitingJob("a", Request(), "", ended=True))
        job.following.handle(Event.CONNECTED)
        (notice,) = tracker._understand(Failed("a", code, "it could not be read"), ())
        assert isinstance(notice, Ended)
        assert notice.job is job
        assert notice.given_up == kept  # which a session answers with no `Taken`
    tracker.close()


def test_no_daemon(home: Path) -> None:
    tracker = JobTracker("test")
    with pytest.raises(DaemonUnavailableError, match="no Underpaint daemon runs"):
        tracker.submit(Request(), {})
    assert tracker.fd is None
    assert list(tracker.check()) == []


def test_jobs_outlive_their_daemon(home: Path, models: Path) -> None:
    shutil.copytree(models / "sd", home / "models" / "sd")
    process = serve()
    tracker = JobTracker("test")
    long = Request.of(prompt="x", steps=200, images=2, seed=1)
    job = tracker.submit(long, {"layer": LAYER}, "here")
    hear(tracker, lambda n: isinstance(n, Painted))
    assert not kinds(list(tracker.check())) & {Ended, Lost}
    process.kill()
    process.communicate()
    *_, lost = tracker.check()
    assert isinstance(lost, Lost)
    assert not lost.meant
    assert "has ended unexpectedly" in str(lost.error)
    assert tracker.fd is None
    assert list(tracker.check()) == []
    assert tracker.jobs == {job.name: job}

    process = serve()
    assert list(tracker.check()) == []
    heard = hear(tracker, ended)
    painted = [notice for notice in heard if isinstance(notice, Painted)]
    assert [notice.picture.index for notice in painted] == [1]  # the first had come before
    assert heard[-1] == Ended(job, None)
    tracker.take(job)

    again = tracker.submit(long, {"layer": LAYER})
    hear(tracker, lambda n: isinstance(n, Advanced) and n.fraction is not None)
    process.terminate()
    process.communicate()
    (*_, lost) = hear(tracker, lambda n: isinstance(n, Lost))
    assert isinstance(lost, Lost)
    assert lost.meant
    tracker.cancel(again)
    (last,) = tracker.hear()
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


def test_a_daemon_that_stays_away_is_given_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = serve()
    tracker = JobTracker("test")
    job = tracker.submit(Request(), {"layer": LAYER})
    process.kill()
    process.communicate()
    monkeypatch.setattr("underpaint_editor.jobs.AWAY", 0.1)
    heard = list(tracker.check())
    while not any(map(ended, heard)):
        time.sleep(0.05)
        heard += tracker.check()
    assert heard[-1].job is job  # type: ignore[union-attr]
    assert tracker.jobs == {}


def test_results_that_wait_are_offered_to_the_next(daemon: Path) -> None:
    gone = JobTracker("test")
    job = gone.submit(Request.of(prompt="x", steps=4, seed=1), {"layer": LAYER}, note="where")
    hear(gone, lambda n: isinstance(n, Painted))
    gone.close()
    tracker = JobTracker("test")
    until(lambda: job.name in [one.job for one in offered(tracker)])
    waiting = next(one for one in offered(tracker) if one.job == job.name)
    assert waiting.note == "where"
    assert waiting.request.prompt.positive == "x"
    fetched = tracker.fetch(waiting, "here")
    heard = hear(tracker, ended)
    assert kinds(heard) == {Painted, Ended}
    tracker.take(fetched)
    assert job.name not in [one.job for one in offered(tracker)]
    tracker.close()


def offered(tracker: JobTracker) -> tuple[WaitingJob, ...]:
    tracker.close()
    tracker.open()
    (*_, last) = hear(tracker, lambda n: isinstance(n, ResultsWait))
    assert isinstance(last, ResultsWait)
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
    hear(tracker, lambda n: isinstance(n, ModelsListed))
    assert not kinds(list(tracker.check())) & {Ended, Lost}
    job = tracker.submit(Request.of(strength=0.0), {"layer": LAYER})
    (*_, last) = hear(tracker, ended)
    assert last == Ended(job, None)
    tracker.close()


def test_a_stale_connection_file_is_no_daemon(home: Path) -> None:
    process = serve()
    process.kill()
    process.communicate()
    assert read_connection_file() is not None
    with pytest.raises(DaemonUnavailableError, match="is gone"):
        JobTracker("test").open()


def test_a_daemon_that_slept_is_waited_for(
    home: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("underpaint_client.patience.PATIENCE", 1.0)
    shutil.copytree(models / "sd", home / "models" / "sd")
    process = serve()
    tracker = JobTracker("test")
    job = tracker.submit(Request.of(prompt="x", steps=100, images=2, seed=1), {"layer": LAYER})
    heard = hear(tracker, lambda n: isinstance(n, Advanced) and n.fraction is not None)
    process.send_signal(signal.SIGSTOP)
    while not any(isinstance(notice, Lost) for notice in heard):
        time.sleep(0.1)
        heard += tracker.check()
    assert "has said nothing for" in str(next(n.error for n in heard if isinstance(n, Lost)))
    heard += tracker.check()  # which sends a new greeting into the silence
    process.send_signal(signal.SIGCONT)
    while not any(map(ended, heard)):
        time.sleep(0.1)
        heard += tracker.check()
    assert sorted(n.picture.index for n in heard if isinstance(n, Painted)) == [0, 1]
    assert Ended(job, None) in heard
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
    first, last = hear(tracker, lambda n: isinstance(n, Lost))
    assert isinstance(first, Ended)
    assert first.job is job
    assert isinstance(last, Lost)
    assert last.meant  # there is no use in starting another
    assert "protocol 99" in str(last.error)
    assert "update the plug-in with `underpaint install`" in str(last.error)
    tracker.close()
    socket.close(0)
    context.term()
