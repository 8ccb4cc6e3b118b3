import enum

from .GObject import Object

class EllipsizeMode(enum.IntEnum):
    END = ...

class Underline(enum.IntEnum):
    ERROR = ...

class WrapMode(enum.IntEnum):
    WORD_CHAR = ...

class Layout(Object):
    def get_pixel_size(self) -> tuple[int, int]: ...
