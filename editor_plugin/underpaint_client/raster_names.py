"""Rasters that come one for each entry of a list, such as those of control layers."""

from __future__ import annotations

from collections.abc import Callable, Collection


def find_missing(count: int, name: Callable[[int], str], rasters: Collection[str]) -> int | None:
    """Return the first of so many entries whose raster did not come; None if all did.

    Parameters
    ----------
    count : int
        Of the entries.
    name : callable
        Returns what the raster of an entry is called, by its index.
    rasters : collection of str
        The names of those that came.
    """
    return next((index for index in range(count) if name(index) not in rasters), None)


def find_left_over(
    count: int, most: int, name: Callable[[int], str], rasters: Collection[str]
) -> str | None:
    """Return the first raster that came for none of the entries, of which there can be `most`."""
    return next((name(index) for index in range(count, most) if name(index) in rasters), None)
