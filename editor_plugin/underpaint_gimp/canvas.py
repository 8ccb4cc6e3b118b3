"""GIMP's canvas: read a layer and the selection, insert results.

This module and `buffers`, `tree`, `selection`, `result_layers` and `preview` hold what GIMP's API
forces, and nothing else. Facts about the API that are not in its manual:

- Writing to a layer that is in an image bypasses its undo history. A new layer can be filled freely
  before it is inserted.
- Inserting a layer selects it, so the artist's next stroke would go there.
- An undo step that is kept open includes what the artist paints meanwhile.
- Hiding a layer is an undo step, unless the image's undo history is frozen.
- An `Image` or `Layer` outlives what it stands for. `is_valid` tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Babl", "0.1")
from gi.repository import Babl, Gimp  # noqa: E402 - after their versions

from underpaint_client.address import Address  # noqa: E402
from underpaint_client.errors import BadInputError  # noqa: E402
from underpaint_client.frames import Frame  # noqa: E402
from underpaint_client.geometry import Box, Extent  # noqa: E402
from underpaint_client.inputs import MAX_PROFILE, PROFILE, profile_frame  # noqa: E402
from underpaint_client.sentences import Sentence  # noqa: E402
from underpaint_editor.batch import Result  # noqa: E402
from underpaint_editor.layer_role import LayerRole, ReadLayer, RoleLayer, refuse_role  # noqa: E402
from underpaint_editor.layers import (  # noqa: E402
    box_to_read,
    describe_placement,
    intersection,
)
from underpaint_editor.survey import Survey, survey_rows, take_alpha  # noqa: E402

from .buffers import AMOUNTS, FORMATS, Reader, mask_reader, pixel_format, sent_dtype  # noqa: E402
from .cautions import cautions_of  # noqa: E402
from .preview import Preview  # noqa: E402
from .result_layers import SentLayer, insert_alone, insert_layers, make_layer  # noqa: E402
from .selection import selected_layer, selection_bounds  # noqa: E402
from .surroundings import GimpSurroundings  # noqa: E402
from .tree import (  # noqa: E402
    TAG,
    all_layers,
    any_tag_of,
    attach_role,
    blank_layer,
    claim,
    control_layers,
    find_layer,
    id_of,
    lasting_name,
    parasite,
    path_of,
    role_of,
    role_parasite,
    text_of,
)

_KEY = "underpaint-form"
_PRECISIONS = {"u1": Gimp.Precision.U8_NON_LINEAR, "u2": Gimp.Precision.U16_NON_LINEAR}
_HALF = 50.0  # per cent
_BAND = 256  # rows that are read at once


@dataclass
class GimpDocument:
    """An image, and the layer in it that a job reads; see `contract.Document`.

    Parameters
    ----------
    found_image, found_layer : Gimp.Image, Gimp.Layer, or None
        None for a document that is not open.
    canvas : Box
        The image's size when it was read.
    is_source : bool
        Whether results are made from the layer; else they only go above it.
    """

    found_image: Gimp.Image | None
    found_layer: Gimp.Layer | None
    canvas: Box
    is_source: bool = True
    _name: str = ""
    _sent: SentLayer | None = field(default=None, repr=False)
    _told: list[Sentence] = field(default_factory=list)
    _preview: Preview | None = field(default=None, repr=False)

    @classmethod
    def of(cls, image: Gimp.Image | None, items: Sequence[Gimp.Item] | None = None) -> GimpDocument:
        """Return the document of the layer that is selected in an image, or of another layer.

        Raises
        ------
        BadInputError
            If there is no image, or not exactly one layer that has pixels; see `selected_layer`.
        """
        if image is None or not image.is_valid():
            raise BadInputError("no image is open; open or create one first")
        return cls(image, selected_layer(image, items), _canvas_of(image))

    @classmethod
    def find(cls, address: Address) -> GimpDocument:
        """Return the document of an address; one that is not open if there is none.

        Without the layer, the image's topmost layer stands in for it.
        """
        for image in Gimp.get_images():
            if not address.document or path_of(image) != address.document:
                continue
            layer = find_layer(image, address.layer)
            layers = [layer] if layer is not None else image.get_layers()
            if layers:
                return cls(image, layers[0], _canvas_of(image), is_source=layer is not None)
        return cls(None, None, Box(0, 0, address.width, address.height))

    @property
    def image(self) -> Gimp.Image:
        """GIMP's image.

        Raises
        ------
        BadInputError
            If none was found.
        """
        if self.found_image is None:
            raise BadInputError("the image is not open; open it first")
        return self.found_image

    @property
    def layer(self) -> Gimp.Layer:
        """GIMP's layer.

        Raises
        ------
        BadInputError
            If none was found.
        """
        if self.found_layer is None:
            raise BadInputError("the image is not open; open it first")
        return self.found_layer

    @property
    def address(self) -> Address:
        """Where the image and layer are, for the next start of GIMP to find them."""
        canvas, name = self.canvas, lasting_name(self.layer)
        return Address("GIMP", path_of(self.image), name, canvas.width, canvas.height)

    @property
    def layer_id(self) -> str:
        """Our id of the layer; empty if no result was made from it yet."""
        if self._name or not self.is_source or self.is_deleted:
            return self._name
        ids = id_of(self.layer)
        return "" if ids is None else ids.own

    @property
    def is_open(self) -> bool:
        """Whether the image is still open."""
        return self.found_image is not None and self.found_image.is_valid()

    @property
    def can_redo(self) -> None:
        """Whether something can be redone, which GIMP does not tell."""
        return None

    @property
    def is_deleted(self) -> bool:
        """Whether the layer is no longer in its image."""
        return not self.layer.is_valid()

    @property
    def bounds(self) -> Box:
        """The layer's bounds on the canvas and beyond; an empty group is as large as the canvas."""
        if self.layer.is_group() and not self.layer.get_children():
            return self.canvas
        return _bounds_of(self.layer)

    # ---- reading ---------------------------------------------------------------------------

    def survey(self) -> Survey:
        """Return what a run would do here.

        Raises
        ------
        BadInputError
            If nothing can be generated here.
        """
        refuse_role(self.role)
        selected = selection_bounds(self.image)
        seen = box_to_read(self.canvas, selected, 0, whole=False, layer=self.bounds)
        layer = Reader(self.layer.get_buffer(), pixel_format(self.layer), self.bounds)
        mask = mask_reader(self.layer, self.bounds)
        selection = Reader(self.image.get_selection().get_buffer(), AMOUNTS, self.canvas)

        def read_alpha(rows: Box) -> tuple[bytes, bool]:
            pixels = layer.read(rows)
            alpha = take_alpha(pixels, 4, "u1")
            if mask is not None:
                shown = mask.read(rows)
                alpha = bytes(map(min, alpha, shown)) if shown.strip(b"\xff") else alpha
            return alpha, pixels.count(0) == len(pixels)

        return survey_rows(
            seen if selected is None else selected,
            intersection(self.bounds, self.canvas),
            read_alpha,
            None if selected is None else selection.read,
            is_empty=self.is_empty,
            slow=False,
        ).within(self.surroundings)

    def read(self, native: int, *, whole: bool) -> dict[str, Frame]:
        """Return the pixels that a run needs, in the image's own colour space.

        They have 8 bits if the image has no more, else 16.

        Parameters
        ----------
        native : int
            The model's native side in pixels; 0 if it is not known.
        whole : bool
            Whether to read the whole layer; else only the selection with its context.
        """
        image, bounds = self.image, self.bounds
        self._told = self.cautions()
        selected = selection_bounds(image)
        box = box_to_read(self.canvas, selected, native, whole=whole, layer=bounds)
        dtype = sent_dtype(image)
        name, buffer = pixel_format(self.layer, dtype), self.layer.get_buffer()
        frame = Frame("layer", box, dtype, "RGBA", Reader(buffer, name, bounds).read(box))
        frames = {"layer": frame}
        if selected is not None:
            selection = Reader(image.get_selection().get_buffer(), AMOUNTS, self.canvas)
            frames["selection"] = Frame("selection", box, "u1", "Y", selection.read(box))
        mask = mask_reader(self.layer, bounds)
        if mask is not None:
            frames["mask"] = Frame("mask", box, "u1", "Y", mask.read(box))
        own = Babl.get_name(blank_layer(image, "", Box(0, 0, 1, 1)).get_format())
        covered = box.around(bounds)
        everything = Reader(buffer, own, bounds).read(covered) if whole else b""
        profile = image.get_color_profile()
        icc = bytes(profile.get_icc_profile()) if profile is not None and profile.is_rgb() else b""
        if 0 < len(icc) <= MAX_PROFILE:
            frames[PROFILE] = profile_frame(icc)
        self._sent = SentLayer(
            frame, name, covered, own, everything, image.get_precision(), profile
        )
        return frames

    @property
    def surroundings(self) -> GimpSurroundings:
        """What is around the layer in its image."""
        return GimpSurroundings(self.image, self.layer, self.bounds, self.canvas)

    def is_empty(self) -> bool:
        """Return whether every byte of the layer is 0 on the canvas."""
        seen = intersection(self.bounds, self.canvas)
        layer = Reader(self.layer.get_buffer(), pixel_format(self.layer), self.bounds)
        for y in range(seen.y, seen.bottom, _BAND):
            band = layer.read(Box(seen.x, y, seen.width, min(_BAND, seen.bottom - y)))
            if band.count(0) < len(band):
                return False
        return True

    @property
    def role(self) -> LayerRole | None:
        """What the layer is used as; None if it is one to paint on."""
        return role_of(self.layer)

    def set_role(self, role: LayerRole | None) -> None:
        """Keep on the layer what it is used as, in one undo step."""
        attach_role(self.layer, role)

    def control_layers(self) -> list[RoleLayer]:
        """Return the visible layers with a role, from the top."""

        def reader(role: LayerRole, layer: Gimp.Layer) -> ReadLayer:
            name = FORMATS["u1"] if role.is_reference else pixel_format(layer)  # the first is sRGB
            pixels = Reader(layer.get_buffer(), name, _bounds_of(layer))
            return lambda box: Frame("control", box, "u1", "RGBA", pixels.read(box))

        return [
            RoleLayer(role, reader(role, layer), layer.get_name(), _bounds_of(layer))
            for role, layer in control_layers(self.image)
        ]

    # ---- writing ---------------------------------------------------------------------------

    def cautions(self) -> list[Sentence]:
        """Return what the artist should know before a run, each a clause."""
        return cautions_of(self.image, self.layer)

    def placement_notes(self) -> list[Sentence]:
        """Return what the artist should know about where results go, except what `read` told."""
        image, there = self.image, not self.is_deleted
        resized = Extent(image.get_width(), image.get_height()) != self.canvas.extent
        news = describe_placement(
            deleted=not there, hidden=False, inside_hidden=False, resized=resized
        )
        now = cautions_of(image, self.layer if there else None)
        return [*news, *(caution for caution in now if caution not in self._told)]

    def inserted_images(self, job: str) -> frozenset[int]:
        """Return the indexes of a job's images that are in the document already."""
        tags = (any_tag_of(layer) for layer in all_layers(self.image.get_layers()))
        return frozenset(tag.index for tag in tags if tag is not None and tag.job == job)

    def insert(
        self, title: str, results: Sequence[Result], into: Gimp.Layer | None = None
    ) -> Gimp.GroupLayer:
        """Insert results as one group above their layer, in one undo step.

        The last result is on top, and the only visible one. What is selected stays selected. If the
        layer was deleted, the group goes above all layers; if a group around it is locked, above
        that group. If `into` is in a group still, the results go above it, into that group.

        Raises
        ------
        GenerationFailedError
            If GIMP refuses the layers.
        """
        ids = claim(self.layer) if self.is_source and not self.is_deleted else None
        self._name = "" if ids is None else ids.own
        layers = [self._make_layer(result) for result in results]
        source = None if self.is_deleted else self.layer
        group = insert_layers(self.image, source, ids, title, layers, into)
        Gimp.displays_flush()
        return group

    def insert_control_layer(self, result: Result, role: LayerRole) -> Gimp.Layer:
        """Insert the picture of a control layer above the layer, in one undo step.

        Raises
        ------
        GenerationFailedError
            If GIMP refuses the layer.
        """
        ids = claim(self.layer) if self.is_source and not self.is_deleted else None
        self._name = "" if ids is None else ids.own
        sent = None if self._sent is None else replace(self._sent, everything=b"")
        layer = make_layer(self.image, self.layer, result, sent)
        layer.attach_parasite(parasite(TAG, result.tag(self).to_text()))
        layer.attach_parasite(role_parasite(role))
        layer.set_opacity(_HALF)
        source = None if self.is_deleted else self.layer
        insert_alone(self.image, source, ids, layer)
        Gimp.displays_flush()
        return layer

    def open_as_document(self, title: str, results: Sequence[Result]) -> None:
        """Open results as a new image, with the precision and profile that theirs had."""
        extent, sent = self.canvas.extent, self._sent
        precision = _PRECISIONS[results[0].frame.dtype] if sent is None else sent.precision
        image = Gimp.Image.new_with_precision(
            extent.width, extent.height, Gimp.ImageBaseType.RGB, precision
        )
        image.undo_disable()
        if sent is not None and sent.profile is not None and sent.profile.is_rgb():
            image.set_color_profile(sent.profile)
        blank = blank_layer(image, title, self.canvas)
        document = GimpDocument(image, blank, self.canvas, is_source=False, _sent=sent)
        image.insert_layer(blank, None, 0)
        document.insert(title, results)
        image.remove_layer(blank)
        image.undo_enable()
        Gimp.Display.new(image)
        Gimp.displays_flush()

    def show_preview(self, frame: Frame, area: Box) -> None:
        """Show an unfinished image above the layer."""
        if self._preview is None:
            self._preview = Preview(self.image, self.layer)
        self._preview.show(frame, area)

    def remove_preview(self) -> None:
        """Remove what `show_preview` shows."""
        if self._preview is not None:
            self._preview.end()
            self._preview = None

    def save_form(self, text: str) -> None:
        """Keep the form's settings with the image."""
        self.image.attach_parasite(parasite(_KEY, text))

    def _make_layer(self, result: Result) -> Gimp.Layer:
        """Return a new layer with a result and its tag, not yet in the image."""
        layer = make_layer(self.image, self.layer, result, self._sent)
        layer.attach_parasite(parasite(TAG, result.tag(self).to_text()))
        return layer


def load_form(image: Gimp.Image) -> str:
    """Return the form's settings that were kept with an image; empty if there are none."""
    return text_of(image.get_parasite(_KEY))


def _bounds_of(layer: Gimp.Layer) -> Box:
    _, x, y = layer.get_offsets()
    return Box(x, y, layer.get_width(), layer.get_height())


def _canvas_of(image: Gimp.Image) -> Box:
    return Box(0, 0, image.get_width(), image.get_height())
