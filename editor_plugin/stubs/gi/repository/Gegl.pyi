import enum

from .GObject import Object

class AbyssPolicy(enum.IntEnum):
    NONE = ...

class Rectangle:
    @staticmethod
    def new(x: int, y: int, width: int, height: int) -> Rectangle: ...

class Buffer(Object):
    @staticmethod
    def new(format_name: str, x: int, y: int, width: int, height: int) -> Buffer: ...
    def flush(self) -> None: ...
    def get(
        self, rect: Rectangle, scale: float, format_name: str, repeat_mode: AbyssPolicy
    ) -> bytes: ...
    # Does nothing if the length is wrong.
    def set(self, rect: Rectangle, format_name: str, src: bytes) -> None: ...
