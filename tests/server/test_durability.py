"""A job that was accepted ends in pictures or in an error, whatever dies."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemons import RUN, serve, until
from underpaint.cli import main
from underpaint.server.arrays import to_frame, to_pixels
from underpaint_client import Connection, connect, messages
from underpaint_client.address import Address
from underpaint_client.errors import DaemonUnavailableError
from underpaint_client.geometry import Box
from underpaint_client.home import connection_file
from underpaint_client.inputs import InputFrames
from underpaint_client.request import Request

SIZE = {"width": 64, "height": 64}
LONG = Request.of(prompt="a lake", model="sd", steps=1000, strength=1.0, seed=3, **SIZE)
QUICK = Request.of(prompt="a lake", model="sd", steps=2, strength=1.0, seed=1, **SIZE)
NOTE = Address("Krita", "a.kra", "{layer}", 64, 64).to_text()


@pytest.fixture
def alone(home: Path, models: Path) -> Iterator[Path]:
    """A home with a model, for daemons that die; none is left at the end."""
    shutil.copytree(models / "sd", home / "models" / "sd")
    yield home
    subprocess.run([*RUN, "stop"], check=False, capture_output=True)


def follow(connection: Connection, job: str) -> tuple[list[Any], messages.Message]:
    pictures: list[Any] = []
    last: messages.Message = messages.Leaving()
    for message, frames in connection.events(job):
        last = message
        if isinstance(message, messages.Picture):
            pictures.append(to_pixels(frames[0]))
    return pictures, last


def wait_for(connection: Connection, job: str, kind: type, step: int = 0) -> None:
    for message, _ in connection.events(job):
        if isinstance(message, kind) and getattr(message, "step", 0) >= step:
            return


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()
    connection_file().unlink()  # or the next would be looked for where this one was


def worker_of(connection: Connection) -> int:
    until(lambda: connection.status().workers[0].pid > 0)
    return connection.status().workers[0].pid


def test_a_job_outlives_its_client(daemon: Path) -> None:
    gone = connect()
    job = gone.submit(QUICK.with_values(images=2, steps=60), note=NOTE)
    wait_for(gone, job, messages.Progress, 3)
    gone.close()
    with connect() as connection:
        until(lambda: job in [one.job for one in connection.waiting() if one.ended])
        waiting = next(one for one in connection.waiting() if one.job == job)
        assert waiting.note == NOTE
        assert waiting.request.sampling.images == 2
        connection.follow(job)
        pictures, last = follow(connection, job)
        assert len(pictures) == 2
        assert last == messages.Done(job)
        assert job not in [one.job for one in connection.waiting()]
        connection.follow(job)
        _, last = follow(connection, job)
        assert isinstance(last, messages.Failed)
        assert "fetched already" in last.message


def test_what_a_living_client_has_does_not_wait(daemon: Path) -> None:
    with connect() as slow, connect() as other:
        job = slow.submit(QUICK)
        for message, _ in slow.events(job):
            if isinstance(message, messages.Picture):
                break
        until(lambda: not other.status().jobs)
        assert job not in [one.job for one in other.waiting()]
        slow.acknowledge(job)


def test_a_job_is_its_id(daemon: Path) -> None:
    with connect() as connection:
        submit = messages.Submit("the same", QUICK.with_values(steps=40, seed=None), note=NOTE)
        connection.send(submit)
        connection.send(submit)
        connection.send(messages.Submit("the same", QUICK.with_values(prompt="another")))
        told = []
        for message, _ in connection.events("the same"):
            told.append(message)
            if isinstance(message, messages.Failed):
                break
        refusal = told[-1]
        assert isinstance(refusal, messages.Failed)
        assert "already exists with other content" in refusal.message
        with connect() as again:
            again.send(submit)
            pictures, last = follow(again, "the same")
        assert len(pictures) == 1
        assert last == messages.Done("the same")
        connection.send(submit)
        _, last = follow(connection, "the same")
        assert isinstance(last, messages.Failed)
        assert "fetched already" in last.message


def test_a_job_survives_its_worker_once(daemon: Path) -> None:
    with connect() as connection:
        expected, _ = follow(connection, connection.submit(LONG))
        job, following = connection.submit(LONG), connection.submit(QUICK)
        wait_for(connection, job, messages.Progress, 2)
        os.kill(worker_of(connection), signal.SIGKILL)
        told = []
        pictures = []
        for message, frames in connection.events(job):
            told.append(getattr(message, "phase", ""))
            if isinstance(message, messages.Picture):
                pictures.append(to_pixels(frames[0]))
        assert isinstance(message, messages.Done)
        assert "The worker was killed by SIGKILL. Starting again" in told
        assert np.array_equal(pictures[0], expected[0])
        assert follow(connection, following)[1] == messages.Done(following)


def test_a_job_that_kills_its_workers_takes_no_other_along(daemon: Path) -> None:
    with connect() as connection:
        jobs = [connection.submit(LONG) for _ in range(2)]
        following = connection.submit(QUICK)
        for job in jobs:
            for _ in range(2):
                wait_for(connection, job, messages.Progress, 2)
                os.kill(worker_of(connection), signal.SIGKILL)
                until(lambda: connection.status().workers[0].state != "busy")
            _, last = follow(connection, job)
            assert isinstance(last, messages.Failed)
            assert last.code == "failed"
            assert "killed by SIGKILL, for the second time during this job" in last.message
        assert follow(connection, following)[1] == messages.Done(following)


def test_jobs_go_on_after_the_daemon_was_killed(alone: Path) -> None:
    first = serve()
    layer = np.random.default_rng(5).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    frame = to_frame("layer", layer, Box(0, 0, 64, 64))
    with connect() as connection:
        ended = connection.submit(QUICK, note=NOTE)
        wait_for(connection, ended, messages.Picture)
        running = connection.submit(LONG.with_values(images=2, seed=None), InputFrames(frame))
        waiting = connection.submit(QUICK, InputFrames(frame))
        wait_for(connection, waiting, messages.Accepted)
        wait_for(connection, running, messages.Picture)
        kill(first)
    second = serve()
    with connect() as connection:
        listed = {one.job: one.ended for one in connection.waiting()}
        assert listed == {ended: True, running: False, waiting: False}
        connection.follow(ended, running, waiting)
        for job, images in ((ended, 1), (running, 2), (waiting, 1)):
            pictures, last = follow(connection, job)
            assert last == messages.Done(job)
            assert len(pictures) == images
        assert connection.waiting() == ()  # which is written before it is said
        kill(second)
    third = serve()
    with connect() as connection:
        assert connection.waiting() == ()
    third.terminate()
    third.communicate()


def test_a_stopped_daemon_leaves_its_jobs_to_the_next(alone: Path) -> None:
    for _ in range(2):  # which is no reason to give them up
        process = serve()
        with connect() as connection:
            if not connection.waiting():
                job = connection.submit(LONG)
            connection.follow(job)
            wait_for(connection, job, messages.Progress, 1)
            process.terminate()
            with pytest.raises(DaemonUnavailableError, match="was stopped"):
                follow(connection, job)
        process.communicate()
    process = serve()
    with connect() as connection:
        connection.follow(job)
        assert follow(connection, job)[1] == messages.Done(job)
    process.terminate()
    process.communicate()


def test_a_job_that_daemons_die_of_is_given_up(alone: Path) -> None:
    process = serve()
    with connect() as connection:
        job = connection.submit(LONG)
        wait_for(connection, job, messages.Progress, 1)
        kill(process)
    process = serve()
    with connect() as connection:
        connection.follow(job)
        wait_for(connection, job, messages.Progress, 1)
        kill(process)
    process = serve()
    with connect() as connection:
        connection.follow(job)
        _, last = follow(connection, job)
        assert isinstance(last, messages.Failed)
        assert "the daemon ended, for the second time during this job" in last.message
    process.terminate()
    process.communicate()


def test_the_command_line_goes_on_with_another_daemon(alone: Path) -> None:
    process = serve()
    painting = subprocess.Popen(
        [*RUN, "generate", "a", "lake", "-m", "sd", "-s", "400", "-S", "4", "-n", "2",
         "-o", str(alone / "out/")],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with connect() as connection:
        until(lambda: [job.state for job in connection.status().jobs] == ["running"])
        until(lambda: len(list(alone.glob("out/*.png"))) == 1)
    kill(process)
    out, told = painting.communicate(timeout=100)
    assert painting.returncode == 0, told
    assert "is gone" in told
    assert len(out.split()) == 2
    assert len(list(alone.glob("out/*.png"))) == 2
    subprocess.run([*RUN, "stop"], check=True, capture_output=True)


def test_a_full_disk_stops_nobody(alone: Path) -> None:
    process = serve()
    layer = np.full((400, 400, 4), 255, np.uint8)
    frame = to_frame("layer", layer, Box(0, 0, 400, 400))
    with connect() as connection:
        worker_of(connection)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (300_000, 300_000))
        job = connection.submit(
            QUICK.with_values(width=None, height=None, strength=0.0), InputFrames(frame)
        )
        told = [message for message, _ in connection.events(job)]
        accepted = next(message for message in told if isinstance(message, messages.Accepted))
        assert "could not be written to the disk (File too large)" in accepted.remark
        assert isinstance(told[-1], messages.Done)
        assert any(isinstance(message, messages.Picture) for message in told)
    process.terminate()
    out, _ = process.communicate()
    assert "Traceback" not in out


def test_a_damaged_picture_is_named_and_the_others_come(
    alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = serve()
    gone = connect()
    job = gone.submit(QUICK.with_values(images=3), note=NOTE)
    wait_for(gone, job, messages.Accepted)
    gone.close()
    with connect() as connection:
        until(lambda: [one.ended for one in connection.waiting()] == [True], 120)
        records = sqlite3.connect(alone / "jobs" / "jobs.sqlite")
        ((file,),) = records.execute("SELECT file FROM pictures WHERE number = 1").fetchall()
        records.close()
        os.truncate(alone / "jobs" / "pixels" / file, 1000)
        connection.follow(job)
        pictures, last = follow(connection, job)
        assert len(pictures) == 2
        assert isinstance(last, messages.Failed)
        assert last.code == "kept"
        assert f"picture 2 ({file} has 1000 bytes instead of 16384)" in last.message
        assert [one.job for one in connection.waiting()] == [job]
    assert main(["results", "--save", str(tmp_path / "saved"), job]) == 0
    assert "picture 2" in capsys.readouterr().err
    assert len(list((tmp_path / "saved").iterdir())) == 2
    with connect() as connection:
        assert [one.job for one in connection.waiting()] == [job]
        assert main(["results", "--drop", job]) == 0
        until(lambda: connection.waiting() == ())
    process.terminate()
    process.communicate()


def test_a_damaged_store_is_said(alone: Path) -> None:
    process = serve()
    kill(process)
    for file in (alone / "jobs").glob("jobs.sqlite*"):
        file.write_bytes(b"no database at all, but something else" * 1000)
    process = serve()
    with connect() as connection:
        assert "could not be read" in connection.hello().remark
        assert follow(connection, connection.submit(QUICK))[0]
    process.terminate()
    process.communicate()


def test_a_store_that_breaks_meanwhile_stops_nobody(alone: Path) -> None:
    process = serve()
    with connect() as connection:
        records = sqlite3.connect(alone / "jobs" / "jobs.sqlite")
        records.execute("DROP TABLE pictures")
        records.execute("DROP TABLE jobs")
        records.close()
        pictures, last = follow(connection, connection.submit(QUICK))
        assert len(pictures) == 1
        assert isinstance(last, messages.Done)
    process.terminate()
    process.communicate()
