"""Colour management: what the model sees is sRGB, whatever the document is in.

The colours of a layer are numbers in its document's colour space, which an ICC profile describes.
Before the model sees them they are converted to sRGB, and what it painted is converted back once,
as floats, before it is put over the layer. What is kept is never converted.

Both ways are relative colorimetric: colours that both spaces have stay exactly what they are.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underpaint.icc import CmsError, srgb_profile, transform
from underpaint_client.sentences import Sentence, sentence

Pixels = NDArray[Any]
Floats = NDArray[np.float32]

_SAME = 0.5 / 255
"""Profiles that differ from sRGB by less than this are taken for sRGB, so that nothing changes."""


@dataclass(frozen=True)
class ColourSpace:
    """The RGB colour space of a document.

    Parameters
    ----------
    profile : bytes
        Its ICC profile; empty for sRGB.
    notes : tuple of Sentence
        What the artist should know.
    """

    profile: bytes = field(default=b"", repr=False)
    notes: tuple[Sentence, ...] = ()

    def to_srgb(self, colours: Pixels) -> Pixels:
        """Return colours of the document, (H, W, 3), as sRGB.

        Floats, 0..1, as float32, and integers of 8 or 16 bits as 16 bits.
        """
        if not self.profile:
            return colours
        if colours.dtype.kind == "u":
            return transform(colours, self.profile, srgb_profile(), np.uint16)
        wide = colours.astype(np.float32, copy=False)
        return np.clip(transform(wide, self.profile, srgb_profile(), np.float32), 0, 1)

    def from_srgb(self, colours: Floats) -> Floats:
        """Return sRGB, (H, W, 3), as colours of the document; both 0..1."""
        if not self.profile:
            return colours
        return np.clip(transform(colours, srgb_profile(), self.profile, np.float32), 0, 1)


SRGB = ColourSpace()


@functools.lru_cache(maxsize=8)
def read_space(profile: bytes) -> ColourSpace:
    """Return the colour space that an ICC profile describes; sRGB for none.

    One that cannot be used in both directions is taken for sRGB, and a note says so.
    """
    if not profile:
        return SRGB
    steps = np.linspace(0, 1, 9, dtype=np.float32)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
    space = ColourSpace(profile)
    try:
        seen = space.to_srgb(grid)
        space.from_srgb(grid)
    except CmsError:
        told = sentence(
            "the picture's colour profile cannot be used, so its colours were taken for sRGB;"
            " convert the picture to sRGB"
        )
        return ColourSpace(notes=(told,))
    return SRGB if np.abs(seen - grid).max() < _SAME else space
