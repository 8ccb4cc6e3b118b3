"""What a layer is used as: to paint on, to hold images to, or to take something from.

The role is kept on the layer, and saved with the file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Callable, NamedTuple

from underpaint_client.control_layers import (
    COMPUTED,
    CONTROL_KINDS,
    MAX_CONTROL_STRENGTH,
    MAX_CONTROLS,
    ControlLayer,
    raster_name,
)
from underpaint_client.errors import BadInputError
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.parameters import Parameter, ParameterGroup, declare, parameters_of
from underpaint_client.reference_layers import (
    MAX_REFERENCES,
    REFERENCE_KINDS,
    ReferenceLayer,
    reference_raster,
)
from underpaint_client.regions import (
    MAX_REGION_NAME,
    MAX_REGION_PROMPT,
    MAX_REGIONS,
    Region,
    region_raster,
)
from underpaint_client.sentences import Label
from underpaint_client.typed_json import read_value

from .form import make_fields
from .survey import take_alpha

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underpaint_client.recipe import Recipe

ReadLayer = Callable[[Box], Frame]
"""Reads a layer in a box on the canvas: RGBA or BGRA, u1, whatever its opacity."""

_FORMAT = 1
_LATER = ("region_prompt",)  # roles of before do not have it
_OF = "-of"

REGION = "region"
"""The role of a layer whose painted part has a prompt of its own."""

ROLES: dict[str, Label] = {
    "": "Painting",
    **CONTROL_KINDS,
    "canny-of": "Canny edges, computed from it",
    "blur-of": "Blur, computed from it",
    "style": "Style reference",
    "composition": "Composition reference",
    "subject": "Subject reference",
    REGION: "Region with a prompt",
}
"""What a layer can be used as, and what editors call each."""


@dataclass(frozen=True)
class LayerRole(ParameterGroup):
    """What a layer is used as.

    Parameters
    ----------
    kind : str
        One of `ROLES`; empty for a layer to paint on.
    strength, start, end : float
        As `ControlLayer`.
    prompt : str
        As `Region`.
    """

    kind: str = declare(
        "",
        Parameter(
            "What the selected layer is for. A layer with another use than painting is not painted"
            " on. While it is visible, images are held to its lines, depth or pose, for which each"
            " kind needs a ControlNet; or they take on its style, composition or subject, for which"
            " Stable Diffusion 1 and XL need an IP-Adapter.",
            choices=ROLES,
            label="Use layer as",
            name="layer_role",
        ),
    )
    strength: float = declare(
        1.0,
        Parameter(
            "How strongly images are held to this layer, or take it on: 0 is not at all.",
            limits=(0.0, MAX_CONTROL_STRENGTH),
            label="Guide strength",
            step=0.05,
            decimals=2,
            name="control_strength",
        ),
    )
    start: float = declare(
        0.0,
        Parameter(
            "From which share of the steps on this layer is used.",
            limits=(0.0, 1.0),
            label="Guide start",
            step=0.05,
            decimals=2,
            name="control_start",
        ),
    )
    end: float = declare(
        1.0,
        Parameter(
            "Up to which share of the steps this layer is used: after 0.5 the model finishes"
            " details on its own.",
            limits=(0.0, 1.0),
            label="Guide end",
            step=0.05,
            decimals=2,
            name="control_end",
        ),
    )
    prompt: str = declare(
        "",
        Parameter(
            "What is where this layer or group is painted. There, it counts instead of the prompt.",
            most=MAX_REGION_PROMPT,
            label="Prompt of the region",
            lines=2,
            name="region_prompt",
        ),
    )

    @property
    def is_region(self) -> bool:
        """Whether the layer's painted part has a prompt of its own."""
        return self.kind == REGION

    @property
    def is_reference(self) -> bool:
        """Whether images take something from the layer; else they are held to it."""
        return self.kind in REFERENCE_KINDS

    def reference(self, name: str) -> ReferenceLayer:
        """Return the role of a layer of that name as a request has it: of a reference layer."""
        return ReferenceLayer(self.kind, self.strength, self.start, self.end, name)

    @property
    def control(self) -> ControlLayer:
        """The role as a request has it: of a control layer."""
        computed = self.kind.endswith(_OF)
        kind = self.kind[: -len(_OF)] if computed else self.kind
        return ControlLayer(kind, self.strength, self.start, self.end, computed=computed)

    def to_text(self) -> str:
        """Return the role as text in ASCII, to be kept with the layer; empty for no role."""
        return json.dumps({"format": _FORMAT, **self.values()}) if self.kind else ""

    @classmethod
    def from_text(cls, text: str) -> LayerRole | None:
        """Read what `to_text` wrote; None for no role, and for what is broken or newer."""
        try:
            found = json.loads(text)
            if found["format"] != _FORMAT:
                return None
            role = cls.of(
                **{
                    name: read_value(name, one.kind, found[name])
                    for name, one in parameters_of(cls).items()
                    if name in found or name not in _LATER
                }
            )
            for one in parameters_of(cls).values():
                one.check_value(one.value_in(role))
        except (ValueError, LookupError, TypeError, RecursionError, BadInputError):
            return None
        return role if role.kind else None


def role_made(recipe: Recipe | None) -> LayerRole | None:
    """Return what a picture was made to be used as; None for one that was painted."""
    kind = "" if recipe is None else recipe.request.control_picture.kind
    return LayerRole(kind) if kind else None


class RoleLayer(NamedTuple):
    """A visible layer that has a role.

    Parameters
    ----------
    role : LayerRole
    read : callable
        Reads it.
    name : str
        As the editor shows it.
    box : Box
        Around all that can be seen of it, on the canvas; it may be larger, or lie outside.
    """

    role: LayerRole
    read: ReadLayer
    name: str
    box: Box


assert {*REFERENCE_KINDS} < ROLES.keys()  # noqa: S101 - as the next one
assert {kind + _OF for kind in COMPUTED} < ROLES.keys()  # noqa: S101 - at import, in all tests

ROLE_FIELDS = make_fields(parameters_of(LayerRole).values())
"""The controls of a role, in order: its kind, then what is shown for some kinds alone."""


def fields_of(kind: str) -> tuple[str, ...]:
    """Return the names of the fields that are shown for a kind of role."""
    first, *details = (field.name for field in ROLE_FIELDS)
    if kind == REGION:
        return (first, "region_prompt")
    return (first, *(name for name in details if kind and name != "region_prompt"))


def refuse_role(role: LayerRole | None) -> None:
    """Check that a layer is one to paint on.

    Raises
    ------
    BadInputError
        It is a control layer, a reference layer or a region.
    """
    if role is not None:
        raise BadInputError(
            "the selected layer is used as {role!r}; select the layer to paint on, or use this one"
            " as {painting!r}",
            role=ROLES[role.kind],
            painting=ROLES[""],
        )


def read_control_layers(
    layers: Sequence[RoleLayer], box: Box
) -> tuple[tuple[ControlLayer, ...], dict[str, Frame]]:
    """Return the control layers of a request, and their rasters by name.

    Parameters
    ----------
    layers : sequence of RoleLayer
        The visible layers with a role, of which the control layers are read.
    box : Box
        What is read: the box of the layer that is painted on.

    Raises
    ------
    BadInputError
        They are too many.
    """
    layers = [one for one in layers if not (one.role.is_reference or one.role.is_region)]
    if len(layers) > MAX_CONTROLS:
        raise BadInputError(
            "{count} control layers are visible, and {most} at most can be used; hide the others",
            count=len(layers),
            most=MAX_CONTROLS,
        )
    names = map(raster_name, range(len(layers)))
    rasters = {name: replace(one.read(box), name=name) for name, one in zip(names, layers)}
    return tuple(one.role.control for one in layers), rasters


def read_reference_layers(
    layers: Sequence[RoleLayer],
) -> tuple[tuple[ReferenceLayer, ...], dict[str, Frame]]:
    """Return the reference layers of a request, and their rasters by name: all of each.

    Parameters
    ----------
    layers : sequence of RoleLayer
        The visible layers with a role, of which the reference layers are read.

    Raises
    ------
    BadInputError
        They are too many, or one is empty.
    """
    layers = [one for one in layers if one.role.is_reference]
    if len(layers) > MAX_REFERENCES:
        raise BadInputError(
            "{count} reference layers are visible, and {most} at most can be used; hide the others",
            count=len(layers),
            most=MAX_REFERENCES,
        )
    for one in layers:
        if one.box.empty:
            raise BadInputError(
                "the reference layer {name!r} is empty; paint something on it, or hide it",
                name=one.name,
            )
    names = map(reference_raster, range(len(layers)))
    rasters = {name: replace(one.read(one.box), name=name) for name, one in zip(names, layers)}
    return tuple(one.role.reference(one.name) for one in layers), rasters


def read_regions(
    layers: Sequence[RoleLayer], box: Box
) -> tuple[tuple[Region, ...], dict[str, Frame]]:
    """Return the regions of a request, the lowest first, and their masks by name.

    Parameters
    ----------
    layers, box
        As `read_control_layers` has them.

    Raises
    ------
    BadInputError
        They are too many.
    """
    layers = [one for one in reversed(layers) if one.role.is_region]
    if len(layers) > MAX_REGIONS:
        raise BadInputError(
            "{count} regions are visible, and {most} at most can be used; hide the others",
            count=len(layers),
            most=MAX_REGIONS,
        )
    masks: dict[str, Frame] = {}
    for index, one in enumerate(layers):
        name = region_raster(index)
        alpha = take_alpha(bytes(one.read(box).data), 4, "u1")
        masks[name] = Frame(name, box, "u1", "Y", alpha)
    regions = (Region(one.role.prompt, one.name[:MAX_REGION_NAME]) for one in layers)
    return tuple(regions), masks
