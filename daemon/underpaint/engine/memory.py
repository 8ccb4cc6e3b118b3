"""Making do with less memory: what can be saved, in which order, and what to say of it.

What does not fit is tried again with one saving more, and only the part of a run that failed: what
is painted stays painted. Savings that helped are kept for pictures of that size and larger ones; a
smaller one gets the fast way again.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

import torch

from underpaint_client.geometry import Extent

from .plan import MULTIPLE

log = logging.getLogger(__name__)

Stage = Literal["load", "prompt", "encode", "denoise", "decode"]
"""What can run out of memory: each is tried again by itself."""

Result = TypeVar("Result")

_SHORT = re.compile(
    r"out of memory|not enough memory|insufficient memory|can't allocate memory|bad_alloc"
    r"|ALLOC_FAILED|invalid buffer size|unable to mmap",
    re.IGNORECASE,
)
"""How CUDA, cuBLAS, cuDNN, MPS, torch on a CPU, OpenCV and safetensors say it."""

_LOST = re.compile(
    r"\b(CUDA|HIP|cuDNN) error|device-side assert|illegal memory access|unspecified launch failure",
    re.IGNORECASE,
)

_ITS_BUILD = re.compile(r"no kernel image|invalid device function", re.IGNORECASE)
"""What a torch says that was not built for this GPU: a fresh process would say it too."""


@dataclass(frozen=True)
class Saving:
    """What is given up for memory.

    Parameters
    ----------
    together : int
        So many images at once, at most; 0 for as many as the plan says.
    encode_tile, decode_tile : int
        Side of the tiles, in pixels, in which the autoencoder works; 0 for all at once.
    sliced : bool
        Attention is computed head by head.
    offloaded : bool
        The model's parts wait in the computer's memory, and each comes to the device for its turn.
    """

    together: int = 0
    encode_tile: int = 0
    decode_tile: int = 0
    sliced: bool = False
    offloaded: bool = False


@dataclass(frozen=True)
class Abilities:
    """What a model on its device can save.

    Parameters
    ----------
    tiles : tuple of int
        Sides of tiles its autoencoder can work in, in pixels, the largest first.
    slices : bool
        Whether attention takes less memory in slices.
    offloads : bool
        Whether there is a memory beside the device's.
    """

    tiles: tuple[int, ...] = ()
    slices: bool = False
    offloads: bool = False


def next_saving(
    stage: Stage, saving: Saving, able: Abilities, *, together: int = 1, longer: int = 0
) -> Saving | None:
    """Choose what to save next, where a stage did not fit; the cheapest first.

    1. Half as many images at once: the same pictures, and the first of them sooner.
    2. Tiles, where it was the autoencoder that failed: half as much time again for it, and some
       levels of colour, since each tile is normalised by itself (with the starter model at 512
       pixels 3 of 255 in the mean, 22 at most, at either size). The larger tiles come first.
    3. Attention in slices: the same picture but for rounding, in two to three times the time.
       Only where attention is not fused: a fused one never holds all its scores, and slices then
       cost memory (on a CPU at 4096 tokens of SD 1.5: 173 MB in slices, 51 MB fused).
    4. Offloading: the same picture, but gigabytes are moved about for each, and the computer's
       memory must hold them.

    The autoencoder's own slicing is not among them: pictures are encoded and decoded one by one.

    Parameters
    ----------
    stage : str
        What failed.
    saving : Saving
        What was saved when it failed.
    able : Abilities
        What can be.
    together : int
        How many images ran at once.
    longer : int
        The picture's longer side, as the model works at it, in pixels.

    Returns
    -------
    Saving or None
        None where nothing is left that would help this stage.
    """
    if stage == "denoise" and together > 1:
        return replace(saving, together=together // 2)
    if stage == "encode" and (tile := _smaller(able.tiles, saving.encode_tile or longer)):
        return replace(saving, encode_tile=tile)
    if stage == "decode" and (tile := _smaller(able.tiles, saving.decode_tile or longer)):
        return replace(saving, decode_tile=tile)
    if stage == "denoise" and able.slices and not saving.sliced:
        return replace(saving, sliced=True)
    if able.offloads and not saving.offloaded:
        return replace(saving, offloaded=True)
    return None


def _smaller(tiles: tuple[int, ...], side: int) -> int:
    return next((tile for tile in tiles if tile < side), 0)


def choose_tiles(native: int, cell: int) -> tuple[int, ...]:
    """Choose sides of tiles: the size a model was trained at, and half of it.

    Smaller ones show. Multiples of four cells, so that the quarter by which diffusers lets them
    overlap is whole cells: else the tiles do not add up to the picture.
    """
    grid = 4 * cell
    sides = (native // grid * grid, native // 2 // grid * grid)
    return tuple(side for side in sides if side)


@dataclass
class Experience:
    """What was learned of a model's need for memory.

    Parameters
    ----------
    savings : dict of int to Saving
        What had to be saved, by the number of pixels it was needed at; 0 for the model itself.
    painted : Extent
        The largest size that it painted.
    """

    savings: dict[int, Saving] = field(default_factory=dict)
    painted: Extent = field(default_factory=lambda: Extent(0, 0))


def first_saving(savings: Mapping[int, Saving], pixels: int) -> Saving:
    """Choose what to save from the start: what the largest size needed that is no larger."""
    known = [size for size in savings if size <= pixels]
    return savings[max(known)] if known else Saving()


def saving_notes(
    saving: Saving, size: Extent, *, planned: int, encoded: bool = True
) -> tuple[str, ...]:
    """Return what was saved, and what that means for the picture.

    Parameters
    ----------
    saving : Saving
        What was.
    size : Extent
        The size the model worked at.
    planned : int
        How many images would have run at once.
    encoded : bool
        Whether there was an original to encode.
    """
    told = []
    if 0 < saving.together < planned:
        told.append(f"painted {saving.together} at a time instead of {planned}")
    tiles = [saving.encode_tile if encoded else 0, saving.decode_tile]
    used = [tile for tile in tiles if 0 < tile < size.longer]
    if used:
        told.append(
            f"put together from tiles of {min(used)} pixels, so its colours may differ slightly"
            " from those it has in one piece"
        )
    if saving.sliced:
        told.append("attention was computed in slices, which takes longer")
    if saving.offloaded:
        told.append(
            "the model's parts waited in the computer's memory for their turn, which takes longer"
        )
    return (f"memory was short: {'; '.join(told)}",) if told else ()


def too_large(model: str, size: Extent, native: int, painted: Extent) -> str:
    """Return the message for a picture that does not fit, with one that would.

    Parameters
    ----------
    model : str
        Its name.
    size : Extent
        What did not fit, as the model works at it.
    native : int
        The model's native side, in pixels.
    painted : Extent
        The largest size that it painted before.
    """
    fits, why = _half(size), "at most half the pixels, which may fit"
    if fits.pixels <= painted.pixels < size.pixels:
        fits, why = painted, "did fit before"
    ways = [f"set {fits} as width and height ({why})"]
    if size.pixels > native * native:  # smaller parts are scaled up to that
        ways.insert(0, "select a smaller part of the picture")
    return (
        f"there is not enough memory for model {model!r} to paint {size} pixels at once, though all"
        f" was tried that saves memory; {', or '.join(ways)}. A smaller model needs less too, and"
        " other programs may be holding memory"
    )


def model_too_large(model: str) -> str:
    """Return the message for a model that does not fit by itself."""
    return (
        f"there is not enough memory for model {model!r}, whatever the size of the picture; choose"
        " a smaller model, or close other programs that hold memory"
    )


def canvas_too_large(size: Extent) -> str:
    """Return the message for a picture whose pixels the computer's memory does not hold."""
    return (
        f"there is not enough memory to hold a picture of {size} pixels and what is made of it;"
        " make it smaller, send a smaller layer, or close other programs that hold memory"
    )


def _half(size: Extent) -> Extent:
    """Return half the pixels in the same shape, on the grid that models work on."""

    def side(length: int) -> int:
        return max(MULTIPLE, int(length * math.sqrt(0.5)) // MULTIPLE * MULTIPLE)

    return Extent(side(size.width), side(size.height))


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether something failed for want of memory, the device's or the computer's."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return _is_foreign(error) and bool(_SHORT.search(str(error)))


def is_device_lost(error: BaseException) -> bool:
    """Return whether the GPU's context is broken: nothing more can be computed in this process."""
    return (
        isinstance(error, RuntimeError)
        and not is_out_of_memory(error)
        and bool(_LOST.search(str(error)))
        and not _ITS_BUILD.search(str(error))
    )


def _is_foreign(error: BaseException) -> bool:
    """Return whether an error is a library's: RuntimeError of torch, cv2.error, OSError of mmap."""
    return isinstance(error, RuntimeError | OSError) or type(error).__module__ == "cv2"


def until_it_fits(attempt: Callable[[], Result], save: Callable[[], None]) -> Result:
    """Try until there is memory enough.

    Parameters
    ----------
    attempt : callable
        What may run out of memory; tried from its beginning each time.
    save : callable
        Called after each failure: it saves something more, or raises.
    """
    while True:
        try:
            return attempt()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            told = str(error).strip().partition("\n")[0]
            log.warning("memory is short: %s", told or type(error).__name__)
        # Only here, after the error and its traceback have gone, and with them what they held.
        save()
