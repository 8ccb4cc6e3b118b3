"""The mode and context of a run: what is decided for the artist, and what is one click away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underpaint_client.modes import LayerState, ModeChoice, choose_mode, other_choice
from underpaint_client.sentences import NO_TEXT, Sentence, sentence

from .survey import some_erased, take_alpha

if TYPE_CHECKING:
    from underpaint_client.frames import Frame
    from underpaint_client.request import Request

    from .contract import Document
    from .survey import Survey


def offered_choice(request: Request, found: Survey, *, edits: bool = False) -> ModeChoice | None:
    """Return the mode and context to offer beside those that will run; None for nothing.

    Parameters
    ----------
    request : Request
    found : Survey
        Of the layer.
    edits : bool
        As `Recommended.edits`, of the model.
    """
    return other_choice(_asked(request), found.state, edits=edits)


OFFERS = {
    "auto": sentence("Choose automatically"),
    "inpaint": sentence("Fill what is erased instead"),
    "img2img": sentence("Repaint it instead"),
    "txt2img": sentence("New image instead"),
    "edit": sentence("Edit by instruction instead"),
}
"""What editors call the other choice, by its mode."""

OFFER_BELOW = sentence("Paint over what is below instead")
"""The same where an empty layer is filled."""


def describe_offer(choice: ModeChoice | None) -> Sentence:
    """Return what is on the button for the other choice; empty to hide it."""
    if choice is None:
        return NO_TEXT
    is_below = (choice.mode, choice.context) == ("inpaint", "below")
    return OFFER_BELOW if is_below else OFFERS[choice.mode]


def _asked(request: Request) -> ModeChoice:
    return ModeChoice(request.mode, request.source.context)


def resolve_mode(
    request: Request, frames: dict[str, Frame], document: Document, *, edits: bool = False
) -> Request:
    """Replace the mode `auto` by the one that fits the pixels that are sent, all of them.

    Parameters
    ----------
    request : Request
        As the artist asked.
    frames : dict of str to Frame
        `layer`, 8 or 16 bits, and maybe `selection` and `mask`.
    document : Document
        Asked for what the pixels sent do not tell.
    edits : bool
        As `Recommended.edits`, of the model.
    """
    if request.mode != "auto":
        return request
    layer = bytes(frames["layer"].data)
    empty = layer.count(0) == len(layer) and document.is_empty()
    selection = bytes(frames["selection"].data) if "selection" in frames else None
    alphas = [take_alpha(layer, 4, frames["layer"].dtype)]
    if "mask" in frames:
        alphas.append(bytes(frames["mask"].data))
    around = document.surroundings
    state = LayerState(
        empty=empty,
        transparent=any(some_erased(alpha, selection) for alpha in alphas),
        selected=selection is not None,
        below=empty and around.shows_below(),
        new=layer.count(255) == len(layer) and around.is_new(),
        drawn=around.is_drawn,
    )
    choice = choose_mode(_asked(request), state, edits=edits)
    return request.with_values(mode=choice.mode, context=choice.context)
