from __future__ import annotations

import random

import pytest

from underpaint_editor.pixels import changed_pixels, choose, keep_unchanged, restore_hidden
from underpaint_editor.survey import take_alpha


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8, 16, 32])
def test_changed_pixels_and_choose_agree_with_a_loop(size: int) -> None:
    rng = random.Random(size)
    pixels = 97
    before = rng.randbytes(pixels * size)
    after = bytearray(before)
    changed = {rng.randrange(pixels) for _ in range(20)}
    for pixel in changed:
        after[pixel * size + rng.randrange(size)] ^= 1 << rng.randrange(8)
    found = changed_pixels(before, bytes(after), pixels)
    assert found == bytes(255 if pixel in changed else 0 for pixel in range(pixels))
    ones, zeros = rng.randbytes(pixels * size), rng.randbytes(pixels * size)
    wanted = b"".join(
        (ones if pixel in changed else zeros)[pixel * size : (pixel + 1) * size]
        for pixel in range(pixels)
    )
    assert choose(found, ones, zeros) == wanted


def test_what_came_back_as_it_was_sent_keeps_its_finer_bytes() -> None:
    sent, painted = bytes([1, 2, 3, 4]), bytes([1, 9, 3, 4])
    before, after = b"aabbccdd", b"AABBCCDD"
    assert keep_unchanged(sent, painted, before, after, 4) == b"aaBBccdd"


def test_nothing_at_all() -> None:
    assert changed_pixels(b"", b"", 0) == b""
    assert choose(b"", b"", b"") == b""


@pytest.mark.parametrize(
    ("alpha", "seen"),
    [(0, 0), (255, 0), (256, 1), (65279, 254), (65280, 254), (65534, 254), (65535, 255)],
)
def test_sixteen_bits_of_alpha_are_whole_only_when_all_are_set(alpha: int, seen: int) -> None:
    pixel = bytes(6) + alpha.to_bytes(2, "little")
    assert take_alpha(pixel * 3, 4, "u2") == bytes([seen] * 3)


@pytest.mark.parametrize("item", [1, 2, 4])
def test_what_a_mask_hides_gets_its_colour_back(item: int) -> None:
    def raster(*pixels: tuple[int, int, int, int]) -> bytes:
        return b"".join(bytes([value] * item) for pixel in pixels for value in pixel)

    shown = raster((9, 9, 9, 255), (0, 0, 0, 0), (0, 0, 0, 7), (5, 0, 0, 0), (0, 0, 0, 0))
    stored = raster((1, 2, 3, 255), (1, 2, 3, 255), (1, 2, 3, 8), (1, 2, 3, 0), (0, 0, 0, 0))
    wanted = raster((9, 9, 9, 255), (1, 2, 3, 0), (0, 0, 0, 7), (1, 2, 3, 0), (0, 0, 0, 0))
    assert restore_hidden(shown, stored, 5, item) == wanted
    assert restore_hidden(b"", b"", 0, item) == b""
