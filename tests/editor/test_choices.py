"""What is decided on the pixels that are sent, what is offered beside it, and white paper."""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass, replace
from typing import Any

import pytest

from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.modes import LayerState, ModeChoice, choose_mode, other_choice
from underpaint_client.request import CONTEXTS, MODES, Request
from underpaint_editor.choices import (
    OFFER_BELOW,
    OFFERS,
    describe_offer,
    offered_choice,
    resolve_mode,
)
from underpaint_editor.paper import WHITE, is_white, shows_something
from underpaint_editor.survey import Survey, describe_run


@dataclass
class Surroundings:
    """What a `Document` tells of its layer; `asked` is what was read of it."""

    empty: bool = False
    new: bool = False
    is_drawn: bool = False
    below: bool = False

    def __post_init__(self) -> None:
        self.asked: list[str] = []

    @property
    def surroundings(self) -> Surroundings:
        return self

    def is_empty(self) -> bool:
        self.asked.append("empty")
        return self.empty

    def count_regions(self) -> int:
        return 0

    def is_new(self) -> bool:
        self.asked.append("new")
        return self.new

    def shows_below(self) -> bool:
        self.asked.append("below")
        return self.below


def resolve(request: Request, frames: dict[str, Frame], around: Surroundings) -> Request:
    document: Any = around
    return resolve_mode(request, frames, document)


@pytest.mark.parametrize(
    ("alpha", "selection", "mask", "nothing", "mode"),
    [
        ([255] * 4, None, None, False, "img2img"),
        ([255, 254, 255, 255], None, None, False, "inpaint"),
        ([255, 0, 255, 255], [255, 0, 0, 0], None, False, "img2img"),
        ([255, 0, 255, 255], [0, 1, 0, 0], None, False, "inpaint"),
        ([255] * 4, None, [255, 255, 0, 255], False, "inpaint"),
        ([255] * 4, [255, 255, 0, 255], [255, 255, 0, 255], False, "img2img"),
        ([0] * 4, None, None, True, "txt2img"),
        ([0] * 4, None, None, False, "inpaint"),
    ],
)
def test_the_mode_is_settled_on_every_pixel(
    alpha: list[int], selection: list[int] | None, mask: list[int] | None, nothing: bool, mode: str
) -> None:
    box = Box(0, 0, 2, 2)
    colour = 0 if not any(alpha) else 9
    pixels = b"".join(bytes([colour, colour, colour, a]) for a in alpha)
    frames = {"layer": Frame("layer", box, "u1", "BGRA", pixels)}
    for name, values in (("selection", selection), ("mask", mask)):
        if values is not None:
            frames[name] = Frame(name, box, "u1", "Y", bytes(values))
    around = Surroundings(empty=nothing)
    assert resolve(Request(), frames, around).mode == mode
    assert resolve(Request.of(mode="img2img"), frames, around).mode == "img2img"


BOX = Box(0, 0, 2, 2)
PIXELS = {"empty": bytes(16), "white": b"\xff" * 16, "opaque": b"\x09\x09\x09\xff" * 4}


@pytest.mark.parametrize("selected", [False, True])
@pytest.mark.parametrize("pixels", PIXELS)
@pytest.mark.parametrize("context", CONTEXTS)
def test_what_is_sent_and_the_plan_line_are_decided_alike(
    pixels: str, context: str, selected: bool
) -> None:
    frames = {"layer": Frame("layer", BOX, "u1", "BGRA", PIXELS[pixels])}
    if selected:
        frames["selection"] = Frame("selection", BOX, "u1", "Y", b"\xff" * 4)
    for mode, flags in itertools.product(MODES, itertools.product([False, True], repeat=3)):
        new, drawn, below = flags
        around = Surroundings(pixels == "empty", new, drawn, below)
        found = Survey(
            empty=pixels == "empty", transparent=pixels == "empty", erased=1, selected=1,
            most_erased=1, most_selected=1, whole=not selected,
        )  # fmt: skip
        document: Any = around
        if pixels != "white":
            document.new = False  # such a layer is none of a new document
        found = found.within(document)
        asked = Request.of(mode=mode, context=context)
        sent = resolve(asked, frames, around)
        told = choose_mode(ModeChoice(mode, context), found.state)
        assert ModeChoice(sent.mode, sent.source.context) == told
        assert offered_choice(asked, found) == other_choice(ModeChoice(mode, context), found.state)


def test_nothing_is_read_that_decides_nothing() -> None:
    """Reading takes time, and this is done in the editor's own thread."""

    def asked(pixels: str, mode: str = "auto") -> list[str]:
        around = Surroundings(empty=True)
        frames = {"layer": Frame("layer", BOX, "u1", "BGRA", PIXELS[pixels])}
        resolve(Request.of(mode=mode), frames, around)
        return around.asked

    assert asked("empty") == ["empty", "below"]
    assert asked("white") == ["new"]
    assert asked("opaque") == []
    assert asked("empty", "img2img") == []


SEEN = Survey(
    empty=False, transparent=True, erased=0.5, selected=1, most_erased=1, most_selected=1,
    whole=False, lost=True,
)  # fmt: skip
EMPTY = replace(SEEN, empty=True, erased=1)


@pytest.mark.parametrize(
    ("found", "asked", "told", "offered"),
    [
        (
            replace(EMPTY, below=True),
            {},
            "Fills the selection to fit what is below, runs 15 of 20 steps",
            "New image instead",
        ),
        (
            replace(EMPTY, below=True, whole=True),
            {},
            "Paints a new picture, runs 20 of 20 steps",
            "Paint over what is below instead",
        ),
        (EMPTY, {}, "Paints a new picture, runs 20 of 20 steps", ""),
        (
            replace(SEEN, transparent=False, new=True),
            {},
            "Paints a new picture, runs 20 of 20 steps",
            "Repaint it instead",
        ),
        (
            replace(SEEN, drawn=True),
            {},
            "Repaints 100 % of the layer, runs 15 of 20 steps",
            "Fill what is erased instead",
        ),
        (
            SEEN,
            {"context": "below"},
            "Fills the erased 50 % of the selection to fit what is below, runs 15 of 20 steps."
            " Where no colour is left, it starts from the colour below",
            "Repaint it instead",
        ),
        (
            replace(SEEN, transparent=False),
            {"context": "below"},
            "Repaints 100 % of the layer, runs 15 of 20 steps",
            "New image instead",
        ),
        (
            SEEN,
            {"mode": "txt2img"},
            "Paints a new picture, runs 20 of 20 steps",
            "Choose automatically",
        ),
    ],
)
def test_the_plan_line_says_what_was_decided_and_what_is_one_click_away(
    found: Survey, asked: dict[str, Any], told: str, offered: str
) -> None:
    request = Request.of(**asked)
    assert describe_run(request, found) == told
    assert describe_offer(offered_choice(request, found)) == offered


def test_every_offer_has_its_own_words() -> None:
    assert set(OFFERS) == set(MODES)
    told = {
        (choice.mode, describe_offer(choice))
        for choice in (ModeChoice(mode, context) for mode in MODES for context in CONTEXTS)
    }
    assert len(told) == len(MODES) + 1
    assert ("inpaint", OFFER_BELOW) in told
    assert describe_offer(None) == ""
    assert isinstance(LayerState(empty=True, transparent=True), LayerState)


# ---- white paper ----------------------------------------------------------------------------


def as_depth(pixels: list[list[int]], dtype: str) -> bytes:
    """Pixels of 0..255 in a depth."""
    values = [value for pixel in pixels for value in pixel]
    if dtype in ("u1", "u2"):
        full = 1 if dtype == "u1" else 257
        return struct.pack(
            f"<{len(values)}{'B' if full == 1 else 'H'}", *(full * v for v in values)
        )
    code = "e" if dtype == "f2" else "f"
    return struct.pack(f"<{len(values)}{code}", *(value / 255 for value in values))


W = [255, 255, 255, 255]


@pytest.mark.parametrize("dtype", WHITE)
@pytest.mark.parametrize(
    ("pixels", "white", "something"),
    [
        ([W, W, W], True, False),
        ([W, W, [255, 255, 255, 254]], False, False),
        ([W, [255, 255, 255, 0], [0, 0, 0, 0]], False, False),
        ([[9, 9, 9, 0]] * 3, False, False),
        ([W, W, [255, 254, 255, 255]], False, True),
        ([[0, 0, 0, 0], [0, 0, 0, 255], W], False, True),
        ([[0, 0, 0, 0], [0, 0, 0, 2], W], False, True),
    ],
)
def test_paper_is_white_and_shows_nothing_at_any_depth(
    dtype: str, pixels: list[list[int]], white: bool, something: bool
) -> None:
    data = as_depth(pixels, dtype)
    size = len(data) // 3

    def read(box: Box) -> bytes:
        return data[box.y * size : box.bottom * size]

    box = Box(0, 0, 1, 3)
    assert is_white(box, read, dtype) == white
    assert shows_something(box, read, 4, dtype) == something
    assert not shows_something(Box(0, 0, 0, 3), read, 4, dtype)


def test_of_a_large_layer_rows_at_even_distances_are_read() -> None:
    read = []

    def rows(box: Box) -> bytes:
        read.append(box)
        return b"\xff" * 4 * box.extent.pixels

    assert is_white(Box(0, 0, 4000, 3000), rows, "u1")
    assert {box.height for box in read} == {1}
    assert sum(box.extent.pixels for box in read) <= 1_000_000
    assert not shows_something(Box(0, 0, 4000, 3000), rows, 4, "u1")
