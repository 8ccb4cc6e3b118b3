"""Unfinished messages have a bound where no system tells whose bytes they are."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import zmq

from underpaint.server import memory_watch
from underpaint.server.accepted_connection import AcceptedConnection, ends_of
from underpaint.server.memory_watch import KeptFrames, MemoryWatch, allocated_bytes

REST, LIMIT = 1000, 100


class Scene:
    """Three connections and a process whose memory is as the test says."""

    def __init__(self, stack: ExitStack) -> None:
        self.in_use = REST
        self.kept = 0
        self.watch = MemoryWatch(lambda: self.kept, lambda: self.in_use, LIMIT)
        self.peers: list[socket.socket] = []
        self.lines: list[AcceptedConnection] = []
        for number in range(3):
            near, far = (stack.enter_context(one) for one in socket.socketpair())
            near.setblocking(False)
            ends = ends_of(near.fileno())
            assert ends
            self.lines.append(
                AcceptedConnection(near.fileno(), "", ends, last_progress=[2.0, 1.0, 3.0][number])
            )
            self.peers.append(far)

    def look(self, counted: int = 0) -> list[int]:
        return [self.lines.index(line) for line in self.watch.look(self.lines, counted)]


@pytest.fixture
def scene() -> Iterator[Scene]:
    with ExitStack() as stack:
        yield Scene(stack)


def test_whole_messages_and_counted_bytes_close_nothing(scene: Scene) -> None:
    scene.in_use += 10 * LIMIT
    scene.kept = 6 * LIMIT
    assert scene.look(4 * LIMIT) == []
    scene.kept = 0
    assert scene.look(9 * LIMIT) == []
    assert scene.look(8 * LIMIT) != []


def test_who_is_sending_goes_first(scene: Scene) -> None:
    scene.peers[2].send(b"x")
    scene.in_use += LIMIT // 2
    assert scene.look() == []
    scene.in_use += LIMIT
    assert scene.look() == [2]


def test_without_a_trace_the_longest_unfinished_go_and_twice_as_many_each_time(
    scene: Scene,
) -> None:
    scene.in_use += LIMIT + 1
    assert scene.look() == [1]
    assert scene.look() == [1, 0]
    scene.in_use = REST
    assert scene.look() == []
    scene.in_use += LIMIT + 1
    assert scene.look() == [1]


def test_memory_that_stays_when_all_were_closed_is_no_message(scene: Scene) -> None:
    scene.in_use += LIMIT + 1
    closed = [len(scene.look()) for _ in range(5)]
    assert closed == [1, 2, 3, 0, 0]
    scene.in_use += LIMIT + 1
    assert scene.look() == [1]


def test_frames_are_counted_for_as_long_as_they_are_in_memory() -> None:
    kept = KeptFrames()
    frame = zmq.Frame(bytes(2**20))
    kept.add(frame)
    kept.add(zmq.Frame(b"small"))
    assert kept.count() == 2**20
    part = frame.buffer
    del frame
    assert kept.count() == 2**20
    assert len(part) == 2**20
    del part
    assert kept.count() == 0
    kept.add(zmq.Frame(bytes(2**20)))
    assert kept.count() == 0


@pytest.mark.parametrize("mallinfo", [memory_watch._mallinfo, lambda: None])
def test_what_is_allocated_is_known(
    mallinfo: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_watch, "_mallinfo", mallinfo)
    before = allocated_bytes()
    block = bytes(range(256)) * 2**18
    assert 0.9 * len(block) < allocated_bytes() - before < 1.5 * len(block)
    del block
    assert allocated_bytes() - before < 2**25
