"""Text that is generated between two marks of a guide."""

from __future__ import annotations


def with_text(guide: str, marks: tuple[str, str], text: str) -> str:
    """Return a guide with this text between the two marks.

    Raises
    ------
    ValueError
        It has not both marks.
    """
    before, begin, rest = guide.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise ValueError(f"the guide has not both marks: {marks[0].strip()} and {marks[1].strip()}")
    return f"{before}{begin}\n{text}\n{end}{after}"
