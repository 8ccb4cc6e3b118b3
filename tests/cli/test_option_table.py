"""The README's table of options is what `--help` says."""

from __future__ import annotations

from pathlib import Path

import pytest

from underpaint.cli.generate import make_parser
from underpaint.cli.option_table import BEGIN, END, option_table, update
from underpaint_client.parameters import parameters_of
from underpaint_client.request import Request

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_has_the_options_of_today() -> None:
    text = README.read_text(encoding="utf-8")
    assert update(text) == text, "run: python -m underpaint.cli.option_table README.md"


def test_every_option_is_in_the_table() -> None:
    table = option_table(make_parser())
    for parameter in parameters_of(Request).values():
        for flag in parameter.flags:
            assert f"`{flag}`" in table
    others = ("-I", "--selection", "--save-intermediates", "--settings-of", "-o", "--force")
    for flag in (*others, "--json", "prompt"):
        assert f"`{flag}`" in table
    assert all(row.replace("\\|", "").count("|") == 3 for row in table.splitlines())


def test_only_what_stands_between_the_comments_is_written() -> None:
    written = update(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert written.startswith(f"before\n{BEGIN}\n| option |")
    assert written.endswith(f"|\n{END}\nafter\n")
    with pytest.raises(ValueError, match="no section for the options"):
        update("no table here")
