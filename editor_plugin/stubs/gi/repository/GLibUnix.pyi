from collections.abc import Callable

from gi.repository import GLib

# Not in older versions of GLib.
def fd_add_full(
    priority: int, fd: int, condition: GLib.IOCondition, function: Callable[..., bool]
) -> int: ...
