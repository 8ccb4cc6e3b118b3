"""Write the table of messages into daemon/README.md: `python tests/message_table.py`.

The table comes from `underpaint_client.messages`; a test fails while the two differ.
"""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from marked_text import with_text
from underpaint_client import messages

GUIDE = Path(__file__).parents[1] / "daemon" / "README.md"
BEGIN, END = "<!-- messages: begin -->\n", "<!-- messages: end -->\n"

CLIENT = (
    "hello", "submit", "follow", "taken", "cancel", "ask_cancel", "prefer", "ask_waiting",
    "ask_status", "ask_models", "ask_model_picture", "ask_suggestions", "ask_prompt_names",
    "start_download", "stop_download", "ask_stop",
)  # fmt: skip
SERVER = (
    "welcome",
    "accepted",
    "want",
    "incoming",
    "followed",
    "waiting",
    "leaving",
    "status",
    "models",
    "suggestions",
    "download",
    "model_picture",
    "prompt_names",
)
ORDERS = ("run", "cancel", "go_on")
WORKER = ("worker_ready", "worker_model", "worker_plan")
RESULTS = ("progress", "preview", "picture", "done", "failed")

DIRECTIONS = {
    "From a client to the server": CLIENT,
    "From the server to a client": SERVER,
    "From the server to a worker": ORDERS,
    "From a worker to the server": WORKER,
    "From a worker to the server, which passes it on to the client": RESULTS,
}
"""Who sends what. The server sends `progress` and `failed` on its own account too."""


def describe_fields(message: Any) -> str:
    """Return the names of a message's fields; those that may be left out in brackets."""
    names = [
        f"`{field.name}`"
        if field.default is MISSING and field.default_factory is MISSING
        else f"[`{field.name}`]"
        for field in fields(message)
    ]
    return ", ".join(names)


def first_sentences(message: Any) -> str:
    """Return the first paragraph of a message's docstring on one line."""
    paragraph = (inspect.getdoc(message) or "").partition("\n\n")[0]
    return " ".join(paragraph.split()).replace("|", "\\|")


def make_tables() -> str:
    """Return the tables in Markdown, one for each direction."""
    lines: list[str] = []
    for title, names in DIRECTIONS.items():
        lines += [f"{title}:", "", "| type | fields | meaning |", "|---|---|---|"]
        for name in names:
            message = messages.TYPES[name]
            lines.append(f"| `{name}` | {describe_fields(message)} | {first_sentences(message)} |")
        lines.append("")
    return "\n".join(lines)


def with_tables(guide: str) -> str:
    """Return the guide with today's tables between the two marks."""
    return with_text(guide, (BEGIN, END), make_tables())


if __name__ == "__main__":
    GUIDE.write_text(with_tables(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
