"""Write the table of models and cards into daemon/README.md: `python tests/memory_table.py`.

The table is computed by the same functions that choose how a model is run; a test fails while the
two differ.
"""

from __future__ import annotations

from pathlib import Path

from marked_text import with_text
from underpaint.engine.savings import (
    PLACEMENTS,
    Abilities,
    Bytes,
    Placement,
    Task,
    choose_saving,
    choose_tiles,
)
from underpaint.models.known_sizes import KNOWN_MODELS, KnownModel
from underpaint.models.memory_needs import DESKTOP, count_on
from underpaint_client.geometry import Extent

GUIDE = Path(__file__).parents[1] / "daemon" / "README.md"
BEGIN, END = "<!-- memory: begin -->\n", "<!-- memory: end -->\n"

CARDS = (4, 6, 8, 12, 16, 24)
"""GB of memory, as cards are sold."""

WORDS: dict[Placement, str] = {
    "gpu": "**GPU**",
    "offload": "parts",
    "encoders_on_cpu": "encoders on CPU",
    "group_offload": "layers",
}


def find_cell(model: KnownModel, gigabytes: int) -> str:
    """Return how a model paints a picture of its native size on a card."""
    able = Abilities(tiles=choose_tiles(model.native, 8), placements=PLACEMENTS)
    task = Task(model.needs, Extent(model.native, model.native))
    free = Bytes(count_on(gigabytes * 2**30 - DESKTOP), float("inf"))
    saving = choose_saving(task, free, able)
    if not task.fits(saving, free):
        return "no"
    tiles = ", tiles" if saving.encode_tile or saving.decode_tile else ""
    return f"{WORDS[saving.placement]}{tiles}"


def make_table() -> str:
    """Return the table in Markdown."""
    cards = " | ".join(f"{card} GB" for card in CARDS)
    lines = [f"| model | weights | {cards} |", f"|---|---|{'---|' * len(CARDS)}"]
    for model in KNOWN_MODELS:
        cells = " | ".join(find_cell(model, card) for card in CARDS)
        lines.append(f"| {model.title} | {model.needs.weights / 1e9:.1f} GB | {cells} |")
    return "\n".join(lines) + "\n"


def with_table(guide: str) -> str:
    """Return the guide with today's table between the two marks."""
    return with_text(guide, (BEGIN, END), make_table())


if __name__ == "__main__":
    GUIDE.write_text(with_table(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
