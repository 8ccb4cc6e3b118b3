"""What `underpaint results` writes is what `underpaint generate` would have written."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from daemons import no_connection_threads, serve, until
from underpaint.cli import main, output_spec, terminal
from underpaint.cli.output_spec import OutputSpec, forget_spec, keep_spec, recall_spec
from underpaint.cli.pictures import Metadata, read_picture
from underpaint_client import connect
from underpaint_client.home import home as home_folder
from underpaint_client.home import remote_file, write_connection_file

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
JOB = "0123456789abcdef" * 2
SPEC = OutputSpec(
    (Path("/a/lake.png"), Path("/a/\udcff.png")),
    "lake",
    3,
    Metadata(has_alpha=False, chunks=(b"\0\xff", b"b"), orientation=6),
)


@pytest.mark.parametrize("spec", [SPEC, dataclasses.replace(SPEC, source=None)])
def test_a_spec_is_kept_until_it_is_forgotten(home: Path, spec: OutputSpec) -> None:
    assert recall_spec(JOB) is None
    keep_spec(JOB, spec)
    assert recall_spec(JOB) == spec
    (file,) = (home / "outputs").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    forget_spec(JOB)
    forget_spec(JOB)
    assert recall_spec(JOB) is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"format": 2}', '{"format": 1, "source": 3}', "[" * 100_000],
)
def test_a_spec_that_cannot_be_read_is_none(home: Path, text: str) -> None:
    keep_spec(JOB, SPEC)
    (home / "outputs" / f"{JOB}.json").write_text(text)
    assert recall_spec(JOB) is None


@pytest.mark.parametrize("job", ["../connection", "", "/etc/passwd", "a" * 65, "x.json"])
def test_the_name_of_a_job_is_no_path(home: Path, job: str) -> None:
    (home / "connection.json").write_text("{}")
    assert recall_spec(job) is None
    forget_spec(job)
    assert (home / "connection.json").exists()


def test_what_nobody_fetched_for_months_goes(home: Path) -> None:
    for job, days in (("aa", output_spec.KEPT_DAYS + 1), ("bb", output_spec.KEPT_DAYS - 1)):
        keep_spec(job, SPEC)
        then = time.time() - days * 86400
        os.utime(home / "outputs" / f"{job}.json", (then, then))
    keep_spec("cc", SPEC)
    assert [recall_spec(job) for job in ("aa", "bb", "cc")] == [None, SPEC, SPEC]


def test_images_of_a_chain_that_are_not_wanted_have_no_file() -> None:
    assert [SPEC.path_of(index) for index in range(-1, 4)] == [None, None, *SPEC.paths, None]


class Killed(BaseException):
    """What ends a run as suddenly as a signal."""


def lose(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """Run `generate`, die at the first progress or picture, and wait until the job has ended."""

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(terminal.Display, "progress", die)
        patched.setattr(OutputSpec, "write", die)  # if the picture overtakes all progress
        with pytest.raises(Killed):
            main([*words])
    with connect() as other:
        until(lambda: bool(waiting := other.waiting()) and all(job.ended for job in waiting))


def kept_specs() -> set[str]:
    """Return the names of all that is kept of outputs; what failed in other tests is among it."""
    folder = home_folder() / "outputs"
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """A folder with a photograph on its side and a layer with a hole, both with all metadata."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    pixels = np.random.default_rng(1).integers(1, 256, (64, 48, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    described: dict[str, Any] = {"icc_profile": PROFILE, "dpi": (300, 300)}
    Image.fromarray(pixels[..., :3]).save(folder / "photo.jpg", exif=exif, **described)
    pixels[20:40, 10:30, 3] = 0
    Image.fromarray(pixels).save(folder / "layer.png", **described)
    return folder


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["-I", "photo.jpg", "-o", "out/a.png"], {"a.png"}),
        (["-I", "layer.png", "-o", "out/a.png", "-n", "2"], {"a-1.png", "a-2.png"}),
        (["-I", "layer.png", "--patch", "-o", "out"], {"layer-0001.png"}),
        (["-I", "layer.png", "-o", "out", "--chain", "-n", "2"],
         {"layer-0001.png", "layer-0002.png"}),
        (["-W", "64", "-H", "64", "-o", "out/a.PNG"], {"a.PNG"}),
    ],
)  # fmt: skip
def test_results_are_written_as_generate_would_have(
    daemon: Path, inputs: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], names: set[str]
) -> None:
    monkeypatch.chdir(inputs)
    before = kept_specs()
    generate = ["generate", "a lake", "-m", "sd", "-s", "2", "-S", "7", *words]
    lose(monkeypatch, *generate)
    assert not any(Path("out").iterdir())
    assert main(["results", "--save", "fetched"]) == 0
    assert main(generate) == 0
    assert set(contents(Path("out"))) == names
    assert contents(Path("fetched")) == contents(Path("out"))
    assert kept_specs() == before


def test_replayed_chains_are_written_as_replay_would_have(
    daemon: Path, inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(inputs)
    few = ["-m", "sd", "-s", "2", "-S", "7"]
    assert main(["generate", "a lake", *few, "-I", "photo.jpg", "--chain", "-n", "2"]) == 0
    lose(monkeypatch, "replay", "photo-0002.png", "-I", "photo.jpg", "-o", "again.png")
    assert main(["results", "--save", "fetched"]) == 0
    (again,) = contents(Path("fetched")).values()
    assert again == Path("photo-0002.png").read_bytes()


def test_results_never_replace_a_file(
    daemon: Path, inputs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(inputs)
    lose(monkeypatch, "generate", "a lake", "-m", "sd", "-s", "1", "-o", "a.png", "--force")
    Path("a.png").write_text("mine")
    assert main(["results", "--save", "."]) == 0
    assert capsys.readouterr().out == "a-lake-0001.png\n"
    assert Path("a.png").read_text() == "mine"


def test_names_that_are_lost_are_said(
    daemon: Path, inputs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(inputs)
    lose(monkeypatch, "generate", "a lake", "-m", "sd", "-s", "1", "-I", "photo.jpg", "-o", "a.png")
    for path in (home_folder() / "outputs").iterdir():
        path.unlink()
    assert main(["results", "--save", "out"]) == 0
    assert "the names and metadata of its files are no longer known" in capsys.readouterr().err
    assert (Path("out") / "a-lake-0001.png").exists()


def test_what_cannot_be_kept_is_said_and_stops_nothing(
    daemon: Path, inputs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(output_spec, "write_private", fail)
    monkeypatch.chdir(inputs)
    assert main(["generate", "a lake", "-m", "sd", "-s", "1", "-o", "a.png"]) == 0
    assert "note: if this run ends early" in capsys.readouterr().err
    assert Path("a.png").exists()


def test_another_machines_results_are_written_as_generate_would_have(
    home: Path, inputs: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon has a home of its own, and so has its client."""
    monkeypatch.setenv("UNDERPAINT_MODELS", str(models))
    process = serve("--no-ipc")
    with connect() as there:
        far = dataclasses.replace(there.info, pid=0)
    client = inputs / "home"
    client.mkdir(mode=0o700)
    monkeypatch.chdir(inputs)
    try:
        monkeypatch.setenv("UNDERPAINT_HOME", str(client))
        write_connection_file(far, remote_file())
        generate = ["generate", "a lake", "-m", "sd", "-s", "2", "-S", "7", "-I", "photo.jpg"]
        lose(monkeypatch, *generate, "-o", "out/a.png")
        assert main(["results", "--save", "fetched"]) == 0
        assert main([*generate, "-o", "out/a.png"]) == 0
        assert contents(Path("fetched")) == contents(Path("out"))
        drawing = read_picture(Path("fetched/a.png"))
        assert (drawing.has_alpha, drawing.orientation) == (False, 6)
        assert not (home / "outputs").exists()
    finally:
        monkeypatch.setenv("UNDERPAINT_HOME", str(home))
        process.terminate()
        process.communicate()
        until(no_connection_threads)
