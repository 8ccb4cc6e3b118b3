"""The plug-in's log: bounded, private, and silent about what is painted."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from editor.contract_checks import HOLE, SIZE, painting, results
from editor.fake_editor import FakeDocument, FakeEditor, FakeToolkit
from underpaint_client import Frame, Request, messages
from underpaint_client.geometry import Box
from underpaint_editor import log
from underpaint_editor.batch import Batch, Result
from underpaint_editor.job import Job
from underpaint_editor.notices import Ended, ImageReceived, PreviewReceived
from underpaint_editor.session import Session

SECRET = "a castle of a secret client"


@contextmanager
def opened(editor: str = "Krita", size: int = log.LOG_BYTES) -> Iterator[Path]:
    handler = log.open_log(editor, "5.3", size)
    try:
        yield log.log_file(editor)
    finally:
        log.close_log(handler)


class Refusing(FakeDocument):
    """A document whose editor fails at everything, and says what was painted."""

    def insert(self, title: str, results: Sequence[Result], into: Any = None) -> object:
        raise RuntimeError(SECRET)

    def open_as_document(self, title: str, results: Sequence[Result]) -> None:
        raise RuntimeError(SECRET)

    def show_preview(self, frame: Frame, area: Box) -> None:
        raise RuntimeError(SECRET)

    def remove_preview(self) -> None:
        raise RuntimeError(SECRET)


def test_a_swallowed_exception_is_logged_without_its_message(home: Path) -> None:
    editor = FakeEditor()
    whole = editor.open(f"{SECRET}.fake", painting(), SIZE)
    document = Refusing(editor, whole.canvas, whole.layer_id)
    session = Session("Krita", editor.loop, FakeToolkit(), editor.find)
    job = Job("job", Request.of(prompt=SECRET, seed=7), Batch(document))
    frame = Frame("preview", Box(0, 0, 1, 1), "u1", "RGBA", bytes((1, 2, 3, 255)))
    (result,) = results(1)
    assert result.recipe is not None
    picture = messages.Picture("job", 0, "patch", result.recipe)
    with opened() as file:
        session.tracker.jobs["job"] = job
        session.handle_notices([PreviewReceived(job, HOLE, frame)])
        session.handle_notices([ImageReceived(job, picture, result.frame), Ended(job, None)])
        session.apply_remedy()
        text = file.read_text()
    assert "Krita 5.3 started the plug-in, Python 3." in text
    for action in ("showing a preview", "removing a preview", "inserting results", "the remedy"):
        assert f"{action} failed: RuntimeError at test_log.py:" in text
    assert "job job ended: done, 1 images" in text
    assert SECRET not in text
    assert SECRET in session.last_message  # the artist is told


def test_a_log_does_not_grow(home: Path) -> None:
    with opened("GIMP", 2000) as file:
        for number in range(500):
            log.log_event(f"event {number}")
        files = sorted(file.parent.glob("gimp.log*"))
        assert [one.name for one in files] == ["gimp.log", "gimp.log.1"]
        assert all(one.stat().st_size <= 2000 for one in files)
        assert "event 499" in file.read_text()
        assert [stat.S_IMODE(one.stat().st_mode) for one in files] == [0o600, 0o600]
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_log_that_cannot_be_written_disturbs_nobody(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "logs").write_text("not a folder")
    with opened():
        log.log_event("an event")
        log.log_exception("an action", ValueError(SECRET))
    assert capsys.readouterr() == ("", "")
