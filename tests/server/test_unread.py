"""What a client does not read is counted in bytes, and freed when it is read or gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import zmq

from daemons import until
from underpaint.server.job_queue import Client
from underpaint.server.unread import SMALLEST, Unread

SIZE = 2**22


@pytest.fixture
def router() -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.linger = 0
        socket.bind("tcp://127.0.0.1:*")
        yield socket


def dealer(router: zmq.Socket[bytes], key: str = "") -> tuple[zmq.Socket[bytes], Client]:
    found = router.context.socket(zmq.DEALER)
    found.linger, found.rcvhwm, found.rcvbuf = 0, 1, 2**16
    found.connect(router.last_endpoint)
    found.send(b"hello")
    return found, Client(0, router.recv_multipart()[0], key)


def send(router: zmq.Socket[bytes], counter: Unread, client: Client, size: int = SIZE) -> None:
    parts = counter.count(client, [b"header", bytes(size)])
    router.send_multipart([client.identity, *parts], copy=False)


def test_bytes_are_counted_until_they_are_read(router: zmq.Socket[bytes]) -> None:
    counter = Unread()
    socket, client = dealer(router)
    with socket:
        for _ in range(8):
            send(router, counter, client)
        until(lambda: 4 * SIZE <= counter.of(client) <= 8 * SIZE)  # the system holds some
        for _ in range(8):
            assert len(socket.recv_multipart()[1]) == SIZE
        until(lambda: counter.of(client) == 0)
        assert counter.in_all() == 0


def test_bytes_of_one_who_has_gone_are_not_counted(router: zmq.Socket[bytes]) -> None:
    counter = Unread()
    socket, client = dealer(router)
    for _ in range(8):
        send(router, counter, client)
    socket.close()
    until(lambda: not router.poll(0) and counter.in_all() == 0)


def test_what_was_not_sent_is_not_counted(router: zmq.Socket[bytes]) -> None:
    counter = Unread()
    client = Client(0, b"nobody")
    router.setsockopt(zmq.ROUTER_MANDATORY, 1)
    with pytest.raises(zmq.ZMQError):
        send(router, counter, client)
    until(lambda: counter.in_all() == 0)


def test_small_parts_are_limited_by_their_number(router: zmq.Socket[bytes]) -> None:
    counter = Unread()
    socket, client = dealer(router)
    with socket:
        assert counter.count(client, [bytes(SMALLEST - 1)]) == [bytes(SMALLEST - 1)]
        assert counter.of(client) == 0


def test_a_client_or_key_has_a_budget(router: zmq.Socket[bytes]) -> None:
    counter = Unread(max_each=6 * SIZE)
    (one, ann), (two, same), (three, bob) = (dealer(router, key) for key in ("key", "key", "bob"))
    with one, two, three:
        for _ in range(8):
            send(router, counter, ann)
            send(router, counter, same)
            send(router, counter, bob)
        assert counter.is_too_much(ann)
        assert counter.is_too_much(same)
        for _ in range(8):
            three.recv_multipart()
        until(lambda: not counter.is_too_much(bob))
        assert counter.is_too_much(ann)


def test_all_clients_have_a_budget(router: zmq.Socket[bytes]) -> None:
    counter = Unread(max_all=6 * SIZE, max_previews=SIZE)
    (one, ann), (two, bob) = dealer(router), dealer(router)
    with one, two:
        for _ in range(6):
            send(router, counter, ann)
            send(router, counter, bob)
        assert counter.is_too_much(ann)
        for _ in range(6):
            two.recv_multipart()
        until(lambda: not counter.is_too_much(bob))
