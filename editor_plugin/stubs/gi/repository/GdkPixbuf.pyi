import enum

from . import GLib
from .GObject import Object

class Colorspace(enum.IntEnum):
    RGB = ...

class InterpType(enum.IntEnum):
    BILINEAR = ...

class Pixbuf(Object):
    def get_pixels(self) -> bytes: ...
    @staticmethod
    def new_from_bytes(
        data: GLib.Bytes,
        colorspace: Colorspace,
        has_alpha: bool,
        bits_per_sample: int,
        width: int,
        height: int,
        rowstride: int,
    ) -> Pixbuf: ...
    # None if there is not enough memory.
    def scale_simple(
        self, dest_width: int, dest_height: int, interp_type: InterpType
    ) -> Pixbuf | None: ...
