"""What a connection takes for received, and how long it waits for a daemon that says nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import pytest
import zmq

from example_recipe import make_recipe
from underpaint_client import messages, model_messages, wire
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
from underpaint_client.job_messages import read_job_messages
from underpaint_client.patience import LONGEST_PATIENCE, PATIENCE, SLOWEST
from underpaint_client.request import Request

Received = tuple[messages.Message, tuple[Frame, ...]]

SIDE = 512
FRAME = Frame("layer", Box(0, 0, SIDE, SIDE), "u1", "RGBA", bytes(SIDE * SIDE * 4))
SECONDS = FRAME.size / SLOWEST


@pytest.fixture
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.linger = 0
        socket.bind(f"ipc://{tmp_path_factory.mktemp('r')}/router.sock")  # TCP needs keys
        yield socket


def connect_to(
    router: zmq.Socket[bytes], pid: int = 0, clock: Callable[[], float] = time.monotonic
) -> Connection:
    endpoint = router.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return Connection(ConnectionInfo(endpoint.rstrip(b"\0").decode(), pid), clock=clock)


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


MEGABYTES_8 = 8_000_000
PICTURE = messages.Picture("j", 0, "layer", make_recipe())


@pytest.mark.parametrize("is_followed", [False, True])
def test_a_large_message_has_the_time_that_its_size_needs(
    router: zmq.Socket[bytes], is_followed: bool
) -> None:
    """Pixels come back of a job without any, and over a connection that did not submit it."""
    now = 1000.0
    with connect_to(router, clock=lambda: now) as connection:
        if is_followed:
            connection.follow("j")
        else:
            connection.send(messages.Submit("j", Request()))
        who = router.recv_multipart()[0]
        answer(router, who, connection, messages.Accepted("j", 0))
        for _ in range(2):  # each of a batch
            assert connection.patience == PATIENCE
            answer(router, who, connection, messages.Incoming(MEGABYTES_8))
            assert connection.patience == pytest.approx(PATIENCE + MEGABYTES_8 / SLOWEST)
            now += MEGABYTES_8 / SLOWEST + PATIENCE - 1
            connection.check_alive()
            answer(router, who, connection, PICTURE)
        answer(router, who, connection, messages.Incoming(MEGABYTES_8))
        now += MEGABYTES_8 / SLOWEST + PATIENCE + 1
        with pytest.raises(DaemonUnavailableError, match="has not answered"):
            connection.check_alive()


def test_a_line_slower_than_expected_has_ever_more_time_until_a_picture_arrives(
    router: zmq.Socket[bytes],
) -> None:
    with connect_to(router) as first, connect_to(router) as second, connect_to(router) as third:
        second.continue_from(first)
        assert second.patience == 2 * PATIENCE
        third.continue_from(second)
        assert third.patience == 4 * PATIENCE
        third.follow("j")
        who = router.recv_multipart()[0]
        answer(router, who, third, messages.Incoming(MEGABYTES_8))
        assert third.patience == pytest.approx(4 * (PATIENCE + MEGABYTES_8 / SLOWEST))
        answer(router, who, third, PICTURE)
        assert third.patience == PATIENCE
        for _ in range(20):
            third.continue_from(third)
        assert third.patience == LONGEST_PATIENCE


def test_the_size_of_the_next_message_is_nothing_that_a_job_says(
    router: zmq.Socket[bytes],
) -> None:
    with connect_to(router) as connection:
        connection.follow("j")
        who = router.recv_multipart()[0]
        for message in (messages.Incoming(1), PICTURE, messages.Done("j")):
            router.send_multipart([who, *wire.encode(message)])
        assert [message for message, _ in connection.events("j")] == [PICTURE, messages.Done("j")]
        assert connection.receive(0) is None


def read_all(router: zmq.Socket[bytes], seconds: float) -> list[messages.Message]:
    """Return what arrives at the daemon until nothing does for a while."""
    found = []
    while router.poll(int(1000 * seconds)):
        _, *parts = router.recv_multipart()
        found.append(wire.decode([*parts])[0])
    return found


@pytest.mark.parametrize("is_packed", [False, True])
def test_what_is_submitted_right_after_connecting_waits_for_the_welcome(
    router: zmq.Socket[bytes], is_packed: bool
) -> None:
    """Only then it is known whether pixels may be packed; what follows keeps its place."""
    with connect_to(router) as connection:
        connection.send(messages.Hello("test"))
        connection.send(model_messages.AskModels())
        job = connection.submit(Request(), InputFrames(FRAME))
        connection.prefer(job)
        connection.submit(Request())
        assert router.poll(10_000)
        who, *parts = router.recv_multipart()
        assert wire.decode([*parts])[0] == messages.Hello("test")
        assert read_all(router, 0.3) == [model_messages.AskModels()]
        answer(router, who, connection, messages.Welcome("1", 2, packed=is_packed))
        assert router.poll(10_000)
        submit, preferred, second = read_all(router, 1)
        assert isinstance(submit, messages.Submit)
        assert (submit.job, submit.packed) == (job, is_packed)
        assert preferred == messages.Prefer(job)
        assert isinstance(second, messages.Submit)
        connection.cancel(job)  # from now on nothing waits
        assert read_all(router, 1) == [messages.Cancel(job)]


def test_what_waits_for_the_welcome_is_sent_when_the_connection_is_closed(
    router: zmq.Socket[bytes],
) -> None:
    with connect_to(router) as connection:
        connection.send(messages.Hello("test"))
        job = connection.submit(Request())
        connection.send(messages.AskStop())
        assert router.poll(10_000)
        connection.close(5)
        hello, submit, stop = read_all(router, 1)
        assert (hello, stop) == (messages.Hello("test"), messages.AskStop())
        assert getattr(submit, "job", "") == job


def test_an_idle_client_greets_a_daemon_that_it_reaches_again_after_a_cut(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Else the daemon would take the connection for a stranger's, and close it, for ever."""
    endpoint = f"ipc://{tmp_path_factory.mktemp('r')}/router.sock"
    with zmq.Context() as context, Connection(ConnectionInfo(endpoint, 0)) as connection:
        for number in range(3):
            with context.socket(zmq.ROUTER) as router:
                router.linger = 0
                router.bind(endpoint)
                if not number:
                    connection.send(messages.Hello("test"))
                assert router.poll(10_000)
                assert read_all(router, 0.3) == [messages.Hello("test")]


def test_on_one_machine_nothing_takes_long(router: zmq.Socket[bytes]) -> None:
    with connect_to(router, pid=1) as connection:
        connection.submit(Request(), InputFrames(FRAME))
        assert connection.patience == PATIENCE


def test_a_client_that_was_idle_gives_the_daemon_time_to_answer(
    router: zmq.Socket[bytes],
) -> None:
    now = 1000.0
    with connect_to(router, clock=lambda: now) as connection:
        now += 10 * PATIENCE
        connection.submit(Request())
        connection.check_alive()
        now += PATIENCE + 1
        with pytest.raises(DaemonUnavailableError, match="has not answered for 11 seconds"):
            connection.check_alive()


@pytest.mark.parametrize(
    ("ending", "acknowledged"),
    [
        (messages.Done("j"), ["j"]),
        (messages.Failed("j", "failed", "no memory"), ["j"]),
        (messages.Failed("j", "cancelled", "cancelled"), ["j"]),
        (messages.Failed("j", "kept", "picture 2 could not be read"), []),
    ],
)
def test_only_what_came_whole_is_acknowledged(
    ending: messages.Message, acknowledged: list[str]
) -> None:
    channel = Channel(ending)
    assert [message for message, _ in read_job_messages(channel, Following("j"), 1)] == [ending]
    assert channel.sent == [messages.Taken(job) for job in acknowledged]


class Channel:
    """A connection that has received messages, and notes what is sent."""

    def __init__(self, *received: messages.Message) -> None:
        self.received: list[Received] = [(message, ()) for message in received]
        self.sent: list[messages.Message] = []

    def receive(self, timeout: float | None = None) -> Received | None:
        return self.received.pop(0) if self.received else None

    def put_back(self, received: Iterable[Received]) -> None:
        self.received.extend(received)

    def check_alive(self) -> None:
        raise AssertionError("nothing more is to come")

    def send(self, message: messages.Message, frames: tuple[Frame, ...] = ()) -> None:
        self.sent.append(message)

    def follow(self, *jobs: str) -> None:
        self.send(messages.Follow(jobs))

    def cancel(self, job: str) -> None:
        self.send(messages.Cancel(job))

    def acknowledge(self, job: str) -> None:
        self.send(messages.Taken(job))


def test_another_connection_continues_a_job() -> None:
    """What was lost on its way is sent again, and no picture is yielded twice."""
    submit = messages.Submit("j", Request())
    first, second = (messages.Picture("j", n, "layer", cast(Any, None)) for n in range(2))
    following = Following.submitted(submit, ())
    following.handle(Event.CONNECTED)
    unknown = messages.Failed("j", "unknown", "not known")
    before = Channel(unknown, messages.Done("another"), first, messages.Leaving())
    yielded: list[messages.Message] = []
    with pytest.raises(DaemonStoppedError, match="stopped; the job goes on when it starts again"):
        yielded.extend(message for message, _ in read_job_messages(before, following, 1))
    assert before.received == [(messages.Done("another"), ())]
    assert before.sent == [submit]
    assert following.state is State.LOST
    assert following.handle(Event.CONNECTED) == (Action.FOLLOW,)
    ending = messages.Done("j")
    after = Channel(first, second, ending)
    yielded.extend(message for message, _ in read_job_messages(after, following, 1))
    assert yielded == [first, second, ending]  # the first had come before
    assert following.pictures == {0, 1}
    assert after.sent == [messages.Taken("j")]
    assert list(read_job_messages(after, following, 1)) == []  # it has ended


@pytest.mark.parametrize(
    ("told", "error", "state"),
    [
        (messages.Leaving(), DaemonStoppedError, State.LOST),
        (messages.Failed("", "daemon", "was revoked"), TurnedAwayError, State.GIVEN_UP),
        (messages.Failed("", "bad_input", "what?"), BadInputError, State.ASKED),
    ],
)
def test_what_is_said_of_no_job_ends_the_wait(
    told: messages.Message, error: type[Exception], state: State
) -> None:
    following = Following("j")
    with pytest.raises(error):
        list(read_job_messages(Channel(told), following, 1))
    assert following.state is state
