"""Messages of very many parts are cut short, in slices of time."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import zmq

from underpaint.server.inbox import LOOK_EVERY, Inbox
from underpaint.server.memory_watch import KeptFrames

NEVER = float("inf")


@pytest.fixture
def ends() -> Iterator[tuple[zmq.Socket[bytes], zmq.Socket[bytes]]]:
    with (
        zmq.Context() as context,
        context.socket(zmq.ROUTER) as router,
        context.socket(zmq.DEALER) as dealer,
    ):
        router.linger = dealer.linger = 0
        router.bind("inproc://x")
        dealer.connect("inproc://x")
        yield router, dealer


def taken(inbox: Inbox) -> list[bytes]:
    parts = inbox.receive(NEVER)
    assert parts is not None
    return [part.bytes for part in parts[1:]]


def test_messages_come_whole(ends: tuple[zmq.Socket[bytes], zmq.Socket[bytes]]) -> None:
    router, dealer = ends
    inbox = Inbox(router, 4, KeptFrames())
    dealer.send_multipart([b"a", b"b", b"c"])
    dealer.send(b"d")
    assert taken(inbox) == [b"a", b"b", b"c"]
    assert taken(inbox) == [b"d"]
    assert inbox.receive(NEVER) is None


def test_of_too_many_parts_few_are_kept(ends: tuple[zmq.Socket[bytes], zmq.Socket[bytes]]) -> None:
    router, dealer = ends
    inbox = Inbox(router, 4, KeptFrames())
    dealer.send_multipart([b"x"] * 10_000)
    dealer.send(b"after")
    assert taken(inbox) == [b"x"] * 4  # and the address: one more than may be
    assert taken(inbox) == [b"after"]


def test_others_have_their_turn_meanwhile(
    ends: tuple[zmq.Socket[bytes], zmq.Socket[bytes]],
) -> None:
    router, dealer = ends
    inbox = Inbox(router, 4, KeptFrames())
    dealer.send_multipart([b"x"] * (10 * LOOK_EVERY))
    turns = 0
    while inbox.receive(time.monotonic() - 1) is None:
        turns += 1
    assert turns == 10
