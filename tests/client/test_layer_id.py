"""Which layer an id means, after whatever was done to the layers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from underpaint_client.layer_id import Carrier, LayerId, claim_id, find_layers

X, Y, Z = "x", "y", "z"


def layer(number: str, name: str, *ids: tuple[str, str, str]) -> Carrier:
    """A layer as GIMP has it: the number and the name of today, and the ids with theirs."""
    known = LayerId(tuple((id_, (n, called)) for id_, n, called in ids)) if ids else None
    return Carrier(known, (number, name))


PLAIN = layer("2", "Background")
ORIGINAL = layer("4", "B", (X, "4", "B"))
COPY = layer("5", "B copy", (X, "4", "B"))
USED_COPY = layer("5", "B copy", (X, "4", "B"), (Y, "5", "B copy"))


@pytest.mark.parametrize(
    ("layers", "found"),
    [
        ([], []),
        ([PLAIN], []),
        ([PLAIN, ORIGINAL], [1]),
        ([COPY, ORIGINAL, PLAIN], [1]),
        ([USED_COPY, ORIGINAL], [1]),
        ([replace(ORIGINAL, marks=("4", "renamed"))], [0]),
        ([replace(ORIGINAL, marks=("4", "renamed")), COPY], [0]),
        # the original was deleted: its copy is what there is of it
        ([COPY, PLAIN], [0]),
        ([USED_COPY, PLAIN], [0]),
        # Image > Duplicate: other numbers, the same names
        ([replace(COPY, marks=("2", "B copy")), replace(ORIGINAL, marks=("3", "B"))], [1]),
        ([replace(USED_COPY, marks=("2", "B copy")), replace(ORIGINAL, marks=("3", "B"))], [1]),
        # numbers happen to be those of others
        ([replace(PLAIN, marks=("4", "Background")), replace(ORIGINAL, marks=("2", "B"))], [1]),
        # what cannot be told is not guessed
        ([replace(COPY, marks=("4", "B copy")), replace(ORIGINAL, marks=("3", "B"))], [0, 1]),
        ([replace(COPY, marks=("2", "C")), replace(ORIGINAL, marks=("3", "D"))], [0, 1]),
        ([COPY, replace(COPY, marks=("6", "B copy #1"))], [0, 1]),
    ],
)
def test_an_id_means_the_original_and_is_never_guessed(
    layers: list[Carrier], found: list[int]
) -> None:
    assert find_layers(X, layers) == found


@pytest.mark.parametrize(
    ("layers", "index", "keeps"),
    [
        ([ORIGINAL, PLAIN], 0, True),
        ([COPY, ORIGINAL], 1, True),
        ([COPY, ORIGINAL], 0, False),
        ([COPY, PLAIN], 0, True),  # what is left of the original takes its part
        ([replace(ORIGINAL, marks=("3", "B"))], 0, True),  # in a duplicated image
        ([PLAIN], 0, False),
        ([replace(COPY, marks=("2", "C")), replace(ORIGINAL, marks=("3", "D"))], 1, False),
    ],
)
def test_a_copy_gets_an_id_of_its_own_once_something_is_made_of_it(
    layers: list[Carrier], index: int, *, keeps: bool
) -> None:
    known = layers[index].known
    claimed = claim_id(index, layers)
    assert (claimed.own == X) is keeps
    assert claimed.marks_of(claimed.own) == layers[index].marks
    if known is not None:  # what was made from it earlier is still its own
        assert claimed.marks_of(X) is not None
    after = [*layers[:index], replace(layers[index], known=claimed), *layers[index + 1 :]]
    assert find_layers(claimed.own, after) == [index]
    assert claim_id(index, after) == claimed


def test_what_could_not_be_told_is_not_settled_by_a_claim() -> None:
    copy, original = replace(COPY, marks=("2", "C")), replace(ORIGINAL, marks=("3", "D"))
    claimed = replace(original, known=claim_id(1, [copy, original]))
    assert find_layers(X, [copy, claimed]) == [0, 1]


def test_a_copy_of_a_copy_of_a_copy_carries_no_more_than_it_must() -> None:
    layers = [ORIGINAL]
    for number in range(10, 60):
        copy = Carrier(layers[-1].known, (str(number), "é" * 1000))
        layers.append(copy)
        layers[-1] = replace(copy, known=claim_id(len(layers) - 1, layers))
    last = layers[-1].known
    assert last is not None
    assert len(last.ids) == 16
    assert len(last.to_text()) < 25_000
    assert find_layers(last.own, layers) == [len(layers) - 1]


def test_ids_are_read_as_they_were_written() -> None:
    known = claim_id(0, [Carrier(None, ("7", "Schloß im Nebel"))])
    assert known.to_text().isascii()
    assert LayerId.from_text(known.to_text()) == known
    assert claim_id(0, [Carrier(None, ("7", ""))]).own != known.own


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "7", "null", '{"format": 1}', '{"format": 1, "ids": []}',
        '{"format": 2, "ids": [["a", ["1"]]]}', '{"format": 1, "ids": [["a"]]}',
        '{"format": 1, "ids": [[7, ["1"]]]}', '{"format": 1, "ids": [["a", [1]]]}',
        '{"format": 1, "ids": 7}', "[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_id_is_none(text: str) -> None:
    assert LayerId.from_text(text) is None


def test_marks_that_another_editor_wrote_do_not_count() -> None:
    text = json.dumps({"format": 1, "ids": [["x", []]]})
    assert find_layers(X, [Carrier(LayerId.from_text(text), ("4", "B")), PLAIN]) == [0]
