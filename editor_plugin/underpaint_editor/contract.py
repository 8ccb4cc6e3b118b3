"""What an editor's adapter implements, and what the shared code asks of it.

An adapter is a small package for one editor (`underpaint_krita` and `underpaint_gimp` are two). It
contains only what that editor's API forces; everything else is in `underpaint_editor`. All of it is
in this one file, long as it is: who writes an adapter reads it from top to bottom. To write an
adapter for another editor:

1. Implement `EventLoop` and `Listener`, and create one `Session` for the whole editor.
2. Implement `Document`: read a layer, the selection and a mask, and insert results as layers.
3. Implement `SelectedResult` for a layer that carries a `Tag`: thumbnails, show, keep, compare.
4. Build the controls from `form.FIELDS` and the buttons from `buttons.BUTTONS`, implement `Toolkit`
   with them, and create a `Panel`, which decides what they show. The button `picture` lets the
   artist choose a file (`found_form.PICTURES`) for `Panel.use_picture`.

All calls happen in the editor's UI thread. None of them may wait for the daemon, open a modal
dialog or run a nested event loop. An implementation raises an `UnderpaintError` for what the artist
can correct: its message is shown as it is. Any other exception is a fault of the adapter; the
session logs it, and keeps the results.

What people read has the type `Sentence`: make it with `sentence`, and show it with `translate`.

`tests/editor/contract_checks.py` checks an adapter against this contract, in pytest or inside a
real editor. `fake_editor.py` beside it is a complete adapter, for an editor that exists in memory
only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from underpaint_client.address import Address
    from underpaint_client.frames import Frame
    from underpaint_client.geometry import Box
    from underpaint_client.parsed_prompt import PromptError
    from underpaint_client.sentences import Sentence

    from .batch import Result
    from .layer_role import LayerRole, RoleLayer
    from .results import Member, Thumbnail
    from .survey import Survey
    from .tag import Tag


class EventLoop(Protocol):
    """The editor's event loop."""

    def watch(self, fd: int, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` whenever a file descriptor becomes readable.

        The descriptor is edge-triggered: the session reads until nothing is left.

        Returns
        -------
        callable
            Stops the watching. Called at most once.
        """

    def call_later(self, milliseconds: int, callback: Callable[[], None]) -> None:
        """Call `callback` once, after a delay, and never before the current call has returned."""


class Listener(Protocol):
    """Shows the session's state. It outlives windows: without one, it does nothing."""

    def show_message(self, text: Sentence) -> None:
        """Show a status message: one or a few sentences."""

    def show_progress(self, fraction: float | None) -> None:
        """Show how much of the running job is done, 0..1; None if that is not known."""

    def show_preview(self, frame: Frame | None) -> None:
        """Show the unfinished image, RGBA of dtype u1, beside the form; None to remove it."""

    def refresh(self) -> None:
        """Read `Session.running`, `queue`, `choices` and `remedy` again, and show them."""


class Surroundings(Protocol):
    """What is around a document's layer: the mode is chosen by it, and a model can see it."""

    def is_new(self) -> bool:
        """Return whether the layer is as in a new document: the only one, opaque and all white.

        Results and visible control layers do not count as layers. Use `paper.is_white`.
        """

    @property
    def is_drawn(self) -> bool:
        """Whether the layer holds text or vectors."""

    def count_regions(self) -> int:
        """Return how many visible layers are regions."""

    def shows_below(self) -> bool:
        """Return whether anything but white paper is visible below, where `Document.read` reads.

        Use `paper.shows_something` on each visible layer below, control layers left out.
        """

    def read_context(self, box: Box) -> Frame:
        """Return what is visible of the layer and of all below it, without what is above.

        So no result, preview or layer with a role is in it, but for a group around the layer.
        Reading it must leave no trace in the document.

        Parameters
        ----------
        box : Box
            The layer's frame's.

        Returns
        -------
        Frame
            `context`, in a format that `Document.read` returns.
        """


class Document(Protocol):
    """An open document, and the layer in it that a job reads and whose results it gets.

    It is created when the artist presses Generate, and kept until the results are inserted. The
    artist may do anything meanwhile: delete the layer, resize or close the document.
    """

    @property
    def is_open(self) -> bool:
        """Whether the document is still open."""

    @property
    def can_redo(self) -> bool | None:
        """Whether the artist can redo something in it now; None if the editor does not tell."""

    @property
    def layer_id(self) -> str:
        """The layer's lasting id: the same after saving and loading the document."""

    @property
    def address(self) -> Address:
        """Where the document and layer are, for the next start of the editor to find them."""

    def survey(self) -> Survey:
        """Return what a run would do here, estimated fast enough for every move of the mouse.

        Call `layer_role.refuse_role` first.

        Raises
        ------
        BadInputError
            If nothing can be generated here.
        """

    def read(self, native: int, *, whole: bool) -> dict[str, Frame]:
        """Return the pixels that a run needs.

        Use `layers.box_to_read` to choose the part of the layer.

        Parameters
        ----------
        native : int
            The model's native side in pixels; 0 if it is not known.
        whole : bool
            Whether to read the whole layer; else only the selection with its context.

        Returns
        -------
        dict of str to Frame
            `layer`, RGBA or BGRA, u1 or u2, with straight alpha and the colour under alpha 0. If
            something is selected, `selection`, and if the layer has a mask, `mask`: Y, u1. All have
            the same box, in canvas coordinates. If the colours are not sRGB, `profile` too, from
            `inputs.profile_frame`.
        """

    def is_empty(self) -> bool:
        """Return whether every byte of the whole layer is 0."""

    @property
    def role(self) -> LayerRole | None:
        """What the layer is used as; None if it is one to paint on."""

    def set_role(self, role: LayerRole | None) -> None:
        """Keep on the layer what it is used as, in the saved file too."""

    def control_layers(self) -> Sequence[RoleLayer]:
        """Return the visible layers with a role, from the top.

        A layer in a hidden group is not visible.
        """

    @property
    def surroundings(self) -> Surroundings:
        """What is around the layer in its document."""

    def placement_notes(self) -> Sequence[Sentence]:
        """Return what the artist should know about where results go, each a clause.

        Use `layers.describe_placement`.
        """

    def inserted_images(self, job: str) -> frozenset[int]:
        """Return the indexes of a job's images that are in the document already."""

    def insert(self, title: str, results: Sequence[Result], into: Any = None) -> object:
        """Insert results as one group of layers, in one undo step.

        The group goes above the layer, on top of earlier groups of results. Only the last result,
        which is on top, is visible. The active layer and the selection stay as they were. Each
        result's layer carries `Result.tag`, in the saved file too.

        Parameters
        ----------
        title : str
            The group's name.
        results : sequence of Result
            From the lowest layer to the highest.
        into : any
            The layer of an earlier result: insert above it, into its group, and hide the others.

        Returns
        -------
        object
            The editor's group layer.
        """

    def insert_control_layer(self, result: Result, role: LayerRole) -> object:
        """Insert the picture of a control layer, in one undo step.

        It goes above the layer and its results, half transparent, so that the painting can be seen.
        The active layer and the selection stay as they were. It carries `Result.tag` and its role,
        in the saved file too, but counts as no result: `Tag.is_result`.

        Parameters
        ----------
        result : Result
            Opaque, of the layer's size.
        role : LayerRole
            What it is used as.

        Returns
        -------
        object
            The editor's layer.
        """

    def open_as_document(self, title: str, results: Sequence[Result]) -> None:
        """Open results as a new document, because theirs was closed or refused them."""

    def show_preview(self, frame: Frame, area: Box) -> None:
        """Show an unfinished image on the canvas. It must leave no trace in the document.

        Parameters
        ----------
        frame : Frame
            RGBA, u1, of any size; transparent where nothing changes.
        area : Box
            Where to scale it to on the canvas.
        """

    def remove_preview(self) -> None:
        """Remove what `show_preview` shows; do nothing if it shows nothing."""

    def save_form(self, text: str) -> None:
        """Keep the form's settings with the document, in the saved file too."""


class SelectedResult(Protocol):
    """A result layer that is selected in the editor, and the batch that it belongs to."""

    @property
    def layer(self) -> Any:
        """The editor's layer."""

    @property
    def tag(self) -> Tag:
        """What the layer carries."""

    @property
    def name(self) -> str:
        """The layer's name."""

    @property
    def results(self) -> Sequence[Member]:
        """All results of the batch, from the lowest layer to the highest."""

    @property
    def index(self) -> int:
        """The selected result's index in `results`."""

    def find_source(self) -> Document:
        """Return the document with the layer that the result was made from.

        Raises
        ------
        BadInputError
            If the layer was deleted, or cannot be told from a copy.
        """

    def thumbnail(self, index: int) -> Any:
        """Return the toolkit's image of a result; no side is longer than `THUMBNAIL_SIDE`."""

    def show(self, index: int) -> None:
        """Make a result the only visible one of its batch, and select it."""

    def keep_only(self) -> int:
        """Show this result and delete the others, except locked ones, in one undo step.

        Returns
        -------
        int
            How many were deleted.

        Raises
        ------
        BadInputError
            If a lock prevents it.
        """

    def hide_results(self) -> Callable[[], None]:
        """Show the source layer without its results, outside of the undo history.

        Returns
        -------
        callable
            Shows them again.
        """


class Control(Protocol):
    """The widget of one of the form's fields."""

    value: Any
    """What the widget holds, of the type of the field in `Form`; None where it may be and the
    field is left to the model."""


class Toolkit(Protocol):
    """The widgets of a docker or window, whatever toolkit they are made with."""

    @property
    def controls(self) -> Mapping[str, Control]:
        """The form's controls, by the names of the fields."""

    @property
    def role_controls(self) -> Mapping[str, Control]:
        """The controls of the layer's role, by the names of `layer_role.ROLE_FIELDS`."""

    def show_role(self, *, enabled: bool, details: bool, refusal: Sentence) -> None:
        """Show the controls of the layer's role, and whether the button to generate can be pressed.

        Parameters
        ----------
        enabled : bool
            Whether there is a layer.
        details : bool
            Whether it has another use than painting: those of `layer_role.fields_of` are shown.
        refusal : Sentence
            Why the layer is not painted on, as the tip of that button; empty where it is.
        """

    def is_seed_locked(self) -> bool:
        """Return whether the button that locks the seed is down."""

    def set_seed_locked(self, locked: bool) -> None:
        """Set the button that locks the seed."""

    def show_own(self, values: Mapping[str, float | str]) -> None:
        """Show what the model has in the fields that are left to it.

        The controls' values stay as they are: what is left to the model remains so.

        Parameters
        ----------
        values : mapping of str to float or str
            By the names of `form.BY_MODEL`.
        """

    def show_model(self, text: Sentence, picture: Frame | None) -> None:
        """Show what the chosen model is, below its choice.

        Parameters
        ----------
        text : Sentence
            A few sentences; nothing is shown if it is empty.
        picture : Frame or None
            What it paints, small, RGBA, u1; None if there is no picture.
        """

    def show_plan(self, text: Sentence) -> None:
        """Show the plan line: what the next run will do, or why it cannot run."""

    def show_offer(self, text: Sentence) -> None:
        """Show the button for the other choice beside it, or hide it if the text is empty.

        When it is pressed, call `Panel.accept_offer`.
        """

    def mark_error(self, name: str, error: PromptError | None) -> None:
        """Underline in a prompt's field what cannot be read; None to underline nothing.

        Parameters
        ----------
        name : str
            One of `form.PROMPTS`.
        error : PromptError or None
            Its `excerpt` begins at its `position`, which counts characters.
        """

    def show_strength(self, text: Sentence) -> None:
        """Show the description of the strength."""

    def save_form(self) -> None:
        """Keep the form's settings for the next start of the editor.

        Raises
        ------
        OSError
            They cannot be kept: the disk is full, say.
        """

    def show_downloads(self) -> None:
        """Show the window with the models that can be downloaded: `Session.downloads`."""

    def show_thumbnail(self, slot: int, thumbnail: Thumbnail | None, image: Any) -> None:
        """Show one of a batch's results.

        Parameters
        ----------
        slot : int
            0 to `results.THUMBNAILS` - 1.
        thumbnail : Thumbnail or None
            Its caption and state; None to hide the slot.
        image : any
            What `SelectedResult.thumbnail` returned; None to hide the slot.
        """

    def show_result_buttons(self, enabled: Mapping[str, bool] | None, page: Sentence) -> None:
        """Show the buttons for a selected result.

        Parameters
        ----------
        enabled : mapping of str to bool or None
            Which of `buttons.RESULT_BUTTONS` can be pressed; None to hide all of them.
        page : Sentence
            Which of the batch's results the thumbnails are; empty if they are all of them.
        """
