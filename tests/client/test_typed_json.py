"""Types of fields are what is checked: nothing that is right is refused, nothing else is taken."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, Optional

import pytest

from underpaint_client.parameters import parameters_of
from underpaint_client.recipe import Facts, Recipe
from underpaint_client.request import Request
from underpaint_client.typed_json import field_types, read_fields, read_value, to_json
from underpaint_client.variations import Variation
from underpaint_editor.form import Form

WHOLE_OR_NONE = Optional[int]
PAIR_LIST = field_types(Facts)["variations"]
BOX = Optional[tuple[int, ...]]


@dataclass(frozen=True)
class Odd:
    count: int | None = None
    share: float | None = None
    ways: tuple[str, ...] | None = None


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        (bool, True, True),
        (int, 2, 2),
        (float, 2, 2.0),
        (float, 0.5, 0.5),
        (str, "", ""),
        (WHOLE_OR_NONE, 2, 2),
        (WHOLE_OR_NONE, None, None),
        (PAIR_LIST, [{"seed": 1, "weight": 1}], (Variation(1, 1.0),)),
        (PAIR_LIST, (Variation(1, 1.0),), (Variation(1, 1.0),)),
        (BOX, [1, 2], (1, 2)),
        (BOX, None, None),
        (field_types(Facts)["versions"], {"torch": "2"}, {"torch": "2"}),
    ],
)
def test_what_is_of_the_type_is_read(kind: Any, value: Any, read: Any) -> None:
    found = read_value("it", kind, value)
    assert found == read
    assert type(found) is type(read)


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        (bool, 1, "it 1 is not true or false"),
        (int, True, "it True is not a whole number"),
        (int, 2.0, "it 2.0 is not a whole number"),
        (int, None, "it None is not a whole number"),
        (float, False, "it False is not a finite number"),
        (float, math.nan, "it nan is not a finite number"),
        (float, math.inf, "it inf is not"),
        (float, 10**400, "it 1000.* is not a finite number"),
        (str, 3, "it 3 is not text"),
        (WHOLE_OR_NONE, (), r"it \(\) is not a whole number"),
        (WHOLE_OR_NONE, [1], r"it \[1\] is not a whole number"),
        (PAIR_LIST, {}, "it {} is not a list"),
        (PAIR_LIST, [[1, 2]], r"it\[0\] \[1, 2\] is not an object with seed, weight"),
        (PAIR_LIST, [{"seed": 1}], "is not an object with seed, weight"),
        (PAIR_LIST, [{"seed": 1, "weight": 1, "x": 1}], "is not an object with seed, weight"),
        (PAIR_LIST, [{"seed": "1", "weight": 1}], "seed '1' is not a whole number"),
        (field_types(Facts)["versions"], {"torch": 2}, r"it\['torch'\] 2 is not text"),
        (field_types(Facts)["notes"], ["a", 1], r"it\[1\] 1 is not text"),
    ],
)
def test_what_is_not_of_the_type_is_named(kind: Any, value: Any, told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told}|{told}$"):
        read_value("it", kind, value)


def test_a_field_that_may_be_left_open_takes_its_own_type() -> None:
    found = read_fields("it", Odd, {"count": 2, "share": 1, "ways": ["a"]})
    assert found == Odd(2, 1.0, ("a",))
    assert read_fields("it", Odd, {}) == Odd()
    for wrong in ({"count": [2]}, {"share": ()}, {"ways": 2}, {"none": 1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            read_fields("it", Odd, wrong)


def test_every_type_in_use_is_understood() -> None:
    for cls in (Request, Recipe, Facts, Variation, Form):
        assert field_types(cls).keys() == {field.name for field in fields(cls)}


def test_what_is_not_understood_is_no_excuse_for_anything() -> None:
    @dataclass
    class Stranger:
        field: Unheard  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(TypeError, match="'Unheard' is not understood"):
        field_types(Stranger)


def test_every_field_of_a_request_that_paints_is_a_parameter() -> None:
    def leaves(cls: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        for name, kind in field_types(cls).items():
            is_group = isinstance(kind, type) and is_dataclass(kind)
            yield from leaves(kind, (*path, name)) if is_group else [(*path, name)]

    fields = [path for path in leaves(Request) if path[0] != "control_picture"]  # it does not paint
    assert [one.path for one in parameters_of(Request).values()] == fields


def test_values_are_written_as_they_are_read() -> None:
    for value in (
        Request.of(prompt="a lake", seed=3, variations=(Variation(1, 0.5),)), Odd(2, 1.0, ("a",)),
    ):  # fmt: skip
        written = to_json(value)
        assert written == json.loads(json.dumps(asdict(value)))
        assert read_fields("it", type(value), written) == value
        assert read_fields("it", type(value), {**written, "new": 1}, skip_unknown=True) == value
        with pytest.raises(ValueError, match="is not an object with"):
            read_fields("it", type(value), {**written, "new": 1})
