"""Inputs: the rasters that a request is run on, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from underpaint_client.errors import BadInputError
from underpaint_client.inputs import (
    CONTROLS,
    PROFILE,
    RASTERS,
    REFERENCES,
    REGIONS,
    check_profile,
)

from .pixels import FULL, Pixels, check_like, fraction, quantize
from .source import Source


@dataclass(frozen=True, eq=False)
class Inputs:
    """The rasters that a request is run on; all of them may be left out.

    Parameters
    ----------
    layer : uint8, uint16, float16 or float32, (H, W, 4), optional
        RGBA, straight alpha, in the colour space of the profile; without it a picture is made from
        nothing.
    selection : same depths, (H, W), optional
        How much of each pixel is selected; None for all of it.
    mask : same depths, (H, W), optional
        How much of the layer's alpha is left, as an editor's layer mask; None for all of it.
    x, y : int
        Where the layer's top left corner lies on the canvas, in pixels.
    rasters : mapping of str to arrays, (H, W, 4) or (H, W, 1)
        Further rasters, by the names in `RASTERS`. The context is RGBA, of the layer's size. Those
        of control layers and regions have the layer's size; without a layer, any. Those of
        reference layers have any. The ICC profile of layer and context is uint8, (1, N, 1); without
        it, they are sRGB.
    """

    layer: Pixels | None = field(default=None, repr=False)
    selection: Pixels | None = field(default=None, repr=False)
    mask: Pixels | None = field(default=None, repr=False)
    x: int = 0
    y: int = 0
    rasters: Mapping[str, Pixels] = field(default_factory=dict, repr=False)

    def check(self) -> None:
        """Check that the rasters can be used, and belong together.

        Raises
        ------
        BadInputError
            A raster's name is unknown, one came without the layer that it belongs to, or shapes or
            depths are not as described above.
        """
        for name in self.rasters:
            if name not in RASTERS:
                known = ", ".join(["layer", "selection", "mask", *RASTERS])
                raise BadInputError(
                    "raster {name!r} is unknown; there are {known}", name=name, known=known
                )
        for name, picture in self.rasters.items():
            if name in (*CONTROLS, *REFERENCES, *REGIONS):
                self._check_picture(name, picture)
        profile = self.rasters.get(PROFILE)
        if profile is not None:
            check_profile(profile.shape[:2], profile.dtype == np.uint8)
        context = self.rasters.get("context")
        on_layer = {
            "selection": self.selection,
            "mask": self.mask,
            "context": context,
            "colour profile": profile,
        }
        for name, raster in on_layer.items():
            if self.layer is None and raster is not None:
                raise BadInputError(
                    "a {name} came without a layer; send the layer it belongs to", name=name
                )
        if self.layer is not None:
            Source.of(self.layer, self.selection, context=context)
            if self.mask is not None:
                check_like("mask", self.mask, self.layer)

    def _check_picture(self, name: str, raster: Pixels) -> None:
        shape = raster.shape
        if raster.dtype not in FULL or len(shape) != 3 or shape[2] not in (1, 4) or not raster.size:
            raise BadInputError(
                "{name} of shape {shape} and depth {dtype} cannot be used; send (height, width, 4)"
                " or (height, width, 1) of uint8, uint16, float16 or float32",
                name=name,
                shape=shape,
                dtype=raster.dtype,
            )
        on_layer = name in (*CONTROLS, *REGIONS)
        if on_layer and self.layer is not None and shape[:2] != self.layer.shape[:2]:
            raise BadInputError(
                "{name} has {width} x {height} pixels and the layer {layer_width} x"
                " {layer_height}; make them the same size",
                name=name,
                width=shape[1],
                height=shape[0],
                layer_width=self.layer.shape[1],
                layer_height=self.layer.shape[0],
            )

    @property
    def profile(self) -> bytes:
        """The ICC profile of the layer and its context; empty for sRGB."""
        found = self.rasters.get(PROFILE)
        return b"" if found is None else found.tobytes()

    @property
    def visible_layer(self) -> Pixels | None:
        """The layer with what the mask hides erased; its colour is kept."""
        if self.layer is None or self.mask is None:
            return self.layer
        result = self.layer.copy()
        left = fraction(self.layer[..., 3]) * fraction(self.mask)
        result[..., 3] = quantize(left, self.layer.dtype)
        return result
