"""A complete adapter for an editor that exists in memory only: an example, and for tests.

Its documents are lists of layers from the lowest to the highest, with an undo history of snapshots.
"""

from __future__ import annotations

import heapq
import itertools
import select
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from underpaint_client.address import Address
from underpaint_client.errors import BadInputError
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box, Extent
from underpaint_client.parsed_prompt import PromptError
from underpaint_client.sentences import Sentence
from underpaint_editor.batch import Result
from underpaint_editor.form import FIELDS, Form
from underpaint_editor.layer_role import ROLE_FIELDS, LayerRole, ReadLayer, RoleLayer, refuse_role
from underpaint_editor.layers import (
    SOURCE_GONE,
    box_to_read,
    count_batches_above,
    describe_placement,
    fit_into,
)
from underpaint_editor.paper import is_white, shows_something
from underpaint_editor.pixels import choose
from underpaint_editor.results import THUMBNAIL_SIDE, Member, Thumbnail
from underpaint_editor.survey import Survey, survey_rows, take_alpha
from underpaint_editor.tag import Tag

_ids = itertools.count(1)

_OPAQUE = bytes(255) + b"\xff"


@dataclass
class Layer:
    """A layer of RGBA pixels on the whole canvas, or a group."""

    name: str
    pixels: bytes = b""
    box: Box = field(default_factory=lambda: Box(0, 0, 0, 0))
    children: list[Layer] = field(default_factory=list)
    visible: bool = True
    locked: bool = False
    opacity: float = 1.0
    tag: str = ""
    role: str = ""
    id: str = field(default_factory=lambda: f"layer-{next(_ids)}")


@dataclass
class Canvas:
    """A document of the editor."""

    file: str
    extent: Extent
    layers: list[Layer]
    active: str = ""
    selection: tuple[Box, bytes] | None = None
    preview: tuple[Frame, Box] | None = None
    settings: str = ""
    undo: list[list[Layer]] = field(default_factory=list)
    redo: list[list[Layer]] = field(default_factory=list)

    def step(self) -> None:
        """Begin an undo step."""
        self.undo.append(deepcopy(self.layers))
        self.redo.clear()

    def undo_step(self) -> None:
        self.redo.append(self.layers)
        self.layers = self.undo.pop()

    def all(self) -> list[Layer]:
        return [one for layer in self.layers for one in (layer, *layer.children)]

    def find(self, layer_id: str) -> Layer | None:
        return next((one for one in self.all() if one.id == layer_id), None)

    def group_of(self, layer: Layer) -> Layer | None:
        groups = (one for one in self.layers if any(layer.id == c.id for c in one.children))
        return next(groups, None)


class FakeEditor:
    """The editor: its open documents, and its event loop."""

    def __init__(self) -> None:
        self.canvases: list[Canvas] = []
        self.loop = FakeEventLoop()

    def open(self, file: str, pixels: bytes, extent: Extent) -> FakeDocument:
        layer = Layer("Painting", pixels, Box.at(0, 0, extent))
        canvas = Canvas(file, extent, [layer], layer.id)
        self.canvases.append(canvas)
        return FakeDocument(self, canvas, layer.id)

    def find(self, address: Address) -> FakeDocument:
        for canvas in self.canvases:
            if canvas.file == address.document:
                return FakeDocument(self, canvas, address.layer)
        extent = Extent(address.width, address.height)
        return FakeDocument(self, Canvas("", extent, []), address.layer)


class FakeEventLoop:
    """Descriptors and timers; `run` is what the editor does between the artist's actions."""

    def __init__(self) -> None:
        self._now = 0
        self._count = itertools.count()
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._watched: dict[int, Callable[[], None]] = {}

    def watch(self, fd: int, callback: Callable[[], None]) -> Callable[[], None]:
        self._watched[fd] = callback
        return lambda: self._watched.pop(fd, None) and None

    def call_later(self, milliseconds: int, callback: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (self._now + milliseconds, next(self._count), callback))

    def run(self, milliseconds: int) -> None:
        """Let time pass, without waiting for it."""
        until = self._now + milliseconds
        while self._timers and self._timers[0][0] <= until:
            self._now, _, callback = heapq.heappop(self._timers)
            callback()
        self._now = until
        for fd in select.select(list(self._watched), [], [], 0)[0]:
            self._watched[fd]()


@dataclass
class FakeDocument:
    """A `Document`: a canvas, and the id of one of its layers."""

    editor: FakeEditor
    canvas: Canvas
    layer_id: str

    @property
    def is_open(self) -> bool:
        return any(one is self.canvas for one in self.editor.canvases)

    @property
    def can_redo(self) -> bool | None:
        return bool(self.canvas.redo)

    @property
    def address(self) -> Address:
        extent = self.canvas.extent
        return Address("Fake", self.canvas.file, self.layer_id, extent.width, extent.height)

    @property
    def _box(self) -> Box:
        return Box.at(0, 0, self.canvas.extent)

    def _layer(self) -> Layer:
        layer = self.canvas.find(self.layer_id)
        if layer is None:
            raise BadInputError("no layer is selected; select one")
        return layer

    def _read(self, box: Box) -> bytes:
        return crop(self._layer().pixels, self.canvas.extent.width, 4, box)

    @property
    def role(self) -> LayerRole | None:
        layer = self.canvas.find(self.layer_id)
        return None if layer is None else LayerRole.from_text(layer.role)

    def set_role(self, role: LayerRole | None) -> None:
        self._layer().role = "" if role is None else role.to_text()

    def control_layers(self) -> list[RoleLayer]:
        width = self.canvas.extent.width

        def reader(layer: Layer) -> ReadLayer:
            return lambda box: Frame("layer", box, "u1", "RGBA", crop(layer.pixels, width, 4, box))

        roles = ((LayerRole.from_text(one.role), one) for one in reversed(self.canvas.layers))
        return [
            RoleLayer(role, reader(one), one.name, self._box)
            for role, one in roles
            if role is not None and one.visible
        ]

    def survey(self) -> Survey:
        refuse_role(self.role)
        selection = self.canvas.selection

        def read_alpha(rows: Box) -> tuple[bytes, bool]:
            pixels = self._read(rows)
            return take_alpha(pixels, 4, "u1"), not any(pixels)

        def read_selection(rows: Box) -> bytes:
            assert selection is not None
            return crop(selection[1], self.canvas.extent.width, 1, rows)

        return survey_rows(
            self._box if selection is None else selection[0],
            self._box,
            read_alpha,
            None if selection is None else read_selection,
            is_empty=self.is_empty,
            slow=False,
        ).within(self)

    def read(self, native: int, *, whole: bool) -> dict[str, Frame]:
        selection = self.canvas.selection
        box = box_to_read(self._box, selection and selection[0], native, whole=whole)
        frames = {"layer": Frame("layer", box, "u1", "RGBA", self._read(box))}
        if selection is not None:
            amounts = crop(selection[1], self.canvas.extent.width, 1, box)
            frames["selection"] = Frame("selection", box, "u1", "Y", amounts)
        return frames

    def is_empty(self) -> bool:
        return not any(self._layer().pixels)

    @property
    def surroundings(self) -> FakeDocument:
        return self

    def _layers_below(self) -> list[Layer]:
        layers = self.canvas.layers
        at = [one.id for one in layers].index(self.layer_id)
        return [one for one in layers[:at] if one.visible]

    def read_context(self, box: Box) -> Frame:
        """Only alphas of 0 and 255 are composed here, as an example needs no more."""
        shown = bytes(4 * self.canvas.extent.pixels)
        for layer in (*self._layers_below(), self._layer()):
            over = choose(layer.pixels[3::4].translate(_OPAQUE), layer.pixels, shown)
            shown = over if layer.visible else shown
        return Frame("context", box, "u1", "RGBA", crop(shown, self.canvas.extent.width, 4, box))

    def count_regions(self) -> int:
        return sum(one.role.is_region for one in self.control_layers())

    def is_new(self) -> bool:
        layers = [one for one in self.canvas.layers if not any(c.tag for c in one.children)]
        return len(layers) == 1 and is_white(self._box, self._read, "u1")

    @property
    def is_drawn(self) -> bool:
        return False

    def shows_below(self) -> bool:
        def read(one: Layer) -> Callable[[Box], bytes]:
            return lambda rows: crop(one.pixels, self.canvas.extent.width, 4, rows)

        below = self._layers_below()
        return any(shows_something(self._box, read(one), 4, "u1") for one in below)

    def placement_notes(self) -> Sequence[Sentence]:
        layer = self.canvas.find(self.layer_id)
        hidden = layer is not None and not layer.visible
        return describe_placement(
            deleted=layer is None, hidden=hidden, inside_hidden=False, resized=False
        )

    def inserted_images(self, job: str) -> frozenset[int]:
        tags = (Tag.from_text(layer.tag) for layer in self.canvas.all())
        return frozenset(tag.index for tag in tags if tag is not None and tag.job == job)

    def insert(self, title: str, results: Sequence[Result], into: Any = None) -> object:
        self.canvas.step()
        layers = [
            Layer(
                one.name,
                bytes(one.frame.data),
                one.area or one.frame.box,
                visible=one is results[-1],
                tag=one.tag(self).to_text(),
            )
            for one in results
        ]
        group = None if into is None else self.canvas.group_of(into)
        if group is not None:
            for old in group.children:
                old.visible = False
            at = [one.id for one in group.children].index(into.id) + 1
            group.children[at:at] = layers
            return group
        group = Layer(title, children=layers)
        siblings = self.canvas.layers
        ids = [one.id for one in siblings]
        at = len(ids)
        if self.layer_id in ids:
            at = ids.index(self.layer_id) + 1
            at += count_batches_above([_is_batch(one) for one in siblings[at:]])
        siblings.insert(at, group)
        return group

    def insert_control_layer(self, result: Result, role: LayerRole) -> Layer:
        self.canvas.step()
        layer = Layer(result.name, bytes(result.frame.data), result.frame.box)
        layer.tag, layer.role, layer.opacity = result.tag(self).to_text(), role.to_text(), 0.5
        ids = [one.id for one in self.canvas.layers]
        at = ids.index(self.layer_id) + 1 if self.layer_id in ids else len(ids)
        at += count_batches_above([_is_batch(one) for one in self.canvas.layers[at:]])
        self.canvas.layers.insert(at, layer)
        return layer

    def open_as_document(self, title: str, results: Sequence[Result]) -> None:
        extent = self.canvas.extent
        document = self.editor.open("", bytes(4 * extent.pixels), extent)
        document.insert(title, results)

    def show_preview(self, frame: Frame, area: Box) -> None:
        self.canvas.preview = frame, area

    def remove_preview(self) -> None:
        self.canvas.preview = None

    def save_form(self, text: str) -> None:
        self.canvas.settings = text


def _is_batch(layer: Layer) -> bool:
    return any(child.tag for child in layer.children)


def crop(data: bytes, width: int, size: int, box: Box) -> bytes:
    """Return a box of a raster with `size` bytes a pixel."""
    starts = ((y * width + box.x) * size for y in range(box.y, box.bottom))
    return b"".join(data[start : start + box.width * size] for start in starts)


@dataclass
class FakeResult:
    """A `SelectedResult`."""

    document: FakeDocument
    layer: Layer

    @property
    def tag(self) -> Tag:
        tag = Tag.from_text(self.layer.tag)
        assert tag is not None
        return tag

    @property
    def name(self) -> str:
        return self.layer.name

    @property
    def _batch(self) -> list[Layer]:
        group = self.document.canvas.group_of(self.layer)
        return [self.layer] if group is None else group.children

    @property
    def results(self) -> Sequence[Member]:
        tags = ((layer, Tag.from_text(layer.tag)) for layer in self._batch)
        return [Member(layer, tag, layer.visible) for layer, tag in tags if tag is not None]

    @property
    def index(self) -> int:
        return [one.layer.id for one in self.results].index(self.layer.id)

    def find_source(self) -> FakeDocument:
        if self.document.canvas.find(self.tag.source) is None:
            raise BadInputError(SOURCE_GONE)
        return FakeDocument(self.document.editor, self.document.canvas, self.tag.source)

    def thumbnail(self, index: int) -> Extent:
        extent = self.results[index].layer.box.extent
        return fit_into(extent, Extent(THUMBNAIL_SIDE, THUMBNAIL_SIDE))

    def show(self, index: int) -> None:
        for at, one in enumerate(self.results):
            one.layer.visible = at == index
        self.document.canvas.active = self.results[index].layer.id

    def keep_only(self) -> int:
        group = self.document.canvas.group_of(self.layer)
        if group is None:
            return 0
        if group.locked:
            raise BadInputError("the results are in a locked group; unlock it first")
        self.document.canvas.step()
        kept = [one for one in group.children if one.id == self.layer.id or one.locked]
        removed, group.children = len(group.children) - len(kept), kept
        self.layer.visible = True
        return removed

    def hide_results(self) -> Callable[[], None]:
        source = self.tag.source
        made = [(one, Tag.from_text(one.tag)) for one in self.document.canvas.all()]
        hidden = [one for one, tag in made if tag and tag.source == source and one.visible]
        for one in hidden:
            one.visible = False

        def show_again() -> None:
            for one in hidden:
                one.visible = True

        return show_again


@dataclass
class FakeControl:
    value: Any = None


class FakeToolkit:
    """A `Toolkit` and a `Listener`, whose widgets are attributes."""

    def __init__(self) -> None:
        form = Form()
        self.controls: Mapping[str, FakeControl] = {
            one.name: FakeControl(form.value(one.name)) for one in FIELDS
        }
        self.role_controls = {one.name: FakeControl() for one in ROLE_FIELDS}
        self.role_shown, self.refusal = (False, False), ""
        self.locked = False
        self.own: Mapping[str, float | str] = {}
        self.model = self.plan = self.offer = self.strength = self.message = ""
        self.picture: Frame | None = None
        self.marked: dict[str, str] = {}
        self.saved = self.downloads_shown = 0
        self.progress: float | None = None
        self.preview: Frame | None = None
        self.thumbnails: dict[int, tuple[Thumbnail, Any]] = {}
        self.buttons: Mapping[str, bool] | None = None

    def is_seed_locked(self) -> bool:
        return self.locked

    def set_seed_locked(self, locked: bool) -> None:
        self.locked = locked

    def show_role(self, *, enabled: bool, details: bool, refusal: Sentence) -> None:
        self.role_shown, self.refusal = (enabled, details), refusal

    def show_own(self, values: Mapping[str, float | str]) -> None:
        self.own = values

    def show_model(self, text: Sentence, picture: Frame | None) -> None:
        self.model, self.picture = text, picture

    def show_plan(self, text: Sentence) -> None:
        self.plan = text

    def show_offer(self, text: Sentence) -> None:
        self.offer = text

    def show_strength(self, text: Sentence) -> None:
        self.strength = text

    def mark_error(self, name: str, error: PromptError | None) -> None:
        self.marked[name] = "" if error is None else error.excerpt

    def save_form(self) -> None:
        self.saved += 1

    def show_downloads(self) -> None:
        self.downloads_shown += 1

    def show_thumbnail(self, slot: int, thumbnail: Thumbnail | None, image: Any) -> None:
        self.thumbnails.pop(slot, None)
        if thumbnail is not None:
            self.thumbnails[slot] = thumbnail, image

    def row_is_hidden(self) -> bool:
        return self.buttons is None

    def show_result_buttons(self, enabled: Mapping[str, bool] | None, page: Sentence) -> None:
        self.buttons = enabled

    def show_message(self, text: Sentence) -> None:
        self.message = text

    def show_progress(self, fraction: float | None) -> None:
        self.progress = fraction

    def show_preview(self, frame: Frame | None) -> None:
        self.preview = frame

    def refresh(self) -> None:
        pass
