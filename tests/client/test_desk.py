from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemons import serve
from underpaint_client import Box, DaemonUnavailableError, Frame, Request
from underpaint_client.desk import (
    Advanced,
    Desk,
    Ended,
    Greeted,
    Lost,
    ModelsListed,
    Notice,
    Pace,
    Painted,
    describe_progress,
)
from underpaint_client.errors import CancelledError
from underpaint_client.home import read_connection_file
from underpaint_client.wire import Progress

LAYER = Frame("layer", Box(3, 4, 64, 64), "u1", "BGRA", bytes(range(256)) * 64)


def hear(desk: Desk, until: Callable[[Notice], bool], patience: float = 30) -> list[Notice]:
    """Drive a desk as an event loop would: by its descriptor."""
    import select

    heard: list[Notice] = []
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        for notice in desk.hear():
            heard.append(notice)
            if until(notice):
                return heard
        if desk.fd is not None:
            select.select([desk.fd], [], [], 0.5)
    raise TimeoutError(heard)


def ended(notice: Notice) -> bool:
    return isinstance(notice, Ended)


def kinds(heard: list[Notice]) -> set[type]:
    return {type(notice) for notice in heard}


def test_a_job_from_greeting_to_end(daemon: Path) -> None:
    desk = Desk("test")
    desk.open()
    heard = hear(desk, lambda n: isinstance(n, ModelsListed))
    assert isinstance(heard[0], Greeted)
    assert heard[0].default_model == "sd"
    listed = heard[-1]
    assert isinstance(listed, ModelsListed)
    assert [(m.name, m.native) for m in listed.models if m.name != "starter"] == [
        ("sd", 64),
        ("sdxl", 64),
    ]
    job = desk.submit(Request(prompt="x", steps=4, images=2, seed=1), {"layer": LAYER}, "here")
    heard = hear(desk, ended)
    assert kinds(heard) == {Advanced, Painted, Ended}
    painted = [notice for notice in heard if isinstance(notice, Painted)]
    assert [notice.picture.recipe.seed for notice in painted] == [1, 2]
    assert painted[0].frame.box == LAYER.box
    assert painted[0].frame.channels == "BGRA"
    assert job.about == "here"
    assert job.pictures == 2
    assert heard[-1] == Ended(job, None)
    assert desk.jobs == {}
    desk.close()


def test_a_mask_erases_and_keeps_the_colour(daemon: Path) -> None:
    desk = Desk("test")
    pixels = bytes([10, 20, 30, 255]) * 64 * 64
    frames = {
        "layer": Frame("layer", Box(0, 0, 64, 64), "u1", "BGRA", pixels),
        "mask": Frame("mask", Box(0, 0, 64, 64), "u1", "Y", bytes(64 * 32) + b"\x80" * 64 * 32),
    }
    desk.submit(Request(strength=0.0), frames)
    (painted,) = (n for n in hear(desk, ended) if isinstance(n, Painted))
    half = 4 * 64 * 32
    assert bytes(painted.frame.data[:half]) == bytes([10, 20, 30, 0]) * 64 * 32
    assert bytes(painted.frame.data[half:]) == bytes([10, 20, 30, 128]) * 64 * 32
    desk.close()


def test_cancel_and_refusal(daemon: Path) -> None:
    desk = Desk("test")
    job = desk.submit(Request(prompt="x", steps=1000, strength=1), {"layer": LAYER})
    hear(desk, lambda n: isinstance(n, Advanced) and n.fraction is not None)
    desk.cancel(job)
    (*_, last) = hear(desk, ended)
    assert isinstance(last, Ended)
    assert isinstance(last.error, CancelledError)
    desk.submit(Request(model="nowhere"), {"layer": LAYER})
    (*_, last) = hear(desk, ended)
    assert isinstance(last, Ended)
    assert "'nowhere' is unknown" in str(last.error)
    desk.close()


def test_no_daemon(home: Path) -> None:
    desk = Desk("test")
    with pytest.raises(DaemonUnavailableError, match="no Underpaint daemon runs"):
        desk.submit(Request(), {})
    assert desk.fd is None
    assert list(desk.check()) == []


def test_a_dead_daemon_ends_jobs(home: Path) -> None:
    process = serve()
    desk = Desk("test")
    desk.open()
    hear(desk, lambda n: isinstance(n, Greeted))
    job = desk.submit(Request(), {"layer": LAYER})
    assert not kinds(list(desk.check())) & {Ended, Lost}
    process.kill()
    process.communicate()
    *_, first, second = desk.check()
    assert isinstance(first, Ended)
    assert first.job is job
    assert isinstance(second, Lost)
    assert "has ended; start it again" in str(second.error)
    assert desk.fd is None
    assert desk.jobs == {}


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
    desk = Desk("test")
    desk.open()
    hear(desk, lambda n: isinstance(n, ModelsListed))
    assert list(desk.check()) == []  # asks, and the answer will not know the job
    job = desk.submit(Request(strength=0.0), {"layer": LAYER})
    (*_, last) = hear(desk, ended)
    assert last == Ended(job, None)
    desk.close()


def test_a_stale_connection_file_is_no_daemon(home: Path) -> None:
    process = serve()
    process.kill()
    process.communicate()
    assert read_connection_file() is not None
    with pytest.raises(DaemonUnavailableError, match="is gone"):
        Desk("test").open()
