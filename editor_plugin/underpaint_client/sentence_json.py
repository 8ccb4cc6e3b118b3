"""What JSON keeps of a sentence beside its text: its template and its values.

JSON may come from files and other machines, so it is bounded, and data that does not make the text
beside it is passed over.
"""

from __future__ import annotations

from typing import Any

from .sentences import LONGEST, MOST_WHOLE, Clauses, Listing, Sentence, Verbatim, choose, render

_MOST_VALUES = 100
_DEEPEST = 4


def to_data(text: str) -> dict[str, Any] | None:
    """Return what JSON keeps of a sentence beside its text; None if the text says it all."""
    if not isinstance(text, Sentence) or not text.template:
        return None
    data = _to_data(text)
    return data if _read(data, _Budget()) is not None else None


def from_data(text: str, data: object) -> str:
    """Return a text with what `to_data` kept of it.

    Parameters
    ----------
    text : str
        The sentence in English.
    data : object
        JSON, which anybody may have written.

    Returns
    -------
    str
        A `Sentence`; the bare text if the data is not valid or makes another text, so that data
        can never make people read something else than the text.
    """
    found = _read(data, _Budget()) if data is not None else None
    return found if found is not None and found == text else text


def _to_data(value: Any) -> Any:
    if isinstance(value, Clauses):
        return {"clauses": [_to_data(one) for one in value]}
    if isinstance(value, Listing):
        return [_to_data(one) for one in value]
    if isinstance(value, Verbatim):
        return {"verbatim": str(value)}
    if not isinstance(value, Sentence):
        return value
    if not value.template:
        return str(value)
    data: dict[str, Any] = {"template": value.template}
    if value.plural:
        data["plural"] = value.plural
    data["values"] = {name: _to_data(one) for name, one in value.values.items()}
    return data


class _Budget:
    """What may still be read of one sentence's data."""

    def __init__(self) -> None:
        self.characters = LONGEST
        self.values = _MOST_VALUES

    def spend(self, *texts: str) -> None:
        """Count a value and its texts; raise a `ValueError` if it is too much."""
        self.values -= 1
        self.characters -= sum(map(len, texts))
        if self.values < 0 or self.characters < 0:
            raise ValueError("the data of a sentence is too large")


def _read(data: object, budget: _Budget) -> Sentence | None:
    """Return the sentence that JSON describes; None if it describes none."""
    try:
        found = _read_value(data, budget, 0)
    except ValueError:
        return None
    return found if isinstance(found, Sentence) else None


def _read_value(data: object, budget: _Budget, depth: int) -> Any:
    if isinstance(data, (str, int, float)) and not isinstance(data, bool):
        budget.spend(data if isinstance(data, str) else "")
        if not isinstance(data, str) and not -MOST_WHOLE < data < MOST_WHOLE:  # NaN too
            raise ValueError("a number is out of range")
        return data
    if depth == _DEEPEST:
        raise ValueError("the data of a sentence is too deep")
    if isinstance(data, list):
        budget.spend()
        return Listing(_read_value(one, budget, depth + 1) for one in data)
    if not isinstance(data, dict):
        raise ValueError("a value is of another type")  # noqa: TRY004 - of what was read
    if isinstance(clauses := data.get("clauses"), list):
        budget.spend()
        return Clauses(_read_value(one, budget, depth + 1) for one in clauses)
    if isinstance(verbatim := data.get("verbatim"), str):
        budget.spend(verbatim)
        return Verbatim(verbatim)
    template, plural, values = data.get("template"), data.get("plural", ""), data.get("values", {})
    if not (isinstance(template, str) and isinstance(plural, str) and isinstance(values, dict)):
        raise ValueError("a sentence needs a template and values")  # noqa: TRY004 - as above
    budget.spend(template, plural)
    read = {}
    for name, one in values.items():
        budget.spend(name)
        read[name] = _read_value(one, budget, depth + 1)
    text = render(choose(template, plural, read), read, LONGEST)
    return Sentence(text, template, plural, read)
