import enum

from .GObject import Object

KEY_Down: int
KEY_Escape: int
KEY_KP_Enter: int
KEY_Return: int
KEY_w: int
KEY_Tab: int
KEY_Up: int

class Gravity(enum.IntEnum):
    NORTH_WEST = ...
    SOUTH_WEST = ...

class ModifierType(enum.IntFlag):
    CONTROL_MASK = ...
    SHIFT_MASK = ...

class WindowTypeHint(enum.IntEnum):
    UTILITY = ...

class Rectangle:
    width: int
    x: int
    y: int

class EventButton:
    y: float

class EventKey:
    keyval: int
    state: ModifierType

class Window(Object): ...

class Display(Object):
    @staticmethod
    def get_default() -> Display | None: ...

class Screen(Object):
    @staticmethod
    def get_default() -> Screen | None: ...
    # None where windows cannot be listed, such as on Wayland.
    def get_window_stack(self) -> list[Window] | None: ...
