"""Inputs: the rasters that a request is run on, as they travel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from .control_layers import MAX_CONTROLS, raster_name
from .errors import BadInputError
from .frames import Frame
from .geometry import Box
from .reference_layers import MAX_REFERENCES, reference_raster
from .regions import MAX_REGIONS, region_raster
from .sentences import Sentence, sentence

CONTROLS = tuple(raster_name(index) for index in range(MAX_CONTROLS))
"""The names of the pictures of control layers."""

REFERENCES = tuple(reference_raster(index) for index in range(MAX_REFERENCES))
"""The names of the pictures of reference layers."""

REGIONS = tuple(region_raster(index) for index in range(MAX_REGIONS))
"""The names of the masks of regions."""

PROFILE = "profile"

RASTERS: tuple[str, ...] = ("context", PROFILE, *CONTROLS, *REFERENCES, *REGIONS)
"""The names of further rasters that a request can be run on.

`context` is what is visible below the layer, RGBA or BGRA, on the layer's box. The layer is laid
over it, so it may be in there already. `profile` is the ICC profile of the layer's and the
context's colours, a row of bytes; without it, they are sRGB, as reference layers always are.
"""

MAX_PROFILE = 2**22
"""Bytes of the largest ICC profile that is taken."""

_OWN = ("layer", "selection", "mask")


@dataclass(frozen=True)
class InputFrames:
    """The rasters that a request is run on; all of them may be left out.

    Parameters
    ----------
    layer : Frame, optional
        The layer's pixels, RGBA or BGRA, at their position on the canvas; without it a picture is
        made from nothing.
    selection : Frame, optional
        How much of each pixel is selected: Y, on the layer's box. Without it, all of it.
    mask : Frame, optional
        How much of the layer's alpha is left, as editors' layer masks say: Y, on the layer's box.
        Without it, all of it.
    rasters : mapping of str to Frame
        Further rasters, by the names in `RASTERS`: RGBA, BGRA or Y. Those of control layers and
        regions lie on the layer's box; without a layer, they have any size. Of those of regions,
        the alpha counts, or Y. Those of reference layers have any size, anywhere. For the
        profile, there is `profile_frame`.
    """

    layer: Frame | None = None
    selection: Frame | None = None
    mask: Frame | None = None
    rasters: Mapping[str, Frame] = field(default_factory=dict)

    @classmethod
    def of(cls, frames: Iterable[Frame]) -> InputFrames:
        """Return the frames of a message by what they are; they can be used together.

        Raises
        ------
        BadInputError
            Two have the same name, one has a name or channels that it cannot have, or a selection
            or mask does not fit the layer.
        """
        frames = tuple(frames)
        by_name = {frame.name: frame for frame in frames}
        if len(by_name) != len(frames):
            names = ", ".join(frame.name for frame in frames)
            raise BadInputError(
                "the frames {names} arrived; send at most one layer, one selection, one mask, and"
                " one of each further name",
                names=names,
            )
        own = {name: by_name.pop(name, None) for name in _OWN}
        inputs = cls(**own, rasters=by_name)
        inputs.check()
        return inputs

    @property
    def frames(self) -> tuple[Frame, ...]:
        """All of them, each called by what it is."""
        own = {name: getattr(self, name) for name in _OWN}
        return tuple(
            frame if frame.name == name else replace(frame, name=name)
            for name, frame in {**own, **self.rasters}.items()
            if frame is not None
        )

    def check(self) -> None:
        """Check that the rasters fit each other; raises as `of` does."""
        for name in self.rasters:
            if name not in RASTERS:
                known = ", ".join([*_OWN, *RASTERS])
                raise BadInputError(
                    "raster {name!r} is unknown; there are {known}", name=name[:40], known=known
                )
        if self.layer is not None and self.layer.channels == "Y":
            raise BadInputError("layer: the channels are Y, which has no colour; send RGBA or BGRA")
        for name, frame in (("selection", self.selection), ("mask", self.mask)):
            if frame is not None:
                self._check_channels(name, frame)
                self._check_on_layer(name, frame)
        for name, frame in self.rasters.items():
            if self.layer is not None and name in (*CONTROLS, *REGIONS):
                self._check_on_layer(name, frame)
        self._check_colours()

    def _check_colours(self) -> None:
        context = self.rasters.get("context")
        if context is not None:
            if context.channels == "Y":
                raise BadInputError("context: the channels are Y; send RGBA or BGRA")
            self._check_on_layer("context", context)
        profile = self.rasters.get(PROFILE)
        if profile is not None:
            check_profile((profile.box.height, profile.box.width), profile.dtype == "u1")
            self._check_channels(PROFILE, profile)

    def _check_channels(self, name: str, frame: Frame) -> None:
        if frame.channels != "Y":
            raise BadInputError(
                "{name}: channels {channels} have colour; send Y",
                name=name,
                channels=frame.channels,
            )

    def _check_on_layer(self, name: str, frame: Frame) -> None:
        """Check that a raster lies where the layer does."""
        if self.layer is None:
            raise BadInputError(
                "a {name} arrived without a layer; send the layer that it belongs to", name=name
            )
        if frame.box != self.layer.box:
            raise BadInputError(
                "the {name} has {box} and the layer {layer_box}; make them the same",
                name=name,
                box=_describe(frame.box),
                layer_box=_describe(self.layer.box),
            )


def profile_frame(profile: bytes) -> Frame:
    """Return the ICC profile of a layer as a frame.

    Raises
    ------
    BadInputError
        It is empty or too large.
    """
    check_profile((1, len(profile)), True)
    return Frame(PROFILE, Box(0, 0, len(profile), 1), "u1", "Y", profile)


def check_profile(shape: tuple[int, int], are_bytes: bool) -> None:
    """Check the shape (H, W) of an ICC profile that travels as a raster.

    Raises
    ------
    BadInputError
        It is not a row of at most `MAX_PROFILE` bytes.
    """
    height, width = shape
    if height != 1 or not 0 < width <= MAX_PROFILE or not are_bytes:
        raise BadInputError(
            "the colour profile is not a row of 1 to {most} bytes; convert the picture to sRGB",
            most=MAX_PROFILE,
        )


def _describe(box: Box) -> Sentence:
    return sentence("{size} pixels at ({x}, {y})", size=box.extent, x=box.x, y=box.y)
