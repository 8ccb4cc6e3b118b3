"""Modes: what `auto` stands for, by one table for the editors' plan line and the daemon.

The first row that fits decides:

| the layer | mode | the other choice |
|---|---|---|
| empty, with a selection, something visible below | inpaint, context `below` | txt2img |
| empty, nothing selected, something visible below | txt2img | inpaint, context `below` |
| empty otherwise | txt2img | none |
| the document's only layer, opaque and white | txt2img | img2img |
| text or vectors | img2img | inpaint |
| some pixel inside the selection is erased | inpaint | img2img |
| opaque, also of one colour | img2img | txt2img |

For a model that was made to edit by instruction, the mode is edit where it is inpaint or img2img
here, but for text and vectors; what the table has there is then the other choice, where that is not
txt2img.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class LayerState:
    """What is known of a layer when its mode is chosen.

    Parameters
    ----------
    empty : bool
        The whole layer has no colour at all, or there is no layer.
    transparent : bool
        Some pixel inside the selection is less than opaque.
    selected : bool
        There is a selection.
    below : bool
        Something other than white paper is visible below it, where the model would see it.
    new : bool
        It is as in a new document: the only layer, opaque and all white.
    drawn : bool
        It holds text or vectors.
    """

    empty: bool
    transparent: bool
    selected: bool = False
    below: bool = False
    new: bool = False
    drawn: bool = False


@dataclass(frozen=True)
class ModeChoice:
    """How a layer is used.

    Parameters
    ----------
    mode : str
        One of `request.MODES`.
    context : str
        One of `request.CONTEXTS`.
    """

    mode: str
    context: str = "layer"


def choose_mode(asked: ModeChoice, layer: LayerState, *, edits: bool = False) -> ModeChoice:
    """Return what a choice whose mode is `auto` stands for; any other stays as it is.

    Parameters
    ----------
    asked : ModeChoice
        By the artist.
    layer : LayerState
    edits : bool
        Whether the model was made to edit by instruction (`Recommended.edits`).
    """
    return asked if asked.mode != "auto" else _choose(asked, layer, edits=edits)[0]


def other_choice(asked: ModeChoice, layer: LayerState, *, edits: bool = False) -> ModeChoice | None:
    """Return what editors offer beside `choose_mode`, one click away; None where there is nothing.

    Beside a mode that the artist has chosen, that is `auto`, unless it decides the same.
    """
    if asked.mode != "auto":
        auto = ModeChoice("auto", asked.context)
        return None if choose_mode(auto, layer, edits=edits) == asked else auto
    return _choose(asked, layer, edits=edits)[1]


def change_mode(mode: str, *, transparent: bool) -> str:
    """Return the mode by whose rule pixels may change: for an edit, inpaint or img2img.

    Parameters
    ----------
    mode : str
        The settled mode, not `auto`.
    transparent : bool
        As `LayerState`.
    """
    if mode != "edit":
        return mode
    return "inpaint" if transparent else "img2img"


def _choose(
    asked: ModeChoice, layer: LayerState, *, edits: bool
) -> tuple[ModeChoice, ModeChoice | None]:
    decided, other = _by_table(asked, layer)
    if not edits or layer.drawn:
        return decided, other
    if decided.mode in _REPLACED:
        return replace(decided, mode="edit"), other if layer.empty else decided
    return decided, replace(other, mode="edit") if other else None


_REPLACED = ("inpaint", "img2img")
"""The modes that an edit stands in for."""


def _by_table(asked: ModeChoice, layer: LayerState) -> tuple[ModeChoice, ModeChoice | None]:
    onto_empty, new = ModeChoice("inpaint", "below"), ModeChoice("txt2img", asked.context)
    inpaint, img2img = ModeChoice("inpaint", asked.context), ModeChoice("img2img", asked.context)
    if layer.empty and layer.below:
        return (onto_empty, new) if layer.selected else (new, onto_empty)
    if layer.empty:
        return new, None
    if layer.new:
        return new, img2img
    if layer.drawn:
        return img2img, inpaint
    return (inpaint, img2img) if layer.transparent else (img2img, new)
