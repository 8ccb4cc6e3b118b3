"""What a layer is used as: something to paint on, or a control layer that images are held to.

The role is kept on the layer, and saved with the file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Callable

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
from underpaint_client.sentences import Label
from underpaint_client.typed_json import read_value

from .form import make_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underpaint_client.recipe import Recipe

ReadLayer = Callable[[Box], Frame]
"""Reads a layer in a box on the canvas: RGBA or BGRA, u1, whatever its opacity."""

_FORMAT = 1
_OF = "-of"

ROLES: dict[str, Label] = {
    "": "Painting",
    **CONTROL_KINDS,
    "canny-of": "Canny edges, computed from it",
    "blur-of": "Blur, computed from it",
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
    """

    kind: str = declare(
        "",
        Parameter(
            "What the selected layer is for. A control layer is not painted on: while it is"
            " visible, images are held to its lines, depth or pose. Each kind needs a ControlNet.",
            choices=ROLES,
            label="Use layer as",
            name="layer_role",
        ),
    )
    strength: float = declare(
        1.0,
        Parameter(
            "How strongly images are held to this layer: 0 is not at all.",
            limits=(0.0, MAX_CONTROL_STRENGTH),
            label="Control strength",
            step=0.05,
            decimals=2,
            name="control_strength",
        ),
    )
    start: float = declare(
        0.0,
        Parameter(
            "From which share of the steps on images are held to this layer.",
            limits=(0.0, 1.0),
            label="Control start",
            step=0.05,
            decimals=2,
            name="control_start",
        ),
    )
    end: float = declare(
        1.0,
        Parameter(
            "Up to which share of the steps images are held to this layer: after 0.5 the model"
            " finishes details on its own.",
            limits=(0.0, 1.0),
            label="Control end",
            step=0.05,
            decimals=2,
            name="control_end",
        ),
    )

    @property
    def control(self) -> ControlLayer:
        """The role as a request has it."""
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


assert {kind + _OF for kind in COMPUTED} < ROLES.keys()  # noqa: S101 - at import, in all tests

ROLE_FIELDS = make_fields(parameters_of(LayerRole).values())
"""The controls of a role, in order: its kind, then what is shown for a control layer alone."""


def refuse_role(role: LayerRole | None) -> None:
    """Check that a layer is one to paint on.

    Raises
    ------
    BadInputError
        It is a control layer.
    """
    if role is not None:
        raise BadInputError(
            "the selected layer is used as {role!r}; select the layer to paint on, or use this one"
            " as {painting!r}",
            role=ROLES[role.kind],
            painting=ROLES[""],
        )


def read_control_layers(
    layers: Sequence[tuple[LayerRole, ReadLayer]], box: Box
) -> tuple[tuple[ControlLayer, ...], dict[str, Frame]]:
    """Return the control layers of a request, and their rasters by name.

    Parameters
    ----------
    layers : sequence of (LayerRole, callable)
        The visible layers with a role, and what reads each.
    box : Box
        What is read: the box of the layer that is painted on.

    Raises
    ------
    BadInputError
        They are too many.
    """
    if len(layers) > MAX_CONTROLS:
        raise BadInputError(
            "{count} control layers are visible, and {most} at most can be used; hide the others",
            count=len(layers),
            most=MAX_CONTROLS,
        )
    names = map(raster_name, range(len(layers)))
    rasters = {name: replace(read(box), name=name) for name, (_, read) in zip(names, layers)}
    return tuple(role.control for role, _ in layers), rasters
