"""What the commands' option parsers share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from underpaint_client.errors import BadInputError


class Parser(argparse.ArgumentParser):
    """An option parser that raises, takes `--some_option` for `--some-option`, no short forms."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(
            prog=f"underpaint {command}",
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Raise instead of ending the process."""
        raise BadInputError(f"{message}; `{self.prog} --help` lists the options")

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse, with words of a prompt allowed between the options, and any words after `--`."""
        end = words.index("--") if "--" in words else len(words)
        options = self.parse_intermixed_args([_with_dashes(word) for word in words[:end]])
        rest = words[end + 1 :]
        if rest:
            if not hasattr(options, "prompt"):
                self.error(f"unrecognized arguments: {' '.join(rest)}")
            options.prompt = [*options.prompt, *rest]
        return options


def _with_dashes(word: str) -> str:
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value
