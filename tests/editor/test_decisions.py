"""What is decided about the daemon, about results and about turns: whole tables, without I/O."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import Any

import pytest

from editor.fake_editor import FakeEventLoop
from example_recipe import make_recipe
from underpaint_client import Box, Frame, Request, messages
from underpaint_client.address import Address
from underpaint_client.errors import (
    CancelledError,
    DaemonUnavailableError,
    GenerationFailedError,
    UnderpaintError,
)
from underpaint_client.messages import WaitingJob
from underpaint_client.sentences import Sentence
from underpaint_editor.delivery import Destination, choose_destination, describe_end
from underpaint_editor.job import Job
from underpaint_editor.launch import DaemonStarter, Launcher
from underpaint_editor.lists import list_queue
from underpaint_editor.notices import (
    Connected,
    Ended,
    ImageReceived,
    Notice,
    PreviewReceived,
    Progressed,
    describe_message,
    skip_outdated,
)
from underpaint_editor.presence import DaemonPresence, Presence
from underpaint_editor.pump import TURN, pause_after
from underpaint_editor.remedy import Remedy, choose_remedy
from underpaint_editor.waiting import select_waiting

AREA = Box(0, 0, 2, 1)
FRAME = Frame("preview", AREA, "u1", "RGBA", bytes(8))


# ---- the button ----------------------------------------------------------------------------


@pytest.mark.parametrize("bits", list(itertools.product((False, True), repeat=6)), ids=repr)
def test_the_button_offers_what_could_be_lost_first(bits: tuple[bool, ...]) -> None:
    undelivered, deferred, has_preview, waiting, connected, can_start = bits
    order = [
        (undelivered, Remedy.OPEN_AS_DOCUMENT),
        (deferred, Remedy.INSERT),
        (has_preview, Remedy.KEEP_PREVIEW),
        (waiting and connected, Remedy.FETCH),
        (can_start and not connected, Remedy.START_DAEMON),
    ]
    expected = next((remedy for holds, remedy in order if holds), None)
    assert expected is choose_remedy(
        undelivered=undelivered,
        deferred=deferred,
        has_preview=has_preview,
        waiting=waiting,
        connected=connected,
        can_start=can_start,
    )


# ---- results -------------------------------------------------------------------------------

# A row is whether the document is open and inserting clears the redo history; a column is whether
# the results were fetched by a later start of the editor, and the artist has just asked for them.
DESTINATIONS = """
                  sent    sent,requested  fetched  fetched,requested
open              insert  insert          insert   insert
open,clears       defer   insert          defer    insert
closed            keep    open            open     open
closed,clears     keep    open            open     open
"""


def test_where_results_go() -> None:
    head, *rows = DESTINATIONS.strip("\n").splitlines()
    seen = 0
    for row in rows:
        document, *cells = row.split()
        for column, cell in zip(head.split(), cells):
            assert choose_destination(
                is_open=document.startswith("open"),
                fetched=column.startswith("fetched"),
                clears_redo=document.endswith("clears"),
                requested=column.endswith("requested"),
            ) is Destination(cell)
            seen += 1
    assert seen == 16


@pytest.mark.parametrize(
    ("error", "came", "text"),
    [
        (None, 2, "Done: 2 images in 1.5 s. It is small."),
        (CancelledError("cancelled"), 1, "Cancelled. Done: 1 image of 2 in 1.5 s. It is small."),
        (CancelledError("cancelled"), 0, "Cancelled."),
        (GenerationFailedError("no memory is left"), 1, "No memory is left."),
    ],
)
def test_how_a_job_ended_in_words(error: UnderpaintError | None, came: int, text: str) -> None:
    assert describe_end(error, Request.of(images=2), came, 1.5, ["it is small"]) == text


def test_only_results_of_this_editor_that_are_not_here_wait() -> None:
    def waiting(name: str, note: str) -> WaitingJob:
        return WaitingJob(name, Request(), note, ended=True)

    mine = Address("Krita", "/a.kra")
    jobs = [
        waiting("mine", mine.to_text()),
        waiting("here", mine.to_text()),
        waiting("other", Address("GIMP").to_text()),
        waiting("unreadable", "{"),
    ]
    assert select_waiting(jobs, "Krita", ["here"]) == [(jobs[0], mine)]


# ---- notices -------------------------------------------------------------------------------


def job(name: str = "a", position: int = 0) -> Job:
    one = Job(name, Request.of(prompt=name), None)
    one.following.position = position
    return one


def test_newer_progress_and_previews_replace_older_ones() -> None:
    a, b = job("a"), job("b")
    steps = [Progressed(a, n / 10, Sentence(f"Step {n}")) for n in range(4)]
    first, second = (PreviewReceived(a, AREA, FRAME, 1, step, 4) for step in (1, 2))
    other = PreviewReceived(b, AREA, FRAME)
    image = ImageReceived(a, messages.Picture("a", 0, "patch", make_recipe()), FRAME)
    given: list[Notice] = [steps[0], first, steps[1], other, second, image, steps[2], steps[3]]
    assert list(skip_outdated(given)) == [steps[1], second, other, image, steps[3]]
    assert list(skip_outdated([])) == []


def test_a_notice_is_handled_before_the_next_is_asked_for() -> None:
    asked: list[str] = []

    def notices() -> Any:
        asked.append("first")
        yield Connected("sd")
        asked.append("second")
        yield Ended(job(), None)

    handled = skip_outdated(notices())
    assert next(handled) == Connected("sd")
    assert asked == ["first"]


@pytest.mark.parametrize(
    ("message", "alone", "kind"),
    [
        (messages.Accepted("a", 2), True, Progressed),
        (messages.Accepted("a", 2), False, type(None)),
        (messages.Accepted("a", 0), True, type(None)),
        (messages.Progress("a", "Denoising", 1, 2, 1, 1), False, Progressed),
        (messages.Preview("a", 1, 1, 2, (0, 0, 2, 1)), False, PreviewReceived),
        (messages.Picture("a", 0, "patch", make_recipe()), False, ImageReceived),
        (messages.Done("a"), True, type(None)),
    ],
)
def test_what_an_artist_is_told_of_a_message(
    message: messages.Message, alone: bool, kind: type
) -> None:
    assert type(describe_message(job(), message, (FRAME,), 0.0, alone=alone)) is kind


def test_a_queue_is_listed_from_two_jobs_on() -> None:
    assert list_queue([job()]) == []
    entries = list_queue([job("later", 1), job("now", 0)])
    assert [(one.text, one.waits) for one in entries] == [
        ("now: running", False),
        ("later: 1 ahead", True),
    ]


# ---- the daemon ----------------------------------------------------------------------------


def examine(presence: DaemonPresence, now: float, *, lives: bool = True) -> Presence:
    return presence.examine(now, connected=True, process_lives=lives)


def test_a_daemon_is_present_until_it_is_silent_for_too_long() -> None:
    presence = DaemonPresence(patience=10, max_absence=100)
    presence.begin(1000)
    assert examine(presence, 1009) is Presence.PRESENT
    assert examine(presence, 1011) is Presence.SILENT
    assert presence.seconds_silent(1011) == 11
    assert presence.seconds_absent(1011) == 11
    presence.begin(1011)  # connected again: it has twice the time
    assert examine(presence, 1030) is Presence.PRESENT
    assert examine(presence, 1032) is Presence.SILENT
    assert not presence.is_absent_too_long(1100)  # since it was heard of last
    assert presence.is_absent_too_long(1101)
    presence.received(messages.Done("a"), 1102)
    assert presence.seconds_absent(1103) == 0
    assert not presence.is_absent_too_long(9999)


def test_a_daemon_that_has_ended_is_absent_from_the_next_look_on() -> None:
    presence = DaemonPresence(max_absence=100)
    presence.begin(0)
    assert examine(presence, 1, lives=False) is Presence.ENDED
    assert presence.seconds_absent(1) == 0
    for now in (2, 50):
        assert presence.examine(now, connected=False, process_lives=False) is Presence.ABSENT
    assert presence.seconds_absent(102) == 100
    assert presence.is_absent_too_long(102.5)


def test_pixels_on_the_way_give_the_daemon_more_time() -> None:
    presence = DaemonPresence(patience=10)
    presence.begin(0)
    side = 2048
    layer = Frame("layer", Box(0, 0, side, side), "u1", "RGBA", bytes(side * side * 4))
    presence.sent(messages.Submit("a", Request()), (layer,))
    assert examine(presence, 30) is Presence.PRESENT
    presence.forget("a")
    assert examine(presence, 30) is Presence.SILENT


def test_a_message_on_its_way_gives_the_daemon_the_time_that_its_size_needs() -> None:
    presence = DaemonPresence(patience=10)
    presence.begin(0)
    presence.received(messages.Incoming(10_000_000), 1)
    assert examine(presence, 30) is Presence.PRESENT
    presence.received(messages.Done("a"), 30)  # it has arrived
    assert examine(presence, 41) is Presence.SILENT


# ---- turns ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spent", "more", "pause"),
    [
        (0.0, False, 0.0),
        (TURN / 2, False, 0.0),
        (TURN, False, 0.03),
        (0.0, True, 0.03),
        (0.05, True, 0.05),
        (0.05, False, 0.05),
        (3.0, True, 0.1),
    ],
)
def test_the_editor_has_its_turn(spent: float, more: bool, pause: float) -> None:
    assert pause_after(spent, more=more) == pause


# ---- starting the daemon -------------------------------------------------------------------


def test_one_start_at_a_time_and_its_message() -> None:
    loop, ended = FakeEventLoop(), list[str]()
    code = "import sys; sys.stdin.read(); sys.exit('no room')"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        starter = DaemonStarter(loop, ended.append, Launcher(lambda: ["x"], lambda: process))
        assert starter.start()
        assert [starter.can_start, starter.start()] == [False, False]
        loop.run(1000)
        assert ended == []
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
        process.wait(30)
        loop.run(200)
    assert ended == ["no room"]
    assert starter.start()  # again


def test_without_a_command_nothing_can_be_started() -> None:
    def fail() -> Any:
        raise DaemonUnavailableError("the daemon cannot be started")

    starter = DaemonStarter(FakeEventLoop(), list[str]().append, Launcher(list, fail))
    assert not starter.can_start
    with pytest.raises(DaemonUnavailableError):
        starter.start()
