"""Running out of memory: how to recognise it, what to do then, and what to tell people.

The stage of a run that did not fit is tried again with one saving more (`savings`); pictures that
are finished stay. Savings that helped are kept for pictures of that size and larger ones
(`experience`); smaller ones are painted without them.
"""

from __future__ import annotations

import functools
import logging
import math
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from underpaint_client.geometry import Extent
from underpaint_client.sentences import Sentence, sentence

from .plan import MULTIPLE
from .savings import Placement, Quantised, Saving

log = logging.getLogger(__name__)

Result = TypeVar("Result")

_SHORT = re.compile(
    r"out of memory|not enough memory|insufficient memory|can't allocate memory|bad_alloc"
    r"|ALLOC_FAILED|invalid buffer size|unable to mmap",
    re.IGNORECASE,
)
"""The messages of CUDA, cuBLAS, cuDNN, MPS, torch on a CPU, OpenCV and safetensors."""

_LOST = re.compile(
    r"\b(CUDA|HIP|cuDNN) error|device-side assert|illegal memory access|unspecified launch failure",
    re.IGNORECASE,
)

_ITS_BUILD = re.compile(r"no kernel image|invalid device function", re.IGNORECASE)
"""The message of a torch that was not built for this GPU; another process would fail too."""


_PLACED: dict[Placement, str] = {
    "gpu": "",
    "offload": (
        "the model's parts waited in the computer's memory for their turn, which takes longer"
    ),
    "encoders_on_cpu": "the prompt was encoded on the CPU, which takes longer",
    "group_offload": (
        "the model's layers waited in the computer's memory for their turn, which takes longer"
    ),
}

_QUANTISED: dict[Quantised, str] = {
    "half": "16 bits",
    "fp8": "8 bits (fp8)",
    "int8": "8 bits (int8)",
    "nf4": "4 bits (nf4)",
}


def saving_notes(
    saving: Saving, size: Extent, *, planned: int, encoded: bool = True, exact: bool = False
) -> tuple[str, ...]:
    """Return notes about what was saved, and what that means for the picture.

    Parameters
    ----------
    saving : Saving
        What was saved.
    size : Extent
        The size the model worked at.
    planned : int
        How many images would have run at once.
    encoded : bool
        Whether there was an original to encode.
    exact : bool
        Whether the weights are stored as they are in the model's files.
    """
    told: list[Sentence] = []
    if 0 < saving.together < planned:
        told.append(
            sentence(
                "painted {together} at a time instead of {planned}",
                together=saving.together,
                planned=planned,
            )
        )
    tiles = [saving.encode_tile if encoded else 0, saving.decode_tile]
    used = [tile for tile in tiles if 0 < tile < size.longer]
    if used:
        told.append(
            sentence(
                "put together from tiles of {side} pixels, so its colours may differ slightly"
                " from those it has in one piece",
                side=min(used),
            )
        )
    if saving.sliced:
        told.append(Sentence("attention was computed in slices, which takes longer"))
    if saving.quantised and exact:
        told.append(
            Sentence("the model's weights stayed in 16 bits, as in its files, which takes longer")
        )
    if _PLACED[saving.placement]:
        told.append(Sentence(_PLACED[saving.placement]))
    notes: list[Sentence] = []
    if told:
        savings = functools.reduce(_add, told)
        notes.append(sentence("memory was short: {savings}", savings=savings))
    if saving.quantised and not exact:
        notes.append(
            sentence(
                "the model's weights were stored in {precision} to save memory, so the picture"
                " differs slightly from that of the whole model",
                precision=Sentence(_QUANTISED[saving.quantised]),
            )
        )
    return tuple(notes)


def _add(first: Sentence, second: Sentence) -> Sentence:
    return sentence("{first}; {second}", first=first, second=second)


def too_large(model: str, size: Extent, native: int, painted: Extent) -> Sentence:
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
    half = _half(size)
    if half.pixels <= painted.pixels < size.pixels:
        way = sentence("set {size} as width and height (did fit before)", size=painted)
    else:
        way = sentence(
            "set {size} as width and height (at most half the pixels, which may fit)", size=half
        )
    if size.pixels > native * native:  # smaller parts are scaled up to that
        way = sentence("select a smaller part of the picture, or {way_out}", way_out=way)
    return sentence(
        "there is not enough memory for model {model!r} to paint {size} pixels at once, though all"
        " was tried that saves memory; {way_out}. A smaller or quantised model needs less too, and"
        " other programs may be holding memory",
        model=model,
        size=size,
        way_out=way,
    )


def model_too_large(model: str, weights: int, extras: Sequence[str] = ()) -> Sentence:
    """Return the message for a model that does not fit by itself.

    Parameters
    ----------
    model : str
        Its name.
    weights : int
        Bytes of its weights, as they are computed with.
    extras : sequence of str
        Extras of Underpaint that are not installed, and would quantise it.
    """
    told = sentence(
        "there is not enough memory for model {model!r}, whatever the size of the picture: its"
        " weights take {size:.1f} GB; choose a smaller model or a quantised one (GGUF), or close"
        " other programs that hold memory",
        model=model,
        size=weights / 1e9,
    )
    if not extras:
        return told
    return sentence(
        "{problem}, or run `pip install 'underpaint[{extra}]'`, which quantises it as it is opened",
        problem=told,
        extra=extras[0],
    )


def canvas_too_large(size: Extent) -> Sentence:
    """Return the message for a picture that does not fit into the computer's memory."""
    return sentence(
        "there is not enough memory to hold a picture of {size} pixels and what is made of it;"
        " make it smaller, send a smaller layer, or close other programs that hold memory",
        size=size,
    )


def _half(size: Extent) -> Extent:
    """Return a size of half the pixels in the same shape, on the grid that models work on."""

    def side(length: int) -> int:
        return max(MULTIPLE, int(length * math.sqrt(0.5)) // MULTIPLE * MULTIPLE)

    return Extent(side(size.width), side(size.height))


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether something failed because the device or the computer had too little memory."""
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
    """Return whether a library raises it: torch a RuntimeError, mmap an OSError, or cv2.error."""
    return isinstance(error, RuntimeError | OSError) or type(error).__module__ == "cv2"


def until_it_fits(attempt: Callable[[], Result], save: Callable[[], None]) -> Result:
    """Try until there is enough memory.

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
        # Only here: the error and its traceback, which kept tensors alive, are gone.
        save()
