"""What a job is sent with: the pixels of a document, and the request that they settle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underpaint_client.rules import check_request

from .choices import resolve_mode
from .layer_role import read_control_layers, read_reference_layers, read_regions

if TYPE_CHECKING:
    from underpaint_client.frames import Frame
    from underpaint_client.request import Request

    from .contract import Document


def read_inputs(
    request: Request, document: Document, native: int, *, edits: bool = False
) -> tuple[Request, dict[str, Frame]]:
    """Read what a request needs of a document.

    Parameters
    ----------
    request : Request
    document : Document
    native : int
        As `Document.read`.
    edits : bool
        As `Recommended.edits`, of the model.

    Returns
    -------
    Request
        With the document's control layers, reference layers and regions, and with the mode that
        fits the pixels.
    dict of str to Frame
        The layer and what goes with it, control and reference layers, masks of regions and the
        context; where a control layer is made of it, the layer alone.

    Raises
    ------
    UnderpaintError
        If it cannot be read, or if there are too many control or reference layers or regions.
    """
    if request.control_picture.kind:
        return request, {"layer": document.read(0, whole=True)["layer"]}
    whole = request.output.result == "layer"
    frames = document.read(native, whole=whole)
    with_roles = document.control_layers()
    controls, rasters = read_control_layers(with_roles, frames["layer"].box)
    references, pictures = read_reference_layers(with_roles)
    regions, masks = read_regions(with_roles, frames["layer"].box)
    request = request.with_values(controls=controls, references=references, regions=regions)
    check_request(request)
    frames.update({**rasters, **pictures, **masks})
    request = resolve_mode(request, frames, document, edits=edits)
    if request.source.context == "below":
        frames["context"] = document.surroundings.read_context(frames["layer"].box)
    return request, frames
