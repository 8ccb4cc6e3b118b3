"""A look at the pixels before they are sent: what a run would do with them.

The editors' Pythons have no numpy, and this runs on their UI thread: all here that goes over every
pixel is a call that Python carries out in C (`count`, `translate`, whole numbers of a million
digits). Shares are estimated from a sample of the pixels given.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from underpaint_client.descriptions import describe_levels, describe_misfits, describe_plan
from underpaint_client.geometry import Box
from underpaint_client.modes import LayerState, ModeChoice, change_mode, choose_mode
from underpaint_client.recommended import USUAL, Recommended, settle_request
from underpaint_client.sentences import Sentence, join_sentences, sentence
from underpaint_client.steps import plan_request

from .pixels import changed_pixels, choose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from underpaint_client.request import Request

    from .contract import Surroundings

_READ = 1_000_000  # pixels that are read to say what a run would do
_SAMPLE = 20_000  # pixels that shares are estimated from


@dataclass(frozen=True)
class Survey:
    """What there is to change in a layer.

    Parameters
    ----------
    empty : bool
        All colour is lost: every byte is 0.
    transparent : bool
        Some pixel inside the selection is less than opaque.
    erased : float
        0..1, the erased share of what is selected; estimated.
    selected : float
        0..1, the selected share of the layer; estimated.
    most_erased, most_selected : float
        0..1, the largest change of any pixel when inpainting and in img2img.
    whole : bool
        Nothing is selected, which means everything.
    partly_erased, partly_selected : float
        0..1, the share of the changing pixels that may change in part only, when inpainting and in
        img2img; estimated.
    lost : bool
        Some pixel that may be filled has no colour left.
    notes : tuple of Sentence
        What the artist should know before the run, each without its capital and stop.
    below, new, drawn : bool
        As `LayerState` has them.
    regions : int
        How many visible layers are regions.
    """

    empty: bool
    transparent: bool
    erased: float
    selected: float
    most_erased: float
    most_selected: float
    whole: bool
    partly_erased: float = 0.0
    partly_selected: float = 0.0
    lost: bool = False
    notes: tuple[Sentence, ...] = ()
    below: bool = False
    new: bool = False
    drawn: bool = False
    regions: int = 0

    def within(self, around: Surroundings) -> Survey:
        """Return the same with what is known of the layer from its surroundings."""
        return replace(
            self,
            below=self.empty and around.shows_below(),
            new=not self.empty and not self.transparent and around.is_new(),
            drawn=around.is_drawn,
            regions=around.count_regions(),
        )

    @property
    def state(self) -> LayerState:
        """What the mode is chosen by."""
        return LayerState(
            empty=self.empty,
            transparent=self.transparent,
            selected=not self.whole,
            below=self.below,
            new=self.new,
            drawn=self.drawn,
        )


def survey(
    alpha: bytes, selection: bytes | None = None, *, empty: bool = False, part: float = 1.0
) -> Survey:
    """Survey a layer.

    Parameters
    ----------
    alpha : bytes
        One byte a pixel, from `take_alpha`.
    selection : bytes, optional
        As many pixels, one byte each; None where everything is selected.
    empty : bool
        Every byte of the layer is 0.
    part : float
        0..1, the part of the layer that these pixels stand for; the rest is not selected.
    """
    erased, selected = _shares(alpha, selection)
    if selection is None:
        most_erased, most_selected = 1 - _lowest(alpha) / 255, 1.0
    else:
        most_erased, most_selected = _most_erased(alpha, selection), _highest(selection) / 255
    return Survey(
        empty=empty,
        transparent=most_erased > 0,
        erased=erased,
        selected=selected * part,
        most_erased=most_erased,
        most_selected=most_selected,
        whole=selection is None,
        partly_erased=_partial(_sample_erasure(alpha, selection), most_erased),
        partly_selected=_partial(_sample(selection or b""), most_selected),
    )


def survey_rows(
    box: Box,
    canvas: Box,
    read_alpha: Callable[[Box], tuple[bytes, bool]],
    read_selection: Callable[[Box], bytes] | None,
    *,
    is_empty: Callable[[], bool],
    slow: bool,
) -> Survey:
    """Survey a layer in an editor.

    Large ones are not read whole: rows at even distances stand for the rest.

    Parameters
    ----------
    box : Box
        What is selected.
    canvas : Box
        Around all there is of the layer.
    read_alpha : callable
        Gives the alpha of some rows, one byte a pixel, and whether all their bytes are 0.
    read_selection : callable or None
        Gives the selection of some rows; None where everything is selected.
    is_empty : callable
        Says whether there is nothing in the whole layer; asked where there is nothing in the box.
    slow : bool
        Whether reading takes long, so that less is read.
    """
    if box.empty:
        return survey(b"", b"")
    alphas, amounts, empty = [], [], True
    for rows in rows_to_read(box, slow=slow):
        alpha, nothing = read_alpha(rows)
        alphas.append(alpha)
        empty = empty and nothing
        if read_selection is not None:
            amounts.append(read_selection(rows))
    return survey(
        b"".join(alphas),
        None if read_selection is None else b"".join(amounts),
        empty=empty and is_empty(),
        part=min(1.0, box.extent.pixels / max(1, canvas.extent.pixels)),
    )


def rows_to_read(box: Box, *, slow: bool) -> Iterator[Box]:
    """Yield a box, or of a large one rows at even distances."""
    pitch = -(-box.extent.pixels // (_READ // 5 if slow else _READ))
    step, height = (box.height, box.height) if pitch == 1 else (pitch, 1)
    for y in range(box.y, box.bottom, step):
        yield Box(box.x, y, box.width, height)


def take_alpha(pixels: bytes, channels: int, dtype: str) -> bytes:
    """Return the alpha of pixels, as 0..255.

    Parameters
    ----------
    pixels : bytes
        Little-endian, alpha being the last channel.
    channels : int
        A pixel's, alpha included.
    dtype : str
        A key of `wire.ITEM_SIZES`.
    """
    if dtype == "u1":
        return pixels[channels - 1 :: channels]
    if dtype == "u2":  # the high byte, but 255 for nothing less than all
        high, low = (
            pixels[2 * channels - 1 :: 2 * channels],
            pixels[2 * channels - 2 :: 2 * channels],
        )
        return choose(low.translate(_IS_ALL), high, high.translate(_NEARLY_ALL))
    size = {"f2": 2, "f4": 4}[dtype]
    values = struct.unpack(f"<{len(pixels) // size}{'e' if size == 2 else 'f'}", pixels)
    return bytes(min(255, max(0, round(255 * value))) for value in values[channels - 1 :: channels])


def has_lost_colour(pixels: bytes, selection: bytes | None, count: int) -> bool:
    """Return whether some selected pixel has no colour left: all of its bytes are 0.

    Parameters
    ----------
    pixels : bytes
        Of a layer, in any format with whole bytes.
    selection : bytes or None
        As many pixels, one byte each; None where everything is selected.
    count : int
        How many pixels there are.
    """
    there = changed_pixels(pixels, bytes(len(pixels)), count)
    if selection is None:
        return 0 in there
    return any(choose(there, bytes(count), selection))


def describe_run(request: Request, found: Survey, recommended: Recommended = USUAL) -> Sentence:
    """Return what a run will do, and what of it is far from what the model is made for.

    Parameters
    ----------
    request : Request
        As the artist asks.
    found : Survey
        Of the layer.
    recommended : Recommended
        What suits the model.
    """
    misfits = describe_misfits(request, recommended)
    request = settle_request(request, recommended)
    asked = ModeChoice(request.mode, request.source.context)
    choice = choose_mode(asked, found.state, edits=recommended.edits)
    below = choice.context == "below"
    mode = change_mode(choice.mode, transparent=found.state.transparent)
    most = {"inpaint": found.most_erased, "img2img": found.most_selected}.get(mode, 1.0)
    changed = found.erased if mode == "inpaint" else found.selected
    plan = plan_request(request, mode, most)
    of = "layer" if found.whole or mode == "img2img" else "selection"
    told = describe_plan(choice.mode, changed, plan, of=of, below=below)
    partial = {"inpaint": found.partly_erased, "img2img": found.partly_selected}.get(mode, 0.0)
    notes = list(describe_levels(plan, recommended, partial))
    if plan.run and found.regions:
        count = found.regions
        notes.insert(0, sentence("{count} region is used", "{count} regions are used", count=count))
    notes += found.notes if plan.run else ()
    if plan.run and mode == "inpaint" and found.lost and request.source.fill == "auto":
        if not below:
            notes.append(
                sentence("where no colour is left, it is filled from the surrounding colours")
            )
        elif not found.empty:
            notes.append(sentence("where no colour is left, it starts from the colour below"))
    notes += misfits if plan.run else ()
    return join_sentences(told, *notes, stop=False)


def some_erased(alpha: bytes, selection: bytes | None) -> bool:
    """Return whether some selected pixel is less than opaque."""
    if selection is None:
        return alpha.count(255) < len(alpha)
    return _meet(alpha.translate(_IS_NOT_WHOLE), selection.translate(_IS_TOUCHED))


def _lowest(values: bytes) -> int:
    """Return the lowest byte, 255 where there is none."""
    return next((value for value in range(256) if bytes([value]) in values), 255)


def _highest(values: bytes) -> int:
    """Return the highest byte, 0 if there is none."""
    return next((value for value in range(255, -1, -1) if bytes([value]) in values), 0)


def _stride(values: bytes) -> int:
    """Return the distance of sampled pixels: odd, so that it does not follow the columns."""
    return max(1, len(values) // _SAMPLE) | 1


def _shares(alpha: bytes, selection: bytes | None) -> tuple[float, float]:
    """Estimate the erased share of the selected, and the selected share of all."""
    stride = _stride(alpha)
    sample = alpha[::stride]
    if not sample:
        return 0.0, 0.0
    if selection is None:
        return 1 - sum(sample) / (255 * len(sample)), 1.0
    weights = selection[::stride]
    total = sum(weights)
    if not total:
        return 0.0, 0.0
    kept = sum(a * w for a, w in zip(sample, weights))
    return 1 - kept / (255 * total), total / (255 * len(weights))


def _sample(values: bytes) -> list[float]:
    """Return some of the bytes, as 0..1."""
    return [value / 255 for value in values[:: _stride(values)]]


def _sample_erasure(alpha: bytes, selection: bytes | None) -> list[float]:
    """Return how much some of the pixels may change when inpainting, 0..1."""
    erased = [1 - value for value in _sample(alpha)]
    if selection is None:
        return erased
    return [one * selected for one, selected in zip(erased, _sample(selection))]


def _partial(changes: list[float], most: float) -> float:
    """Return the share of the changing pixels that change less than the most changed one."""
    changing = [change for change in changes if change > 0]
    return sum(change < most - 1 / 255 for change in changing) / max(1, len(changing))


_IS_ALL = bytes(255) + b"\xff"
_NEARLY_ALL = bytes([*range(255), 254])
_IS_ERASED = bytes([1]) + bytes(255)
_IS_NOT_WHOLE = bytes([1]) * 255 + bytes(1)
_IS_SELECTED = bytes(255) + bytes([1])
_IS_TOUCHED = bytes(1) + bytes([1]) * 255


def _most_erased(alpha: bytes, selection: bytes) -> float:
    """Return the largest product of erasure and selection, 0..1."""
    if _meet(alpha.translate(_IS_ERASED), selection.translate(_IS_SELECTED)):
        return 1.0
    if not some_erased(alpha, selection):
        return 0.0
    stride = max(1, len(alpha) // (50 * _SAMPLE))
    pairs = set(zip(alpha[::stride], selection[::stride]))
    return max(1 / 255, max((255 - a) * s for a, s in pairs) / 255**2)


def _meet(left: bytes, right: bytes) -> bool:
    """Return whether some byte is 1 in both."""
    return bool(int.from_bytes(left, "little") & int.from_bytes(right, "little"))
