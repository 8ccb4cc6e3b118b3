"""Generate where no daemon runs: it is started, and the request waits for it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from editor.fake_connection import FakeConnection
from editor.fake_editor import FakeEditor, FakeEventLoop, FakeToolkit
from underpaint_client import Frame, messages
from underpaint_client.errors import DaemonUnavailableError
from underpaint_client.geometry import Extent
from underpaint_editor.form import Form
from underpaint_editor.launch import Launcher
from underpaint_editor.remedy import Remedy
from underpaint_editor.session import Session
from underpaint_editor.tracker import JobTracker

EXTENT = Extent(4, 4)


class Submissions(FakeConnection):
    """A silent connection that notes which prompts were submitted."""

    def __init__(self) -> None:
        super().__init__()
        self.submitted: list[str] = []

    def send(self, message: messages.Message, frames: tuple[Frame, ...] = ()) -> None:
        if isinstance(message, messages.Submit):
            self.submitted.append(message.request.prompt.positive)


class Loop(FakeEventLoop):
    """An event loop without descriptors."""

    def watch(self, fd: int, callback: Callable[[], None]) -> Callable[[], None]:
        return lambda: None


class Desk:
    """An editor with a painting, and a daemon that can be started but does not run yet."""

    def __init__(self, command: list[str]) -> None:
        self.editor, self.toolkit = FakeEditor(), FakeToolkit()
        self.editor.loop = Loop()
        self.document = self.editor.open("a.kra", bytes((9, 90, 200, 255)) * 16, EXTENT)
        self.connection = Submissions()
        self.runs = self.fails = False
        self.starts = 0
        self.session = Session(
            "test", self.editor.loop, self.toolkit, self.editor.find,
            tracker=JobTracker("test", connect=self.connect),
            launcher=Launcher(lambda: command, self.start),
        )  # fmt: skip
        self.editor.loop.run(0)

    def connect(self) -> Submissions:
        if not self.runs:
            raise DaemonUnavailableError("no daemon runs")
        return self.connection

    def start(self) -> Any:
        self.starts += 1
        ended = 1 if self.fails else 0
        told = b"no memory" if self.fails else b""
        return cast(
            "Any",
            SimpleNamespace(
                poll=lambda: ended if self.runs or self.fails else None,
                communicate=lambda: (b"", told),
            ),
        )

    def generate(self, prompt: str) -> Form | None:
        return self.session.generate(Form().with_values(prompt=prompt), lambda: self.document)


def test_generate_starts_the_daemon_and_the_requests_wait_for_it() -> None:
    desk = Desk(["underpaint", "serve"])
    assert desk.generate("a lake") is not None
    assert desk.session.last_message == "Starting the daemon..."
    assert desk.session.running
    assert desk.generate("a pond") is not None  # while it starts
    assert desk.starts == 1
    assert desk.connection.submitted == []
    desk.runs = True
    desk.editor.loop.run(1000)
    assert desk.connection.submitted == ["a lake", "a pond"]


def test_a_request_waits_on_if_the_daemon_could_not_be_started() -> None:
    desk = Desk(["underpaint", "serve"])
    desk.fails = True
    desk.generate("a lake")
    desk.editor.loop.run(1000)
    assert desk.session.last_message == "The daemon could not be started: no memory"
    assert desk.session.remedy is Remedy.START_DAEMON
    assert desk.session.running
    desk.fails, desk.runs = False, True
    desk.session.apply_remedy()
    desk.editor.loop.run(1000)
    assert desk.connection.submitted == ["a lake"]


def test_a_request_that_waits_can_be_cancelled() -> None:
    desk = Desk(["underpaint", "serve"])
    desk.generate("a lake")
    desk.session.cancel()
    assert not desk.session.running
    assert desk.session.last_message.startswith("Cancelled")
    desk.runs = True
    desk.editor.loop.run(1000)
    assert desk.connection.submitted == []


def test_where_it_cannot_be_started_nothing_is_sent() -> None:
    desk = Desk([])
    assert desk.generate("a lake") is None
    assert desk.session.last_message == "No daemon runs."
    assert not desk.session.running
