"""What is tried in a real GIMP without a screen, as a script does: GIMP's Python runs this file.

Each function is one scenario; what it finds out goes into `said`, and the tests outside compare it.
"""

from __future__ import annotations

import json
import math
import os
import struct
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
gi.require_version("Babl", "0.1")
from gi.repository import Babl, Gegl, Gimp  # noqa: E402

Said = dict[str, Any]
SIZE = 256
HOLE = (80, 80, 96, 96)  # left, top, width, height
RGB, GRAY, INDEXED = (
    Gimp.ImageBaseType.RGB,
    Gimp.ImageBaseType.GRAY,
    Gimp.ImageBaseType.INDEXED,
)
TYPES = {
    RGB: Gimp.ImageType.RGBA_IMAGE,
    GRAY: Gimp.ImageType.GRAYA_IMAGE,
    INDEXED: Gimp.ImageType.INDEXEDA_IMAGE,
}
MISUSED: tuple[tuple[str, Any], ...] = (
    ("mode", "inpant"),
    ("mode", ""),
    ("sampler", "no-such-sampler"),
    ("fill", "underpant"),
    ("result", "patches"),
    ("strength", 1.5),
    ("strength", -0.1),
    ("strength", math.inf),
    ("guidance-scale", 99.5),
    ("steps", 0),
    ("steps", 2.7),
    ("images", 100),
    ("seed", -1),
    ("seed", 7.6),
    ("seed", 99999999999),
)
USUAL = {"prompt": "a lake", "strength": 0.6, "steps": 4, "seed": 7, "seed-locked": True}


def rectangle(x: int, y: int, width: int, height: int) -> Any:
    return Gegl.Rectangle.new(x, y, width, height)


def painting(width: int = SIZE, height: int = SIZE, hole: Any = HOLE) -> bytes:
    """RGBA: a gradient of colours, erased in a box with the colour kept."""
    data = bytearray()
    left, top, wide, high = hole
    for y in range(height):
        for x in range(width):
            erased = left <= x < left + wide and top <= y < top + high
            data += bytes((x * 255 // width, y * 255 // height, 90, 0 if erased else 255))
    return bytes(data)


def words(layer: Any, name: str) -> str:
    return str(Babl.get_name(Babl.format_with_space(name, layer.get_format())))


def native(layer: Any) -> str:
    return str(Babl.get_name(layer.get_format()))


def get(layer: Any, name: str, box: Any = None) -> bytes:
    """A box of a layer, in the layer's own coordinates."""
    box = box or (0, 0, layer.get_width(), layer.get_height())
    return bytes(layer.get_buffer().get(rectangle(*box), 1.0, name, Gegl.AbyssPolicy.NONE))


def opened(
    data: bytes | None = None,
    base: Any = RGB,
    precision: Any = Gimp.Precision.U8_NON_LINEAR,
    size: int = SIZE,
    profile: Any = None,
) -> tuple[Any, Any]:
    image = Gimp.Image.new_with_precision(size, size, base, precision)
    if profile is not None:
        image.set_color_profile(profile)
    if base == INDEXED:
        for level in range(0, 256, 16):
            image.get_palette().add_entry(str(level), colour(level, 255 - level, 90))
    return image, with_layer(image, painting() if data is None else data)


def colour(*levels: int) -> Any:
    found = Gegl.Color.new("black")
    found.set_rgba(*(level / 255 for level in levels), 1.0)
    return found


def with_layer(
    image: Any, data: bytes, box: Any = (0, 0, SIZE, SIZE), parent: Any = None, **more: Any
) -> Any:
    layer = Gimp.Layer.new(
        image, "Painting", box[2], box[3], more.get("type", TYPES[image.get_base_type()]), 100,
        Gimp.LayerMode.NORMAL,
    )  # fmt: skip
    layer.get_buffer().set(rectangle(0, 0, box[2], box[3]), words(layer, "R'G'B'A u8"), data)
    layer.set_offsets(box[0], box[1])
    image.insert_layer(layer, parent, 0)
    return layer


def generate(image: Any, layers: Any, **values: Any) -> Any:
    """Call the procedure as a script does; its group, or the error's text."""
    procedure = Gimp.get_pdb().lookup_procedure("underpaint-generate")
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", layers if isinstance(layers, list) else [layers])
    for name, value in {**USUAL, **values}.items():
        config.set_property(name, value)
    result = procedure.run(config)
    if result.index(0) != Gimp.PDBStatusType.SUCCESS:
        return Gimp.get_pdb().get_last_error()
    return result.index(1)


def box_of(layer: Any) -> list[int]:
    _, x, y = layer.get_offsets()
    return [x, y, layer.get_width(), layer.get_height()]


def outside(data: bytes, bytes_each: int, hole: Any = HOLE, width: int = SIZE) -> bytes:
    """The bytes of the pixels outside of a box."""
    left, top, wide, high = hole
    kept, row = bytearray(), width * bytes_each
    for y in range(len(data) // row):
        line = data[y * row : (y + 1) * row]
        if top <= y < top + high:
            line = line[: left * bytes_each] + line[(left + wide) * bytes_each :]
        kept += line
    return bytes(kept)


def share_changed(before: bytes, after: bytes, bytes_each: int) -> float:
    pixels = range(0, len(before), bytes_each)
    return sum(before[i : i + bytes_each] != after[i : i + bytes_each] for i in pixels) / len(
        pixels
    )


# ---- the way it goes -----------------------------------------------------------------------


def patch(said: Said) -> None:
    image, layer = opened()
    before = get(layer, native(layer))
    group = generate(image, layer)
    (result,) = group.get_children()
    said["group"], said["name"] = group.get_name(), result.get_name()
    said["box"] = box_of(result)
    said["layers"] = [item.get_name() for item in image.get_layers()]
    said["selected"] = [item.get_name() for item in image.get_selected_layers()]
    said["source_untouched"] = get(layer, native(layer)) == before
    painted = get(result, "R'G'B'A u8")
    said["opaque"] = painted[3::4].count(255) / (96 * 96)
    hidden = get(layer, "R'G'B' u8", HOLE)
    said["changed"] = share_changed(hidden, get(result, "R'G'B' u8"), 3)
    said["parasites"] = image.get_parasite_list()


def batch(said: Said) -> None:
    image, layer = opened()
    group = generate(image, layer, images=3, seed=41)
    children = group.get_children()
    said["group"] = group.get_name()
    said["names"] = [child.get_name() for child in children]  # from the top
    said["visible"] = [child.get_visible() for child in children]
    said["distinct"] = len({get(child, "R'G'B'A u8") for child in children})


def exact(said: Said) -> None:
    """Kept pixels of a whole layer, and hidden ones at strength 0, in every kind of image."""
    p = Gimp.Precision
    adobe = Gimp.ColorProfile.new_rgb_adobe()
    kinds: dict[str, Any] = {
        "8 bits": (RGB, p.U8_NON_LINEAR, None),
        "8 bits, perceptual": (RGB, p.U8_PERCEPTUAL, None),
        "8 bits, linear": (RGB, p.U8_LINEAR, None),
        "16 bits": (RGB, p.U16_NON_LINEAR, None),
        "16 bits, linear": (RGB, p.U16_LINEAR, None),
        "32 bits": (RGB, p.U32_LINEAR, None),
        "half": (RGB, p.HALF_LINEAR, None),
        "float": (RGB, p.FLOAT_NON_LINEAR, None),
        "float, linear": (RGB, p.FLOAT_LINEAR, None),
        "double": (RGB, p.DOUBLE_LINEAR, None),
        "grey": (GRAY, p.U8_NON_LINEAR, None),
        "grey, 16 bits": (GRAY, p.U16_LINEAR, None),
        "AdobeRGB": (RGB, p.U8_NON_LINEAR, adobe),
        "AdobeRGB, float": (RGB, p.FLOAT_LINEAR, adobe),
        "indexed": (INDEXED, p.U8_NON_LINEAR, None),
    }
    for kind, (base, precision, profile) in kinds.items():
        image, layer = opened(None, base, precision, profile=profile)
        own = native(layer)
        each = Babl.format_get_bytes_per_pixel(layer.get_format())
        if "float" in kind:  # finer than 16 bits, brighter than white
            data = bytearray(get(layer, own))
            for at in range(0, 4000 * each, each):
                r, g, b, a = struct.unpack_from("<4f", data, at)
                struct.pack_into("<4f", data, at, r * 1.0123, g + 1e-6, 1.7 + b, a)
            layer.get_buffer().set(rectangle(0, 0, SIZE, SIZE), own, bytes(data))
        before = get(layer, own)
        group = generate(image, layer, result="layer")
        if isinstance(group, str):
            said[kind] = {"error": group}
            continue
        (result,) = group.get_children()
        after = get(result, own)
        painted = get(result, "R'G'B'A u8", HOLE)
        hidden = get(layer, "R'G'B'A u8", HOLE)
        (same,) = generate(image, layer, result="layer", strength=0.0).get_children()
        said[kind] = {
            "kept": outside(before, each) == outside(after, each),
            "opaque": painted[3::4].count(255) / (96 * 96),
            "changed": share_changed(hidden, painted, 4),
            "brightness": sum(painted) / max(1, sum(get(layer, "R'G'B'A u8", HOLE))),
            "same": get(same, own) == before,
        }


def colour_managed(said: Said) -> None:
    """The same painting in other colour spaces is painted as in sRGB."""
    relative = Gimp.ColorRenderingIntent.RELATIVE_COLORIMETRIC
    profiles = {
        "sRGB": Gimp.ColorProfile.new_rgb_srgb(),
        "AdobeRGB": Gimp.ColorProfile.new_rgb_adobe(),
        "linear": Gimp.ColorProfile.new_rgb_srgb_linear(),
    }
    for precision in (Gimp.Precision.U16_NON_LINEAR, Gimp.Precision.FLOAT_LINEAR):
        seen = {}
        for name, profile in profiles.items():
            image, layer = opened(None, precision=precision)
            image.convert_color_profile(profile, relative, False)
            (patch,) = generate(image, layer).get_children()
            seen[name] = get(patch, "R'G'B' u8")  # without a space of its own: sRGB
        for name, found in seen.items():
            off = [abs(a - b) for a, b in zip(found, seen["sRGB"], strict=True)]
            said[f"{name} {precision.value_nick}"] = max(off)


def looks_right(said: Said) -> None:
    """A soft patch over its layer looks as the whole layer does."""
    data = bytearray(painting(hole=(0, 0, 0, 0)))
    for y in range(80, 176):
        for x in range(80, 176):
            data[4 * (SIZE * y + x) + 3] = 0
    image, layer = opened(bytes(data))
    image.select_ellipse(Gimp.ChannelOps.REPLACE, 70, 70, 110, 110)
    Gimp.Selection.feather(image, 20)
    whole = generate(image, layer, result="layer")
    wanted = get(whole.get_children()[0], "R'G'B'A u8")
    image.remove_layer(whole)
    (patch,) = generate(image, layer).get_children()
    said["patch"] = box_of(patch)
    seen = Gimp.Layer.new_from_visible(image, image, "seen")
    shown = get(seen, "R'G'B'A u8")
    where = [i for i in range(3, len(wanted), 4) if wanted[i] == 255]
    said["pixels"] = len(where)
    said["off"] = max(abs(wanted[i - lane] - shown[i - lane]) for i in where for lane in (1, 2, 3))


def poorer(said: Said) -> None:
    for name, base in (("grey", GRAY), ("indexed", INDEXED)):
        image, layer = opened(None, base)
        (result,) = generate(image, layer).get_children()
        data = get(result, "R'G'B'A u8")
        said[name] = sorted({tuple(data[i : i + 3]) for i in range(0, len(data), 4)})


def exact_with_mask(said: Said) -> None:
    """A float layer, partly hidden by its mask: what the mask shows whole comes back to the bit."""
    image, layer = opened(painting(hole=(0, 0, 0, 0)), RGB, Gimp.Precision.FLOAT_LINEAR)
    mask = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(mask)
    mask.get_buffer().set(rectangle(*HOLE), "Y u8", bytes(96 * 96))
    (result,) = generate(image, layer, result="layer").get_children()
    own = native(layer)
    said["kept"] = outside(get(layer, own), 16) == outside(get(result, own), 16)
    said["opaque"] = get(result, "R'G'B'A u8", HOLE)[3::4].count(255)


# ---- layers of all kinds -------------------------------------------------------------------


def emptied(said: Said) -> None:
    """Clear, Cut and Delete keep the colour in GIMP; so the model sees it."""
    for name in ("clear", "cut"):
        image, layer = opened(painting(hole=(0, 0, 0, 0)))
        image.select_rectangle(Gimp.ChannelOps.REPLACE, *HOLE)
        if name == "clear":
            layer.edit_clear()
        else:
            Gimp.edit_cut([layer])
        Gimp.Selection.none(image)
        pixels = get(layer, "R'G'B'A u8", HOLE)
        (result,) = generate(image, layer).get_children()
        said[name] = {
            "erased": pixels[3::4].count(0),
            "colour": max(pixels[0::4]),
            "box": box_of(result),
        }


def masked(said: Said) -> None:
    image, layer = opened(painting(hole=(0, 0, 0, 0)))
    mask = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(mask)
    mask.get_buffer().set(rectangle(*HOLE), "Y u8", bytes(96 * 96))
    (result,) = generate(image, layer).get_children()
    said["box"] = box_of(result)
    (same,) = generate(image, layer, strength=0.0, result="layer").get_children()
    pixels = get(same, "R'G'B'A u8", HOLE)
    said["hidden"] = pixels[3::4].count(0)
    said["colour_kept"] = get(layer, "R'G'B' u8", HOLE) == get(same, "R'G'B' u8", HOLE)
    layer.set_apply_mask(False)
    (whole,) = generate(image, layer).get_children()
    said["not_applied"] = box_of(whole)
    layer.set_apply_mask(True)
    (again,) = generate(image, [mask]).get_children()  # the mask is what is being edited
    said["through_mask"] = box_of(again)


def offset(said: Said) -> None:
    """A small layer off the corner, partly off the canvas, and one wholly outside."""
    image, _ = opened(painting(hole=(0, 0, 0, 0)))
    small = with_layer(image, painting(128, 128, (70, 70, 20, 20)), (-40, -30, 128, 128))
    group = generate(image, small)
    (result,) = group.get_children()
    said["patch"] = box_of(result)
    said["above"] = image.get_item_position(group) < image.get_item_position(small)
    (whole,) = generate(image, small, result="layer").get_children()
    said["whole"] = box_of(whole)
    kept = get(whole, "R'G'B'A u8")
    said["kept"] = outside(kept, 4, (70, 70, 20, 20), 128) == outside(
        get(small, "R'G'B'A u8"), 4, (70, 70, 20, 20), 128
    )
    far = with_layer(image, painting(64, 64, (0, 0, 0, 0)), (400, 10, 64, 64))
    said["far"] = generate(image, far)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 100, 100, 64, 64)
    outpainted = generate(image, small, strength=1.0)
    said["outpainted"] = [box_of(child) for child in outpainted.get_children()]


def kinds_of_layers(said: Said) -> None:
    image, _ = opened()
    group = Gimp.GroupLayer.new(image, "G")
    image.insert_layer(group, None, 0)
    with_layer(image, painting(), parent=group)
    (result,) = generate(image, group).get_children()
    said["group"] = box_of(result)
    text = Gimp.TextLayer.new(image, "Hi", Gimp.context_get_font(), 60, Gimp.Unit.pixel())
    image.insert_layer(text, None, 0)
    (result,) = generate(image, text).get_children()
    tag = json.loads(bytes(result.get_parasite("underpaint-recipe").get_data()))
    said["text"] = tag["recipe"]["request"]["mode"]
    flat = with_layer(image, painting(), type=Gimp.ImageType.RGB_IMAGE)
    (result,) = generate(image, flat, result="layer").get_children()
    said["without_alpha"] = [box_of(result), result.has_alpha()]
    empty = with_layer(image, bytes(4 * SIZE * SIZE))
    (result,) = generate(image, empty).get_children()
    said["empty"] = get(result, "R'G'B'A u8")[3::4].count(255)


def locked(said: Said) -> None:
    image, layer = opened()
    group = Gimp.GroupLayer.new(image, "G")
    image.insert_layer(group, None, 0)
    inner = Gimp.GroupLayer.new(image, "inner")
    image.insert_layer(inner, group, 0)
    deep = with_layer(image, painting(), parent=inner)
    deep.set_lock_content(True)
    deep.set_lock_position(True)
    deep.set_lock_visibility(True)
    said["layer"] = generate(image, deep).get_parent().get_name()
    group.set_lock_content(True)
    batch = generate(image, deep)
    said["group"] = batch.get_parent() is None
    said["order"] = [item.get_name() for item in image.get_layers()]
    said["alive"] = isinstance(generate(image, layer), Gimp.GroupLayer)


def refused(said: Said) -> None:
    image, layer = opened()
    said["model"] = generate(image, layer, model="no-such-model")
    other = with_layer(image, painting())
    said["two"] = generate(image, [layer, other])
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 20, 20)
    Gimp.Selection.float(image, [layer], 5, 5)
    said["floating"] = generate(image, layer)
    channel = Gimp.Channel.new(image, "c", SIZE, SIZE, 50, colour(0, 0, 0))
    Gimp.floating_sel_anchor(image.get_floating_sel())
    image.insert_channel(channel, None, 0)
    said["channel"] = generate(image, [channel])


def selected_channel(said: Said) -> None:
    """An artist who paints on a channel goes on doing so."""
    image, layer = opened()
    channel = Gimp.Channel.new(image, "mine", SIZE, SIZE, 50, colour(0, 0, 0))
    image.insert_channel(channel, None, 0)
    image.set_selected_channels([channel])
    group = generate(image, layer)
    said["group"] = group.get_name()
    said["channels"] = [item.get_name() for item in image.get_selected_channels()]
    said["layers"] = [item.get_name() for item in image.get_selected_layers()]


def sourced(said: Said) -> None:
    """Which layer results are said to be made from, whatever was done to image and layers."""
    from gi.repository import Gio

    sys.path.insert(0, str(Path(Gimp.directory(), "plug-ins", "underpaint_gimp", "lib")))
    from underpaint_client.errors import BadInputError
    from underpaint_gimp.selected import GimpResult
    from underpaint_gimp.tree import find_layer, lasting_name

    def source_of(group: Any) -> str:
        image = group.get_image()
        image.set_selected_layers([group])
        selected = GimpResult.of(image)
        assert selected is not None
        try:
            return str(selected.find_source().layer.get_name())
        except BadInputError as error:
            return str(error)

    def group_in(image: Any, name: str) -> Any:
        return next(one for one in image.get_layers() if one.get_name() == name)

    image, _ = opened()
    for name in ("A", "B", "C"):
        with_layer(image, painting()).set_name(name)
    source = group_in(image, "B")
    image.remove_layer(group_in(image, "A"))  # its number is free after a duplication
    early = Gio.File.new_for_path(str(Path(os.environ["UNDERPAINT_AGENT"], "early.xcf")))
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, early, None)
    without_id = lasting_name(source)
    group = generate(image, source, prompt="first")
    said["here"] = source_of(group)
    said["duplicate"] = source_of(group_in(image.duplicate(), "first (seed 7)"))
    file = Gio.File.new_for_path(str(Path(os.environ["UNDERPAINT_AGENT"], "sourced.xcf")))
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, file, None)
    again = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
    said["reopened"] = source_of(group_in(again, "first (seed 7)"))
    said["duplicate_of_it"] = source_of(group_in(again.duplicate(), "first (seed 7)"))

    # what the next start of GIMP is told, and the files that it may find
    tattoo, name = source.get_tattoo(), lasting_name(source)
    early_image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, early)
    said["by_address"] = [
        None if found is None else found.get_name()
        for found in (
            find_layer(again, name),
            find_layer(early_image, name),
            find_layer(again, without_id),
            find_layer(early_image, without_id),
            find_layer(early_image, str(tattoo)),  # as older versions wrote it
            find_layer(again, f"{'0' * 32} {tattoo}"),  # another layer has the number now
            find_layer(again, "- 99"),
            find_layer(again, ""),
        )
    ]

    other, _ = opened()
    for one in (source, group):
        other.insert_layer(Gimp.Layer.new_from_drawable(one, other), None, 0)
    said["other_document"] = source_of(other.get_layers()[0])
    other.remove_layer(other.get_layers()[1])
    said["gone"] = source_of(other.get_layers()[0])

    copy = source.copy()
    image.insert_layer(copy, None, 0)
    said["beside_a_copy"] = source_of(group)
    second = generate(image, copy, prompt="second")
    said["of_the_copy"] = source_of(second)
    said["still"] = source_of(group)
    doubled = image.duplicate()
    said["both_doubled"] = [
        source_of(group_in(doubled, f"{name} (seed 7)")) for name in ("first", "second")
    ]
    third = generate(image, source, prompt="third")
    said["again"] = source_of(third)
    image.remove_layer(source)
    said["instead"] = source_of(group)
    twin = copy.copy()
    image.insert_layer(twin, None, 0)
    said["untold"] = source_of(group)


def odd_calls(said: Said) -> None:
    image, layer = opened()
    other, _ = opened()
    said["foreign"] = generate(other, layer)
    group = Gimp.GroupLayer.new(image, "empty")
    image.insert_layer(group, None, 0)
    (result,) = generate(image, group).get_children()
    said["empty_group"] = box_of(result)
    (fine,) = generate(image, layer, strength=0.333).get_children()
    said["fine"] = fine.get_name()
    procedure = Gimp.get_pdb().lookup_procedure("underpaint-again")
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", [layer])
    procedure.run(config)
    said["no_screen"] = Gimp.get_pdb().get_last_error()
    said["alive"] = isinstance(generate(image, layer), Gimp.GroupLayer)


def no_daemon(said: Said) -> None:
    image, layer = opened()
    said["told"] = generate(image, layer)
    said["again"] = generate(image, layer)


def scripted(said: Said) -> None:
    """The same from Script-Fu, by named arguments."""
    image, layer = opened()
    command = (
        f"(underpaint-generate #:run-mode RUN-NONINTERACTIVE #:image {image.get_id()}"
        f' #:drawables (vector {layer.get_id()}) #:prompt "a lake" #:steps 4 #:seed 7'
        " #:seed-locked TRUE)"
    )
    procedure = Gimp.get_pdb().lookup_procedure("plug-in-script-fu-eval")
    config = procedure.create_config()
    config.set_property("script", command)
    result = procedure.run(config)
    said["status"] = str(result.index(0))
    said["layers"] = [item.get_name() for item in image.get_layers()]
    said["own"] = []
    for words in ({}, {"steps": -1, "guidance-scale": -1}, {"steps": -1, "guidance-scale": 3.5}):
        (result,) = generate(image, layer, **{"model": "sd-few", **words}).get_children()
        made = json.loads(bytes(result.get_parasite("underpaint-recipe").get_data()))["recipe"]
        sampling = made["request"]["sampling"]
        said["own"].append([sampling["steps"], sampling["guidance_scale"], sampling["sampler"]])


def misused(said: Said) -> None:
    """Arguments that cannot be: what Python and Script-Fu are told, and what is painted."""
    image, layer = opened()
    evaluate = Gimp.get_pdb().lookup_procedure("plug-in-script-fu-eval")
    for name, value in MISUSED:
        told = generate(image, layer, **{name: value})
        said[f"{name} {value} in Python"] = told if isinstance(told, str) else "painted"
        if isinstance(value, float) and value in (math.inf, -math.inf):
            continue  # which Script-Fu cannot write
        config = evaluate.create_config()
        written = f'"{value}"' if isinstance(value, str) else str(value)
        words = f"#:{name} {written}" + (" #:seed-locked TRUE" if name == "seed" else "")
        config.set_property(
            "script",
            f"(underpaint-generate #:run-mode RUN-NONINTERACTIVE #:image {image.get_id()}"
            f" #:drawables (vector {layer.get_id()}) {words})",
        )
        evaluate.run(config)
        said[f"{name} {value} in Script-Fu"] = Gimp.get_pdb().get_last_error()
    said["layers"] = [item.get_name() for item in image.get_layers()]
    config = Gimp.get_pdb().lookup_procedure("underpaint-generate").create_config()
    said["told"] = {
        name: config.find_property(name).get_blurb() for name in ("mode", "sampler", "images")
    }
    group = generate(image, layer, mode="img2img", sampler="EULER_A", fill=None, result="layer")
    (result,) = group.get_children()
    made = json.loads(bytes(result.get_parasite("underpaint-recipe").get_data()))["recipe"]
    asked = made["request"]
    said["made"] = [
        asked["mode"],
        asked["sampling"]["sampler"],
        asked["source"]["fill"],
        asked["output"]["result"],
    ]


def timed(said: Said) -> None:
    """What the insertion of a patch costs GIMP on a large image, beside reading the same."""
    size = 4096
    image = Gimp.Image.new(size, size, RGB)
    row = painting(SIZE, 1, (0, 0, 0, 0)) * (size // SIZE)
    data = bytearray(row * size)
    for y in range(1800, 2100):
        for x in range(1800, 2100):
            data[4 * (size * y + x) + 3] = 0
    layer = with_layer(image, bytes(data), (0, 0, size, size))
    began = time.perf_counter()
    get(layer, "R'G'B'A u8")
    said["read_ms"] = 1000 * (time.perf_counter() - began)
    began = time.perf_counter()
    group = generate(image, layer)
    said["all_ms"] = 1000 * (time.perf_counter() - began)
    said["box"] = box_of(group.get_children()[0])


def main() -> None:
    found: dict[str, Said] = {}
    for name in os.environ["UNDERPAINT_RUN"].split(","):
        said: Said = {"error": ""}
        scenario: Callable[[Said], None] = globals()[name]
        try:
            scenario(said)
        except Exception:  # noqa: BLE001 - whatever it is, the next scenario runs
            said["error"] = traceback.format_exc()
        found[name] = said
        for image in Gimp.get_images():
            image.delete()
        Path(os.environ["UNDERPAINT_AGENT"], "headless.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
