"""Parameters: how a field of a request is declared, once for everything that handles it.

The command line's option, the editors' control, the check and the table in the README are made
from the declaration. The name, the type and the default are those of the dataclass field.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, Union, get_args

from .errors import BadInputError
from .typed_json import field_types

T = TypeVar("T")

_KEY = "parameter"


@dataclass(frozen=True)
class Parameter:
    """What is known of a parameter.

    Parameters
    ----------
    help : str
        What it does, in one or more full sentences: in `--help`, in the README, in tooltips.
    limits : tuple of float, optional
        The least and the most that a number can be.
    choices : mapping of str to str
        The values that a text can have, and what editors call each.
    is_open : bool
        Other values than the choices are allowed too.
    most : int, optional
        Characters of the longest text, or entries of the longest list.
    check : callable, optional
        Called with the value. Raises BadInputError for what the above does not tell.
    flags : tuple of str
        The command line's option. Empty for words that stand alone.
    chosen_by_flag : str
        The choice that the option, which then takes no value, stands for.
    metavar : str
        What the option's value is called in `--help`.
    read : callable, optional
        Reads the option's value; the default is the type of the field.
    usage : str
        More sentences about the option, for `--help` and the README.
    label : str
        What editors call it. Without a label they do not show it.
    tip : str
        More sentences about the control, for its tooltip.
    lines : int
        How many lines of a text are shown.
    step : float
        What an arrow key adds to a number.
    decimals : int
        Decimals of the number that are shown.
    modes : tuple of str
        The modes in which it changes the result; empty for all of them.
    name : str
        The field's.
    kind : type
        The field's, without None.
    default : object
        The field's.
    """

    help: str
    limits: tuple[float, float] | None = None
    choices: Mapping[str, str] = field(default_factory=dict)
    is_open: bool = False
    most: int | None = None
    check: Callable[[Any], object] | None = None
    flags: tuple[str, ...] = ()
    chosen_by_flag: str = ""
    metavar: str = ""
    read: Callable[[str], Any] | None = None
    usage: str = ""
    label: str = ""
    tip: str = ""
    lines: int = 1
    step: float = 1
    decimals: int = 0
    modes: tuple[str, ...] = ()
    name: str = ""
    kind: Any = None
    default: Any = None

    def check_value(self, value: Any) -> None:
        """Check a value of the parameter's type.

        Raises
        ------
        BadInputError
            Names the parameter, the value, and what is allowed.
        """
        if value is None:
            return
        if isinstance(value, str) and not _is_text(value):
            raise BadInputError(f"{self.name} {value[:40]!r} is not valid UTF-8 text")
        if self.most is not None and len(value) > self.most:
            what = "characters" if isinstance(value, str) else "entries"
            raise BadInputError(
                f"{self.name} has {len(value)} {what}; shorten it to {self.most} or fewer"
            )
        if self.limits is not None:
            low, high = self.limits
            if not low <= value <= high:  # false for NaN too
                raise BadInputError(
                    f"{self.name} {value} is out of range; it goes from {low} to {high}"
                )
        if self.choices and not self.is_open and value not in self.choices:
            raise BadInputError(
                f"{self.name} {value!r} is unknown; choose one of {', '.join(self.choices)}"
            )
        if self.check is not None:
            self.check(value)


def declare(default: T, parameter: Parameter) -> T:
    """Return a dataclass field that is a parameter.

    Type checkers take it for its default, as with `dataclasses.field`.
    """
    return field(default=default, metadata={_KEY: parameter})


def parameters_of(cls: type) -> dict[str, Parameter]:
    """Return the parameters that a dataclass declares, by name, in order."""
    return _parameters_of(cls)


@functools.cache
def _parameters_of(cls: type) -> dict[str, Parameter]:
    return {found.name: found for found in _find(cls)}


def _find(cls: type) -> Iterator[Parameter]:
    types = field_types(cls)
    for one in dataclasses.fields(cls):
        if _KEY in one.metadata:
            kind = types[one.name]
            if type(None) in get_args(kind):
                kind = Union[tuple(a for a in get_args(kind) if a is not type(None))]
            yield dataclasses.replace(
                one.metadata[_KEY], name=one.name, kind=kind, default=one.default
            )


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, as undecodable arguments become
        return False
    return True
