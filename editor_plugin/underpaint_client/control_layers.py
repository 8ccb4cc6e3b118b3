"""Control layers: pictures of lines, depths and the like that ControlNets hold an image to."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from .errors import BadInputError
from .prompt_language import NUMBER
from .raster_names import find_left_over, find_missing
from .sentences import Label, Listing

CONTROL_KINDS: dict[str, Label] = {
    "lines": "Line art",
    "scribble": "Scribble",
    "canny": "Canny edges",
    "depth": "Depth",
    "pose": "Pose",
    "normal": "Normal map",
    "segmentation": "Segmentation",
    "tile": "Tile",
    "blur": "Blur",
}
"""What a control layer can show, and what editors call each."""

COMPUTED = ("canny", "blur")
"""The kinds that are computed from any picture where they are asked for."""

CONTROL_PICTURES: dict[str, Label] = {
    "canny": "Canny edges",
    "lines": "Line art",
    "scribble": "Scribble",
    "depth": "Depth",
    "normal": "Normal map",
    "pose": "Pose",
    "segmentation": "Segmentation",
    "blur": "Blur",
}
"""The kinds whose pictures the daemon can make of a layer, and what editors call each."""

MAX_CONTROLS = 4
"""Control layers of one request."""

MAX_CONTROL_STRENGTH = 2.0

_MAX_NAME = 1024

_TYPED = re.compile(
    rf"(?P<kind>[^=]*?)(?P<of>-of)?=(?P<file>.+?)"
    rf"(?::(?P<strength>{NUMBER}))?(?::(?P<start>{NUMBER}):(?P<end>{NUMBER}))?"
)


@dataclass(frozen=True)
class ControlLayer:
    """A picture that a ControlNet holds the image to; the picture itself travels as a raster.

    Parameters
    ----------
    kind : str
        One of `CONTROL_KINDS`.
    strength : float
        0..2. 0 is none, 1 is as the ControlNet was trained.
    start, end : float
        0..1, start before end. The share of the executed steps from which on, and up to which, it
        holds.
    model : str
        A ControlNet as `underpaint controlnets` lists it, or the last part of that; empty for the
        first that fits the model and reads the kind.
    computed : bool
        Whether the raster is any picture, from which the kind is computed first; only for
        `COMPUTED`.
    """

    kind: str
    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0
    model: str = ""
    computed: bool = False


@dataclass(frozen=True)
class TypedControl:
    """A control layer as it is typed: with the file of its picture."""

    layer: ControlLayer
    file: str


@dataclass(frozen=True)
class ControlPicture:
    """What to make of a layer instead of painting on it: the picture of a control layer.

    Parameters
    ----------
    kind : str
        One of `CONTROL_PICTURES`; empty to paint.
    model : str
        The preprocessor, as `underpaint preprocessors` lists it, or the last part of that; empty
        for the first that computes the kind. `COMPUTED` kinds need none.
    """

    kind: str = ""
    model: str = ""


def check_control_picture(wanted: ControlPicture) -> None:
    """Check what is to be made of a layer.

    Raises
    ------
    BadInputError
        Names the kind that is unknown, or the name that can be none of a preprocessor.
    """
    if wanted.kind not in ("", *CONTROL_PICTURES):
        raise BadInputError(
            "a control layer of the kind {kind!r} cannot be computed; choose one of {choices}",
            kind=wanted.kind[:40],
            choices=Listing(CONTROL_PICTURES),
        )
    if "\0" in wanted.model or len(wanted.model) > _MAX_NAME:
        raise BadInputError(
            "preprocessor {name!r} cannot be the name of a preprocessor; `underpaint preprocessors`"
            " lists them",
            name=wanted.model[:40],
        )


def raster_name(index: int) -> str:
    """Return what the raster of a control layer is called: of the first one `control_1`."""
    return f"control_{index + 1}"


def check_controls(controls: tuple[ControlLayer, ...]) -> None:
    """Check each of a list of control layers.

    Raises
    ------
    BadInputError
        Names the first value that is unknown or out of range.
    """
    for one in controls:
        if one.kind not in CONTROL_KINDS:
            raise BadInputError(
                "control layer {kind!r} is unknown; choose one of {choices}",
                kind=one.kind[:40],
                choices=Listing(CONTROL_KINDS),
            )
        if one.computed and one.kind not in COMPUTED:
            raise BadInputError(
                "{kind} cannot be computed from a picture, only {choices} can; give a picture that"
                " shows it",
                kind=one.kind,
                choices=Listing(COMPUTED),
            )
        if not 0 <= one.strength <= MAX_CONTROL_STRENGTH:  # false for NaN too
            raise BadInputError(
                "the strength {strength} of the control layer {kind} is out of range; it goes from"
                " 0 to {most}",
                strength=one.strength,
                kind=one.kind,
                most=MAX_CONTROL_STRENGTH,
            )
        if not 0 <= one.start < one.end <= 1:
            raise BadInputError(
                "the control layer {kind} starts at {start} and ends at {end}; both go from 0 to"
                " 1, and the start comes before the end",
                kind=one.kind,
                start=one.start,
                end=one.end,
            )
        if "\0" in one.model or len(one.model) > _MAX_NAME:
            raise BadInputError(
                "ControlNet {name!r} cannot be the name of a ControlNet; `underpaint controlnets`"
                " lists them",
                name=one.model[:40],
            )


def check_control_rasters(controls: tuple[ControlLayer, ...], rasters: Collection[str]) -> None:
    """Check that each control layer came with its raster, and no other raster did.

    Raises
    ------
    BadInputError
        Names the control layer that lacks one, or the raster that is of none.
    """
    index = find_missing(len(controls), raster_name, rasters)
    if index is not None:
        raise BadInputError(
            "the control layer {number} ({kind}) came without its picture; send the raster"
            " {raster}",
            number=index + 1,
            kind=controls[index].kind,
            raster=raster_name(index),
        )
    left = find_left_over(len(controls), MAX_CONTROLS, raster_name, rasters)
    if left is not None:
        raise BadInputError(
            "the raster {raster} came, and the request has {count} control layers; add one to"
            " `controls`, or leave the raster out",
            raster=left,
            count=len(controls),
        )


def read_control(text: str) -> TypedControl:
    """Read a control layer as it is typed: `KIND=FILE`, `KIND=FILE:STRENGTH` or `...:START:END`.

    Raises
    ------
    BadInputError
        There is no kind or no file.

    Examples
    --------
    >>> read_control("canny=lines.png:0.8:0:0.5").layer
    ControlLayer(kind='canny', strength=0.8, start=0.0, end=0.5, model='', computed=False)
    >>> read_control("canny-of=photo.png")  # doctest: +ELLIPSIS
    TypedControl(layer=ControlLayer(kind='canny', ... computed=True), file='photo.png')
    """
    found = _TYPED.fullmatch(text.strip())
    if found is None or not found["kind"]:
        raise BadInputError(
            "--control {text!r} cannot be read; write KIND=FILE or KIND=FILE:0.8", text=text
        )
    layer = ControlLayer(
        found["kind"].strip(),
        float(found["strength"] or 1),
        float(found["start"] or 0),
        float(found["end"] or 1),
        computed=found["of"] is not None,
    )
    return TypedControl(layer, found["file"])
