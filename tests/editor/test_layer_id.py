"""Which layer an id means, after whatever was done to the layers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from underpaint_editor.layer_id import IdentifiedLayer, LayerId, Marks, claim_id, find_layers

X, Y, Z = "x", "y", "z"


HERE = "1"  # the document in which the ids were given
DOUBLE = "2"  # the same file opened again, or a duplicate of the image


def layer(number: str, name: str, *ids: tuple[str, str, str]) -> IdentifiedLayer:
    """A layer as GIMP has it: the number and the name of today, and the ids with theirs."""
    known = LayerId(tuple((id_, Marks(HERE, n, called)) for id_, n, called in ids))
    return IdentifiedLayer(known if ids else None, Marks(HERE, number, name))


def now(carrier: IdentifiedLayer, number: str, name: str, document: str = HERE) -> IdentifiedLayer:
    """The same layer after it was renamed, or the document duplicated."""
    return replace(carrier, marks=Marks(document, number, name))


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
        ([now(ORIGINAL, "4", "renamed")], [0]),
        ([now(ORIGINAL, "4", "renamed"), COPY], [0]),
        ([now(ORIGINAL, "4", "old"), now(COPY, "5", "B")], [0]),  # the copy has taken its name
        # the original was deleted: its copy is what there is of it
        ([COPY, PLAIN], [0]),
        ([USED_COPY, PLAIN], [0]),
        # opened again: the same numbers and names
        ([now(COPY, "5", "B copy", DOUBLE), now(ORIGINAL, "4", "B", DOUBLE)], [1]),
        ([now(COPY, "5", "B copy", DOUBLE), now(ORIGINAL, "4", "renamed", DOUBLE)], [1]),
        # Image > Duplicate: other numbers, the same names
        ([now(COPY, "2", "B copy", DOUBLE), now(ORIGINAL, "3", "B", DOUBLE)], [1]),
        ([now(USED_COPY, "2", "B copy", DOUBLE), now(ORIGINAL, "3", "B", DOUBLE)], [1]),
        # and numbers that happen to be those of others
        ([now(PLAIN, "4", "Background", DOUBLE), now(ORIGINAL, "2", "B", DOUBLE)], [1]),
        ([now(COPY, "4", "B copy", DOUBLE), now(ORIGINAL, "3", "B", DOUBLE)], [1]),
        # what cannot be told is not guessed
        ([now(COPY, "2", "C", DOUBLE), now(ORIGINAL, "3", "D", DOUBLE)], [0, 1]),
        ([COPY, now(COPY, "6", "B copy #1")], [0, 1]),
    ],
)
def test_an_id_means_the_original_and_is_never_guessed(
    layers: list[IdentifiedLayer], found: list[int]
) -> None:
    assert find_layers(X, layers) == found


@pytest.mark.parametrize(
    ("layers", "index", "keeps"),
    [
        ([ORIGINAL, PLAIN], 0, True),
        ([COPY, ORIGINAL], 1, True),
        ([COPY, ORIGINAL], 0, False),
        ([COPY, PLAIN], 0, True),  # what is left of the original takes its part
        ([now(ORIGINAL, "3", "B", DOUBLE)], 0, True),  # in a duplicated image
        ([PLAIN], 0, False),
        ([now(COPY, "2", "C", DOUBLE), now(ORIGINAL, "3", "D", DOUBLE)], 1, False),
    ],
)
def test_a_copy_gets_an_id_of_its_own_once_something_is_made_of_it(
    layers: list[IdentifiedLayer], index: int, *, keeps: bool
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
    copy, original = now(COPY, "2", "C", DOUBLE), now(ORIGINAL, "3", "D", DOUBLE)
    claimed = replace(original, known=claim_id(1, [copy, original]))
    assert find_layers(X, [copy, claimed]) == [0, 1]


def test_a_copy_of_a_copy_of_a_copy_carries_no_more_than_it_must() -> None:
    layers = [ORIGINAL]
    for number in range(10, 60):
        copy = IdentifiedLayer(layers[-1].known, Marks(HERE, str(number), "é" * 1000))
        layers.append(copy)
        layers[-1] = replace(copy, known=claim_id(len(layers) - 1, layers))
    last = layers[-1].known
    assert last is not None
    assert len(last.ids) == 16
    assert len(last.to_text()) < 25_000
    assert find_layers(last.own, layers) == [len(layers) - 1]


def test_ids_are_read_as_they_were_written() -> None:
    known = claim_id(0, [IdentifiedLayer(None, Marks(HERE, "7", "Schloß im Nebel"))])
    assert known.to_text().isascii()
    assert LayerId.from_text(known.to_text()) == known
    assert claim_id(0, [IdentifiedLayer(None, Marks(HERE, "7", ""))]).own != known.own


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "7", "null", '{"format": 1}', '{"format": 1, "ids": []}',
        '{"format": 2, "ids": [["a", "1", "2", "B"]]}',
        '{"format": 1, "ids": [["a"]]}', '{"format": 1, "ids": [["a", "1", "2", "B", "C"]]}',
        '{"format": 1, "ids": [[7, "1", "2", "B"]]}', '{"format": 1, "ids": [["a", 1, "2", "B"]]}',
        '{"format": 1, "ids": 7}', "[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_id_is_none(text: str) -> None:
    assert LayerId.from_text(text) is None
