"""Frames: pixels as they travel, and what their header says of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Union

from .descriptions import describe_size
from .errors import BadInputError
from .geometry import Box
from .rules import MAX_PIXELS

ITEM_SIZES = {"u1": 1, "u2": 2, "f2": 2, "f4": 4}
"""Bytes a channel of each dtype: unsigned 0..max, or float 0..1 (beyond for HDR)."""


CHANNELS = {"RGBA": 4, "BGRA": 4, "Y": 1}
"""Channel orders: what an editor holds in memory is what travels. Y is a selection."""


ENCODINGS = ("", "packed", "held")
"""How pixels travel: as they are, packed by `packing`, or by their digest alone."""


MAX_REMOTE_FRAME = 2**30
"""Bytes of the largest frame between machines: 16384 x 16384 of RGBA, 8 bits each, unpacked."""


Bytes = Union[bytes, bytearray, memoryview]


@dataclass(frozen=True)
class Frame:
    """Pixels on the wire.

    Parameters
    ----------
    name : str
        What it is: `picture`, `preview`, or as `InputFrames` names them.
    box : Box
        Where they lie on the canvas.
    dtype : str
        A key of `ITEM_SIZES`.
    channels : str
        A key of `CHANNELS`.
    data : bytes-like
        height x width x channels, rows from the top, without padding; or what `encoding` says.
    encoding : str
        One of `ENCODINGS`.
    digest : str
        SHA-256 of the pixels, hexadecimal; may be empty if they are not `held`.
    """

    name: str
    box: Box
    dtype: str
    channels: str
    data: Bytes = field(repr=False)
    encoding: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        """Refuse pixels that are not what they say.

        Raises
        ------
        BadInputError
            Unknown dtype, channel order or encoding, an empty or gigantic box, too few or too many
            bytes.
        """
        if self.dtype not in ITEM_SIZES:
            raise BadInputError(
                "{name}: dtype {dtype!r} is unknown; send {dtypes}",
                name=self.name,
                dtype=self.dtype,
                dtypes=_or(ITEM_SIZES),
            )
        if self.channels not in CHANNELS:
            raise BadInputError(
                "{name}: channel order {channels!r} is unknown; send {known}",
                name=self.name,
                channels=self.channels,
                known=_or(CHANNELS),
            )
        check_size(self.name, self.box)
        if self.encoding not in ENCODINGS:
            raise BadInputError(
                "{name}: encoding {encoding!r} is unknown; send 'packed' or 'held'",
                name=self.name,
                encoding=self.encoding[:40],
            )
        if self.digest and not re.fullmatch(r"[0-9a-f]{64}", self.digest):
            raise BadInputError(
                "{name}: digest {digest!r} is not a SHA-256 digest",
                name=self.name,
                digest=self.digest[:80],
            )
        self._check_bytes(memoryview(self.data).nbytes)

    def _check_bytes(self, found: int) -> None:
        if self.encoding == "packed":
            if not 0 < found < self.size:
                raise BadInputError(
                    "{name}: {found} packed bytes arrived for {size} bytes of pixels; send fewer,"
                    " or send them unpacked",
                    name=self.name,
                    found=found,
                    size=self.size,
                )
        elif self.encoding == "held":
            if found or not self.digest:
                raise BadInputError(
                    "{name}: held pixels must have a digest and no bytes", name=self.name
                )
        elif found != self.size:
            raise BadInputError(
                "{name}: {found} bytes arrived, but {extent} pixels of {channels} {dtype} are"
                " {size} bytes; send the rows without padding",
                name=self.name,
                found=found,
                extent=self.box.extent,
                channels=self.channels,
                dtype=self.dtype,
                size=self.size,
            )

    @property
    def pixel(self) -> int:
        """Bytes of one pixel."""
        return CHANNELS[self.channels] * ITEM_SIZES[self.dtype]

    @property
    def size(self) -> int:
        """Bytes of all its pixels, as they are."""
        return self.box.extent.pixels * self.pixel

    def is_like(self, other: Frame) -> bool:
        """Return whether another frame has the same layout: size, dtype and channels."""
        return (self.box.extent, self.dtype, self.channels) == (
            other.box.extent,
            other.dtype,
            other.channels,
        )

    def describe(self) -> dict[str, Any]:
        """Return the frame's entry in the header."""
        entry = {
            "name": self.name,
            "shape": [self.box.height, self.box.width, CHANNELS[self.channels]],
            "dtype": self.dtype,
            "channels": self.channels,
            "offset": [self.box.x, self.box.y],
        }
        extra = {"encoding": self.encoding, "digest": self.digest}
        return {**entry, **{name: value for name, value in extra.items() if value}}


def check_size(name: str, box: Box) -> None:
    """Refuse pixels that are none, or more than can be worked with.

    Raises
    ------
    BadInputError
        Says the size and the limit.
    """
    if box.empty:
        raise BadInputError(
            "{name}: {extent} pixels are empty; send at least one", name=name, extent=box.extent
        )
    if box.extent.pixels > MAX_PIXELS:
        raise BadInputError(
            "{name}: {extent} pixels are {size}; crop or scale it to {most} or fewer",
            name=name,
            extent=box.extent,
            size=describe_size(box.extent.pixels),
            most=describe_size(MAX_PIXELS),
        )


def _or(names: dict[str, int]) -> str:
    return " or ".join(names)
