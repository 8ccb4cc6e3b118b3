"""JSON values as the types of dataclass fields: what the annotations say is what is checked."""

from __future__ import annotations

import ast
import builtins
import dataclasses
import functools
import json
import math
import sys
from typing import Any, Union, get_args, get_origin

from .sentence_json import from_data, to_data
from .sentences import Sentence


def field_types(cls: type) -> dict[str, Any]:
    """Return the types of a dataclass's fields as objects.

    `typing.get_type_hints` cannot do it for `int | None` on Python 3.9.

    Raises
    ------
    TypeError
        An annotation is not built of names, `|` and `[]`.
    """
    return _field_types(cls)


@functools.cache
def _field_types(cls: type) -> dict[str, Any]:
    names = dict(vars(builtins))
    for base in reversed(cls.__mro__):
        names.update(vars(sys.modules[base.__module__]))
    return {field.name: _resolve(field.type, names) for field in dataclasses.fields(cls)}


def _resolve(annotation: Any, names: dict[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation

    def resolve(node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return type(None) if node.value is None else node.value
        if isinstance(node, ast.Name) and node.id in names:
            return names[node.id]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return Union[resolve(node.left), resolve(node.right)]
        if isinstance(node, ast.Tuple):
            return tuple(resolve(one) for one in node.elts)
        if isinstance(node, ast.Subscript):
            return resolve(node.value)[resolve(node.slice)]
        raise TypeError(f"the annotation {annotation!r} is not understood")

    return resolve(ast.parse(annotation, mode="eval").body)


_SENTENCE = "underpaint.sentence"
SENTENCE = {_SENTENCE: True}
"""The metadata of a dataclass's field that holds a sentence, or a tuple of them."""

SENTENCES = "sentences"
"""Where the JSON object of a dataclass keeps what its sentences were made of, by field.

Beside the texts, so that who does not know it reads the English ones.
"""

_MOST_DATA = 2**15
"""Characters of what is kept of one object's sentences: headers of messages must not grow long."""


@functools.cache
def sentence_fields(cls: Any) -> tuple[str, ...]:
    """Return the names of a dataclass's fields that hold sentences."""
    return tuple(one.name for one in dataclasses.fields(cls) if one.metadata.get(_SENTENCE))


def to_json(value: Any) -> Any:
    """Return a value as JSON holds it: an object for a dataclass, a list for a tuple.

    Does what `dataclasses.asdict` does, without copying what is immutable. What the sentences of a
    dataclass were made of lies under `SENTENCES`.
    """
    if type(value) in _SCALARS:
        return value
    if isinstance(value, Sentence):
        return str(value)
    if dataclasses.is_dataclass(value):
        cls: Any = type(value)
        found = {name: to_json(getattr(value, name)) for name in field_types(cls)}
        kept = {name: _sentence_data(getattr(value, name)) for name in sentence_fields(cls)}
        kept = {name: data for name, data in kept.items() if data}
        if kept and len(json.dumps(kept)) <= _MOST_DATA:
            found[SENTENCES] = kept
        return found
    if isinstance(value, (tuple, list)):
        return [to_json(one) for one in value]
    if isinstance(value, dict):
        return {key: to_json(one) for key, one in value.items()}
    return value


def _sentence_data(told: Any) -> Any:
    if not isinstance(told, tuple):
        return to_data(told)
    data = [to_data(one) for one in told]
    return data if any(data) else None


def add_sentences(value: Any, found: Any) -> Any:
    """Return a dataclass whose sentences know again what they were made of.

    Parameters
    ----------
    value : dataclass
        As it was read from JSON, its sentences as bare texts.
    found : object
        The JSON that it was read from. What is not valid in its `SENTENCES` is passed over.
    """
    if not isinstance(found, dict):
        return value
    kept = found.get(SENTENCES)
    if not isinstance(kept, dict):
        return value
    cls: Any = type(value)
    names = sentence_fields(cls)
    changes = {name: _add_data(getattr(value, name), kept.get(name)) for name in names}
    return dataclasses.replace(value, **changes) if changes else value


def _add_data(told: Any, data: Any) -> Any:
    if isinstance(told, str):
        return from_data(told, data)
    if isinstance(data, list) and len(data) == len(told):
        return tuple(from_data(one, of_one) for one, of_one in zip(told, data))
    return told


_SCALARS = (bool, int, float, str, type(None))


def read_value(what: str, kind: Any, value: Any, *, skip_unknown: bool = False) -> Any:
    """Return a JSON value as a field of a type holds it: tuples for lists, floats for whole ones.

    Parameters
    ----------
    what : str
        What the value is called in an error.
    kind : type
        `bool`, `int`, `float`, `str`, a dataclass, or `X | None`, `tuple[X, ...]`, `dict[str, X]`
        of such.
    value : object
        As `json.loads` returns it; tuples may stand for lists, and dataclasses for objects.
    skip_unknown : bool
        Pass over unknown fields of objects, which a newer version may have added.

    Raises
    ------
    ValueError
        The value is not of that type; the message names both.
    """
    is_optional, kind, origin, inner = _take_apart(kind)
    if is_optional and value is None:
        return None
    if origin is _OBJECT:
        is_read = type(value) is kind
        return value if is_read else read_fields(what, kind, value, skip_unknown=skip_unknown)
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(
            read_value(f"{what}[{n}]", inner[0], one, skip_unknown=skip_unknown)
            for n, one in enumerate(value)
        )
    if origin is dict and isinstance(value, dict):
        return {
            key: read_value(f"{what}[{shorten(key)}]", inner[1], one, skip_unknown=skip_unknown)
            for key, one in value.items()
        }
    if kind is float and type(value) in (int, float) and _is_finite(value):
        return float(value)
    if type(value) is kind and kind is not float:
        return value
    raise ValueError(f"{what} {shorten(value)} is not {describe_type(kind)}")


_OBJECT = object()
"""Stands for the origin of a dataclass."""


@functools.cache
def _take_apart(kind: Any) -> tuple[bool, Any, Any, tuple[Any, ...]]:
    """Return whether a type may be None, the type without it, and the origin and arguments."""
    is_optional = get_origin(kind) is Union and type(None) in get_args(kind)
    if is_optional:
        (kind,) = (one for one in get_args(kind) if one is not type(None))
    origin = _OBJECT if dataclasses.is_dataclass(kind) else get_origin(kind)
    return is_optional, kind, origin, get_args(kind)


@functools.cache
def required_fields(cls: Any) -> frozenset[str]:
    """Return the names of a dataclass's fields that have no default."""
    return frozenset(
        field.name
        for field in dataclasses.fields(cls)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    )


def read_fields(what: str, cls: Any, found: Any, *, skip_unknown: bool = False) -> Any:
    """Return a dataclass from a JSON object; `skip_unknown` as in `read_value`.

    Raises
    ------
    ValueError
        It is not an object, has an unknown field, lacks one without a default, or a field is not
        of its type. The message names the field.
    """
    types, required, given = field_types(cls), required_fields(cls), found
    if sentence_fields(cls) and isinstance(found, dict):
        found = {name: one for name, one in found.items() if name != SENTENCES}
    if skip_unknown and isinstance(found, dict):
        found = {name: one for name, one in found.items() if name in types}
    if not isinstance(found, dict) or found.keys() - types.keys() or required - found.keys():
        raise ValueError(f"{what} {shorten(found)} is not an object with {', '.join(types)}")
    values = dict(found)
    for name, one in found.items():
        kind = types[name]
        if type(one) is not kind or kind is float:  # what is left is as it should be
            values[name] = read_value(f"{what}.{name}", kind, one, skip_unknown=skip_unknown)
    return add_sentences(cls(**values), given)


_NAMES = {bool: "true or false", int: "a whole number", float: "a finite number", str: "text"}


def describe_type(kind: Any) -> str:
    """Return what values of a type are, as an error says it."""
    if kind in _NAMES:
        return _NAMES[kind]
    return {tuple: "a list", dict: "an object"}.get(get_origin(kind), str(kind))


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number that no float can be
        return False


def shorten(value: Any) -> str:
    """Return a value for an error, shortened: a file may hold anything."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
