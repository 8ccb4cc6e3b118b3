"""The form's controls, in the classes of whatever toolkit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from .form import FIELDS, Choice, Field, Number, Switch, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Changed = Callable[[], None]

T = TypeVar("T")
N = TypeVar("N")
C = TypeVar("C")
S = TypeVar("S")


@dataclass(frozen=True)
class Controls(Generic[T, N, C, S]):
    """The form's controls by the names of their fields, for each kind of field."""

    texts: dict[str, T]
    numbers: dict[str, N]
    choices: dict[str, C]
    switches: dict[str, S]

    @property
    def all(self) -> dict[str, T | N | C | S]:
        """The controls of all kinds."""
        return {**self.texts, **self.numbers, **self.choices, **self.switches}


def make_controls(
    text: Callable[[Text, Changed], T],
    number: Callable[[Number, Changed], N],
    choice: Callable[[Choice, Changed], C],
    switch: Callable[[Switch, Changed], S],
    changed: Changed,
    fields: Sequence[Field] = FIELDS,
) -> Controls[T, N, C, S]:
    """Make a control for each field of the form, or for others.

    Parameters
    ----------
    text, number, choice, switch : callable
        Make the control of a field of that kind.
    changed : callable
        Called after each change of a value.
    fields : sequence of Field
        What to make controls for.
    """
    return Controls(
        {field.name: text(field, changed) for field in fields if isinstance(field, Text)},
        {field.name: number(field, changed) for field in fields if isinstance(field, Number)},
        {field.name: choice(field, changed) for field in fields if isinstance(field, Choice)},
        {field.name: switch(field, changed) for field in fields if isinstance(field, Switch)},
    )
