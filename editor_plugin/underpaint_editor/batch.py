"""What has come of a job, and the place that it goes to."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from underpaint_client.descriptions import describe_seeds
from underpaint_client.seeds import image_noise

from .layers import name_layer
from .results import name_preview
from .tag import Tag

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from underpaint_client.address import Address
    from underpaint_client.errors import UnderpaintError
    from underpaint_client.frames import Frame
    from underpaint_client.geometry import Box
    from underpaint_client.recipe import Recipe

    from .jobs import Job, Painted, Previewed

    class Place(Protocol):
        """Where a job's pixels come from, and its results go."""

        @property
        def open(self) -> bool:
            """Whether the document still is."""

        @property
        def can_redo(self) -> bool | None:
            """Whether something can be redone in the document; None where nobody can know."""

        def read(self, native: int, *, whole: bool) -> dict[str, Frame]:
            """Read what a run needs: `layer`, and where there are any, `selection` and `mask`.

            Parameters
            ----------
            native : int
                The model's native side in pixels; 0 where it is not known.
            whole : bool
                Whether to read all of the layer; else only what is selected, with context.
            """

        def has_nothing(self) -> bool:
            """Return whether there is nothing in the whole layer."""

        def remarks(self) -> Sequence[str]:
            """Return what the artist should know about where a result comes to lie."""

        @property
        def name(self) -> str:
            """The layer's lasting name in its document."""

        @property
        def address(self) -> Address:
            """Where this is, for another start of the editor."""

        def has(self, job: str) -> frozenset[int]:
            """Return which pictures of a job lie in the document already."""

        def insert(self, title: str, results: Sequence[Result], into: Any = None) -> object:
            """Insert results as one group and one undo step, the last on top and visible.

            With `into`, an earlier result of this place, they go into its group, above it.
            """

        def show_preview(self, frame: Frame, area: Box) -> None:
            """Show on the canvas what a picture looks like so far; nothing of it may stay there.

            Parameters
            ----------
            frame : Frame
                RGBA, u1, of any size; transparent where nothing is painted.
            area : Box
                Where it belongs on the canvas.
            """

        def end_preview(self) -> None:
            """Show none any more."""

        def open_as_document(self, title: str, results: Sequence[Result]) -> None:
            """Open results as a document of their own."""

        def remember(self, text: str) -> None:
            """Keep the form with the document."""


@dataclass(frozen=True)
class Result:
    """A picture that came, and its layer's name.

    Parameters
    ----------
    name : str
    frame : Frame
    recipe : Recipe or None
        None for a kept preview.
    area : Box or None
        Where the frame is to be scaled to; None where it fits as it is.
    """

    name: str
    frame: Frame
    recipe: Recipe | None
    job: str = ""
    index: int = 0
    area: Box | None = None

    def tag(self, place: Place) -> Tag:
        """Return what its layer is to carry."""
        return Tag(self.recipe, place.name, self.job, self.index)


@dataclass
class Batch:
    """What has come of a job, and where it goes.

    Parameters
    ----------
    place : Place
        Of the layer that was read.
    into : any
        The layer beside which the results go; None for a group of their own.
    expected : str
        The `source_hash` that a variation should have.
    fetched : bool
        Whether it was asked for by an editor that has ended.
    expected_model : str
        The `model_hash` that it should have.
    results : list of Result
        In the order of their seeds.
    notes : list of str
        What the recipes say of the runs, each once.
    title : str
        The group's name.
    ended : bool
        Whether nothing more will come.
    error : UnderpaintError or None
        Why not all has come.
    group : any
        The editor's own group of layers, once inserted.
    job : Job or None
        What it came of, once ended.
    given_up : bool
        Whether the daemon may have more of it.
    seen : Previewed or None
        What the image that is being painted looked like last.
    had_redo : bool
        Whether something could be redone in the document when the job was sent.
    """

    place: Place
    into: Any = None
    expected: str = ""
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
    seen: Previewed | None = None
    had_redo: bool = False
    began: float = field(default_factory=time.monotonic)

    def add(self, painted: Painted) -> None:
        """Keep a picture."""
        recipe = painted.picture.recipe
        self.seen = None
        name, index = name_layer(recipe), painted.picture.index
        self.results.append(Result(name, painted.frame, recipe, painted.job.name, index))
        self.results.sort(key=lambda result: result.index)  # what was fetched may come later
        notes = list(recipe.notes)
        if self.expected and recipe.source_hash != self.expected:
            notes.append("the layer or the selection has changed since the result was made")
        ran, meant = recipe.model_hash, self.expected_model
        if ran and meant and ran != meant:
            notes.append("the model's weights have changed since the result was made")
        self.notes += [note for note in notes if note not in self.notes]

    @property
    def ends_redo(self) -> bool:
        """Whether inserting it now clears what the artist has undone since it was sent.

        What could be redone before that was given up with the run, as by anything else that is
        done.
        """
        return self.place.open and self.place.can_redo is True and not self.had_redo

    def last_preview(self) -> Result | None:
        """Return what the image that was being painted looked like last."""
        seen = self.seen
        if seen is None:
            return None
        noise = describe_seeds(*image_noise(seen.job.request, seen.image - 1))
        name = name_preview(noise, seen.step, seen.steps)
        return Result(name, seen.frame, None, area=seen.area)
