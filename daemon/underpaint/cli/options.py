"""What the commands' option parsers share, and the options of a request's parameters."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from underpaint_client.errors import BadInputError
from underpaint_client.parameters import Parameter, parameters_of


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
        raise BadInputError(
            "{error}; `{command} --help` lists the options", error=message, command=self.prog
        )

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


def add_parameters(parser: Parser, request: type) -> None:
    """Add an option for each parameter of a request.

    Parameters
    ----------
    parser : Parser
        Gets them, each called by the parameter's name.
    request : type
        `Request`, or a class of more parameters.
    """
    for name, parameter in parameters_of(request).items():
        told: dict[str, Any] = {"help": describe_option(parameter).replace("%", "%%")}
        if not parameter.flags:
            parser.add_argument(name, nargs="*", **told)
            continue
        told |= {"dest": name, "default": parameter.default}
        if parameter.kind is bool:
            told["action"] = "store_true"
        elif parameter.names_file:
            told |= {"default": None, "type": Path, "metavar": parameter.metavar}
        elif parameter.chosen_by_flag:
            told |= {"action": "store_const", "const": parameter.chosen_by_flag}
        elif parameter.repeats:
            told |= {"action": "append", "default": None, "type": parameter.read}
            told["metavar"] = parameter.metavar
        elif parameter.choices and not parameter.is_open:
            told |= {"choices": list(parameter.choices), "metavar": name.upper()}
        else:
            told["type"] = parameter.read or parameter.kind
            told["metavar"] = parameter.metavar or None
        parser.add_argument(*parameter.flags, **told)


def read_parameters(options: argparse.Namespace, request: type) -> dict[str, Any]:
    """Return what the options of `add_parameters` hold, by the parameters' names."""
    values: dict[str, Any] = {}
    for name, parameter in parameters_of(request).items():
        value = getattr(options, name)
        if parameter.repeats:
            value = tuple(value or ())
        elif parameter.names_file:
            value = parameter.default if value is None else parameter.chosen_by_flag
        values[name] = " ".join(value) if isinstance(value, list) else value
    return values


def describe_option(parameter: Parameter) -> str:
    """Return what a parameter's option does, what it may be, its default and its modes."""
    facts = []
    if parameter.limits is not None:
        facts.append("{:.15g} to {:.15g}".format(*parameter.limits))
    if parameter.choices and not parameter.chosen_by_flag:
        given = [choice for choice in parameter.choices if choice]
        facts.extend([f"one of {', '.join(given)}"] if given else [])
    if parameter.is_left_to_model(None):
        facts.append("default: the model's own")
    elif parameter.kind in (int, float):
        facts.extend([] if parameter.default is None else [f"default: {parameter.default:.15g}"])
    elif parameter.choices and parameter.default and not parameter.chosen_by_flag:
        facts.append(f"default: {parameter.default}")
    if parameter.modes:
        facts.append(f"in the modes {' and '.join(parameter.modes)}")
    sentences = [parameter.help, parameter.usage, f"({'; '.join(facts)})" if facts else ""]
    return " ".join(filter(None, sentences))
