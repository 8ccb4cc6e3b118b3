"""A look at the pixels before they are sent: what a run would do with them.

The editors' Pythons have no numpy, and this runs on their UI thread: all here that goes over every
pixel is a call that Python carries out in C (`count`, `translate`, whole numbers of a million
digits). Shares are estimated from a sample of the pixels given.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .rules import choose_mode, describe_plan, plan_request

if TYPE_CHECKING:
    from .request import Request
    from .wire import Frame

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
    """

    empty: bool
    transparent: bool
    erased: float
    selected: float
    most_erased: float
    most_selected: float
    whole: bool


def survey(
    alpha: bytes, selection: bytes | None = None, *, empty: bool = False, part: float = 1.0
) -> Survey:
    """Look at a layer.

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
    )


def take_alpha(pixels: bytes, channels: int, dtype: str) -> bytes:
    """Take the alpha out of pixels, as 0..255.

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
    if dtype == "u2":  # the high byte
        return pixels[2 * channels - 1 :: 2 * channels]
    size = {"f2": 2, "f4": 4}[dtype]
    values = struct.unpack(f"<{len(pixels) // size}{'e' if size == 2 else 'f'}", pixels)
    return bytes(min(255, max(0, round(255 * value))) for value in values[channels - 1 :: channels])


def describe_run(request: Request, found: Survey) -> str:
    """Say before a run what it will do."""
    mode = settle_mode(request, found)
    most = {"inpaint": found.most_erased, "img2img": found.most_selected}.get(mode, 1.0)
    changed = found.erased if mode == "inpaint" else found.selected
    plan = plan_request(request, mode, most)
    return describe_plan(mode, changed, plan, of="layer" if found.whole else "selection")


def settle_mode(request: Request, found: Survey) -> str:
    """Say what a request's mode will be."""
    return choose_mode(request.mode, empty=found.empty, transparent=found.transparent)


def settle(request: Request, frames: dict[str, Frame], *, nothing: bool) -> Request:
    """Settle `auto` on exactly the pixels that are sent, of which not one is passed over.

    Parameters
    ----------
    request : Request
        As the artist asked.
    frames : dict of str to Frame
        `layer`, 8 bits, and maybe `selection` and `mask`.
    nothing : bool
        Whether there is nothing in the layer outside of the pixels sent.
    """
    if request.mode != "auto":
        return request
    layer = bytes(frames["layer"].data)
    empty = nothing and layer.count(0) == len(layer)
    selection = bytes(frames["selection"].data) if "selection" in frames else None
    alphas = [take_alpha(layer, 4, "u1")]
    if "mask" in frames:
        alphas.append(bytes(frames["mask"].data))
    transparent = any(_some_erased(alpha, selection) for alpha in alphas)
    mode = choose_mode(request.mode, empty=empty, transparent=transparent)
    return replace(request, mode=mode)


def _some_erased(alpha: bytes, selection: bytes | None) -> bool:
    if selection is None:
        return alpha.count(255) < len(alpha)
    return _meet(alpha.translate(_IS_NOT_WHOLE), selection.translate(_IS_TOUCHED))


def _lowest(values: bytes) -> int:
    """Give the lowest byte, 255 where there is none."""
    return next((value for value in range(256) if bytes([value]) in values), 255)


def _highest(values: bytes) -> int:
    """Give the highest byte, 0 where there is none."""
    return next((value for value in range(255, -1, -1) if bytes([value]) in values), 0)


def _shares(alpha: bytes, selection: bytes | None) -> tuple[float, float]:
    """Estimate the erased share of the selected, and the selected share of all."""
    stride = max(1, len(alpha) // _SAMPLE) | 1  # odd, so that it does not follow the columns
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


_IS_ERASED = bytes([1]) + bytes(255)
_IS_NOT_WHOLE = bytes([1]) * 255 + bytes(1)
_IS_SELECTED = bytes(255) + bytes([1])
_IS_TOUCHED = bytes(1) + bytes([1]) * 255


def _most_erased(alpha: bytes, selection: bytes) -> float:
    """Give the largest product of erasure and selection, 0..1."""
    if _meet(alpha.translate(_IS_ERASED), selection.translate(_IS_SELECTED)):
        return 1.0
    if not _some_erased(alpha, selection):
        return 0.0
    stride = max(1, len(alpha) // (50 * _SAMPLE))
    pairs = set(zip(alpha[::stride], selection[::stride]))
    return max(1 / 255, max((255 - a) * s for a, s in pairs) / 255**2)


def _meet(left: bytes, right: bytes) -> bool:
    """Say whether some byte is 1 in both."""
    return bool(int.from_bytes(left, "little") & int.from_bytes(right, "little"))
