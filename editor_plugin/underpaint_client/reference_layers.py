"""Reference layers: pictures whose style, composition or subject an image takes on."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from .errors import BadInputError
from .prompt_language import NUMBER
from .raster_names import find_left_over, find_missing
from .sentences import Label, Listing

REFERENCE_KINDS: dict[str, Label] = {
    "style": "Style",
    "composition": "Composition",
    "subject": "Subject",
}
"""What an image takes from a reference layer, and what editors call each."""

MAX_REFERENCES = 4
"""Reference layers of one request."""

MAX_REFERENCE_STRENGTH = 2.0

_MAX_NAME = 1024

_TYPED = re.compile(
    rf"(?P<kind>[^=]*?)=(?P<file>.+?)"
    rf"(?::(?P<strength>{NUMBER}))?(?::(?P<start>{NUMBER}):(?P<end>{NUMBER}))?"
)


@dataclass(frozen=True)
class ReferenceLayer:
    """A picture that an image takes something from; the picture itself travels as a raster.

    With Stable Diffusion 1 and XL, an IP-Adapter reads it. A model that edits by instruction sees
    it whole, whatever its kind, strength, start and end.

    Parameters
    ----------
    kind : str
        One of `REFERENCE_KINDS`.
    strength : float
        0..2. 0 is none, 1 is as the IP-Adapter was trained.
    start, end : float
        0..1, start before end. The share of the executed steps from which on, and up to which, it
        is read.
    name : str
        What the prompt calls it: `<layer:name>`.
    model : str
        An IP-Adapter as `underpaint ip-adapters` lists it, or the last part of that; empty for the
        one that suits the model and the kind.
    """

    kind: str
    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0
    name: str = ""
    model: str = ""


@dataclass(frozen=True)
class TypedReference:
    """A reference layer as it is typed: with the file of its picture."""

    layer: ReferenceLayer
    file: str


def reference_raster(index: int) -> str:
    """Return what the raster of a reference layer is called: of the first one `reference_1`."""
    return f"reference_{index + 1}"


def check_references(references: tuple[ReferenceLayer, ...]) -> None:
    """Check each of a list of reference layers.

    Raises
    ------
    BadInputError
        Names the first value that is unknown or out of range.
    """
    for one in references:
        if one.kind not in REFERENCE_KINDS:
            raise BadInputError(
                "reference layer {kind!r} is unknown; choose one of {choices}",
                kind=one.kind[:40],
                choices=Listing(REFERENCE_KINDS),
            )
        if not 0 <= one.strength <= MAX_REFERENCE_STRENGTH:  # false for NaN too
            raise BadInputError(
                "the strength {strength} of the reference layer {kind} is out of range; it goes"
                " from 0 to {most}",
                strength=one.strength,
                kind=one.kind,
                most=MAX_REFERENCE_STRENGTH,
            )
        if not 0 <= one.start < one.end <= 1:
            raise BadInputError(
                "the reference layer {kind} starts at {start} and ends at {end}; both go from 0 to"
                " 1, and the start comes before the end",
                kind=one.kind,
                start=one.start,
                end=one.end,
            )
        if "\0" in one.model or len(one.model) > _MAX_NAME:
            raise BadInputError(
                "IP-Adapter {name!r} cannot be the name of an IP-Adapter; `underpaint ip-adapters`"
                " lists them",
                name=one.model[:40],
            )
        if "\0" in one.name or len(one.name) > _MAX_NAME:
            raise BadInputError(
                "reference layer {name!r} has a name that cannot be used; rename the layer",
                name=one.name[:40],
            )


def check_reference_rasters(
    references: tuple[ReferenceLayer, ...], rasters: Collection[str]
) -> None:
    """Check that each reference layer came with its raster, and no other raster did.

    Raises
    ------
    BadInputError
        Names the reference layer that lacks one, or the raster that is of none.
    """
    index = find_missing(len(references), reference_raster, rasters)
    if index is not None:
        raise BadInputError(
            "the reference layer {number} ({kind}) came without its picture; send the raster"
            " {raster}",
            number=index + 1,
            kind=references[index].kind,
            raster=reference_raster(index),
        )
    left = find_left_over(len(references), MAX_REFERENCES, reference_raster, rasters)
    if left is not None:
        raise BadInputError(
            "the raster {raster} came, and the request has {count} reference layers; add one to"
            " `references`, or leave the raster out",
            raster=left,
            count=len(references),
        )


def read_reference(text: str) -> TypedReference:
    """Read a reference layer as it is typed: `KIND=FILE`, `...:STRENGTH` or `...:START:END`.

    Its name is the file's, without folder and ending.

    Raises
    ------
    BadInputError
        There is no kind or no file.

    Examples
    --------
    >>> read_reference("style=art/monet.png:0.8").layer
    ReferenceLayer(kind='style', strength=0.8, start=0.0, end=1.0, name='monet', model='')
    """
    found = _TYPED.fullmatch(text.strip())
    if found is None or not found["kind"]:
        raise BadInputError(
            "--reference {text!r} cannot be read; write KIND=FILE or KIND=FILE:0.8", text=text
        )
    file = found["file"]
    layer = ReferenceLayer(
        found["kind"].strip(),
        float(found["strength"] or 1),
        float(found["start"] or 0),
        float(found["end"] or 1),
        name=re.split(r"[/\\]", file)[-1].rpartition(".")[0] or re.split(r"[/\\]", file)[-1],
    )
    return TypedReference(layer, file)
