"""The rules that plug-in, command line and engine must decide alike.

Pure functions on plain values. Nothing here needs more than the standard library.
"""

from __future__ import annotations

from collections.abc import Collection

from .control_layers import check_control_picture, check_control_rasters
from .errors import BadInputError
from .parameters import parameters_of
from .reference_layers import check_reference_rasters
from .regions import check_region_rasters
from .request import Request
from .samplers import choose_sampler, longest_schedule

MAX_PIXELS = 2**28
"""Pixels of the largest layer that is taken: 268 megapixels, as 16384 x 16384."""

STARTER_MODEL = "starter"
"""The name of the small model that the package brings along."""


def check_rasters(request: Request, names: Collection[str]) -> None:
    """Check that the rasters are there which a request needs, and none that it has no use for.

    Parameters
    ----------
    request : Request
    names : collection of str
        Of the rasters, as `inputs.RASTERS` has them.

    Raises
    ------
    BadInputError
        Names the raster that is missing or left over.
    """
    wants, has = request.source.context != "layer", "context" in names
    if wants and not has:
        raise BadInputError(
            "context {context!r} needs a picture of what is below the layer; send the raster"
            " 'context', or choose the context 'layer'",
            context=request.source.context,
        )
    if has and not wants:
        raise BadInputError(
            "the raster 'context' came, but the request's context is {context!r}; choose 'below'",
            context=request.source.context,
        )
    check_control_rasters(request.conditioning.controls, names)
    check_reference_rasters(request.conditioning.references, names)
    check_region_rasters(request.conditioning.regions, names)


def check_request(request: Request) -> None:
    """Check that every value of a request is one that can be worked with.

    Types are taken as given by `Request`: the wire's decoder has checked them.

    Raises
    ------
    BadInputError
        Names the first field that is out of range, its value, and what is allowed.
    """
    for parameter in parameters_of(type(request)).values():
        parameter.check_value(parameter.value_in(request))
    check_control_picture(request.control_picture)
    sampler = choose_sampler(request.sampling.sampler)
    steps, size = request.sampling.steps, request.size
    if steps is not None and steps > longest_schedule(sampler):
        raise BadInputError(
            "steps {steps} are too many for the sampler {sampler}; it takes up to {most}",
            steps=steps,
            sampler=sampler,
            most=longest_schedule(sampler),
        )
    if (size.width is None) != (size.height is None):
        given, other = ("width", "height") if size.height is None else ("height", "width")
        raise BadInputError(
            "{name} {value} was given without a {other_name}; give both or neither",
            name=given,
            value=getattr(size, given),
            other_name=other,
        )
