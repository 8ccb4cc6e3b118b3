"""The documents hold true: links, files, commands, the table of messages, the words on buttons."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

import memory_table
import message_table
from underpaint.cli import COMMANDS, main
from underpaint.models.known_sizes import KNOWN_MODELS, KnownModel
from underpaint_client import messages

ROOT = Path(__file__).parents[1]
GUIDES = {
    str(path.relative_to(ROOT)): path
    for path in (
        ROOT / "README.md",
        ROOT / "daemon" / "README.md",
        ROOT / "editor_plugin" / "README.md",
        *sorted((ROOT / ".github").rglob("*.md")),
    )
}
ROOTS = (ROOT, ROOT / "daemon" / "underpaint", ROOT / "editor_plugin", ROOT / "tests")
"""What paths in the guides are relative to, besides the guide's own folder."""

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def prose(text: str) -> str:
    return BLOCK.sub("", text)


def anchors(text: str) -> set[str]:
    """Return the anchors of a text's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(path: Path) -> list[str]:
    """Return the links into the repository that lead nowhere."""
    found = []
    for target in LINK.findall(prose(read(path))):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        if not file.exists() or (anchor and anchor not in anchors(read(file))):
            found.append(target)
    return found


def missing_files(path: Path) -> list[str]:
    """Return the Python files and the folders that a guide names and nobody finds."""
    named = re.findall(r"`([\w./-]+(?:\.py|/))`", prose(read(path)))
    folders = (path.parent, *ROOTS, ROOT / "tests" / "benchmarks")
    return [name for name in named if not any((folder / name).exists() for folder in folders)]


@pytest.mark.parametrize("name", GUIDES)
def test_links_lead_somewhere(name: str) -> None:
    assert not broken_links(GUIDES[name])


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    guide = tmp_path / "guide.md"
    guide.write_text("# One & two ...?\n[a](#one--two-) [b](guide.md) [c](gone.md) [d](#three)\n")
    assert broken_links(guide) == ["gone.md", "#three"]


@pytest.mark.parametrize("name", ["daemon/README.md", "editor_plugin/README.md"])
def test_the_files_that_are_named_are_there(name: str) -> None:
    assert "`" in read(GUIDES[name])
    found = missing_files(GUIDES[name])
    assert not [one for one in found if one not in ("jobs/", "logs/")]  # these are in a home


# ---- commands ----------------------------------------------------------------------------------


def commands_of(text: str) -> list[str]:
    """Return the lines of shell blocks that call `underpaint`."""
    lines = [
        line for kind, body in BLOCK.findall(text) if kind == "sh" for line in body.split("\n")
    ]
    return [line for line in lines if line.startswith("underpaint ")]


def help_of(command: str) -> str:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), pytest.raises(SystemExit):
        main([command, "--help"])
    return shown.getvalue()


COMMAND_LINES = sorted({line for path in GUIDES.values() for line in commands_of(read(path))})


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_the_commands_exist_with_their_options(line: str) -> None:
    _, command, *words = shlex.split(line, comments=True)
    assert command in COMMANDS
    told = help_of(command)
    options = [word for word in words[: [*words, "--"].index("--")] if word.startswith("-")]
    assert not [option for option in options if not re.search(rf"{option}\b", told)]


def test_commands_are_found() -> None:
    used = {line.split()[1] for line in COMMAND_LINES}
    assert {"generate", "replay", "serve", "connect", "keys", "doctor", "install"} <= used


# ---- messages ----------------------------------------------------------------------------------


def test_each_message_has_a_direction() -> None:
    listed = {name for names in message_table.DIRECTIONS.values() for name in names}
    assert listed == set(messages.TYPES)


def test_the_table_of_messages_is_todays() -> None:
    guide = read(message_table.GUIDE)
    assert guide == message_table.with_tables(guide), "run `python tests/message_table.py`"
    assert "| `submit` | `job`, `request`, [`previews`]" in guide


def test_a_guide_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="has not both marks"):
        message_table.with_tables("# A guide\n")


# ---- memory ------------------------------------------------------------------------------------


def test_the_table_of_models_and_cards_is_what_would_be_chosen() -> None:
    guide = read(memory_table.GUIDE)
    assert guide == memory_table.with_table(guide), "run `python tests/memory_table.py`"
    rows = [line for line in memory_table.make_table().splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(KNOWN_MODELS)
    before, _, _ = guide.partition(memory_table.BEGIN)
    assert "computed, not measured" in before.rpartition("### Memory")[2]


@pytest.mark.parametrize("model", KNOWN_MODELS, ids=lambda model: model.title)
def test_more_memory_is_never_slower(model: KnownModel) -> None:
    ways = ["no", "layers, tiles", "layers", "encoders on CPU", "parts, tiles", "parts", "**GPU**"]
    found = [memory_table.find_cell(model, card) for card in memory_table.CARDS]
    assert sorted(found, key=ways.index) == found


def test_a_guide_without_a_place_for_the_memory_table_is_refused() -> None:
    with pytest.raises(ValueError, match="has not both marks"):
        memory_table.with_table("# A guide\n")


# ---- the words on buttons ----------------------------------------------------------------------


def texts_of(folder: Path) -> set[str]:
    """Return the strings in a folder's Python code, without mnemonics and ellipses."""
    found = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(read(file))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value.replace("_", "").removesuffix("..."))
    return found


def test_the_artists_guide_calls_buttons_by_their_names() -> None:
    texts = texts_of(ROOT / "editor_plugin")
    rows = re.findall(r"^\| \*(\w+)\* \|", read(GUIDES["editor_plugin/README.md"]), re.MULTILINE)
    assert len(rows) >= 4
    assert not [label for label in [*rows, "Generate", "Cancel", "Again"] if label not in texts]
