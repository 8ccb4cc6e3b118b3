"""Frames on a slow line come out as they went in, and bad ones are refused."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from dataclasses import replace

import pytest

from underpaint_client import messages
from underpaint_client.errors import BadInputError
from underpaint_client.frames import CHANNELS, ITEM_SIZES, Frame
from underpaint_client.geometry import Box
from underpaint_client.packing import SMALLEST, Packer, pack, unpack, with_digest
from underpaint_client.request import Request


def frame(
    width: int, height: int, dtype: str = "u1", channels: str = "RGBA", data: bytes | None = None
) -> Frame:
    size = width * height * CHANNELS[channels] * ITEM_SIZES[dtype]
    if data is None:
        line = bytes(i * 7 % 256 for i in range(-(-size // height)))
        data = (line * height)[:size]
    return Frame("layer", Box(-3, 5, width, height), dtype, channels, data)


@pytest.mark.parametrize("dtype", list(ITEM_SIZES))
@pytest.mark.parametrize("channels", list(CHANNELS))
@pytest.mark.parametrize(("width", "height"), [(64, 64), (1, 9000), (9000, 1), (333, 77)])
def test_packed_and_unpacked_is_the_same(
    dtype: str, channels: str, width: int, height: int
) -> None:
    one = frame(width, height, dtype, channels)
    packed = pack(one)
    if one.size >= SMALLEST and height > 1:
        assert packed.encoding == "packed"
        assert len(packed.data) < one.size
    assert unpack(packed) == replace(one, data=bytes(one.data))


@pytest.mark.parametrize("seed", range(20))
def test_any_pixels_survive(seed: int) -> None:
    """Small steps, full range, and runs: each byte may carry into no other."""
    rng = random.Random(seed)
    width, height = rng.randrange(1, 90), rng.randrange(20, 90)
    values = rng.choice([(0, 255), (0, 1), (126, 129), range(256)])
    data = bytes(rng.choice(values) for _ in range(width * height * 4))
    one = frame(width, height, data=data)
    assert bytes(unpack(pack(one)).data) == data


def test_what_does_not_get_smaller_travels_as_it_is() -> None:
    noise = frame(64, 64, data=random.Random(1).randbytes(64 * 64 * 4))
    small = frame(2, 2)
    assert pack(noise) is noise
    assert pack(small) is small
    assert with_digest(small) is small


def packed_as(data: bytes) -> Frame:
    return replace(frame(64, 64), encoding="packed", data=data)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"no zlib at all", "damaged"),
        (zlib.compress(bytes(64 * 64 * 4))[:-3], "are not 16384 bytes"),
        (zlib.compress(bytes(64 * 64 * 4 - 1)), "are not 16384 bytes"),
        (zlib.compress(bytes(64 * 64 * 4 + 1)), "are not 16384 bytes"),
        (zlib.compress(bytes(64 * 64 * 4)) + b"more", "are not 16384 bytes"),
        (zlib.compress(bytes(64 * 64 * 4))[:-1] + b"\0", "damaged"),
    ],
)
def test_damaged_frames_are_refused(data: bytes, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        unpack(packed_as(data))


def test_a_bomb_takes_no_more_memory_than_it_says() -> None:
    bomb = packed_as(zlib.compress(bytes(2**24), 9))  # a thousand times what the header says
    tracemalloc.start()
    with pytest.raises(BadInputError):
        unpack(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**18


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"encoding": "gzip"}, "encoding 'gzip' is unknown"),
        ({"encoding": "packed", "data": b""}, "0 packed bytes arrived"),
        ({"encoding": "packed"}, "16384 packed bytes arrived"),
        ({"encoding": "held", "data": b""}, "held pixels must have a digest"),
        ({"encoding": "held", "digest": "0" * 64}, "held pixels must have a digest"),
        ({"digest": "0" * 63}, "is not a SHA-256 digest"),
        ({"digest": "A" * 64}, "is not a SHA-256 digest"),
    ],
)
def test_frames_that_are_not_what_they_say_are_refused(changes: dict[str, str], told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        replace(frame(64, 64), **changes)  # type: ignore[arg-type]


def test_a_frame_is_sent_once() -> None:
    packer, layer = Packer(), frame(64, 64)
    submit = messages.Submit("a", Request())
    message, (sent,) = packer.outgoing(submit, (layer,))
    assert message == replace(submit, packed=True)
    assert sent.encoding == "packed"
    # Until the daemon has said that it has it, nothing is left out.
    assert packer.outgoing(replace(submit, job="b"), (layer,))[1] == (sent,)
    packer.received(messages.Accepted("a", 0))
    moved = replace(layer, box=Box(0, 0, 64, 64))
    _, (named,) = packer.outgoing(replace(submit, job="c"), (moved,))
    assert (named.encoding, named.data, named.digest) == ("held", b"", sent.digest)
    assert named.box == moved.box
    # The daemon has lost it: all of it again, and from then on until it has it.
    again = packer.again(messages.Want("c"))
    assert again is not None
    assert again[1] == (replace(sent, box=moved.box),)
    assert packer.outgoing(replace(submit, job="d"), (layer,))[1] == (sent,)


def test_what_is_too_large_for_a_line_is_said() -> None:
    packer = Packer(max_frame=20)
    with pytest.raises(BadInputError, match="crop the layer"):
        packer.outgoing(messages.Submit("a", Request()), (frame(64, 64),))
    assert packer.again(messages.Want("a")) is None


def test_jobs_that_ended_or_were_cancelled_are_not_sent_again() -> None:
    packer = Packer()
    for job in "ab":
        packer.outgoing(messages.Submit(job, Request()), (frame(64, 64),))
    packer.outgoing(messages.Cancel("a"), ())
    packer.received(messages.Failed("b", "bad_input", "no"))
    assert packer.again(messages.Want("a")) is None
    assert packer.again(messages.Want("b")) is None
    _, (sent,) = packer.outgoing(messages.Submit("c", Request()), (frame(64, 64),))
    assert sent.encoding == "packed"  # a job that failed says nothing of what is held
