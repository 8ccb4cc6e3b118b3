"""Tables of plain text, for people; programs take `--json`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from underpaint.cli.printing import show
from underpaint_client.printable import one_line


def show_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their heads, each column as wide as it must be."""
    lines = [list(heads), *([one_line(cell) for cell in row] for row in rows)]
    widths = [max(cell_len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        cells = (
            cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True)
        )
        show("  ".join(cells).rstrip())
