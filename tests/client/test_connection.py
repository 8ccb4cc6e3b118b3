"""What a connection takes for received, and how long it waits for a daemon that says nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, cast

import pytest
import zmq

from underpaint_client import messages, wire
from underpaint_client.connection import Connection
from underpaint_client.errors import (
    BadInputError,
    DaemonStoppedError,
    DaemonUnavailableError,
    TurnedAwayError,
)
from underpaint_client.following import Action, Event, Following, State
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.home import ConnectionInfo
from underpaint_client.inputs import InputFrames
from underpaint_client.patience import PATIENCE, SLOWEST
from underpaint_client.request import Request

SIDE = 512
FRAME = Frame("layer", Box(0, 0, SIDE, SIDE), "u1", "RGBA", bytes(SIDE * SIDE * 4))
SECONDS = FRAME.size / SLOWEST


@pytest.fixture
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.linger = 0
        socket.bind(f"ipc://{tmp_path_factory.mktemp('r')}/router.sock")  # TCP needs keys
        yield socket


def connect_to(router: zmq.Socket[bytes], pid: int = 0) -> Connection:
    endpoint = router.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return Connection(ConnectionInfo(endpoint.rstrip(b"\0").decode(), pid))


def answer(
    router: zmq.Socket[bytes], who: bytes, connection: Connection, *told: messages.Message
) -> None:
    for message in told:
        router.send_multipart([who, *wire.encode(message)])
        assert connection.receive(10)


def test_a_client_waits_for_what_is_on_the_way_and_no_longer(router: zmq.Socket[bytes]) -> None:
    with connect_to(router) as connection:
        for _ in range(20):  # however many were painted before
            jobs = [connection.submit(Request(), InputFrames(FRAME)) for _ in range(2)]
            who = router.recv_multipart()[0]
            router.recv_multipart()
            assert connection.patience == pytest.approx(PATIENCE + 3 * SECONDS)
            answer(router, who, connection, *(messages.Accepted(job, 0) for job in jobs))
            assert connection.patience == pytest.approx(PATIENCE + SECONDS)  # of a result
            answer(
                router,
                who,
                connection,
                messages.Failed(jobs[0], "failed", "x"),
                messages.Done(jobs[1]),
            )
            assert connection.patience == PATIENCE


def test_on_one_machine_nothing_takes_long(router: zmq.Socket[bytes]) -> None:
    with connect_to(router, pid=1) as connection:
        connection.submit(Request(), InputFrames(FRAME))
        assert connection.patience == PATIENCE


def test_a_client_that_was_idle_gives_the_daemon_time_to_answer(
    router: zmq.Socket[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("underpaint_client.connection.time.monotonic", lambda: now)
    with connect_to(router) as connection:
        now += 10 * PATIENCE
        connection.submit(Request())
        connection._check_alive()
        now += PATIENCE + 1
        with pytest.raises(DaemonUnavailableError, match="has not answered for 11 seconds"):
            connection._check_alive()


@pytest.mark.parametrize(
    ("ending", "taken"),
    [
        (messages.Done("j"), ["j"]),
        (messages.Failed("j", "failed", "no memory"), ["j"]),
        (messages.Failed("j", "cancelled", "cancelled"), ["j"]),
        (messages.Failed("j", "kept", "picture 2 could not be read"), []),
    ],
)
def test_only_what_came_whole_is_taken(
    monkeypatch: pytest.MonkeyPatch, ending: messages.Message, taken: list[str]
) -> None:
    connection, said = object.__new__(Connection), list[str]()
    connection._inbox = deque([(ending, ())])
    monkeypatch.setattr(connection, "take", said.append)
    assert [message for message, _ in connection.events("j")] == [ending]
    assert said == taken


def connection_that_hears(
    monkeypatch: pytest.MonkeyPatch, said: list[messages.Message], *heard: messages.Message
) -> Connection:
    connection = object.__new__(Connection)
    connection._inbox = deque((message, ()) for message in heard)
    monkeypatch.setattr(connection, "send", lambda message, _frames=(): said.append(message))
    return connection


def test_a_job_is_gone_on_with_by_another_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was lost on its way is sent again, and no picture is given twice."""
    submit = messages.Submit("j", Request())
    first, second = (messages.Picture("j", n, "layer", cast(Any, None)) for n in range(2))
    said: list[messages.Message] = []
    following = Following.submitted(submit, ())
    following.handle(Event.CONNECTED)
    unknown = messages.Failed("j", "unknown", "not known")
    told = (unknown, messages.Done("another"), first, messages.Leaving())
    before = connection_that_hears(monkeypatch, said, *told)
    given: list[messages.Message] = []
    with pytest.raises(DaemonStoppedError, match="stopped; the job goes on when it starts again"):
        given.extend(message for message, _ in before.events(following))
    assert list(before._inbox) == [(messages.Done("another"), ())]
    assert said == [submit]
    assert following.state is State.LOST
    assert following.handle(Event.CONNECTED) == (Action.FOLLOW,)
    ending = messages.Done("j")
    after = connection_that_hears(monkeypatch, said, first, second, ending)
    given.extend(message for message, _ in after.events(following))
    assert given == [first, second, ending]  # the first had come before
    assert following.pictures == {0, 1}
    assert said == [submit, messages.Taken("j")]
    assert list(after.events(following)) == []  # it has ended


@pytest.mark.parametrize(
    ("told", "error", "state"),
    [
        (messages.Leaving(), DaemonStoppedError, State.LOST),
        (messages.Failed("", "daemon", "was revoked"), TurnedAwayError, State.GIVEN_UP),
        (messages.Failed("", "bad_input", "what?"), BadInputError, State.ASKED),
    ],
)
def test_what_is_said_of_no_job_ends_the_wait(
    monkeypatch: pytest.MonkeyPatch,
    told: messages.Message,
    error: type[Exception],
    state: State,
) -> None:
    following = Following("j")
    connection = connection_that_hears(monkeypatch, [], told)
    with pytest.raises(error):
        list(connection.events(following))
    assert following.state is state
