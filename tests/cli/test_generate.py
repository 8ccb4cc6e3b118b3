"""The command line as a person uses it: real processes, real files, a real daemon."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from daemons import no_connection_threads, serve, until
from underpaint.cli import job_runner, main, terminal
from underpaint.cli.daemon_connection import describe_return
from underpaint.cli.output_spec import OutputSpec
from underpaint.cli.pictures import Metadata, read_recipe
from underpaint.server import background
from underpaint_client import Connection, connect, connection, messages, patience
from underpaint_client.following import Following
from underpaint_client.home import ConnectionInfo, remote_file, write_connection_file
from underpaint_client.recipe import Recipe
from underpaint_client.request import Request

ROOT = Path(__file__).parents[2]


def run(*words: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    process = subprocess.run(
        [sys.executable, "-m", "underpaint", *words],
        cwd=cwd, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert process.returncode == code, process.stderr
    assert "Traceback" not in process.stderr
    return process


@pytest.fixture
def sketch(tmp_path: Path) -> Any:
    """A folder with a sketch that has a soft-edged hole; gives the sketch's pixels."""
    pixels = np.random.default_rng(0).integers(1, 256, (72, 90, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    pixels[20:40, 30:60, 3] = np.linspace(0, 255, 30).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "sketch.png")
    return pixels


def pixels_of(path: Path) -> Any:
    with Image.open(path) as image:
        return np.array(image)


def test_the_seeds_example(daemon: Path, tmp_path: Path, sketch: Any) -> None:
    process = run(
        "generate", "tree on a hill with a river, nature photograph", "-I", "sketch.png",
        "-f", "0.85", cwd=tmp_path,
    )  # fmt: skip
    assert process.stdout == "sketch-0001.png\n"
    assert "Fills the erased" in process.stderr
    assert "runs 17 of 20 steps" in process.stderr
    result = pixels_of(tmp_path / "sketch-0001.png")
    kept = sketch[..., 3] == 255
    np.testing.assert_array_equal(result[kept], sketch[kept])
    assert (result[..., 3] == 255).all()
    recipe = read_recipe(tmp_path / "sketch-0001.png")
    assert recipe.facts.prompt == "tree on a hill with a river, nature photograph"
    assert f"seed {recipe.facts.seed}" in process.stderr


def test_words_need_no_quotes_and_underscores_are_dashes(
    daemon: Path, tmp_path: Path, sketch: Any
) -> None:
    process = run(
        "generate", "tree", "on", "a", "hill", "--init_img", "sketch.png", "with a", "river",
        "--guidance_scale=6", "--json", "-s10", "-S42", "-n2", "-A", "k_lms", "-f.4",
        "--compensate", "--clip-skip", "2", "--negative", "雨", cwd=tmp_path,
    )  # fmt: skip
    found = [json.loads(line) for line in process.stdout.splitlines()]
    assert [Path(one["output"]).name for one in found] == ["sketch-0001.png", "sketch-0002.png"]
    recipe = Recipe.from_dict(found[0]["recipe"])
    wanted = {
        "mode": "inpaint", "prompt": "tree on a hill with a river", "negative_prompt": "雨",
        "strength": 0.4, "steps": 10, "compensate": True, "guidance_scale": 6, "seed": 42,
        "sampler": "k_lms", "clip_skip": 2, "model": "sd", "fill": "auto",
    }  # fmt: skip
    facts = {
        "prompt": "tree on a hill with a river", "seed": 42, "steps_run": 10, "schedule": 25,
        "width": 90, "height": 72, "notes": [], "work_area": [0, 0, 90, 72], "work_size": [96, 80],
    }  # fmt: skip
    assert {name: recipe.request.value(name) for name in wanted} == wanted
    assert {name: found[0]["recipe"]["facts"][name] for name in facts} == facts
    assert found[1]["recipe"]["facts"]["seed"] == 43
    assert found[0]["timings"]["denoise"] > 0
    assert read_recipe(tmp_path / "sketch-0002.png").to_dict() == found[1]["recipe"]


def test_steps_are_the_models_own_and_what_does_not_fit_it_is_noted(
    daemon: Path, models: Path, tmp_path: Path, sketch: Any
) -> None:
    few = Path(shutil.copytree(models / "sd", tmp_path / "few"))
    (few / "underpaint.json").write_text('{"steps": 4, "guidance_scale": 1.0}')
    common = ("generate", "a lake", "-I", "sketch.png", "-m", "./few", "-S", "1", "-o")
    process = run(*common, "own.png", cwd=tmp_path)
    assert "runs 3 of 4 steps" in process.stderr
    assert process.stderr.count("note: ") == 1  # though the image tells it too
    assert "note: the model runs 3 steps, so partial change comes in 3 levels" in process.stderr
    made = read_recipe(tmp_path / "own.png").request.sampling
    assert (made.steps, made.guidance_scale) == (4, 1.0)
    process = run(*common, "typed.png", "-s", "20", "-C", "7.5", cwd=tmp_path)
    assert "runs 15 of 20 steps" in process.stderr
    assert "note: 20 steps are more than this model is made for; 4 suit it" in process.stderr
    assert "note: a guidance scale of 7.5 is too high for this model; 1 suits it" in process.stderr
    made = read_recipe(tmp_path / "typed.png").request.sampling
    assert (made.steps, made.guidance_scale) == (20, 7.5)


def test_the_same_seed_gives_the_same_picture(daemon: Path, tmp_path: Path, sketch: Any) -> None:
    for name in ("a.png", "b.png"):
        run("generate", "x", "-I", "sketch.png", "-S", "5", "-s", "4", "-o", name, cwd=tmp_path)
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.png"), pixels_of(tmp_path / "b.png"))


def test_sixteen_bits_and_a_patch(daemon: Path, tmp_path: Path) -> None:
    import cv2

    pixels = np.random.default_rng(0).integers(1, 65536, (40, 50, 4)).astype(np.uint16)
    pixels[..., 3] = 65535
    pixels[10:20, 10:20, 3] = 0
    cv2.imwrite(str(tmp_path / "deep.png"), pixels)
    for extra, name in ((["--patch"], "patch.png"), ([], "whole.png")):
        run("generate", "x", "-I", "deep.png", "-S1", "-s4", "-o", name, *extra, cwd=tmp_path)
    patch, whole = (
        cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED)
        for name in ("patch.png", "whole.png")
    )
    assert patch is not None
    assert whole is not None
    assert patch.dtype == whole.dtype == np.uint16
    hole = pixels[..., 3] == 0
    np.testing.assert_array_equal(whole[~hole], pixels[~hole])
    np.testing.assert_array_equal(whole[hole], patch[hole])
    assert not patch[~hole].any()


def test_an_opaque_picture_stays_without_alpha(daemon: Path, tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), (9, 99, 200)).save(tmp_path / "photo.jpg")
    Image.new("L", (40, 40), 0).save(tmp_path / "mask.png")
    run("generate", "x", "-I", "photo.jpg", "-s2", "-o", "out.png", cwd=tmp_path)
    with Image.open(tmp_path / "out.png") as image:
        assert image.mode == "RGB"
    process = run(
        "generate", "x", "-I", "photo.jpg", "--selection", "mask.png", "-o", "o2.png", cwd=tmp_path
    )
    assert "nothing is selected" in process.stderr


def test_from_nothing_and_fit(daemon: Path, tmp_path: Path, sketch: Any) -> None:
    run("generate", "a", "lake", "-W", "80", "-H", "48", "-s2", cwd=tmp_path)
    assert pixels_of(tmp_path / "a-lake-0001.png").shape == (48, 80, 3)
    run(
        "generate",
        "x",
        "-I",
        "sketch.png",
        "--fit",
        "-W64",
        "-H64",
        "-s2",
        "-o",
        "f.png",
        cwd=tmp_path,
    )
    assert pixels_of(tmp_path / "f.png").shape[:2] == (51, 64)
    run("generate", "x", "-I", "sketch.png", "-W64", "-H64", "-s2", "-o", "w.png", cwd=tmp_path)
    assert pixels_of(tmp_path / "w.png").shape[:2] == (72, 90)
    assert read_recipe(tmp_path / "w.png").facts.work_size == (64, 64)


def test_strength_zero_changes_nothing(daemon: Path, tmp_path: Path, sketch: Any) -> None:
    run("generate", "x", "-I", "sketch.png", "-f0", "-o", "out.png", cwd=tmp_path)
    np.testing.assert_array_equal(pixels_of(tmp_path / "out.png"), sketch)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["-I", "missing.png"], 2, "missing.png cannot be read"),
        (["-I", "text.png"], 2, "text.png is not a picture"),
        (["-I", "empty.png"], 2, "it is empty"),
        (["-f", "1.5"], 2, "strength 1.5 is out of range"),
        (["-f", "lots"], 2, "invalid float value: 'lots'"),
        (["-f", "nan"], 2, "strength nan"),
        (["-s", "0"], 2, "steps 0 is out of range"),
        (["-s", "ten"], 2, "invalid int value: 'ten'"),
        (["-n", "0"], 2, "images 0"),
        (["-S", "-4"], 2, "seed -4"),
        (["-A", "k_magic"], 2, "'k_magic' is unknown"),
        (["--fill", "magic"], 2, "invalid choice: 'magic'"),
        (["--stregth", "1"], 2, "--stregth"),
        (["-W", "64"], 2, "without a height"),
        (["--fit"], 2, "need a picture"),
        (["--selection", "sketch.png"], 2, "need a picture"),
        (["--context", "sketch.png"], 2, "need a picture"),
        (["-I", "sketch.png", "--context", "missing.png"], 2, "missing.png cannot be read"),
        (["-I", "sketch.png", "--context", "small.png"], 2, "the context has 3 x 4 pixels and"),
        (["-I", "sketch.png", "--selection", "small.png"], 2, "3 x 4 pixels and the layer 90 x 72"),
        (["-I", "sketch.png", "-o", "sketch.png"], 2, "sketch.png exists"),
        (["-o", "text.png/out.png"], 2, "cannot be written"),
        (["-o", "out.webp"], 2, "does not end in .png"),
        (["-m", "unheard-of"], 3, "'unheard-of' is unknown; models found: sd, sdxl"),
        (["-m", "."], 3, "is not a model"),
    ],
)
def test_bad_input(
    daemon: Path, tmp_path: Path, sketch: Any, words: list[str], code: int, told: str
) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    Image.new("L", (3, 4)).save(tmp_path / "small.png")
    process = run("generate", "x", *words, cwd=tmp_path, code=code)
    assert told in process.stderr
    assert process.stdout == ""


def test_other_words(tmp_path: Path) -> None:
    assert "generate" in run("--help", cwd=tmp_path).stdout
    assert run("--version", cwd=tmp_path).stdout.startswith("underpaint 0.")
    assert "--init-img" in run("generate", "--help", cwd=tmp_path).stdout
    assert "'draw' is not a command\n" in run("draw", "a", cwd=tmp_path, code=2).stderr
    told = run("generatee", cwd=tmp_path, code=2).stderr
    assert "'generatee' is not a command; did you mean 'generate'?" in told
    assert run(cwd=tmp_path, code=2).stderr.startswith("usage:")
    run(cwd=tmp_path, code=2)


def test_status_and_models(daemon: Path, tmp_path: Path) -> None:
    status = json.loads(run("status", "--json", cwd=tmp_path).stdout)
    assert status["workers"][0]["device"] == "cpu"
    assert "queue     0 jobs" in run("status", cwd=tmp_path).stdout
    assert "sd (default)  Stable Diffusion 1  plain" in run("models", cwd=tmp_path).stdout
    names = [
        json.loads(line)["name"]
        for line in run("models", "--json", cwd=tmp_path).stdout.splitlines()
    ]
    assert names == ["sd", "sdxl", "starter"]


def test_generate_starts_the_daemon_and_says_what_is_missing(home: Path, tmp_path: Path) -> None:
    run("status", cwd=tmp_path, code=3)
    process = run("generate", "a lake", "-m", "nowhere", cwd=tmp_path, code=3)
    assert "started the daemon" in process.stderr
    assert "model 'nowhere' is unknown; models found: starter" in process.stderr
    run("status", cwd=tmp_path)
    assert "stopped" not in (home / "logs" / "daemon.log").read_text()


def test_ctrl_c_cancels_the_job_and_not_the_daemon(daemon: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable, "-m", "underpaint", "generate", "a lake", "-s", "1000",
            "-W", "256", "-H", "256",
        ],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr
    for line in process.stderr:
        if "Denoising" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 130
    assert "cancelled" in err
    assert "Traceback" not in err
    assert out == ""
    assert not list(tmp_path.iterdir())
    assert json.loads(run("status", "--json", cwd=tmp_path).stdout)["jobs"] == []


HERE, AGAIN = ConnectionInfo("ipc://a", 1), ConnectionInfo("ipc://a", 2)
FAR = ConnectionInfo("tcp://gpu:1", 0)


@pytest.mark.parametrize(
    ("before", "now", "started", "told"),
    [
        (HERE, AGAIN, True, "the daemon (process id 1) is gone; started another (2); the job"),
        (HERE, AGAIN, False, "the daemon (process id 1) is gone; another runs (2); the job"),
        (HERE, HERE, False, "the daemon at ipc://a answers again; the job"),
        (FAR, FAR, False, "the daemon at tcp://gpu:1 answers again; the job"),
    ],
)
def test_what_is_said_when_a_daemon_answers_again(
    before: ConnectionInfo, now: ConnectionInfo, started: bool, told: str
) -> None:
    assert describe_return(before, now, started=started) == f"{told} goes on"


def test_each_new_connection_to_a_slow_daemon_is_more_patient(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = ConnectionInfo(f"ipc://{tmp_path}/a", 1)
    runner = job_runner.JobRunner(
        Connection(info),
        Request.of(prompt="a lake"),
        None,
        OutputSpec((tmp_path / "a.png",), "a", 1, Metadata(has_alpha=True)),
        terminal.Display(),
        force=False,
        as_json=False,
    )
    monkeypatch.setattr(job_runner, "find_or_start", lambda: (Connection(info), False))
    following = Following("j")
    found = []
    for _ in range(4):
        found.append(runner.connection.patience)
        runner._reconnect(following)
    runner.connection.close(0)
    assert found == [patience.PATIENCE * times for times in (1, 2, 4, 8)]


def at_first_progress(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Have something happen when a job's first progress is shown."""
    acts = [act]
    monkeypatch.setattr(
        terminal.Display, "progress", lambda _self, _progress: acts.pop()() if acts else None
    )


SMALL = ["generate", "a lake", "-W", "64", "-H", "64", "-s", "2", "-f", "1"]


def test_another_machines_daemon_that_dies(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    process = serve("--no-ipc")
    with connect() as here:
        write_connection_file(dataclasses.replace(here.info, pid=0), remote_file())
    monkeypatch.setattr(patience, "PATIENCE", 1)
    monkeypatch.setattr(connection, "HEARTBEAT", 0.3)
    at_first_progress(monkeypatch, process.kill)
    assert main([*SMALL, "-o", str(tmp_path)]) == 3
    process.communicate()
    *_, told = capsys.readouterr().err.splitlines()
    before, _, after = told.partition("FOLDER ")
    assert before == (
        f"underpaint: {here.info.endpoint} no longer answers; the job goes on there when it"
        " runs again; `underpaint results --save "
    )
    assert re.fullmatch("[0-9a-f]{8}` then fetches it", after)
    until(no_connection_threads)
    remote_file().unlink()


def test_a_daemon_that_dies_is_replaced(
    home: Path, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERPAINT_MODELS", str(models))
    daemon = serve()
    process = subprocess.Popen(
        [sys.executable, "-m", "underpaint", *SMALL, "-m", "sd"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr
    process.stderr.readline()  # it is accepted
    daemon.kill()
    daemon.communicate()
    out, told = process.communicate(timeout=90)
    assert process.returncode == 0, told
    assert f"the daemon (process id {daemon.pid}) is gone; started another (" in told
    assert "start it with" not in told
    assert (tmp_path / out.strip()).is_file()


def test_a_folder_that_is_lost_loses_nothing(
    daemon: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = tmp_path / "out"
    at_first_progress(monkeypatch, folder.rmdir)
    assert main([*SMALL, "-m", "sd", "-o", str(folder / "a.png")]) == 2
    assert "a.png cannot be written: No such file" in (told := capsys.readouterr().err)
    assert "the daemon keeps the job; `underpaint results --save FOLDER " in told
    assert main(["results", "--save", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "a.png").exists()


def test_an_error_after_acceptance_tells_how_to_get_the_job(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    process = serve()
    with connect() as here:
        until(lambda: here.status().workers[0].state == "idle")
        worker = here.status().workers[0].pid
    monkeypatch.setattr(patience, "PATIENCE", 1)
    monkeypatch.setattr(connection, "HEARTBEAT", 0.3)
    monkeypatch.setattr(background, "PATIENCE", 1)

    def fall_asleep() -> None:
        for pid in (worker, process.pid):
            os.kill(pid, signal.SIGSTOP)

    at_first_progress(monkeypatch, fall_asleep)
    try:
        code = main([*SMALL, "-o", str(tmp_path / "out.png")])
    finally:
        for pid in (process.pid, worker):
            os.kill(pid, signal.SIGCONT)
    told = capsys.readouterr().err
    assert code == 3, told
    assert f"is running (process id {process.pid}) but does not answer" in told
    found = re.search(r"; the daemon keeps the job; `underpaint results --save FOLDER (\w+)`", told)
    assert found is not None
    monkeypatch.undo()
    monkeypatch.setenv("UNDERPAINT_HOME", str(home))
    with connect() as here:  # which hears of the client that has gone
        until(lambda: [job.job[:8] for job in here.waiting()] == [found[1]])
    assert main(["results", "--save", str(tmp_path / "saved"), found[1]]) == 0
    assert len(list((tmp_path / "saved").iterdir())) == 1
    process.terminate()
    process.communicate()


def test_what_the_daemon_has_to_say_is_shown(
    daemon: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def remark(message: Any) -> Any:
        if isinstance(message, messages.Welcome | messages.Accepted):
            return dataclasses.replace(message, remark=f"{message.type} was odd")
        return message

    receive = connection.Connection._receive

    def received(self: connection.Connection, timeout: float | None) -> Any:
        found = receive(self, timeout)
        return found and (remark(found[0]), found[1])

    monkeypatch.setattr(connection.Connection, "_receive", received)
    assert main([*SMALL, "-m", "sd", "-o", str(tmp_path)]) == 0
    notes = [ln for ln in capsys.readouterr().err.splitlines() if ln.startswith("note: ")]
    assert notes == ["note: welcome was odd", "note: accepted was odd"]
    assert main(["results"]) == 0
    assert "note: welcome was odd" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (PermissionError(13, "Permission denied", "/a/b"), 3, "/a/b cannot be used: Permission de"),
        (OSError(28, "No space left on device"), 3, "a file cannot be used: No space left on dev"),
    ],
)
def test_what_the_system_refuses_is_named(
    error: OSError, code: int, told: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def fail(_words: object) -> None:
        raise error

    monkeypatch.setattr("underpaint.cli.daemon.run_status", fail)
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    assert main(["status"]) == code
    assert told in capsys.readouterr().err


def test_a_terminal_shows_a_bar(daemon: Path, tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "underpaint", "generate", "a lake", "-s", "60", "-f", "1"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=follower, text=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(follower)
    shown, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            shown += os.read(leader, 4096)
        except OSError:
            break
    os.close(leader)
    out, _ = process.communicate()
    assert out == "a-lake-0001.png\n"  # results are not the bar's
    text = shown.decode()
    assert process.returncode == 0
    assert "Denoising" in text
    assert "/60" in text
    assert "steps/s" in text


def test_two_runs_at_once_lose_nothing(daemon: Path, tmp_path: Path) -> None:
    words = ["generate", "a lake", "-s", "2", "-o", "out.png"]
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "underpaint", *words],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    printed = {one.communicate()[0].strip() for one in runs}
    files = {file.name for file in tmp_path.iterdir()}
    # Who began after another had ended is told that the file exists; nobody's picture is lost.
    assert printed - {""} == files
    assert sum(one.returncode == 0 for one in runs) == len(files)


@pytest.mark.parametrize("to", ["/dev/full", "&-"])
def test_results_that_cannot_be_printed(daemon: Path, tmp_path: Path, to: str) -> None:
    command = f"{sys.executable} -m underpaint generate x -s 1 -o out.png >{to}"
    process = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in process.stderr
    assert (tmp_path / "out.png").exists()
    assert process.returncode == (4 if to == "/dev/full" else 0)


def test_a_prompt_may_begin_with_a_dash(daemon: Path, tmp_path: Path) -> None:
    process = run(
        "generate", "-s", "1", "--json", "--", "-Impressionist", "lake_side", cwd=tmp_path
    )
    assert json.loads(process.stdout)["recipe"]["facts"]["prompt"] == "-Impressionist lake_side"


def test_a_folder_does_not_hide_a_model(daemon: Path, tmp_path: Path) -> None:
    (tmp_path / "sd").mkdir()
    run("generate", "x", "-s", "1", "-m", "sd", cwd=tmp_path)


def test_variations(daemon: Path, tmp_path: Path, sketch: Any) -> None:
    usual = ("-I", "sketch.png", "-s", "4", "-S", "7")
    process = run("generate", "a lake", *usual, "-n", "3", "-v", "0.2", "--json", cwd=tmp_path)
    recipes = [json.loads(line)["recipe"]["facts"] for line in process.stdout.splitlines()]
    assert [recipe["seed"] for recipe in recipes] == [7, 7, 7]
    (second,) = recipes[1]["variations"]
    words = f"{second['seed']}:0.2"
    assert f"seed 7 with {words}" in process.stderr
    run("generate", "a lake", *usual, "-V", words, "-o", "again.png", cwd=tmp_path)
    np.testing.assert_array_equal(
        pixels_of(tmp_path / "again.png"), pixels_of(tmp_path / "sketch-0002.png")
    )
    process = run("generate", *usual, "-V", "7-0.2", cwd=tmp_path, code=2)
    assert "variation '7-0.2' cannot be read; write seed:weight" in process.stderr
    process = run("generate", *usual, "-V", "7:1.2", cwd=tmp_path, code=2)
    assert "variation weight 1.2 is out of range" in process.stderr


def test_replay(daemon: Path, tmp_path: Path, sketch: Any) -> None:
    run(
        "generate", "a {red|blue} lake", "-I", "sketch.png", "-s", "4", "-n", "3", "-v", "0.3",
        "--chain", "--patch", "-f", "0.6", cwd=tmp_path,
    )  # fmt: skip
    process = run("replay", "sketch-0003.png", "-I", "sketch.png", cwd=tmp_path)
    assert "the picture is identical" in process.stderr
    assert process.stdout == "sketch-0003-again-0001.png\n"
    sketch[40:50] = 9
    Image.fromarray(sketch).save(tmp_path / "other.png")
    process = run("replay", "sketch-0003.png", "-I", "other.png", cwd=tmp_path)
    assert "the picture differs in" in process.stderr
    assert "it was made from another input" in process.stderr
    process = run("replay", "sketch-0003.png", cwd=tmp_path, code=2)
    assert "was made from another picture; name that picture with -I" in process.stderr
    process = run("replay", "sketch.png", cwd=tmp_path, code=2)
    assert "has no recipe" in process.stderr


def test_every_step_is_saved(daemon: Path, tmp_path: Path, sketch: Any) -> None:
    run(
        "generate", "a lake", "-I", "sketch.png", "-s", "6", "-f", "0.5", "-n", "2",
        "--save-intermediates", "steps", cwd=tmp_path,
    )  # fmt: skip
    names = sorted(path.name for path in (tmp_path / "steps").iterdir())
    assert names == [
        f"sketch-{image:02d}-step-{step:03d}.png" for image in (1, 2) for step in (1, 2, 3)
    ]
    assert pixels_of(tmp_path / "steps" / names[0]).shape[2] == 3
    process = run(
        "generate", "a lake", "-I", "sketch.png", "--save-intermediates", "sketch.png",
        cwd=tmp_path, code=2,
    )  # fmt: skip
    assert "choose another with --save-intermediates" in process.stderr
    assert run("results", cwd=tmp_path).stdout == ""  # it was noticed before the job was sent


def test_an_empty_layer_over_a_picture_is_filled_and_replayed(
    daemon: Path, tmp_path: Path, sketch: Any
) -> None:
    Image.new("RGBA", (90, 72)).save(tmp_path / "empty.png")
    picture = Image.fromarray(sketch[..., :3])
    picture.save(tmp_path / "below.png")
    picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "other.png")
    selection = Image.new("L", (90, 72))
    selection.paste(255, (20, 10, 60, 50))
    selection.save(tmp_path / "selection.png")
    inputs = ("-I", "empty.png", "--selection", "selection.png")
    process = run(
        "generate", "x", *inputs, "--context", "below.png", "-S1", "-s4", "-o", "out.png",
        cwd=tmp_path,
    )  # fmt: skip
    assert "Fills the selection to fit what is below" in process.stderr
    made = pixels_of(tmp_path / "out.png")
    np.testing.assert_array_equal(made[..., 3], np.array(selection))
    recipe = read_recipe(tmp_path / "out.png")
    assert recipe.request.mode == "inpaint"
    assert recipe.request.source.context == "below"
    assert recipe.facts.context_hash
    again = run("replay", "out.png", *inputs, "--context", "below.png", cwd=tmp_path)
    assert "the picture is identical" in again.stderr
    again = run("replay", "out.png", *inputs, "--context", "other.png", "-o", "2.png", cwd=tmp_path)
    assert "it was made with another context" in again.stderr
    assert "it was made from another input" not in again.stderr
    process = run("replay", "out.png", *inputs, cwd=tmp_path, code=2)
    assert "made over another picture; name that picture with --context" in process.stderr
    run("generate", "--settings-of", "out.png", "-s2", "-o", "settings.png", cwd=tmp_path)
    run("generate", "x", *inputs, "-S1", "-s2", "-o", "alone.png", cwd=tmp_path)
    words = ("replay", "alone.png", *inputs, "--context", "below.png")
    assert "made without a context" in run(*words, cwd=tmp_path, code=2).stderr
