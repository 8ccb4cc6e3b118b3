from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from underpaint.server.shared_memory import (
    SMALLEST,
    SharedFrames,
    clear_shared_memory,
    shared_memory_folder,
)

pytestmark = pytest.mark.skipif(
    shared_memory_folder() is None, reason="there is no shared memory here"
)

HEADER = b'{"a header": 1}'


def large(fill: int, size: int = SMALLEST) -> bytes:
    return bytes([fill]) * size


@pytest.fixture
def ends(home: Path) -> tuple[SharedFrames, SharedFrames]:
    return SharedFrames("left"), SharedFrames("right")


def test_large_parts_are_laid_and_small_ones_sent(ends: tuple[SharedFrames, SharedFrames]) -> None:
    left, right = ends
    packed = left.pack([HEADER, large(1), b"small", large(2)])
    assert [len(part) for part in packed[:-1]] == [len(HEADER), 0, 5, 0]
    parts = right.unpack(packed, "left")
    assert [bytes(part) for part in parts] == [HEADER, large(1), b"small", large(2)]
    clear_shared_memory()


def test_a_block_is_used_again_when_nobody_looks(ends: tuple[SharedFrames, SharedFrames]) -> None:
    left, right = ends
    for turn in range(5):
        parts = right.unpack(left.pack([HEADER, large(turn)]), "left")
        assert bytes(parts[1]) == large(turn)
        assert not right.has_news()
        del parts
        gc.collect()
        assert right.has_news()
        assert left.unpack(right.pack([]), "right") == []
        assert not right.has_news()
    folder = shared_memory_folder()
    assert folder
    assert len(list((folder / "left").iterdir())) == 1
    clear_shared_memory()


def test_a_block_is_not_touched_while_somebody_looks(
    ends: tuple[SharedFrames, SharedFrames],
) -> None:
    left, right = ends
    first = right.unpack(left.pack([HEADER, large(1)]), "left")
    second = right.unpack(left.pack([HEADER, large(2)]), "left")
    assert bytes(first[1]) == large(1)
    assert bytes(second[1]) == large(2)
    left.close()
    assert bytes(first[1]) == large(1)
    clear_shared_memory()


def test_full_memory_falls_back_to_the_socket(
    ends: tuple[SharedFrames, SharedFrames], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    left, right = ends
    monkeypatch.setattr("os.posix_fallocate", full)
    packed = left.pack([HEADER, large(1)])
    assert len(packed[1]) == SMALLEST
    assert bytes(right.unpack(packed, "left")[1]) == large(1)
    clear_shared_memory()


def test_no_more_is_kept_than_is_warm(home: Path) -> None:
    left, right = SharedFrames("left", keep=3 * SMALLEST), SharedFrames("right")
    looked = [right.unpack(left.pack([HEADER, large(n)]), "left") for n in range(6)]
    folder = shared_memory_folder()
    assert folder
    assert len(list((folder / "left").iterdir())) == 6
    looked.clear()
    gc.collect()
    left.unpack(right.pack([]), "right")
    assert len(list((folder / "left").iterdir())) == 3
    clear_shared_memory()


def test_there_are_no_more_blocks_than_descriptors_for_them(home: Path) -> None:
    left, right = SharedFrames("left", max_blocks=3), SharedFrames("right")
    packed = [left.pack([HEADER, large(n)]) for n in range(5)]
    assert [len(one[1]) for one in packed] == [0, 0, 0, SMALLEST, SMALLEST]
    looked = [right.unpack(one, "left") for one in packed]
    assert [bytes(one[1]) for one in looked] == [large(n) for n in range(5)]
    clear_shared_memory()


NO_DESCRIPTORS = """
import os, resource
from underpaint.server.shared_memory import SMALLEST, SharedFrames
left, right = SharedFrames("left"), SharedFrames("right")
packed = left.pack([b"header", b"x" * SMALLEST])
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = []
try:
    while True:
        held.append(os.dup(0))
except OSError:
    pass
for _ in range(3):
    parts = right.unpack(list(packed), "left")
    assert bytes(parts[1]) == b"x" * SMALLEST
    assert left.pack([b"header", b"y" * 2 * SMALLEST])[1] == b"y" * 2 * SMALLEST  # by socket
assert right.has_news()
print("done")
"""


def test_a_block_is_read_though_no_descriptor_is_left(home: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", NO_DESCRIPTORS], capture_output=True, text=True, check=False
    )
    assert ran.stdout == "done\n", ran.stderr
    clear_shared_memory()


def test_folders_are_private_and_cleared(home: Path) -> None:
    folder = shared_memory_folder()
    assert folder
    assert folder.stat().st_mode & 0o777 == 0o700
    SharedFrames("dead").pack([HEADER, large(1)])
    clear_shared_memory()
    assert not folder.exists()
