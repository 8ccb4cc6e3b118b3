"""Parameters: how a field of a request is declared, once for everything that handles it.

The command line's option, the editors' control, the check, the wire's validation, the recipe and
the table in the README are made from the declaration. The type and the default are those of the
dataclass field, and so is the name where the declaration has none.

Fields lie in groups, which are dataclasses in each other. What knows no groups, as options,
controls and old recipes, calls a parameter by its name, which no other group uses again.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, Union, get_args

from .errors import BadInputError
from .sentences import Label, Listing, sentence
from .typed_json import field_types

T = TypeVar("T")
G = TypeVar("G", bound="ParameterGroup")

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
    choices : mapping of str to Label
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
    names_file : bool
        The option takes the name of a file, with the raster that its choice needs.
    metavar : str
        What the option's value is called in `--help`.
    read : callable, optional
        Reads the option's value; the default is the type of the field.
    repeats : bool
        The option may be given several times; `read` returns one entry of the list.
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
    by_model : bool
        Its default leaves the value to the model: see `recommended`.
    name : str
        What it is called where there are no groups; the default is the field's name.
    kind : type
        The field's, without None.
    default : object
        The field's.
    path : tuple of str
        The fields that lead to it: its groups from the outside in, then itself.
    """

    help: Label
    limits: tuple[float, float] | None = None
    choices: Mapping[str, Label] = field(default_factory=dict)
    is_open: bool = False
    most: int | None = None
    check: Callable[[Any], object] | None = None
    flags: tuple[str, ...] = ()
    chosen_by_flag: str = ""
    names_file: bool = False
    metavar: str = ""
    read: Callable[[str], Any] | None = None
    repeats: bool = False
    usage: Label = ""
    label: Label = ""
    tip: Label = ""
    lines: int = 1
    step: float = 1
    decimals: int = 0
    modes: tuple[str, ...] = ()
    by_model: bool = False
    name: str = ""
    kind: Any = None
    default: Any = None
    path: tuple[str, ...] = ()

    def value_in(self, group: Any) -> Any:
        """Return its value in the group of groups that declares it."""
        for name in self.path:
            group = getattr(group, name)
        return group

    def is_left_to_model(self, value: Any) -> bool:
        """Return whether a value means that the model decides."""
        return self.by_model and bool(value == self.default)

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
            raise BadInputError(
                "{name} {value!r} is not valid UTF-8 text", name=self.name, value=value[:40]
            )
        if self.most is not None and len(value) > self.most:
            size = sentence("{count} entry", "{count} entries", count=len(value))
            if isinstance(value, str):
                size = sentence("{count} character", "{count} characters", count=len(value))
            raise BadInputError(
                "{name} has {size}; shorten it to {most} or fewer",
                name=self.name,
                size=size,
                most=self.most,
            )
        if self.limits is not None:
            low, high = self.limits
            if not low <= value <= high:  # false for NaN too
                raise BadInputError(
                    "{name} {value} is out of range; it goes from {least} to {most}",
                    name=self.name,
                    value=value,
                    least=low,
                    most=high,
                )
        if self.choices and not self.is_open and value not in self.choices:
            raise BadInputError(
                "{name} {value!r} is unknown; choose one of {choices}",
                name=self.name,
                value=value,
                choices=Listing(self.choices),
            )
        if self.check is not None:
            self.check(value)


def declare(default: T, parameter: Parameter) -> T:
    """Return a dataclass field that is a parameter.

    Type checkers take it for its default, as with `dataclasses.field`.
    """
    return field(default=default, metadata={_KEY: parameter})


@dataclass(frozen=True)
class ParameterGroup:
    """A frozen dataclass of parameters and of further groups, all of them with defaults."""

    @classmethod
    def of(cls: type[G], **values: Any) -> G:  # noqa: PYI019 - Python 3.9 has no Self
        """Return the group with these parameters, by name, and all others by default.

        Raises
        ------
        TypeError
            There is no parameter of that name.

        Examples
        --------
        >>> from underpaint_client.request import Request
        >>> Request.of(prompt="a lake", steps=30).sampling.steps
        30
        """
        return cls().with_values(**values)

    def with_values(self: G, **values: Any) -> G:  # noqa: PYI019 - as above
        """Return the same with other values for these parameters, by name; raises as `of` does."""
        unknown = values.keys() - parameters_of(type(self)).keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no parameter {', '.join(sorted(unknown))}")
        return self._replaced(nest(type(self), values))

    def _replaced(self: G, changes: Mapping[str, Any]) -> G:  # noqa: PYI019 - as above
        """Return the same with other values for these fields; for a group, for fields of it."""
        now = {name: getattr(self, name) for name in changes}
        new = {
            name: now[name]._replaced(value) if isinstance(now[name], ParameterGroup) else value
            for name, value in changes.items()
        }
        return dataclasses.replace(self, **new)

    def value(self, name: str) -> Any:
        """Return the value of a parameter; raises KeyError where there is none of that name."""
        return parameters_of(type(self))[name].value_in(self)

    def values(self) -> dict[str, Any]:
        """Return the values of all parameters by name, in the order of their declarations."""
        return {name: one.value_in(self) for name, one in parameters_of(type(self)).items()}


def settled(value: T | None) -> T:
    """Return a value that the model has decided.

    Raises
    ------
    ValueError
        It is still left to the model; `recommended.settle_request` must come before.
    """
    if value is None:
        raise ValueError("a value of the request is left to the model; settle the request first")
    return value


def nest(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by the parameters' names as the groups of a dataclass hold them.

    Names that are no parameter's stay where they are.

    Examples
    --------
    >>> from underpaint_client.request import Request
    >>> nest(Request, {"mode": "img2img", "steps": 30})
    {'mode': 'img2img', 'sampling': {'steps': 30}}
    """
    parameters = parameters_of(cls)
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *groups, last = parameters[name].path if name in parameters else (name,)
        inner = nested
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = value
    return nested


def parameters_of(cls: type) -> dict[str, Parameter]:
    """Return the parameters that a dataclass and its groups declare, by name, in order.

    Raises
    ------
    TypeError
        Two of them have the same name.
    """
    return _parameters_of(cls)


@functools.cache
def _parameters_of(cls: type) -> dict[str, Parameter]:
    found: dict[str, Parameter] = {}
    for parameter in _find(cls):
        if parameter.name in found:
            raise TypeError(f"{cls.__name__} has two parameters {parameter.name}; name one anew")
        found[parameter.name] = parameter
    return found


def _find(cls: type, group: Any = None, path: tuple[str, ...] = ()) -> Iterator[Parameter]:
    """Yield the parameters of a class; where a default `group` is given, with its values."""
    types = field_types(cls)
    for one in dataclasses.fields(cls):
        kind = types[one.name]
        default = one.default if group is None else getattr(group, one.name)
        if _KEY in one.metadata:
            declared: Parameter = one.metadata[_KEY]
            if type(None) in get_args(kind):
                kind = Union[tuple(a for a in get_args(kind) if a is not type(None))]
            yield dataclasses.replace(
                declared,
                name=declared.name or one.name,
                kind=kind,
                default=default,
                path=(*path, one.name),
            )
        elif isinstance(kind, type) and issubclass(kind, ParameterGroup):
            yield from _find(kind, default, (*path, one.name))


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, as undecodable arguments become
        return False
    return True
