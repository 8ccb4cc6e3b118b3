"""Frames held for clients from elsewhere: each has its own, within bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from underpaint.server import frame_cache
from underpaint.server.frame_cache import FrameCache
from underpaint.server.job_queue import MAX_JOBS, Client
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.packing import with_digest

ANN, BOB, HOME = Client(1, b"a", "ann"), Client(1, b"b", "bob"), Client(0, b"h")


def frame(value: int = 0, side: int = 32) -> Frame:
    data = bytes([value]) * (side * side * 4)
    return with_digest(Frame("layer", Box(0, 0, side, side), "u1", "RGBA", data))


def named(one: Frame) -> Frame:
    return replace(one, encoding="held", data=b"", box=Box(7, 7, one.box.width, one.box.height))


def test_a_frame_is_held_for_its_owner_alone() -> None:
    store, one = FrameCache(), frame()
    assert store.complete(ANN, "1", (one,)) == (one,)
    assert store.complete(ANN, "2", (named(one),)) == (replace(one, box=Box(7, 7, 32, 32)),)
    assert store.complete(replace(ANN, identity=b"next"), "3", (named(one),))
    assert store.complete(BOB, "4", (named(one),)) is None
    assert store.awaits(BOB) == ["4"]
    assert store.complete(BOB, "4", (one,)) == (one,)
    assert store.awaits(BOB) == []


def test_a_digest_of_other_pixels_is_not_taken() -> None:
    store, one = FrameCache(), frame()
    store.complete(ANN, "1", (one,))
    other = replace(named(frame(0, 64)), digest=one.digest)
    assert store.complete(ANN, "2", (other,)) is None


def test_nothing_is_held_of_who_is_let_in_no_more() -> None:
    store, one = FrameCache(), frame()
    for client in (ANN, BOB):
        store.complete(client, "1", (one,))
    store.drop("ann")
    assert store.complete(ANN, "2", (named(one),)) is None
    assert store.complete(BOB, "2", (named(one),))


def test_nothing_is_held_for_this_machine() -> None:
    store, one = FrameCache(), frame()
    store.complete(HOME, "1", (one,))
    assert store.complete(HOME, "2", (named(one),)) is None


def test_the_oldest_are_forgotten() -> None:
    size = frame().size
    store = FrameCache(max_each=2 * size, max_all=3 * size)
    for value in (1, 2):
        store.complete(ANN, "x", (frame(value),))
    assert store.complete(ANN, "x", (named(frame(1)),))  # used: the other is the oldest now
    store.complete(ANN, "x", (frame(3),))
    assert store.complete(ANN, "x", (named(frame(2)),)) is None
    assert store.complete(ANN, "x", (named(frame(1)),))
    for value in (4, 5):
        store.complete(BOB, "x", (frame(value),))
    assert store.complete(ANN, "x", (named(frame(3)),)) is None  # what all take together
    assert store.complete(ANN, "x", (named(frame(1)),))
    big = frame(6, 64)
    store.complete(BOB, "x", (big,))
    assert store.complete(BOB, "x", (named(big),)) is None


def test_jobs_are_awaited_within_bounds() -> None:
    store = FrameCache()
    for number in range(MAX_JOBS + 10):
        store.complete(ANN, str(number), (named(frame()),))
    assert len(store.awaits(ANN)) == MAX_JOBS
    last = str(MAX_JOBS + 9)
    assert not store.give_up(BOB, last)
    assert store.give_up(ANN, last)
    assert not store.give_up(ANN, last)
    store.forget(ANN)
    assert store.awaits(ANN) == []


def test_holding_costs_the_same_however_much_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    count = frame_cache._bytes

    def look(one: Frame) -> int:
        nonlocal looks
        looks += 1
        return count(one)

    monkeypatch.setattr(frame_cache, "_bytes", look)
    store, one = FrameCache(max_each=500 * 4096), frame()
    for number in range(2000):
        store.complete(ANN, "x", (replace(one, digest=f"{number:064x}"),))
    assert looks < 5 * 2000
    assert store.complete(ANN, "x", (replace(named(one), digest=f"{1500:064x}"),))
    assert store.complete(ANN, "x", (replace(named(one), digest=f"{1499:064x}"),)) is None
    assert store.complete(BOB, "x", (one,))
    store.drop("ann")
    assert store.complete(ANN, "x", (replace(named(one), digest=f"{1999:064x}"),)) is None


def test_tiny_frames_count_as_the_objects_they_are() -> None:
    store, tiny = FrameCache(max_each=100 * frame_cache.SMALLEST), frame(side=1)
    for number in range(200):
        store.complete(ANN, "x", (replace(tiny, digest=f"{number:064x}"),))
    assert len(store) == 100
