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
"""

from __future__ import annotations

from dataclasses import dataclass


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


def choose_mode(asked: ModeChoice, layer: LayerState) -> ModeChoice:
    """Return what a choice whose mode is `auto` stands for; any other stays as it is."""
    return asked if asked.mode != "auto" else _choose(asked, layer)[0]


def other_choice(asked: ModeChoice, layer: LayerState) -> ModeChoice | None:
    """Return what editors offer beside `choose_mode`, one click away; None where there is nothing.

    Beside a mode that the artist has chosen, that is `auto`, unless it decides the same.
    """
    if asked.mode != "auto":
        auto = ModeChoice("auto", asked.context)
        return None if choose_mode(auto, layer) == asked else auto
    return _choose(asked, layer)[1]


def _choose(asked: ModeChoice, layer: LayerState) -> tuple[ModeChoice, ModeChoice | None]:
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
