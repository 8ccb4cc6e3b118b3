"""What the window for downloads shows, and what its buttons do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from editor.fake_connection import FakeConnection
from editor.fake_editor import FakeToolkit
from editor.test_session import Quiet
from underpaint_client import messages, model_messages
from underpaint_client.errors import BadInputError, DaemonUnavailableError
from underpaint_client.model_messages import Download, Suggestion, Suggestions
from underpaint_editor.form import Form
from underpaint_editor.lists import GET_MODEL, list_models
from underpaint_editor.model_downloads import (
    LOOKING,
    RESUME,
    START,
    STOP,
    ModelDownloads,
    Offer,
    describe_download,
    make_offer,
)
from underpaint_editor.panel import Panel
from underpaint_editor.session import Session
from underpaint_editor.tracker import JobTracker

GB = 10**9
SD = Suggestion("some/sd-v1-5", "everything, at 512 pixels", 2_100_000_000, 3_100_000_000, "MIT")
FLUX = Suggestion("some/FLUX", "everything, in 4 steps", 33_700_000_000, 36 * GB, "Apache-2.0")
FOUND = Suggestions(8 * GB, "a GPU", (SD, FLUX))


@pytest.mark.parametrize(
    ("download", "shown"),
    [
        (Download("a", "waiting"), ("Waits for another download", None, STOP)),
        (Download("a", "running"), ("Asking the Hugging Face Hub...", 0.0, STOP)),
        (Download("a", "running", 0, 2 * GB), ("0 MB of 2.0 GB downloaded", 0.0, STOP)),
        (
            Download("a", "running", GB // 2, 2 * GB),
            ("500 MB of 2.0 GB downloaded", 0.25, STOP),
        ),
        (Download("a", "running", 2 * GB, 2 * GB), ("Checking the files...", 1.0, STOP)),
        (Download("a", "stopped"), ("Stopped", None, START)),
        (
            Download("a", "stopped", GB, 2 * GB),
            ("Stopped: 1.0 GB of 2.0 GB downloaded", None, RESUME),
        ),
        (
            Download("a", "failed", message="the Hub cannot be reached"),
            ("The Hub cannot be reached.", None, START),
        ),
        (Download("a", "failed", 5, 9, "no room"), ("No room.", None, RESUME)),
        (Download("a", "done", 9, 9, "sd"), ("Downloaded: choose sd as the model", None, "")),
    ],
)
def test_a_download_in_words(download: Download, shown: tuple[str, float | None, str]) -> None:
    assert describe_download(download) == shown


def test_every_state_has_words() -> None:
    for state in model_messages.DOWNLOAD_STATES:
        assert describe_download(Download("a", state))[0]


def test_an_offer_says_what_a_model_is_for_and_needs() -> None:
    offer = make_offer(SD, 8 * GB, None)
    assert (offer.title, offer.status, offer.fraction, offer.button) == ("sd-v1-5", "", None, START)
    assert offer.details == (
        "For everything, at 512 pixels. 2.1 GB to download. Needs 3.1 GB of memory, which fits into"
        " this machine's. Licence: MIT."
    )
    assert "which is more than this machine's" in make_offer(FLUX, 8 * GB, None).details
    there = make_offer(replace(SD, is_there=True), 8 * GB, None)
    assert (there.status, there.button) == ("On this machine", "")


class Scene:
    """The downloads, what they send, and what the artist is told elsewhere."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.reports: list[str] = []
        self.error: DaemonUnavailableError | None = None
        self.shown: list[tuple[str, list[Offer]]] = []
        self.downloads = ModelDownloads(self.send, self.reports.append)
        self.downloads.on_change = self.show

    def send(self, message: messages.Message) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append(message)

    def show(self) -> None:
        self.shown.append((self.downloads.heading, self.downloads.offers))

    def offer(self, model: str) -> Offer:
        return next(one for one in self.downloads.offers if one.model == model)


def test_a_model_is_downloaded_and_offered_as_a_choice() -> None:
    scene = Scene()
    scene.downloads.open()
    assert scene.sent == [model_messages.AskSuggestions()]
    assert scene.shown[-1] == (LOOKING, [])
    scene.downloads.handle(FOUND)
    assert scene.shown[-1][0] == "The daemon's machine has 8.0 GB (a GPU)."
    shown: list[Offer] = scene.shown[-1][1]
    assert [offer.model for offer in shown] == [SD.model, FLUX.model]
    scene.downloads.press(scene.offer(SD.model))
    assert scene.sent[-1] == model_messages.StartDownload(SD.model)
    scene.downloads.handle(Download(SD.model, "running", 0, 100))
    scene.downloads.press(scene.offer(SD.model))
    assert scene.sent[-1] == model_messages.StopDownload(SD.model)
    scene.downloads.handle(Download(SD.model, "stopped", 50, 100))
    scene.downloads.press(scene.offer(SD.model))
    assert scene.sent[-1] == model_messages.StartDownload(SD.model)
    done = Download(SD.model, "done", 100, 100, "sd-v1-5")
    for _ in range(2):  # told again after the daemon was asked again
        scene.downloads.handle(done)
    assert scene.sent[-1] == model_messages.AskModels()
    assert scene.sent.count(model_messages.AskModels()) == 1
    assert scene.reports == ["sd-v1-5 is downloaded. Choose it as the model to use it."]
    sent = list(scene.sent)
    scene.downloads.press(scene.offer(SD.model))  # there is nothing left to do
    assert scene.sent == sent


def test_what_goes_wrong_is_shown_in_the_window() -> None:
    scene = Scene()
    scene.error = DaemonUnavailableError("no Underpaint daemon is running")
    scene.downloads.open()
    assert scene.shown[-1][0] == "No Underpaint daemon is running."
    scene.error = None
    scene.downloads.reconnect()
    assert scene.downloads.heading == LOOKING
    assert scene.downloads.handle_error(BadInputError("only on the daemon's own machine"))
    assert scene.shown[-1][0] == "Only on the daemon's own machine."
    scene.downloads.handle(FOUND)
    assert not scene.downloads.handle_error(BadInputError("something else"))
    assert scene.downloads.heading.startswith("The daemon's machine")


def test_nobody_is_asked_while_there_is_no_window() -> None:
    scene = Scene()
    scene.downloads.reconnect()
    assert not scene.downloads.handle_error(BadInputError("something else"))
    scene.downloads.open()
    scene.downloads.forget_window()
    scene.downloads.reconnect()
    assert scene.sent == [model_messages.AskSuggestions()]


class Connection(FakeConnection):
    """A connection that notes messages of no job."""

    def send(self, message: messages.Message, frames: object = ()) -> None:
        self.sent.append((message.type,))


def test_a_session_passes_on_what_the_daemon_says() -> None:
    quiet = Quiet()
    connection = Connection((FOUND, ()), (Download(SD.model, "done", 9, 9, "sd"), ()))
    tracker = JobTracker("test", connect=lambda: connection)
    session = Session("test", quiet, quiet, lambda _: None, tracker=tracker)  # type: ignore[arg-type,return-value]
    session.downloads.open()
    assert ("ask_suggestions",) in connection.sent
    assert session.handle_notices(tracker.receive())
    sd = session.downloads.offers[0]
    assert sd.status == "Downloaded: choose sd as the model"
    assert session.last_message == "sd is downloaded. Choose it as the model to use it."


def test_the_last_choice_of_models_opens_the_window_and_leaves_the_choice() -> None:
    quiet = Quiet()
    tracker = JobTracker("test", connect=Connection)
    session = Session("test", quiet, quiet, lambda _: None, tracker=tracker)  # type: ignore[arg-type,return-value]
    assert session.model_choices[-1].value == GET_MODEL
    assert [one.value for one in list_models((), "")] == ["", GET_MODEL]
    toolkit = FakeToolkit()
    panel = Panel(session, toolkit)
    panel.fill(Form.of(model="sd"))
    toolkit.controls["model"].value = "sdxl"
    panel.form_edited()
    assert (toolkit.downloads_shown, toolkit.saved) == (0, 1)
    toolkit.controls["model"].value = GET_MODEL
    panel.form_edited()
    assert (toolkit.downloads_shown, toolkit.saved) == (1, 1)
    assert panel.form.value("model") == "sdxl"
