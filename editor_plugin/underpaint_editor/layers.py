"""What to read, and what results are called, alike in every editor."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from underpaint_client.control_layers import CONTROL_PICTURES
from underpaint_client.descriptions import STARTER_MESSAGE, describe_noise
from underpaint_client.errors import BadInputError
from underpaint_client.geometry import Box, Extent
from underpaint_client.prompt_choices import strip_comments
from underpaint_client.rules import STARTER_MODEL
from underpaint_client.seeds import image_seed
from underpaint_client.sentences import Sentence, as_sentence, join_sentences, sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underpaint_client.frames import Frame
    from underpaint_client.recipe import Recipe
    from underpaint_client.request import Request

SOURCE_GONE = sentence(
    "the layer this result was made from was deleted; undo that, or generate again"
)

_LONGEST_NAME = 40  # characters of a prompt in a layer's name
_WIDEST, _HIGHEST = 230, 160  # pixels of a preview
_GRID = 64  # pixels that the engine snaps its work area to
_UNKNOWN_NATIVE = 1024  # pixels; the largest native side of any family


def needed_box(selected: Box, canvas: Box, native: int = 0) -> Box:
    """Return the part of a layer that a run can need: what is selected, and context around it.

    The engine takes a quarter of the longer side around what changes, or its model's native size
    where that is more, on a grid of 64 pixels. What changes lies inside the selection.

    Parameters
    ----------
    selected : Box
        Around all that is selected, inside `canvas`.
    canvas : Box
        Around all there is.
    native : int
        The model's native side in pixels; 0 if it is not known.
    """
    least = native or _UNKNOWN_NATIVE
    margin = max(selected.extent.longer // 4, least // 2, _GRID)
    left, right = _span(selected.x, selected.right, canvas.x, canvas.right, margin, least)
    top, bottom = _span(selected.y, selected.bottom, canvas.y, canvas.bottom, margin, least)
    return Box(left, top, right - left, bottom - top)


def box_to_read(
    canvas: Box, selected: Box | None, native: int, *, whole: bool, layer: Box | None = None
) -> Box:
    """Return the part of a layer to send.

    Parameters
    ----------
    canvas : Box
        Around all there is.
    selected : Box or None
        Around all that is selected; None if nothing is, which means everything.
    native : int
        The model's native side in pixels; 0 if it is not known.
    whole : bool
        Whether the whole layer is asked for, not only what is painted.
    layer : Box, optional
        Around the layer, where layers have an end; without a selection it is all that is sent.

    Raises
    ------
    BadInputError
        If the layer or the selection has no pixel on the canvas.
    """
    here = canvas if layer is None else intersection(layer, canvas)
    if selected is None:
        if here.empty:
            raise BadInputError(
                "the layer lies outside the canvas; move it back, or select where to generate"
            )
        return here
    if selected.empty:
        raise BadInputError("the selection is empty; select part of the canvas, or everything")
    needed = needed_box(selected, canvas, native)
    return here.around(needed) if whole else needed


def _span(start: int, stop: int, first: int, last: int, margin: int, least: int) -> tuple[int, int]:
    """Return start and stop of one side, with room for `least` if the canvas ends early."""
    margin, least = margin + 2 * _GRID, least + 2 * _GRID
    low = max(first, (start - margin) // _GRID * _GRID)
    high = min(last, -(-(stop + margin) // _GRID) * _GRID)
    return max(first, min(low, high - least)), min(last, max(high, low + least))


def intersection(one: Box, other: Box) -> Box:
    """Return the box that lies in both; empty if there is none."""
    x, y = max(one.x, other.x), max(one.y, other.y)
    right, bottom = min(one.right, other.right), min(one.bottom, other.bottom)
    return Box(x, y, max(0, right - x), max(0, bottom - y))


def name_group(prompt: str, seed: int, images: int) -> str:
    """Name the group of a batch after its prompt and seeds.

    The names of groups and layers are saved in files, and read again, so they are in English.
    """
    words = _shortened(prompt) or "Underpaint"
    seeds = f"seed {seed}"
    if images > 1:
        seeds = f"seeds {seed} to {image_seed(seed, images - 1)}"
    return f"{words} ({seeds})"


def _shortened(prompt: str) -> str:
    words = " ".join(strip_comments(prompt).split())
    return words if len(words) <= _LONGEST_NAME else words[: _LONGEST_NAME - 1].rstrip() + "…"


def describe_job(request: Request, position: int) -> Sentence:
    """Return what a job is and where it is, in a list of several."""
    words, where = _shortened(request.prompt.positive), describe_position(position)
    kind = request.control_picture.kind
    if kind:
        label = as_sentence(CONTROL_PICTURES[kind])
        return sentence("Control layer {kind}: {position}", kind=label, position=where)
    if not words:
        return sentence("No prompt: {position}", position=where)
    return sentence("{prompt}: {position}", prompt=words, position=where)


def describe_position(position: int) -> Sentence:
    """Return where a job is in the queue, in words; `position` jobs are before it."""
    return sentence("{jobs} ahead", jobs=position) if position else sentence("running")


def name_layer(recipe: Recipe) -> str:
    """Name a result's layer; a control layer by what it shows."""
    kind = recipe.request.control_picture.kind
    return CONTROL_PICTURES[kind] if kind else describe_noise(recipe)


def count_batches_above(above: Sequence[bool]) -> int:
    """Return how many of the layers above a source a new batch goes above.

    Parameters
    ----------
    above : sequence of bool
        Whether each is an earlier batch, from the one right above the source on.

    Examples
    --------
    >>> count_batches_above([True, True, False, True])
    2
    """
    return next((n for n, batch in enumerate(above) if not batch), len(above))


def next_index(shown: Sequence[bool], step: int) -> int:
    """Return which of a group's results is shown next.

    Parameters
    ----------
    shown : sequence of bool
        Whether each is visible.
    step : int
        1 or -1; from the last one on with the first, and back.
    """
    now = next((n for n, visible in enumerate(shown) if visible), -1 if step > 0 else 0)
    return (now + step) % len(shown)


def preview_size(extent: Extent) -> Extent:
    """Return the size in which a preview is shown: as large as fits beside the form."""
    return fit_into(extent, Extent(_WIDEST, _HIGHEST))


def crop_preview(frame: Frame, area: Box) -> tuple[Frame, Box] | None:
    """Crop a preview to what it shows.

    Parameters
    ----------
    frame : Frame
        RGBA, u1.
    area : Box
        Where all of it belongs on the canvas.

    Returns
    -------
    Frame, Box
        The part around all that is not transparent, and where that belongs; None where all is.
    """
    pixels, (width, height) = bytes(frame.data), (frame.box.width, frame.box.height)
    alpha = pixels[3::4]
    rows = [y for y in range(height) if any(alpha[y * width : (y + 1) * width])]
    columns = [x for x in range(width) if any(alpha[x::width])]
    if not rows:
        return None
    left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    wide, high = right - left, bottom - top
    starts = (4 * (y * width + left) for y in range(top, bottom))
    data = b"".join(pixels[start : start + 4 * wide] for start in starts)
    x, y = area.x + left * area.width // width, area.y + top * area.height // height
    far_x = area.x - (-right * area.width // width)  # rounded up
    far_y = area.y - (-bottom * area.height // height)
    return replace(frame, box=Box(0, 0, wide, high), data=data), Box(x, y, far_x - x, far_y - y)


def fit_into(extent: Extent, room: Extent) -> Extent:
    """Return the size that something has when it is scaled to fit, its sides in proportion."""
    scale = min(room.width / max(1, extent.width), room.height / max(1, extent.height))
    return Extent(max(1, round(extent.width * scale)), max(1, round(extent.height * scale)))


def describe_outcome(wanted: int, came: int, seconds: float, notes: Sequence[str]) -> Sentence:
    """Return how a run ended well."""
    if came < wanted:
        outcome = sentence(
            "Done: {count} image of {wanted} in {seconds:.1f} s",
            "Done: {count} images of {wanted} in {seconds:.1f} s",
            count=came,
            wanted=wanted,
            seconds=seconds,
        )
    else:
        outcome = sentence(
            "Done: {count} image in {seconds:.1f} s",
            "Done: {count} images in {seconds:.1f} s",
            count=came,
            seconds=seconds,
        )
    return join_sentences(outcome, *notes)


def describe_control_made(kind: str, seconds: float, notes: Sequence[str]) -> Sentence:
    """Return that a control layer was made; `kind` is one of `CONTROL_PICTURES`."""
    made = sentence(
        "Control layer added in {seconds:.1f} s: {kind}. Images are held to it while it is visible",
        seconds=seconds,
        kind=as_sentence(CONTROL_PICTURES[kind]),
    )
    return join_sentences(made, *notes)


def describe_plan_line(
    plan: Sentence, cautions: Sequence[Sentence], document: str = ""
) -> Sentence:
    """Return the plan line: what a run will do, and where it will not do what one may expect.

    Parameters
    ----------
    plan : Sentence
        What it will do, or why it cannot.
    cautions : sequence of Sentence
        What the editor cannot do better, each as a clause.
    document : str
        Which document is meant, where the artist may think of another one.
    """
    if document:
        plan = sentence("In {document}: {plan}", document=document, plan=plan)
    return join_sentences(plan, *cautions) if cautions else plan


def describe_readiness(default_model: str, remark: str = "") -> Sentence:
    """Return the status message for a daemon that has nothing to do.

    Parameters
    ----------
    default_model : str
        Empty if the daemon has no model.
    remark : str
        What the daemon says of itself, a clause, which matters more; mostly empty.
    """
    if remark:
        return join_sentences(remark)
    if default_model == STARTER_MODEL:
        return sentence(
            "{starter}: put its folder into Underpaint's models folder.", starter=STARTER_MESSAGE
        )
    return sentence("Ready.") if default_model else sentence("No model is installed.")


def describe_placement(
    *, deleted: bool, hidden: bool, inside_hidden: bool, resized: bool
) -> list[Sentence]:
    """Return what the artist should know about where a result comes to lie.

    Parameters
    ----------
    deleted, hidden : bool
        What has happened to the layer that was sent.
    inside_hidden : bool
        Whether the group that it lies in is hidden.
    resized : bool
        Whether the document has another size than before.
    """
    found = []
    if deleted:
        found.append(sentence("the layer was deleted, so the result is on top of all others"))
    elif hidden:
        found.append(sentence("the layer is hidden, but the result above it is visible"))
    elif inside_hidden:
        found.append(sentence("the layer's group is hidden, and so is the result"))
    if resized:
        found.append(sentence("the document was resized, so check where the result is"))
    return found
