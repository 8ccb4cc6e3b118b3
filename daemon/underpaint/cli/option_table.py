"""Write the options of `underpaint generate` into the README, between two comments.

The text is what `--help` says.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .generate import make_parser

BEGIN = (
    "<!-- The options of `underpaint generate`: python -m underpaint.cli.option_table README.md -->"
)
END = "<!-- end of the options -->"


def option_table(parser: argparse.ArgumentParser) -> str:
    """Return a parser's options as a Markdown table."""
    rows = ["| option | meaning |", "|---|---|"]
    for action in parser._actions:  # argparse lists them nowhere else
        if "--help" not in action.option_strings:
            names = ", ".join(f"`{flag}`" for flag in action.option_strings or [action.dest])
            told = (action.help or "").replace("%%", "%").replace("|", "\\|")
            rows.append(f"| {names} | {told} |")
    return "\n".join(rows)


def update(text: str) -> str:
    """Return a README with its table of options as the parser has them today.

    Raises
    ------
    ValueError
        The README does not have the two comments.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the README has no section for the options between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{option_table(make_parser())}\n{END}{after}"


if __name__ == "__main__":
    readme = Path(sys.argv[1])
    readme.write_text(update(readme.read_text(encoding="utf-8")), encoding="utf-8")
