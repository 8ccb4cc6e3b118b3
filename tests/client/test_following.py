"""A job's fate as its client sees it: the whole table, its promises, and its drawing."""

from __future__ import annotations

import re
from collections import deque
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from underpaint_client import messages
from underpaint_client.errors import (
    BadInputError,
    CancelledError,
    DaemonStoppedError,
    DaemonUnavailableError,
    GenerationFailedError,
    ResultsKeptError,
    TurnedAwayError,
    UnknownJobError,
)
from underpaint_client.following import (
    ENDED,
    MAX_RESENDS,
    OFFLINE,
    TABLE,
    Action,
    Event,
    Following,
    State,
    Transition,
    find_error,
    perform,
)
from underpaint_client.messages import Message
from underpaint_client.request import Request

SUBMIT = messages.Submit("j", Request())

# A row is a state and a column an event: the next state where it is another, and what is done.
EXPECTED = """
            accepted     first        progress     picture         repeated    done     failed      unknown      kept
unsent      .            .            .            .               .           .        .           .            .
sent        queued+notify  running+notify running+notify delivering+notify delivering  done+notify failed+notify +submit     kept+notify
lost        .            .            .            .               .           .        .           .            .
asked       queued+notify  running+notify running+notify delivering+notify delivering  done+notify failed+notify failed+notify kept+notify
queued      +notify        running+notify running+notify delivering+notify delivering  done+notify failed+notify failed+notify kept+notify
running     queued+notify  +notify        +notify        delivering+notify delivering  done+notify failed+notify failed+notify kept+notify
delivering  +notify        +notify        +notify        +notify           .           done+notify failed+notify failed+notify kept+notify
done        .            .            .            .               .           .        .           .            .
failed      .            .            .            .               .           .        .           .            .
kept        .            .            .            .               .           .        .           .            .
given_up    .            .            .            .               .           .        .           .            .
acknowledged      .            .            .            .               .           .        .           .            .

            connected    disconnected check        cancel          acknowledge       give_up
unsent      sent+submit  .            .            failed+follow+cancel +acknowledge  given_up
sent        .            unsent       +follow      asked+cancel    +acknowledge       given_up
lost        asked+follow .            .            failed+follow+cancel +acknowledge  given_up
asked       .            lost         +follow      +follow+cancel  +acknowledge       given_up
queued      .            lost         +follow      +follow+cancel  +acknowledge       given_up
running     .            lost         +follow      +follow+cancel  +acknowledge       given_up
delivering  .            lost         +follow      +follow+cancel  +acknowledge       given_up
done        .            .            .            .               acknowledged+acknowledge  .
failed      .            .            .            .               acknowledged+acknowledge  .
kept        .            .            .            .               .           .
given_up    .            .            .            .               .           .
acknowledged      .            .            .            .               .           .
"""  # noqa: E501


def read_expected() -> dict[tuple[State, Event], Transition]:
    found: dict[tuple[State, Event], Transition] = {}
    for block in EXPECTED.strip("\n").split("\n\n"):
        head, *rows = block.splitlines()
        for row in rows:
            name, *cells = row.split()
            for event, cell in zip(head.split(), cells):
                after, *actions = cell.strip(".").split("+")
                found[State(name), Event(event)] = Transition(
                    State(after or name), tuple(map(Action, actions))
                )
    return found


PAIRS = [(state, event) for state in State for event in Event]


@pytest.mark.parametrize(("state", "event"), PAIRS, ids=lambda one: one.value)
def test_every_event_in_every_state(state: State, event: Event) -> None:
    expected = read_expected()[state, event]
    assert TABLE[state, event] == expected
    following = Following("j", state, (SUBMIT, ()))
    assert following.handle(event) == expected.actions
    assert following.state is expected.state
    assert following.accepted == (expected.state.value not in ("unsent", "sent"))
    assert (following.submission is None) == following.accepted  # pixels are let go of


# ---- what messages mean --------------------------------------------------------------------


def picture(index: int) -> messages.Picture:
    """Return a picture without a recipe, which nobody looks at here."""
    return messages.Picture("j", index, "layer", cast(Any, None))


@pytest.mark.parametrize(
    ("message", "state", "notify"),
    [
        (messages.Accepted("j", 2), State.QUEUED, True),
        (messages.Accepted("j", 0), State.RUNNING, True),
        (messages.Progress("j", "Denoising"), State.RUNNING, True),
        (messages.Preview("j", 1, 1, 2, (0, 0, 8, 8)), State.RUNNING, True),
        (picture(0), State.DELIVERING, True),
        (messages.Done("j"), State.DONE, True),
        (messages.Failed("j", "failed", "no memory"), State.FAILED, True),
        (messages.Failed("j", "cancelled", "cancelled"), State.FAILED, True),
        (messages.Failed("j", "kept", "cannot be read"), State.KEPT, True),
        (messages.Failed("j", "unknown", "not known"), State.SENT, False),
        (messages.Want("j"), State.SENT, False),
        (messages.Followed(), State.SENT, False),
        (messages.Leaving(), State.SENT, False),
        (messages.Failed("", "bad_input", "what?"), State.SENT, False),
        (messages.Done("another"), State.SENT, False),
        (messages.Accepted("another", 3), State.SENT, False),
    ],
    ids=repr,
)
def test_what_a_message_means_to_a_job_that_was_sent(
    message: Message, state: State, notify: bool
) -> None:
    following = Following("j", State.SENT, (SUBMIT, ()))
    step = following.handle_message(message)
    assert (following.state, step.notify) == (state, notify)
    resent = isinstance(message, messages.Failed) and message.code == "unknown"
    assert step.actions == ((Action.SUBMIT,) if resent else ())


def test_a_job_that_the_daemon_never_knows_is_not_sent_for_ever() -> None:
    """It refuses the submission without seeing which job that is."""
    following = Following("j", State.SENT, (SUBMIT, ()))
    unknown = messages.Failed("j", "unknown", "not known")
    for _ in range(MAX_RESENDS):
        following.handle_message(messages.Failed("", "bad_input", "the header is too long"))
        assert following.handle_message(unknown).actions == (Action.SUBMIT,)
    step = following.handle_message(unknown)
    assert (following.state, step.notify, step.actions) == (State.FAILED, True, ())
    assert isinstance(following.error, GenerationFailedError)
    assert f"though it was sent {MAX_RESENDS + 1} times" in str(following.error)


def test_position_and_remark_are_those_heard_last() -> None:
    following = Following("j", State.SENT, (SUBMIT, ()))
    told: list[tuple[Message, bool, int]] = [
        (messages.Accepted("j", 2, "the disk is full"), True, 2),
        (messages.Accepted("j", 2), False, 2),
        (messages.Accepted("j", 1), True, 1),
        (messages.Preview("j", 1, 1, 2, (0, 0, 8, 8)), False, 1),
        (messages.Progress("j", "Denoising"), True, 0),
        (messages.Progress("j", "Denoising"), False, 0),
    ]
    for message, moved, position in told:
        assert following.handle_message(message).moved == moved
        assert following.position == position
    assert following.remark == "the disk is full"


@pytest.mark.parametrize(
    ("code", "kind", "given_up"),
    [
        ("unknown", UnknownJobError, False),
        ("kept", ResultsKeptError, True),
        ("cancelled", CancelledError, False),
        ("of a newer daemon", GenerationFailedError, False),
    ],
)
def test_how_a_job_fails(code: str, kind: type[Exception], given_up: bool) -> None:
    following = Following("j")
    following.handle_message(messages.Failed("j", code, "told so"))
    assert type(following.error) is kind
    assert str(following.error) == "told so"
    assert following.given_up == given_up


def test_a_job_is_cancelled_without_a_daemon_and_given_up_for_a_reason() -> None:
    for state in OFFLINE:
        cancelled = Following("j", state, (SUBMIT, ()))
        cancelled.handle(Event.CANCEL)
        assert isinstance(cancelled.error, CancelledError)
        assert not cancelled.given_up
    reason = DaemonUnavailableError("away for too long")
    following = Following("j", State.LOST)
    following.give_up(reason)
    following.give_up(DaemonUnavailableError("later"))
    assert following.error is reason
    assert following.given_up
    done = Following("j", State.DONE)
    done.give_up(reason)
    assert done.error is None


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (messages.Leaving(), DaemonStoppedError),
        (messages.Failed("", "daemon", "was revoked"), TurnedAwayError),
        (messages.Failed("", "bad_input", "what?"), BadInputError),
        (messages.Failed("j", "daemon", "of a job"), type(None)),
        (messages.Followed(), type(None)),
    ],
)
def test_what_is_about_no_job(message: Message, kind: type) -> None:
    assert type(find_error(message)) is kind


# ---- a daemon that may die, and a line that may be cut -------------------------------------


class Wire:
    """A line between a client and a daemon, on which all that is under way can be lost."""

    def __init__(self) -> None:
        self.to_daemon: deque[Message] = deque()
        self.to_client: deque[Message] = deque()
        self.told: list[Message] = []

    def send(self, message: Message, _frames: object = ()) -> None:
        self.told.append(message)
        self.to_daemon.append(message)

    def follow(self, *jobs: str) -> None:
        self.send(messages.Follow(jobs))

    def cancel(self, job: str) -> None:
        self.send(messages.Cancel(job))

    def acknowledge(self, job: str) -> None:
        self.send(messages.Taken(job))


class Daemon:
    """What the daemon promises of one job: what it was sent goes on, and is sent when asked for."""

    IMAGES = 3

    def __init__(self) -> None:
        self.has = self.taken = self.cancelled = False
        self.painted = 0
        self.follows = False

    def ending(self) -> Message | None:
        if self.cancelled:
            return messages.Failed("j", "cancelled", "cancelled")
        return messages.Done("j") if self.painted == self.IMAGES else None

    def read(self, message: Message) -> list[Message]:
        if isinstance(message, messages.Taken):
            self.taken = self.ending() is not None
            return []
        if isinstance(message, messages.Submit):
            self.has = True
        elif not self.has:
            unknown: Message = messages.Failed("j", "unknown", "not known")
            return [unknown] if isinstance(message, messages.Follow) else []
        if isinstance(message, messages.Cancel):
            ends = self.ending() is None
            self.cancelled = self.cancelled or ends
            return [messages.Failed("j", "cancelled", "cancelled")] if ends and self.follows else []
        self.follows = True
        ending = self.ending()
        told: list[Message] = [] if ending else [messages.Accepted("j", 0)]
        told.extend(map(picture, range(self.painted)))
        return [*told, ending] if ending else told

    def paint(self) -> list[Message]:
        if not self.has or self.ending() is not None:
            return []
        self.painted += 1
        told: list[Message] = [picture(self.painted - 1)]
        if (ending := self.ending()) is not None:
            told.append(ending)
        return told if self.follows else []


class Fates(RuleBasedStateMachine):
    """A client, a line and a daemon: whatever happens, each picture and one end are told."""

    @initialize()
    def begin(self) -> None:
        self.wire, self.daemon = Wire(), Daemon()
        self.following = Following.submitted(SUBMIT, ())
        self.wished: deque[tuple[Action, ...]] = deque()  # while there was no line
        self.news: list[Message] = []
        self.connected = self.cancelled = False
        self.submits = 0  # before it was cancelled

    def happens(self, event: Event) -> None:
        actions = self.following.handle(event)
        if self.connected:
            perform(self.wire, self.following, actions)
        elif actions:
            self.wished.append(actions)

    @precondition(lambda self: not self.connected)
    @rule()
    def connect(self) -> None:
        self.connected = True
        while self.wished:
            perform(self.wire, self.following, self.wished.popleft())
        self.happens(Event.CONNECTED)

    @precondition(lambda self: self.connected)
    @rule()
    def disconnect(self) -> None:
        """Lose what is under way; a daemon that has died goes on with a job that it had."""
        self.cut()
        self.connected = False
        self.happens(Event.DISCONNECTED)

    @precondition(lambda self: self.connected)
    @rule()
    def cut(self) -> None:
        """Cut the line unnoticed: the daemon takes what comes after for another client's."""
        self.wire.to_daemon.clear()
        self.wire.to_client.clear()
        self.daemon.follows = False

    @precondition(lambda self: self.connected)
    @rule()
    def check(self) -> None:
        self.happens(Event.CHECK)

    @precondition(lambda self: self.connected)
    @rule()
    def daemon_reads(self) -> None:
        if self.wire.to_daemon:
            self.wire.to_client.extend(self.daemon.read(self.wire.to_daemon.popleft()))

    @rule()
    def daemon_paints(self) -> None:
        told = self.daemon.paint()
        if self.connected:
            self.wire.to_client.extend(told)

    @precondition(lambda self: self.connected)
    @rule()
    def client_reads(self) -> None:
        if not self.wire.to_client:
            return
        message = self.wire.to_client.popleft()
        ended = self.following.ended
        step = self.following.handle_message(message)
        perform(self.wire, self.following, step.actions)
        if step.notify:
            assert not ended
            self.news.append(message)

    @rule()
    def cancel(self) -> None:
        self.cancelled = True
        self.happens(Event.CANCEL)

    @precondition(lambda self: self.following.ended)
    @rule()
    def acknowledge(self) -> None:
        self.happens(Event.ACKNOWLEDGE)

    @invariant()
    def each_picture_is_told_once(self) -> None:
        told = [one.index for one in self.news if isinstance(one, messages.Picture)]
        assert len(told) == len(set(told))
        assert set(told) == self.following.pictures
        if any(isinstance(one, messages.Done) for one in self.news):
            assert sorted(told) == list(range(Daemon.IMAGES))

    @invariant()
    def one_end_is_told_and_nothing_after_it(self) -> None:
        ends = [isinstance(one, (messages.Done, messages.Failed)) for one in self.news]
        assert not any(ends[:-1])

    @invariant()
    def nothing_is_taken_before_the_end(self) -> None:
        if not self.following.ended:
            assert not any(isinstance(one, messages.Taken) for one in self.wire.told)

    @invariant()
    def pixels_are_kept_until_the_daemon_has_them(self) -> None:
        if not self.daemon.has and not self.following.ended and not self.cancelled:
            assert self.following.submission is not None

    @invariant()
    def what_was_cancelled_is_not_sent_again(self) -> None:
        submits = sum(isinstance(one, messages.Submit) for one in self.wire.told)
        if not self.cancelled:
            self.submits = submits
        assert submits == self.submits

    def teardown(self) -> None:
        """However it went, a job comes to an end once the line holds."""
        if not hasattr(self, "wire"):
            return
        if not self.connected:
            self.connect()
        for _ in range(200):
            if self.following.ended:
                break
            if not self.wire.to_daemon and not self.wire.to_client:
                self.check()
            self.daemon_reads()
            self.daemon_paints()
            self.client_reads()
        assert self.following.ended
        self.each_picture_is_told_once()


Fates.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestFates = Fates.TestCase


# ---- the drawing ---------------------------------------------------------------------------

README = Path(__file__).parents[2] / "editor_plugin" / "README.md"


def read_drawing(text: str) -> dict[tuple[str, str], tuple[str, tuple[str, ...]]]:
    """Return the transitions that a Mermaid diagram of states shows.

    An edge from a group of states stands for one from each; an edge of a state, or of a smaller
    group, has precedence. One from a group to itself leaves each in its state.
    """
    groups: dict[str, list[str]] = {}
    open_groups: list[str] = []
    edges: list[tuple[str, str, str]] = []
    for line in map(str.strip, text.splitlines()):
        if found := re.fullmatch(r"state (\w+) \{", line):
            groups[found[1]] = []
            open_groups.append(found[1])
        elif line == "}":
            open_groups.pop()
        elif found := re.fullmatch(r"(\w+) --> (\w+): (.+)", line):
            edges.append((found[1], found[2], found[3]))
        elif re.fullmatch(r"\w+", line):
            for group in open_groups:
                groups[group].append(line)
    shown: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {}
    for before, after, label in sorted(edges, key=lambda edge: -len(groups.get(edge[0], ()))):
        events, _, actions = label.partition(" / ")
        for state in groups.get(before, [before]):
            for event in events.split(", "):
                to = state if after == before else after
                shown[state, event] = (to, tuple(actions.split(", ")) if actions else ())
    return shown


def test_the_drawing_shows_the_table() -> None:
    text = README.read_text(encoding="utf-8")
    section = text.split("\n## A job as a client sees it\n")[1].split("\n## ")[0]
    (diagram,) = re.findall(r"```mermaid\n(.*?)```", section, re.DOTALL)
    expected = {
        (state.value, event.value): (after.state.value, tuple(one.value for one in after.actions))
        for (state, event), after in TABLE.items()
        if after != Transition(state)
    }
    shown = {pair: drawn for pair, drawn in read_drawing(diagram).items() if drawn != (pair[0], ())}
    assert shown == expected
    for word in (*(state.value for state in State), *(event.value for event in Event)):
        assert f"`{word}`" in section.replace(diagram, "")  # and each is explained
    assert {state.value for state in ENDED} == set(re.findall(r"(\w+) --> \[\*\]", diagram))
