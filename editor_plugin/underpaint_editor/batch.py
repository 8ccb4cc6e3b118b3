"""The results of a job, and the document that they go to."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from underpaint_client.descriptions import describe_seeds
from underpaint_client.seeds import image_noise
from underpaint_client.sentences import sentence

from .layers import crop_preview, name_layer
from .log import log_exception
from .results import name_preview
from .tag import Tag

if TYPE_CHECKING:
    from underpaint_client.errors import UnderpaintError
    from underpaint_client.frames import Frame
    from underpaint_client.geometry import Box
    from underpaint_client.recipe import Recipe

    from .contract import Document
    from .job import Job
    from .notices import ImageReceived, PreviewReceived


@dataclass(frozen=True)
class Result:
    """An image that has arrived, and its layer's name.

    Parameters
    ----------
    name : str
    frame : Frame
    recipe : Recipe or None
        None for a kept preview.
    area : Box or None
        Where the frame is to be scaled to; None if it fits as it is.
    """

    name: str
    frame: Frame
    recipe: Recipe | None
    job: str = ""
    index: int = 0
    area: Box | None = None

    def tag(self, document: Document) -> Tag:
        """Return what its layer carries."""
        return Tag(self.recipe, document.layer_id, self.job, self.index)


@dataclass
class Batch:
    """The results of a job, and where they go.

    Parameters
    ----------
    document : Document
        Of the layer that was read.
    into : any
        The layer beside which the results go; None for a group of their own.
    expected_source : str
        The `source_hash` that a variation should have.
    fetched : bool
        Whether it was submitted by an earlier start of the editor.
    expected_model : str
        The `model_hash` that it should have.
    results : list of Result
        In the order of their seeds.
    notes : list of str
        The notes of the recipes, each once.
    title : str
        The group's name.
    ended : bool
        Whether nothing more will arrive.
    error : UnderpaintError or None
        Why some images are missing.
    group : any
        The editor's own group of layers, once inserted.
    job : Job or None
        The job that it is the result of, once ended.
    given_up : bool
        Whether the daemon may have more of it.
    latest_preview : PreviewReceived or None
        The last preview of the unfinished image.
    had_redo : bool
        Whether something could be redone in the document when the job was sent.
    """

    document: Document
    into: Any = None
    expected_source: str = ""
    fetched: bool = False
    expected_model: str = ""
    results: list[Result] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    title: str = ""
    ended: bool = False
    error: UnderpaintError | None = None
    group: Any = None
    job: Job | None = None
    given_up: bool = False
    latest_preview: PreviewReceived | None = None
    had_redo: bool = False
    started: float = field(default_factory=time.monotonic)

    def add(self, received: ImageReceived) -> None:
        """Add an image that has arrived."""
        recipe = received.picture.recipe
        self.latest_preview = None
        name, index = name_layer(recipe), received.picture.index
        self.results.append(Result(name, received.frame, recipe, received.job.name, index))
        self.results.sort(key=lambda result: result.index)  # what was fetched may come later
        facts = recipe.facts
        notes = list(facts.notes)
        if self.expected_source and facts.source_hash != self.expected_source:
            changed = sentence("the layer or the selection has changed since the result was made")
            if facts.context_hash:
                changed = sentence(
                    "the layer, what is below it or the selection has changed since the result was"
                    " made"
                )
            notes.append(changed)
        ran, meant = facts.model_hash, self.expected_model
        if ran and meant and ran != meant:
            notes.append(sentence("the model's weights have changed since the result was made"))
        self.notes += [note for note in notes if note not in self.notes]

    def show_preview(self, preview: PreviewReceived) -> None:
        """Show the unfinished image on the canvas, and keep it for `last_preview`."""
        self.latest_preview = preview
        cropped = crop_preview(preview.frame, preview.area)
        if cropped is not None and self.document.is_open:
            try:
                self.document.show_preview(*cropped)
            except Exception as error:  # noqa: BLE001 - an adapter's fault; the job goes on
                log_exception("showing a preview", error)

    def remove_preview(self) -> None:
        """Remove the unfinished image from the canvas."""
        try:
            self.document.remove_preview()
        except Exception as error:  # noqa: BLE001 - an adapter's fault; the results come next
            log_exception("removing a preview", error)

    @property
    def clears_redo(self) -> bool:
        """Whether inserting it now clears what the artist has undone since it was sent.

        If something could be redone before, the artist gave it up by starting the run, as by any
        other action.
        """
        return self.document.is_open and self.document.can_redo is True and not self.had_redo

    def last_preview(self) -> Result | None:
        """Return the last preview of the unfinished image, to keep it as a layer."""
        preview = self.latest_preview
        if preview is None:
            return None
        noise = describe_seeds(*image_noise(preview.job.request, preview.image - 1))
        name = name_preview(noise, preview.step, preview.steps)
        return Result(name, preview.frame, None, area=preview.area)
