"""Which layer is whose: an id of ours that lies on a layer.

Results name the layer that they were made from. An editor's own name for a layer does not last:
GIMP numbers the layers of a duplicated image anew, and Krita gives the copy of a layer a new unique
id. Our id is kept on the layer itself. It is saved with the file and copied together with the
layer, into another document too.

After a layer was copied, two layers in one document carry the same id. Each id is therefore kept
with marks, which say what the editor called the layer when it got the id: the original is the layer
that is still called so. A copy gets an id of its own when something is made from it, and keeps the
earlier ids: it stands in for the original where that was deleted.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORMAT = 1
_MOST = 16  # ids on one layer: so many times a copy of a copy
_LONGEST = 200  # characters of a layer's name that are kept


@dataclass(frozen=True)
class Marks:
    """What an editor calls a layer.

    Parameters
    ----------
    document : str
        What the editor calls the open document; another one for each that is opened or duplicated.
    number : str
        What the editor calls the layer in it. A duplicated document may have other numbers.
    name : str
        The artist's name of it, which a duplicated document has too.
    """

    document: str
    number: str
    name: str

    def fit(self, now: Marks) -> tuple[bool, bool]:
        """Return how well these marks fit a layer of today: the mark that counts most first."""
        same_number = self.number == now.number
        same_name = self.name == now.name[:_LONGEST]
        if self.document == now.document:
            return same_number, same_name
        return same_name, same_number


@dataclass(frozen=True)
class LayerId:
    """The ids that lie on a layer.

    Parameters
    ----------
    ids : tuple of (str, Marks)
        Each id with its marks. The last is the layer's own, the earlier ones are those of the
        layers that it is a copy of.
    """

    ids: tuple[tuple[str, Marks], ...]

    @property
    def own(self) -> str:
        """The layer's own id."""
        return self.ids[-1][0]

    def marks_of(self, wanted: str) -> Marks | None:
        """Return the marks of one of the ids; None if the layer does not carry it."""
        return next((marks for id_, marks in self.ids if id_ == wanted), None)

    def to_text(self) -> str:
        """Return the ids as text in ASCII, to be kept with the layer."""
        ids = [(id_, *astuple(marks)) for id_, marks in self.ids]
        return json.dumps({"format": _FORMAT, "ids": ids})

    @classmethod
    def from_text(cls, text: str) -> LayerId | None:
        """Read what `to_text` wrote; None for anything else."""
        try:
            found = json.loads(text)
            if found["format"] != _FORMAT:
                return None
            ids = tuple((id_, Marks(*marks)) for id_, *marks in found["ids"])
        except (ValueError, LookupError, TypeError, RecursionError):
            return None
        texts = [text for id_, marks in ids for text in (id_, *astuple(marks))]
        return cls(ids) if ids and all(isinstance(text, str) for text in texts) else None


@dataclass(frozen=True)
class IdentifiedLayer:
    """A layer of a document: the ids on it, and what the editor calls it now."""

    known: LayerId | None
    marks: Marks


def find_layers(wanted: str, layers: Sequence[IdentifiedLayer]) -> list[int]:
    """Return the indexes of the layers that an id may mean.

    Parameters
    ----------
    wanted : str
        The id.
    layers : sequence of IdentifiedLayer
        All layers of one document.

    Returns
    -------
    list of int
        One index where the layer is known, none if it is gone, several where copies of it
        cannot be told from it.
    """
    fits: dict[int, tuple[bool, bool]] = {}
    for index, layer in enumerate(layers):
        marks = None if layer.known is None else layer.known.marks_of(wanted)
        if marks is not None:
            fits[index] = marks.fit(layer.marks)
    best = max(fits.values(), default=None)
    return [index for index, fit in fits.items() if fit == best]


def claim_id(index: int, layers: Sequence[IdentifiedLayer]) -> LayerId:
    """Return the ids that a layer is to carry from now on, as something is made from it.

    The original keeps its id, with the marks of today. A layer without an id, or the copy of
    another one in the same document, gets a new one.

    Parameters
    ----------
    index : int
        Of the layer.
    layers : sequence of IdentifiedLayer
        All layers of its document.
    """
    known, marks = layers[index].known, layers[index].marks
    marks = replace(marks, name=marks.name[:_LONGEST])
    if known is None:
        return LayerId(((uuid.uuid4().hex, marks),))
    if find_layers(known.own, layers) == [index]:
        return LayerId((*known.ids[:-1], (known.own, marks)))
    return LayerId((*known.ids, (uuid.uuid4().hex, marks))[-_MOST:])
