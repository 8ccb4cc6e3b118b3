"""A real daemon with a real worker, from its start through kills to its end."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from daemons import RUN, serve, until
from underpaint.cli import main
from underpaint.server.arrays import to_frame, to_pixels
from underpaint.server.paths import daemon_runs
from underpaint.server.shared_memory import shared_memory_folder
from underpaint_client import Connection, connect, messages, model_messages, wire
from underpaint_client.errors import DaemonStoppedError, DaemonUnavailableError
from underpaint_client.geometry import Box, Extent
from underpaint_client.home import connection_file, read_connection_file, remote_file
from underpaint_client.inputs import InputFrames
from underpaint_client.recommended import Recommended
from underpaint_client.request import Request

LONG = Request.of(prompt="a lake", model="sd", steps=1000, strength=1.0, width=64, height=64)
QUICK = Request.of(prompt="a lake", model="sd", steps=2, strength=1.0, width=64, height=64, seed=1)


def finish(connection: Connection, job: str) -> tuple[list[Any], messages.Message]:
    pictures = []
    last: messages.Message = messages.Done("")
    for message, frames in connection.events(job):
        last = message
        if isinstance(message, messages.Picture):
            pictures.append((message, frames[0]))
    return pictures, last


def wait_for_step(connection: Connection, job: str) -> None:
    for message, _ in connection.events(job):
        if isinstance(message, messages.Progress) and message.step:
            return


def layer(seed: int = 0) -> Any:
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 50, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    pixels[10:20, 10:20, 3] = 0
    return pixels


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def test_hello(daemon: Path) -> None:
    with connect() as connection:
        welcome = connection.hello()
        assert welcome.pid == connection.info.pid
        assert welcome.default_model == "sd"


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_the_server_has_no_torch(daemon: Path) -> None:
    with connect() as connection:
        finish(connection, connection.submit(QUICK))
        status = connection.status()
    assert "libtorch" not in Path(f"/proc/{status.pid}/maps").read_text()
    assert "libtorch" in Path(f"/proc/{status.workers[0].pid}/maps").read_text()


def test_files_are_private(daemon: Path) -> None:
    assert connection_file().stat().st_mode & 0o777 == 0o600
    assert (daemon / "run").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("channels", ["RGBA", "BGRA"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_layer_comes_back_as_it_went(daemon: Path, channels: str, dtype: Any) -> None:
    pixels = layer()
    if dtype is not np.uint8:
        pixels = (pixels / 255 * (65535 if dtype is np.uint16 else 1)).astype(dtype)
    box = Box(-5, 7, 50, 40)
    frame = to_frame("layer", pixels, box, channels)
    with connect() as connection:
        job = connection.submit(Request.of(model="sd", steps=2, seed=1), InputFrames(frame))
        pictures, last = finish(connection, job)
        assert last == messages.Done(job)
        (message, found), *rest = pictures
        assert not rest
        assert (found.box, found.channels, found.dtype) == (box, channels, frame.dtype)
        result = to_pixels(found)
        kept = pixels[..., 3] > 0
        np.testing.assert_array_equal(result[kept], pixels[kept])
        assert message.recipe.request.mode == "inpaint"
        assert message.recipe.facts.work_area[:2] == (-5, 7)
        # Strength 0: every byte, the colour under alpha 0 with it.
        pictures, _ = finish(
            connection, connection.submit(Request.of(strength=0.0), InputFrames(frame))
        )
        assert bytes(pictures[0][1].data) == bytes(frame.data)


FEW: dict[str, Any] = {"steps": 4, "guidance_scale": 1.0, "sampler": "k_euler_a"}


def test_a_model_of_few_steps_runs_its_own_where_nothing_else_is_asked(
    home: Path, models: Path
) -> None:
    few = Path(shutil.copytree(models / "sd", home / "models" / "few"))
    (few / "underpaint.json").write_text(json.dumps(FEW))
    process = serve()
    frame = to_frame("layer", layer(), Box(0, 0, 50, 40))
    with connect() as connection:
        (entry,) = (one for one in connection.models() if one.name == "few")
        assert entry.recommended == Recommended(**FEW)
        for asked, run in (
            ({}, 3),
            ({"steps": 20, "guidance_scale": 7.5}, 15),
            ({"sampler": "ddim"}, 3),
            ({"strength": 0.0}, 0),
        ):
            request = Request.of(prompt="a lake", model="few", seed=1, **asked)
            job = connection.submit(request, InputFrames(frame))
            ((message, _),), last = finish(connection, job)
            assert last == messages.Done(job)
            made = message.recipe.request
            assert {name: made.value(name) for name in FEW} == {
                **FEW, **{name: asked[name] for name in asked if name in FEW}
            }  # fmt: skip
            assert message.recipe.facts.steps_run == run
    process.terminate()
    process.communicate()


def test_the_picture_beside_a_model_is_sent_small(home: Path, models: Path) -> None:
    shutil.copytree(models / "sd", home / "models" / "mine")
    Image.new("RGB", (400, 200), (9, 8, 7)).save(home / "models" / "mine.preview.png")
    process = serve()
    with connect() as connection:
        for model, extent in (("mine", Extent(96, 48)), ("starter", None), ("gone", None)):
            connection.send(model_messages.AskModelPicture(model))
            received = connection.receive(30)
            assert received is not None
            message, frames = received
            assert message == model_messages.ModelPicture(model)
            assert [frame.box.extent for frame in frames] == ([] if extent is None else [extent])
            assert all(bytes(frame.data[:4]) == bytes((9, 8, 7, 255)) for frame in frames)
    process.terminate()
    process.communicate()


def test_a_patch_says_where_it_lies(daemon: Path) -> None:
    with connect() as connection:
        frame = to_frame("layer", layer(), Box(100, 200, 50, 40))
        request = Request.of(model="sd", steps=2, result="patch")
        ((message, found),), _ = finish(connection, connection.submit(request, InputFrames(frame)))
    assert message.kind == "patch"
    assert found.box == Box(110, 210, 10, 10)


def test_from_a_foreign_event_loop(daemon: Path) -> None:
    with connect() as connection, selectors.DefaultSelector() as selector:
        selector.register(connection.fd, selectors.EVENT_READ)
        job = connection.submit(QUICK)
        received: list[messages.Message] = []
        while not any(isinstance(message, messages.Done) for message in received):
            received += [message for message, _ in connection.drain()]
            if not any(isinstance(message, messages.Done) for message in received):
                assert selector.select(timeout=30), "the descriptor never woke up"
        assert [
            m.type for m in received if isinstance(m, messages.Accepted | messages.Picture)
        ] == [
            "accepted",
            "picture",
        ]
        assert all(getattr(message, "job", job) == job for message in received)


def test_cancel_touches_that_job_alone(daemon: Path) -> None:
    with connect() as ann, connect() as bob:
        running, waiting = ann.submit(LONG), ann.submit(LONG)
        wait_for_step(ann, running)
        other = bob.submit(QUICK)
        until(lambda: len(ann.status().jobs) == 3)
        bob.cancel(running)  # not his
        ann.cancel(waiting)
        _, last = finish(ann, waiting)
        assert isinstance(last, messages.Failed)
        assert last.code == "cancelled"
        assert [job.state for job in ann.status().jobs] == ["running", "queued"]
        ann.cancel(running)
        _, last = finish(ann, running)
        assert isinstance(last, messages.Failed)
        assert last.code == "cancelled"
        assert finish(bob, other)[1] == messages.Done(other)


def test_same_request_same_bytes(daemon: Path) -> None:
    with connect() as connection:
        frame = to_frame("layer", layer(), Box(0, 0, 50, 40))
        request = Request.of(model="sd", steps=4, seed=9)
        found = [
            bytes(finish(connection, connection.submit(request, InputFrames(frame)))[0][0][1].data)
            for _ in range(2)
        ]
    assert found[0] == found[1]


def test_shared_memory_may_be_cleared_under_it(daemon: Path) -> None:
    folder = shared_memory_folder()
    if folder is None:
        pytest.skip("there is no shared memory here")
    pixels = np.full((300, 300, 4), 9, np.uint8)
    frame = to_frame("layer", pixels, Box(0, 0, 300, 300))
    with connect() as connection:
        for _ in range(3):
            _, last = finish(
                connection, connection.submit(Request.of(strength=0.0), InputFrames(frame))
            )
            assert isinstance(last, messages.Done)
            for file in folder.glob("*/*"):
                file.unlink()
        shutil.rmtree(folder)
        ended = [
            type(
                finish(connection, connection.submit(Request.of(strength=0.0), InputFrames(frame)))[
                    1
                ]
            )
            for _ in range(3)
        ]
        assert ended[-1] is messages.Done


def test_status_lists_workers_and_jobs(daemon: Path) -> None:
    with connect() as connection:
        job = connection.submit(LONG)
        wait_for_step(connection, job)
        status = connection.status()
        assert [j.state for j in status.jobs] == ["running"]
        assert status.workers[0].state == "busy"
        assert status.workers[0].device == "cpu"
        connection.cancel(job)
        finish(connection, job)


# ---- starting and ending, each in a home of its own ----------------------------------------


def test_no_daemon_is_said(home: Path) -> None:
    with pytest.raises(
        DaemonUnavailableError, match="no Underpaint daemon is running.*underpaint serve"
    ):
        connect()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(home: Path, number: signal.Signals) -> None:
    process = serve()
    with connect() as connection:
        worker = connection.status().workers[0].pid
        job = connection.submit(LONG)
        assert isinstance(next(connection.events(job))[0], messages.Accepted)
        process.send_signal(number)
        with pytest.raises(DaemonStoppedError, match="goes on when it starts again"):
            finish(connection, job)
    out, _ = process.communicate(timeout=15)
    assert process.returncode == 0, out
    assert "Traceback" not in out
    assert not connection_file().exists()
    assert not alive(worker)


FAULTY = """
from underpaint.server import daemon
from underpaint.server.config import Config

def fail(self):
    if list(self._queue):
        raise MemoryError("none is left")
    run_once(self)

run_once, daemon.Daemon._run_once = daemon.Daemon._run_once, fail
daemon.serve(Config())
"""


def test_a_daemon_that_ends_by_a_fault_says_nothing_of_leaving(home: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", FAULTY], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    until(lambda: (info := read_connection_file()) is not None and info.pid == process.pid)
    with connect() as connection:
        job = connection.submit(LONG)
        with pytest.raises(DaemonUnavailableError) as raised:
            finish(connection, job)
        assert not isinstance(raised.value, DaemonStoppedError)
    out, _ = process.communicate(timeout=15)
    assert "MemoryError: none is left" in out


def test_what_a_killed_daemon_left_is_cleared(home: Path) -> None:
    process = serve()
    with connect() as connection:
        worker = connection.status().workers[0].pid
    process.kill()
    process.communicate()
    assert connection_file().exists()
    with pytest.raises(DaemonUnavailableError, match=f"process id {process.pid} is gone"):
        connect()
    until(lambda: not alive(worker))  # it notices that it is alone
    again = serve()
    with connect() as connection:
        assert connection.hello().pid == again.pid
    again.terminate()
    again.communicate()


def test_remote_daemons_are_used_and_never_started(home: Path) -> None:
    process = serve("--no-ipc")
    away = home / "away"
    away.mkdir()
    shutil.copy(connection_file(), away / "remote.json")
    found = subprocess.run(
        [*RUN, "generate", "x", "-m", "nowhere", "-o", str(home / "x.png")],
        env={**os.environ, "UNDERPAINT_HOME": str(away)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "model 'nowhere' is unknown" in found.stderr
    assert "started the daemon" not in found.stderr
    assert (away / "remote.json").exists()
    process.terminate()
    process.communicate()


def test_a_broken_word_of_another_machine_is_said(home: Path) -> None:
    remote_file().write_text("{")
    with pytest.raises(DaemonUnavailableError, match="remote.json, which says where .* --forget"):
        connect()


def test_a_second_daemon_names_the_first(home: Path) -> None:
    process = serve()
    for more in ([], ["--background"]):
        second = subprocess.run(
            [*RUN, "serve", *more], capture_output=True, text=True, check=False, timeout=30
        )
        assert second.returncode == 3
        assert f"process id {process.pid}" in second.stderr
    with connect() as connection:
        connection.hello()
    stopped = subprocess.run([*RUN, "stop"], capture_output=True, text=True, check=False)
    assert stopped.returncode == 0
    assert not daemon_runs()
    process.communicate()
    assert (
        "no daemon runs"
        in subprocess.run([*RUN, "stop"], capture_output=True, text=True, check=False).stderr
    )


def test_a_daemon_of_another_protocol_is_named_and_can_be_stopped(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    process = serve()
    monkeypatch.setattr(wire, "PROTOCOL", wire.PROTOCOL + 1)  # as if this program were newer
    assert main(["status"]) == 2
    told = capsys.readouterr().err
    assert "the daemon is of an older Underpaint than this program" in told
    assert "end the daemon with `underpaint stop`" in told
    assert main(["stop"]) == 0
    assert f"process id {process.pid}) has ended" in capsys.readouterr().err
    out, _ = process.communicate(timeout=20)
    assert "Traceback" not in out


def test_an_idle_worker_warms_the_default_model(home: Path, models: Path) -> None:
    shutil.copytree(models / "sd", home / "models" / "mine")
    process = serve()
    with connect() as connection:
        until(lambda: connection.status().workers[0].model == "mine")
    process.terminate()
    process.communicate()


def test_a_worker_that_cannot_start_is_said(home: Path) -> None:
    process = serve("--device", "cuda:99")
    with connect() as connection:
        _, last = finish(connection, connection.submit(QUICK))
    assert isinstance(last, messages.Failed)
    assert last.code == "daemon"
    assert "does not start" in last.message
    process.terminate()
    out, _ = process.communicate()
    assert "device 'cuda:99' is not there" in out


def test_an_artist_finds_the_same_results_with_ipc_and_without_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERPAINT_MODEL", "none")
    jobs: list[str] = []
    for options in ((), ("--no-ipc",), (), ("--no-ipc",)):
        process = serve("--device", "cpu", *options)
        with connect() as connection:
            assert {one.job for one in connection.waiting()} == set(jobs)
            jobs.append(connection.submit(Request.of(prompt="a lake", steps=1000)))
            received = connection.receive(30)
            assert received
            assert isinstance(received[0], messages.Accepted)
        process.kill()
        process.communicate()
