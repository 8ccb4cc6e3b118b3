"""What is tried in a real GIMP with its windows. Each function is one scenario; see `driver`."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import gi
from driver import Settled

gi.require_version("Gimp", "3.0")
gi.require_version("Gtk", "3.0")
gi.require_version("Gdk", "3.0")
from gi.repository import Gdk, Gimp  # noqa: E402
from headless import (  # noqa: E402
    HOLE,
    SIZE,
    box_of,
    get,
    native,
    opened,
    outside,
    painting,
    with_layer,
)

Said = dict[str, Any]
Run = Generator[Any, None, Any]
USUAL = {
    "prompt": "a lake", "negative_prompt": "", "strength": 0.6, "steps": 4, "seed": 7,
    "seed_locked": True, "images": 1, "mode": "auto", "result": "patch", "model": "",
    "fill": "auto", "context": "layer", "compensate": False, "sampler": "dpmpp_2m",
    "guidance_scale": 7.5,
}  # fmt: skip
LONG = "three " * 20
FOUND = Path(os.environ["UNDERPAINT_AGENT"])
MARK = (3, 250, 7)  # a colour that nothing else has


def window() -> Any:
    from underpaint_gimp.plugin import window

    return window()


def status() -> str:
    return str(window().status.get_text())


def _state() -> list[object]:
    """What changes on the screen and in the open images, but for the pixels."""
    from underpaint_gimp import front

    ours, images = window(), Gimp.get_images()
    in_front = front.image_in_front(images)
    surface = ours.generate.get_window()
    place = None if surface is None else list(surface.get_origin())
    return [
        ours.plan.get_text(), status(), ours.remedy.get_label(), ours.window.is_active(), place,
        ours.generate.get_allocation().y, None if in_front is None else in_front.get_id(),
        *((one.get_id(), _layers(one.get_layers())) for one in images),
        *([layer.get_id() for layer in one.get_selected_layers()] for one in images),
    ]  # fmt: skip


def _layers(layers: Any) -> list[Any]:
    return [
        [one.get_id(), one.get_visible(), _layers(one.get_children()) if one.is_group() else []]
        for one in layers
    ]


def settled(*, changed: bool = False) -> Settled:
    """Wait until GIMP and the window have done what was begun."""
    return Settled(_state, changed=changed)


def fill(**values: Any) -> None:
    for name, value in values.items():
        if name == "seed_locked":
            window().lock.set_active(value)
        else:
            window().controls[name].value = value


def xdo(*words: str) -> str:
    return subprocess.run(
        ["xdotool", *words], capture_output=True, text=True, check=True, timeout=20
    ).stdout


def clear() -> None:
    for number in range(1, 1000):
        if Gimp.Display.id_is_valid(number):
            Gimp.Display.get_by_id(number).delete()
    for image in Gimp.get_images():
        image.delete()


def shown(image: Any) -> None:
    """Return an image a window of GIMP's, as the artist has it."""
    Gimp.Display.new(image)
    Gimp.displays_flush()


def painted(data: bytes | None = None) -> Run:
    """A picture in a window, with a mark in its corner that can be found on the screen."""
    image, layer = opened(data)
    layer.get_buffer().set(_rectangle(0, 0, 8, 8), "R'G'B'A u8", bytes((*MARK, 255)) * 64)
    layer.update(0, 0, 8, 8)
    shown(image)
    window().show(image, to_front=False)
    fill(**USUAL)
    yield lambda: _is_seen() and window().window.get_accept_focus()
    yield settled()
    window().look(image)
    return image, layer


def _rectangle(*box: int) -> Any:
    from gi.repository import Gegl

    return Gegl.Rectangle.new(*box)


def _scale() -> int:
    """Return how many pixels of the screen one of GTK's has, which is one of GIMP's at 100 %."""
    return int(Gdk.Screen.get_default().get_monitor_scale_factor(0))


def mouse(x: int, y: int, *words: str) -> None:
    """Move the real mouse to one of GTK's pixels of the screen, and go on with xdotool's words."""
    xdo("mousemove", str(x * _scale()), str(y * _scale()), *words)


def over(where: tuple[int, int], x: int, y: int) -> None:
    """Move the real mouse over a pixel of the picture whose corner is there on the screen."""
    xdo("mousemove", str(where[0] + x * _scale()), str(where[1] + y * _scale()))


def corner() -> tuple[int, int]:
    """Where on the screen the picture's upper left corner is."""
    root = Gdk.get_default_root_window()
    pixels = Gdk.pixbuf_get_from_window(root, 0, 0, root.get_width(), root.get_height())
    data, row = pixels.get_pixels(), pixels.get_rowstride()
    each = pixels.get_n_channels()
    for y in range(pixels.get_height()):
        line = data[y * row : y * row + each * pixels.get_width()]
        at = line.find(bytes(MARK))
        if at >= 0 and at % each == 0:
            return at // each, y
    raise AssertionError("the picture is not to be seen")


def _is_seen() -> bool:
    try:
        corner()
    except AssertionError:
        return False
    return True


def to_gimp() -> Run:
    """Bring GIMP's window to the front, as a click into it does."""
    found = xdo("search", "--onlyvisible", "--class", "gimp").split()
    for one in found:
        if "GIMP" in xdo("getwindowname", one):
            xdo("windowactivate", "--sync", one)
    yield settled()


def press(button: Any) -> None:
    """Click into the middle of a widget with the real mouse."""
    _, x, y = button.get_window().get_origin()
    place = button.get_allocation()
    left, top = (x, y) if button.get_has_window() else (x + place.x, y + place.y)
    mouse(left + place.width // 2, top + place.height // 2, "click", "1")


def generated() -> Run:
    """Press the button with the mouse, and wait until all is in place."""
    window().status.set_text("")
    press(window().generate)
    yield lambda: status().startswith(("Done", "The ", "No ", "Its ", "Cancelled", "Model"))
    yield settled()


def underway(**values: Any) -> Run:
    fill(**values)
    window().status.set_text("")
    press(window().generate)
    yield lambda: status().startswith("Step")


def names(image: Any) -> list[str]:
    return [layer.get_name() for layer in image.get_layers()]


def contract(said: Said) -> Run:
    """The checks that every adapter must pass."""
    from tested_editor import GimpUnderTest

    from editor.contract_checks import SETTLE, run_checks

    form = window().panel.form
    said["checks"] = {}
    for seconds in run_checks(GimpUnderTest(window(), to_gimp), said["checks"], clear):
        yield settled() if seconds == SETTLE else seconds
    window().panel.fill(form)


def looks(said: Said) -> Run:
    image, _ = yield from painted()
    fill(prompt="tree on a hill with a river, nature photograph")
    yield settled()
    window().look(image)
    said["plan"] = window().plan.get_text()
    said["status"] = status()
    said["title"] = window().window.get_title()
    said["width"] = window().window.get_size()[0]
    said["narrowest"] = window().window.get_preferred_width()[0]
    said["where"] = corner()


def controlled(said: Said) -> Run:
    """Use a layer as canny edges in the window, and generate on the one below it."""
    from underpaint_client.geometry import Box
    from underpaint_editor.layer_role import LayerRole
    from underpaint_gimp.canvas import GimpDocument
    from underpaint_gimp.tree import attach_role, blank_layer

    image, layer = yield from painted()
    controls = window().role_controls

    def details() -> bool:
        window().look(image)
        return bool(controls["control_strength"].shown.get_visible())

    said["details"] = [details()]
    lines = blank_layer(image, "Lines", Box(0, 0, 256, 96))
    white = bytes((255, 255, 255, 255)) * 256 * 96
    lines.get_buffer().set(_rectangle(0, 0, 256, 96), "R'G'B'A u8", white)
    image.insert_layer(lines, None, 0)
    image.set_selected_layers([lines])
    window().look(image)
    controls["layer_role"].value = "canny"
    controls["control_strength"].value = 1.5
    yield settled()
    said["details"].append(details())
    said["refused"] = window().plan.get_text()
    image.set_selected_layers([layer])
    said["details"].append(details())
    yield from generated()

    def made() -> Any:
        return image.get_layers()[1].get_children()[0]

    held = made()
    said["used"] = json.loads(recipe(held))["recipe"]["facts"]["controls"]
    lines.set_visible(False)
    image.set_selected_layers([layer])
    yield from generated()
    free = made()
    said["again"] = json.loads(recipe(free))["recipe"]["facts"]["controls"]
    said["differs"] = get(free, native(free)) != get(held, native(held))
    lines.set_visible(True)
    attach_role(lines, None)
    attach_role(layer, LayerRole.of(layer_role="depth"))
    for group in image.get_layers()[1:-1]:
        group.set_visible(False)
    around = GimpDocument.of(image, [lines]).surroundings
    frame = around.read_context(Box(0, 128, 256, 64))
    said["below"] = [set(bytes(frame.data)[3::4]) == {0}, around.shows_below()]
    attach_role(lines, LayerRole.of(layer_role="canny", control_strength=1.5))
    image.set_selected_layers([lines])
    window().look(image)
    yield settled()


HALVES = (bytes((0, 0, 0, 255)) * 128 + bytes((255, 255, 255, 255)) * 128) * 256
"""RGBA: black on the left, white on the right."""


def control_made(said: Said) -> Run:
    """Make a control layer of the painting by the menu, undo that, and copy one."""
    from underpaint_gimp.tree import control_layers, role_of

    image, layer = yield from painted(HALVES)
    where = corner()
    menu = window().control_menu.menu

    def choose(name: str) -> Run:
        window().status.set_text("")
        press(window().control_menu.button)
        yield menu.get_visible
        yield settled()
        said["offered"] = [item.get_label() for item in menu.get_children()]
        next(one for one in menu.get_children() if one.get_label() == name).activate()
        menu.popdown()
        yield lambda: status().startswith(("Control layer", "No model"))
        yield settled()

    def layers() -> list[str]:
        return [one.get_name() for one in reversed(image.get_layers())]

    yield from choose("Depth (no model yet)")
    said["refused"], said["before"] = status(), layers()
    yield from choose("Canny edges")
    said["told"], said["layers"] = status(), layers()
    made = image.get_layers()[0]
    said["role"], said["opacity"] = role_of(made).kind, made.get_opacity() / 100
    said["active"] = image.get_selected_layers()[0].get_name()
    data = get(made, "R'G'B'A u8")
    said["colours"] = sorted({bytes(data[n : n + 3]).hex() for n in range(0, len(data), 4)})
    yield from undo(where)
    said["undone"] = layers()
    yield from choose("Canny edges")
    yield from generated()
    said["used"] = json.loads(recipe(image.get_layers()[1].get_children()[0]))["recipe"]["facts"][
        "controls"
    ]
    said["order"] = layers()
    image.set_selected_layers([image.get_layers()[0]])
    window().look(image)
    generate = window().generate
    said["not_painted_on"] = [generate.get_sensitive(), generate.get_tooltip_text()]
    yield settled()
    copy = image.get_layers()[0].copy()
    image.insert_layer(copy, None, 0)
    image.set_selected_layers([copy])
    window().look(image)
    said["copy"] = [one.kind for one, _ in control_layers(image)]
    said["chosen"] = window().role_controls["layer_role"].value
    image.set_selected_layers([layer])
    window().look(image)
    said["painted_on"] = generate.get_sensitive()


def referenced(said: Said) -> Run:
    """Use a layer as a style reference in the window, and generate on the one below it."""
    from underpaint_client.geometry import Box
    from underpaint_gimp.tree import blank_layer

    image, layer = yield from painted()
    controls = window().role_controls
    photo = blank_layer(image, "Photo", Box(300, 300, 64, 64))  # outside the canvas
    colours = bytes((200, 40, 40, 255)) * 32 + bytes((40, 40, 200, 255)) * 32
    photo.get_buffer().set(_rectangle(0, 0, 64, 64), "R'G'B'A u8", colours * 64)
    image.insert_layer(photo, None, 0)
    photo.set_offsets(300, 300)
    image.set_selected_layers([photo])
    window().look(image)
    controls["layer_role"].value = "style"
    controls["control_strength"].value = 0.75
    yield settled()
    window().look(image)
    said["details"] = bool(controls["control_strength"].shown.get_visible())
    said["refused"] = window().plan.get_text()
    image.set_selected_layers([layer])
    yield from generated()

    def made() -> Any:
        return image.get_layers()[1].get_children()[0]

    taken = made()
    told = json.loads(recipe(taken))["recipe"]
    said["asked"] = told["request"]["conditioning"]["references"]
    said["used"] = told["facts"]["references"]
    photo.set_visible(False)
    image.set_selected_layers([layer])
    yield from generated()
    free = made()
    said["again"] = json.loads(recipe(free))["recipe"]["facts"]["references"]
    said["differs"] = get(free, native(free)) != get(taken, native(taken))


def regional(said: Said) -> Run:
    """Use a layer as a region in the window, type its prompt, and generate on the one below it."""
    from underpaint_client.geometry import Box
    from underpaint_gimp.tree import blank_layer, role_of

    image, layer = yield from painted()
    controls = window().role_controls
    sky = blank_layer(image, "Sky", Box(0, 0, 256, 96))
    sky.get_buffer().set(
        _rectangle(0, 0, 256, 96), "R'G'B'A u8", bytes((90, 160, 255, 255)) * 24576
    )
    image.insert_layer(sky, None, 0)
    image.set_selected_layers([sky])
    window().look(image)
    controls["layer_role"].value = "region"
    yield settled()
    names = ("control_strength", "region_prompt")
    said["shown"] = [bool(controls[name].shown.get_visible()) for name in names]
    image.set_selected_layers([layer])
    window().look(image)
    window().generate_now(image)
    yield settled()
    said["without"] = window().status.get_text()
    image.set_selected_layers([sky])
    window().look(image)
    buffer = controls["region_prompt"].widget.get_buffer()
    for letter in "red sunset":
        buffer.insert_at_cursor(letter)
    image.set_selected_layers([layer])  # before typing pauses
    window().look(image)
    said["typed"] = [role_of(sky).prompt, role_of(layer) is None]
    yield settled()
    said["plan"] = window().plan.get_text()
    yield from generated()
    made = image.get_layers()[1].get_children()[0]
    said["used"] = json.loads(recipe(made))["recipe"]["facts"]["regions"]
    sky.set_visible(False)
    window().look(image)
    said["hidden"] = window().plan.get_text()
    sky.set_visible(True)
    image.set_selected_layers([sky])
    window().look(image)
    yield settled()
    _keep_picture("regional")


# ---- the way it goes -----------------------------------------------------------------------


def stroke(tool: str, *points: tuple[int, int]) -> Run:
    """Draw on the canvas with a tool of GIMP's, by mouse."""
    yield from to_gimp()
    where = corner()
    over(where, *points[0])
    yield 0.2
    xdo("key", tool)
    yield 0.3
    xdo("mousedown", "1")
    for x, y in points[1:]:
        over(where, x, y)
        yield 0.05
    xdo("mouseup", "1")
    yield 0.5


def undo(where: tuple[int, int] | None = None) -> Run:
    yield from to_gimp()
    over(where or corner(), 128, 128)
    yield 0.2
    undone = settled(changed=True)
    xdo("key", "ctrl+z")
    yield undone


def eraser(said: Said) -> Run:
    image, layer = yield from painted(painting(hole=(0, 0, 0, 0)))
    before = get(layer, native(layer))
    yield from stroke("shift+e", (60, 128), *((x, 128) for x in range(70, 190, 10)))
    erased = get(layer, native(layer))
    said["erased"] = erased[3::4].count(0)
    said["half"] = len(erased[3::4]) - erased[3::4].count(0) - erased[3::4].count(255)
    said["colour_kept"] = all(
        before[i : i + 3] == erased[i : i + 3] for i in range(0, len(before), 4)
    )
    mouse(1300, 300)  # into the window, which makes it look
    window().window.present()
    yield lambda: window().plan.get_text().startswith("Fills")
    said["plan"] = window().plan.get_text()
    yield from generated()
    said["status"] = status()
    group = image.get_layers()[0]
    (patch,) = group.get_children()
    said["group"], said["patch"] = group.get_name(), box_of(patch)
    said["source_untouched"] = get(layer, native(layer)) == erased
    said["selected"] = [item.get_name() for item in image.get_selected_layers()]
    left, top, wide, high = box_of(patch)
    alpha = get(patch, "R'G'B'A u8")[3::4]
    hole = erased[3::4]
    said["covers"] = all(
        (alpha[y * wide + x] == 255) == (hole[(top + y) * SIZE + left + x] < 255)
        for y in range(high) for x in range(wide)
    )  # fmt: skip
    yield from undo()
    said["after_undo"] = names(image)
    said["erasure_stays"] = get(layer, native(layer)) == erased
    yield from undo()
    said["undone"] = get(layer, native(layer)) == before


def over_painting(said: Said) -> Run:
    """Fill a selection on a new empty layer over a painting, twice, and repaint new paper."""
    image, below = yield from painted(painting(hole=(0, 0, 0, 0)))
    layer = with_layer(image, bytes(4 * SIZE * SIZE))
    layer.set_name("New")
    sky = bytes((9, 200, 9, 255)) * SIZE * 20 + bytes(4 * SIZE * (SIZE - 20))
    with_layer(image, sky).set_name("Sky")
    image.set_selected_layers([layer])

    def look() -> list[str]:
        window().look(image)
        offer = window().offer
        return [window().plan.get_text(), offer.get_label() if offer.get_visible() else ""]

    said["alone"] = look()
    image.select_rectangle(Gimp.ChannelOps.REPLACE, *HOLE)
    said["plan"] = look()
    from underpaint_client.geometry import Box
    from underpaint_gimp.canvas import GimpDocument

    def layers() -> list[list[Any]]:
        return [[one.get_name(), one.get_visible()] for one in image.get_layers()]

    before, images = layers(), len(Gimp.get_images())
    image.clean_all()
    began = time.monotonic()
    frame = GimpDocument.of(image).surroundings.read_context(Box(0, 0, SIZE, SIZE))
    said["seconds"] = time.monotonic() - began
    said["below_alone"] = bytes(frame.data) == get(below, native(below))
    said["no_trace"] = [
        before == layers(),
        not image.is_dirty(),
        images == len(Gimp.get_images()),
        [one.get_name() for one in image.get_selected_layers()] == ["New"],
    ]
    facts = []
    for _ in range(2):
        yield from generated()
        said["status"] = status()
        group = image.get_layers()[1]
        (patch,) = group.get_children()
        made = json.loads(recipe(patch))["recipe"]
        mode, source = made["request"]["mode"], made["request"]["source"]
        facts.append([mode, source["context"], made["facts"]["context_hash"]])
    said["facts"] = facts
    said["names"] = names(image)
    said["patch"] = box_of(patch)
    said["source_untouched"] = not any(get(layer, native(layer)))
    window().window.present()
    yield settled()
    _keep_picture("over-painting")
    window().offer.clicked()
    said["clicked"] = [window().controls["mode"].value, *look()]
    window().offer.clicked()
    said["clicked_again"] = [window().controls["mode"].value, *look()]
    said["row"] = window().controls["context"].widget.get_active_text()
    image, paper = yield from painted(b"\xff" * 4 * SIZE * SIZE)
    paper.get_buffer().set(_rectangle(0, 0, 8, 8), "R'G'B'A u8", b"\xff" * 4 * 64)
    said["paper"] = look()
    window().offer.clicked()
    said["repainted"] = [window().controls["mode"].value, *look()]
    fill(**USUAL)


def meanwhile(said: Said) -> Run:
    """What the artist paints while a job runs is theirs, and stays when its result is undone."""
    image, layer = yield from painted()
    before = get(layer, native(layer))
    yield from underway(steps=400, strength=1.0)
    yield from stroke("p", (30, 30), (60, 40), (120, 40), (200, 60))
    stroked = get(layer, native(layer))
    said["stroked"] = stroked != before
    said["running"] = window().session.running
    yield lambda: status().startswith("Done")
    yield settled()
    said["layers"] = names(image)
    yield from undo()
    said["after_undo"] = names(image)
    said["stroke_stays"] = get(layer, native(layer)) == stroked
    yield from undo()
    said["undone"] = get(layer, native(layer)) == before


def again(said: Said) -> Run:
    """The menu's entry, by a shortcut of the artist's, with the window closed."""
    image, _ = yield from painted()
    window().window.hide()
    yield from to_gimp()
    window().status.set_text("")
    xdo("key", "ctrl+alt+9")
    yield lambda: status().startswith("Done")
    yield settled()
    said["layers"] = names(image)
    said["window"] = window().window.get_visible()
    said["focus_stays"] = not window().window.is_active()
    yield from to_gimp()
    xdo("key", "ctrl+alt+8")  # Generate...
    yield window().controls["prompt"].widget.has_focus
    xdo("key", "ctrl+a")
    xdo("type", "two hills")
    window().status.set_text("")
    xdo("key", "ctrl+Return")
    yield lambda: status().startswith("Done")
    yield settled()
    said["after_enter"] = names(image)
    xdo("key", "Home")
    xdo("key", "Up")
    yield lambda: window().panel.form.value("prompt") == "a lake"
    xdo("key", "Down")
    yield lambda: window().panel.form.value("prompt") == "two hills"


def entered(said: Said) -> Run:
    """Ctrl+Enter in a number that is being typed, and held down."""
    image, _ = yield from painted()
    window().window.present()
    box = window().controls["strength"].widget
    box.grab_focus()
    fill(steps=20, guidance_scale=1.0)
    yield 0.3
    xdo("key", "ctrl+a", "Delete")
    xdo("type", "0.35")
    window().status.set_text("")
    xdo("keydown", "ctrl", "keydown", "Return")
    yield 1.5
    xdo("keyup", "Return", "keyup", "ctrl")
    yield lambda: status().startswith("Done") and not window().session.running
    yield 0.5
    said["layers"] = names(image)
    made = json.loads(recipe(image.get_layers()[0].get_children()[0]))["recipe"]
    said["strength"] = made["request"]["sampling"]["strength"]
    window().status.set_text("")
    xdo("key", "shift+Return")  # another press counts
    yield lambda: status().startswith("Done")
    yield 0.3
    said["again"] = len(names(image))
    said["closed"] = []
    for key in ("Escape", "ctrl+w"):
        window().show(image, to_front=True)
        yield window().window.is_active
        xdo("key", key)
        yield lambda: not window().window.get_visible()
        said["closed"].append(key)
    window().show(image, to_front=True)
    yield window().window.is_active


def weighed(said: Said) -> Run:
    """Change weights by Ctrl+Up and Ctrl+Down, at the caret and of a selection."""
    image, _ = yield from painted()
    yield from to_gimp()
    xdo("key", "ctrl+alt+8")  # Generate...
    yield window().window.is_active
    said["texts"] = {}
    for name in ("negative_prompt", "prompt"):
        fill(**{name: "\U0001f600 a red lake"})
        view = window().controls[name].widget
        buffer = view.get_buffer()
        view.grab_focus()
        yield settled()
        found = said["texts"][name] = []
        for keys in (
            ("ctrl+End", "ctrl+Up"), ("ctrl+Up",), ("ctrl+Down", "ctrl+Down"), ("ctrl+Down",),
            ("ctrl+Up", "ctrl+End", "ctrl+shift+Left", "ctrl+shift+Left", "ctrl+Up"),
        ):  # fmt: skip
            xdo("key", *keys)
            yield 0.3
            bounds = buffer.get_selection_bounds()
            selected = buffer.get_text(*bounds, False) if bounds else ""
            found.append([window().controls[name].value, selected])
    said["form"] = window().panel.form.value("prompt")
    fill(negative_prompt="")
    window().status.set_text("")
    xdo("key", "ctrl+Return")
    yield lambda: status().startswith("Done")
    yield settled()
    made = json.loads(recipe(image.get_layers()[0].get_children()[0]))["recipe"]
    said["made"] = made["facts"]["prompt"]


def completed(said: Said) -> Run:
    """Complete names with the real keyboard and mouse, and see what cannot be read marked."""
    from editor.completion_steps import complete_names

    yield from painted()
    tags = Path(os.environ["UNDERPAINT_HOME"], "tags.csv")
    tags.write_text("blue_sky,0,9\nblue_eyes_(cat),0,5\n", encoding="utf-8")
    yield from to_gimp()
    xdo("key", "ctrl+alt+8")  # Generate...
    yield window().window.is_active
    fill(prompt="")
    control, popup = window().controls["prompt"], window().popups[0]
    control.widget.grab_focus()
    yield 0.3
    said["steps"] = []

    def note(*keys: str, typed: str = "") -> Run:
        if typed:
            xdo("type", "--delay", "30", typed)
        for key in keys:
            xdo("key", key)
            yield 0.15
        yield 0.3
        offer = popup.completer.offer
        said["steps"].append([
            control.value, popup.rows if popup.popover.get_visible() else [],
            -1 if offer is None else offer.chosen, control.widget.has_focus(),
        ])  # fmt: skip

    def picture(name: str) -> None:
        root = Gdk.get_default_root_window()
        pixels = Gdk.pixbuf_get_from_window(root, 0, 0, root.get_width(), root.get_height())
        pixels.savev(str(FOUND / f"{name}.png"), "png", [], [])

    yield from complete_names(note, said["steps"], popup.popover.get_visible, picture)
    row = popup.list.get_row_at_index(0)
    place, (_, x, y) = row.get_allocation(), row.get_window().get_origin()
    mouse(x + place.width // 2, y + place.height // 2, "click", "1")
    yield from note()
    yield from note(typed="<lora:")
    yield from to_gimp()
    yield 0.5
    said["elsewhere"] = popup.popover.get_visible()
    xdo("key", "ctrl+alt+8")
    yield window().window.is_active
    fill(prompt="# <lora:>\na lake <lora:ink:much>")
    yield 0.3
    picture("completed_error")
    buffer = control.widget.get_buffer()
    tag = buffer.get_tag_table().lookup("underpaint-error")
    at = [place for place in range(buffer.get_char_count())
          if buffer.get_iter_at_offset(place).has_tag(tag)]  # fmt: skip
    said["marked"] = control.value[at[0] : at[-1] + 1]
    said["plan"] = window().plan.get_text()
    window().generate_now()
    said["status"] = status()
    fill(prompt="a pond __b")
    control.widget.grab_focus()
    xdo("key", "ctrl+End")
    yield from note(typed="i")
    window().status.set_text("")
    xdo("key", *["BackSpace"] * 4, "ctrl+Return")
    yield lambda: status().startswith("Done")
    fill(prompt="")
    yield from note("Up")
    tags.unlink()


def cancelled(said: Said) -> Run:
    image, _ = yield from painted()
    yield from underway(steps=1000, strength=1.0)
    said["while"] = status()
    said["progress"] = window().progress.get_fraction()
    yield window().preview.get_visible
    pixels = window().preview.get_pixbuf()
    said["preview"] = [pixels.get_width(), pixels.get_height(), len(set(pixels.get_pixels()))]
    yield 0.3
    began = time.monotonic()
    press(window().cancel)
    yield lambda: status() == "Cancelled."
    said["seconds"] = time.monotonic() - began
    said["layers"] = names(image)
    said["enabled"] = window().cancel.get_sensitive()
    said["preview_gone"] = not window().preview.get_visible()


def previewed(said: Said) -> Run:
    """The picture so far lies over the hole, in the middle of a stroke too, and leaves no trace."""
    image, layer = yield from painted()
    before = get(layer, native(layer))
    yield from stroke("p", (20, 20), *((x, 20) for x in range(30, 230, 10)))
    alone = get(layer, native(layer))
    yield from undo()
    said["undone"] = get(layer, native(layer)) == before
    fill(steps=1000, strength=1.0)
    where = corner()
    over(where, 20, 20)
    yield 0.2
    xdo("mousedown", "1")
    window().generate.clicked()
    for x in range(30, 230, 10):
        over(where, x, 20)
        yield 0.1 if x != 120 else lambda: len(names(image)) > 1
    said["seen"] = names(image)
    xdo("mouseup", "1")
    yield 0.5
    said["whole"] = get(layer, native(layer)) == alone
    said["selected"] = [item.get_name() for item in image.get_selected_layers()]
    preview = image.get_layers()[0]
    said["box"] = box_of(preview)
    said["colours"] = len(set(get(preview, "R'G'B'A u8")))
    press(window().cancel)
    yield lambda: status() == "Cancelled."
    said["after"] = names(image)
    yield from undo()
    said["stroke_undone"] = get(layer, native(layer)) == before


def previewed_beside(said: Said) -> Run:
    """What the artist does to the picture so far, and what was left of an earlier one."""
    from underpaint_client.frames import Frame
    from underpaint_client.geometry import Box
    from underpaint_gimp import preview
    from underpaint_gimp.canvas import GimpDocument

    image, layer = yield from painted()
    group = Gimp.GroupLayer.new(image, "G")
    image.insert_layer(group, None, 0)
    image.reorder_item(layer, group, 0)
    image.clean_all()
    place = GimpDocument.of(image, [layer])
    frame = Frame("preview", Box(0, 0, 1, 1), "u1", "RGBA", bytes((9, 8, 7, 255)))
    box = Box(80, 80, 96, 96)

    def show(red: int) -> Run:
        yield lambda: place._preview is None or time.monotonic() > place._preview._due
        place.show_preview(dataclasses.replace(frame, data=bytes((red, 8, 7, 255))), box)

    yield from show(9)
    shown = image.get_layers()[0]
    said["there"] = names(image)
    said["refused"] = ""
    try:
        GimpDocument.of(image, [shown])
    except Exception as error:  # noqa: BLE001 - told
        said["refused"] = str(error)
    yield from show(99)
    said["colour"] = list(get(shown, "R'G'B'A u8")[:4])
    said["clean"] = not image.is_dirty()
    shown.set_lock_content(True)
    yield from show(10)  # which would end the plug-in
    said["locked"] = list(get(shown, "R'G'B'A u8")[:4])
    copy = shown.copy()
    image.insert_layer(copy, None, 0)
    preview.remove_leftovers(image)
    said["swept"] = len(names(image))
    preview._shown.clear()  # as another start of GIMP finds it
    preview.remove_leftovers(image)
    said["left"] = names(image)
    place.remove_preview()
    image.remove_layer(copy)
    said["end"] = names(image)


def queued(said: Said) -> Run:
    """Several jobs at once: hurry one, drop one, by the buttons of the list."""
    image, _ = yield from painted()
    yield from underway(steps=1000, strength=1.0, prompt="one")
    for name in ("two", LONG, "four"):
        fill(prompt=name, steps=4)
        window().generate_now()
    yield lambda: len(window().queue.widget.get_children()) == 4
    yield settled()

    def lines() -> list[list[Any]]:
        return [line.get_children() for line in window().queue.widget.get_children()]

    def listed() -> list[str]:
        return [f"{line[0].get_text()}: {line[1].get_text()}" for line in lines()]

    said["lines"] = listed()
    said["can_hurry"] = [line[2].get_sensitive() for line in lines()]
    said["cut_off"] = [
        [label.get_layout().is_ellipsized() for label in line[:2]] for line in lines()
    ]
    said["width"] = window().window.get_size()[0]
    fourth = lines()[3]
    press(fourth[2])  # four is the next
    yield lambda: listed()[1] == "four: 1 ahead"
    yield 0.2
    said["same_line"] = lines()[1] == fourth
    press(lines()[2][3])  # two is dropped
    yield lambda: len(lines()) == 3
    yield 0.2
    press(lines()[0][3])  # and the one that runs
    yield lambda: not window().session.running
    yield settled()
    said["layers"] = names(image)
    said["left"] = len(lines())


def unseen_front(said: Said) -> Run:
    """Several images where no window's title can be read, as on Wayland."""
    from underpaint_gimp import front

    read_title = front._title
    front._title = lambda _window: ""  # type: ignore[assignment]
    try:
        yield from _unseen_front(said)
    finally:
        front._title = read_title


def _unseen_front(said: Said) -> Run:
    from underpaint_gimp import front

    first, _ = yield from painted()
    window().look()
    said["alone"] = [window().plan.get_text(), window().images.widget.get_visible()]
    second, _layer = opened()
    shown(second)
    yield settled()
    window().look()
    yield 0.2
    said["two"] = window().plan.get_text()
    press(window().generate)
    yield settled()
    said["refused"] = status()
    said["named"] = [row[0] for row in window().images.widget.get_model()]
    said["titles"] = [front.name_in_title(one) for one in (second, first)]
    fill(prompt="written before")
    window().images.widget.grab_focus()
    window().window.present()
    yield settled()
    xdo("key", "space")  # opens the list
    yield settled()
    xdo("key", "End", "Return")  # GIMP lists the first image last
    yield settled()
    said["chosen"] = window().images.image.get_id() == first.get_id()
    said["plan"] = window().plan.get_text()
    said["title"] = window().window.get_title()
    said["prompt"] = window().panel.form.value("prompt")
    yield from generated()
    said["layers"] = [names(first), names(second)]
    yield from to_gimp()
    window().status.set_text("")
    xdo("key", "ctrl+alt+9")  # the menu's entry in the second, which is in front
    yield lambda: status().startswith("Done")
    yield settled()
    said["by_menu"] = [names(first)[1:], names(second)[1:]]
    said["plan_then"] = window().plan.get_text()
    third, _ = opened()
    shown(third)
    yield settled()
    window().look()
    said["three"] = window().plan.get_text()
    clear()


def cautioned(said: Said) -> Run:
    """What GIMP cannot do better is said in the plan line, and not again after the run."""
    from headless import GRAY, INDEXED

    def plan(image: Any) -> str:
        window().look(image)
        return str(window().plan.get_text())

    image, layer = yield from painted()
    said["plain"] = plan(image)
    layer.set_visible(False)
    said["hidden"] = plan(image)
    layer.set_visible(True)
    group = Gimp.GroupLayer.new(image, "G")
    image.insert_layer(group, None, 0)
    image.reorder_item(layer, group, 0)
    image.set_selected_layers([layer])
    group.set_visible(False)
    said["inside_hidden"] = plan(image)
    group.set_visible(True)
    group.set_lock_content(True)
    said["locked"] = plan(image)
    group.set_lock_content(False)
    blur = Gimp.DrawableFilter.new(layer, "gegl:gaussian-blur", "Blurred")
    layer.append_filter(blur)
    said["filtered"] = plan(image)
    blur.set_visible(False)
    said["filter_off"] = plan(image)
    plain = Gimp.Layer.new(image, "Plain", SIZE, SIZE, Gimp.ImageType.RGB_IMAGE, 100,
                           Gimp.LayerMode.NORMAL)  # fmt: skip
    image.insert_layer(plain, None, 0)
    said["without_alpha"] = plan(image)
    yield settled()
    _keep_picture("without_alpha")
    button = window().alpha.widget
    said["alpha_button"] = [button.get_label(), button.get_visible()]
    button.clicked()
    said["alpha_added"] = [plain.has_alpha(), button.get_visible(), window().plan.get_text()]
    plain.flatten()
    plain.set_lock_content(True)
    said["alpha_locked"] = [plan(image), button.get_visible()]
    for name, base in (("grey", GRAY), ("indexed", INDEXED)):
        image, layer = opened(None, base)
        shown(image)
        yield lambda image=image: not plan(image).startswith("In ")  # until it is in front
        said[name] = plan(image)
        fill(**USUAL)
        window().status.set_text("")
        window().generate_now(image)
        yield lambda: status().startswith("Done")
        said[f"{name}_after"] = status()
    window().status.set_text("")
    window().generate_now(image)
    layer.set_visible(False)  # which could not be said before
    yield lambda: status().startswith("Done")
    said["meanwhile"] = status()


def two_images(said: Said) -> Run:
    first, _ = yield from painted()
    second, _ = yield from painted()
    fill(prompt="the second", seed=2)
    window().look()
    from underpaint_gimp import front

    in_front = front.image_in_front(Gimp.get_images())
    said["front"] = in_front is not None and in_front.get_id() == second.get_id()
    yield from underway(steps=60)
    yield from to_gimp()
    xdo("key", "alt+1")

    def followed() -> bool:
        window().look()
        return bool(window().images.image.get_id() == first.get_id())

    yield followed
    said["prompt"] = window().panel.form.value("prompt")
    fill(prompt="the first", seed=1, steps=4)
    window().generate_now()
    yield lambda: not window().session.running
    yield settled()
    said["first"], said["second"] = names(first), names(second)
    window().look(second)
    said["kept"] = window().panel.form.value("prompt")


def closed_image(said: Said) -> Run:
    image, _ = yield from painted()
    yield from underway(steps=60)
    clear()
    yield lambda: status().startswith("The document was closed")
    said["status"] = status()
    said["remedy"] = window().remedy.get_label()
    said["open"] = image.is_valid()
    yield settled()
    press(window().remedy)
    yield lambda: len(Gimp.get_images()) == 1
    yield settled()
    (opened_anew,) = Gimp.get_images()
    said["layers"] = names(opened_anew)
    said["hidden"] = not window().remedy.get_visible()


def deleted_and_resized(said: Said) -> Run:
    image, layer = yield from painted()
    yield from underway(steps=60)
    image.remove_layer(layer)
    image.resize(300, 200, 0, 0)
    yield lambda: status().startswith("Done")
    yield settled()
    said["status"] = status()
    said["layers"] = names(image)


def changed_meanwhile(said: Said) -> Run:
    """A whole layer's result is what the layer was, though it was moved and converted since."""
    image, layer = yield from painted()
    before = get(layer, native(layer))
    yield from underway(steps=60, result="layer")
    layer.set_offsets(40, 0)
    image.convert_color_profile(
        Gimp.ColorProfile.new_rgb_adobe(), Gimp.ColorRenderingIntent.RELATIVE_COLORIMETRIC, True
    )
    yield lambda: status().startswith("Done")
    yield settled()
    (result,) = image.get_layers()[0].get_children()
    said["box"] = box_of(result)
    said["converted"] = get(layer, native(layer)) != before
    after = outside(get(result, native(result)), 4)
    was = outside(get(layer, native(layer)), 4)  # which GIMP has converted
    said["off"] = max(abs(a - b) for a, b in zip(after, was, strict=True))


def closed_deep_image(said: Said) -> Run:
    """What comes for a closed image of 16 bits in AdobeRGB opens as such."""
    adobe = Gimp.ColorProfile.new_rgb_adobe()
    image, layer = opened(None, precision=Gimp.Precision.U16_NON_LINEAR, profile=adobe)
    shown(image)
    window().show(image, to_front=False)
    fill(**USUAL)
    yield settled()
    wanted = get(layer, native(layer))
    yield from underway(steps=60, result="layer")
    clear()
    yield lambda: bool(window().remedy.get_label())
    yield settled()
    press(window().remedy)
    yield lambda: len(Gimp.get_images()) == 1
    yield settled()
    (anew,) = Gimp.get_images()
    said["precision"] = anew.get_precision() == Gimp.Precision.U16_NON_LINEAR
    said["adobe"] = anew.get_color_profile().is_equal(adobe)
    (result,) = anew.get_layers()[0].get_children()
    said["same"] = outside(get(result, native(result)), 8) == outside(wanted, 8)


def save_and_reopen(said: Said) -> Run:
    from gi.repository import Gio

    image, _ = yield from painted()
    fill(prompt="a château in the mist", strength=0.35)
    yield from generated()
    file = Gio.File.new_for_path(str(FOUND / "saved.xcf"))
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, file, None)
    clear()
    fill(prompt="another", strength=0.9)
    yield settled()
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
    shown(image)
    yield settled()
    window().look(image)
    said["prompt"], said["strength"] = (
        window().panel.form.value("prompt"),
        window().panel.form.value("strength"),
    )
    said["layers"] = names(image)


def wrong_input(said: Said) -> Run:
    clear()
    window().show(to_front=False)
    yield settled()
    window().generate_now()
    said["no_image"] = status()
    yield from painted()
    fill(model="no-such-model")
    yield from generated()
    said["model"] = status()
    fill(model="")


def typed(said: Said) -> Run:
    """Numbers by real keys, with either decimal sign; and Generate with one that is being typed."""
    image, _ = yield from painted()

    def typing(name: str, text: str) -> Run:
        box = window().controls[name].widget
        box.grab_focus()
        window().window.present()
        yield 0.2
        xdo("key", "ctrl+a", "Delete")
        xdo("type", text)
        yield 0.2
        xdo("key", "Tab")
        yield 0.3
        return [window().controls[name].value, box.get_text()]

    press(window().controls["strength"].widget)
    # Else the first keys go to GIMP's own window, which comes to the front shortly after its start.
    from editor.typed_numbers import TYPED
    from underpaint_gimp import front

    def in_front() -> bool:
        front.bring_to_front(window().window)
        return bool(window().window.is_active())

    yield in_front
    yield 0.5
    for name, text in TYPED:
        fill(strength=0.6, guidance_scale=7.5, steps=4, seed=7)
        said[f"{name} {text}"] = yield from typing(name, text)
    fill(strength=0.6, steps=20, guidance_scale=1.0)
    box = window().controls["strength"].widget
    box.grab_focus()
    yield 0.2
    xdo("key", "ctrl+a", "Delete")
    xdo("type", "0.35")
    yield 0.2
    yield from generated()
    made = json.loads(recipe(image.get_layers()[0].get_children()[0]))["recipe"]
    said["made"] = [made["request"]["sampling"]["strength"], made["facts"]["steps_run"]]


def large(said: Said) -> Run:
    """How long GIMP itself is kept from painting by an insertion into a large image."""
    from headless import with_layer

    size = 4096
    image = Gimp.Image.new(size, size, Gimp.ImageBaseType.RGB)
    data = bytearray(painting(SIZE, 1, (0, 0, 0, 0)) * (size // SIZE) * size)
    for y in range(1800, 2100):
        for x in range(1800, 2100):
            data[4 * (size * y + x) + 3] = 0
    layer = with_layer(image, bytes(data), (0, 0, size, size))
    shown(image)
    window().show(image, to_front=False)
    fill(**USUAL)
    yield 1.0
    from underpaint_gimp import canvas

    took: dict[str, float] = {}

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*args, **more)
            finally:
                took[name] = 1000 * (time.perf_counter() - began)

        return call

    methods = ("survey", "read", "insert")
    whole = {name: getattr(canvas.GimpDocument, name) for name in methods}
    for name, function in whole.items():
        setattr(canvas.GimpDocument, name, timed(name, function))
    began = time.perf_counter()
    get(layer, "R'G'B'A u8")
    said["bare_read_ms"] = 1000 * (time.perf_counter() - began)
    yield from generated()
    for name, function in whole.items():
        setattr(canvas.GimpDocument, name, function)
    said["status"] = status()
    said.update({f"{name}_ms": ms for name, ms in took.items()})


# ---- the daemon comes and goes -------------------------------------------------------------


def no_daemon(said: Said) -> Run:
    """Generate without a daemon: it is started, and the request waits for it."""
    image, _ = yield from painted()
    said["before"] = [status(), window().remedy.get_label()]
    window().generate_now()
    yield 0.3
    said["status"] = [status(), window().cancel.get_sensitive()]
    yield lambda: status().startswith("Done")
    yield settled()
    said["after"] = names(image)
    said["remedy"] = not window().remedy.get_visible()


def daemon_killed(said: Said) -> Run:
    image, _ = yield from painted()
    yield from underway(steps=200, strength=1.0)
    connection = Path(os.environ["UNDERPAINT_HOME"], "connection.json")
    os.kill(json.loads(connection.read_text(encoding="utf-8"))["pid"], 9)
    yield lambda: status().startswith("Starting the daemon")
    said["layers"] = names(image)
    yield lambda: status().startswith("Done")
    yield settled()
    said["after"] = names(image)
    said["remedy"] = window().remedy.get_visible()


def left_behind(said: Said) -> Run:
    """GIMP dies while it waits."""
    from gi.repository import Gio

    image, _ = yield from painted()
    file = Gio.File.new_for_path(str(FOUND / "left.xcf"))
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, file, None)
    image.set_file(file)  # as the menu's Save does
    yield from underway(steps=100, strength=1.0, images=2)
    os.kill(os.getppid(), 9)
    os.kill(os.getpid(), 9)


def fetched(said: Said) -> Run:
    """The next start offers what came meanwhile, and its place is found again."""
    from gi.repository import Gio

    from underpaint_gimp.session import session

    file = Gio.File.new_for_path(str(FOUND / "left.xcf"))
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
    shown(image)
    window().show(image, to_front=False)
    yield lambda: window().remedy.get_label() == "Fetch waiting results"
    yield settled()
    # As if this one died before it could say that it has them.
    delivery = session()._delivery
    acknowledge, delivery._forget = delivery._forget, lambda job: None
    press(window().remedy)
    yield lambda: status().startswith("Done")
    yield settled()
    said["names"] = names(image)
    said["results"] = [layer.get_name() for layer in image.get_layers()[0].get_children()]
    delivery._forget = acknowledge
    session().tracker.close()
    session().connect()
    yield window().remedy.get_visible
    yield settled()
    press(window().remedy)
    yield lambda: not window().session.running and not window().remedy.get_visible()
    yield settled()
    said["after"] = [len(names(image)), len(image.get_layers()[0].get_children())]
    session().tracker.close()
    session().connect()
    yield 1.0
    said["nothing_more"] = not window().remedy.get_visible()


def quits(said: Said) -> Run:
    """Leave a job running; GIMP is quit while it does."""
    yield from painted()
    yield from underway(steps=100, strength=1.0)
    said["status"] = status()


def hangs(said: Said) -> Run:
    """Leave a job running, and tell the tests whom to kill."""
    yield from painted()
    yield from underway(steps=100, strength=1.0)
    said["plugin"] = os.getpid()
    (FOUND / "running.json").write_text(json.dumps(said), encoding="utf-8")
    yield lambda: False


def varied(said: Said) -> Run:
    """Vary a result, look through what came, take its settings over; and again after reopening."""
    from gi.repository import Gio

    image, layer = yield from painted()
    fill(prompt="a pond", vary_amount=0.3)
    yield from generated()
    window().look(image)
    said["hidden_without"] = not window().result_row.widget.get_visible()
    group = image.get_layers()[0]
    (first,) = group.get_children()
    image.set_selected_layers([first])
    window().look(image)
    said["shown"] = window().result_row.widget.get_visible()
    fill(images=2, prompt="something else")
    before = get(first, native(first))
    yield settled()
    window().status.set_text("")
    press(window().result_row.buttons["vary"])
    yield lambda: status().startswith("Done")
    yield settled()
    said["status"] = status()
    children = group.get_children()  # from the top
    said["names"] = [child.get_name() for child in children]
    said["visible"] = [child.get_visible() for child in children]
    said["distinct"] = len({get(child, native(child)) for child in children})
    said["first_stays"] = get(first, native(first)) == before
    said["groups"] = names(image)
    image.set_selected_layers([children[0]])
    window().look(image)
    window().use_result("next")
    said["after_next"] = [child.get_visible() for child in children]
    said["active"] = [one.get_name() for one in image.get_selected_layers()]
    window().use_result("previous")
    said["after_previous"] = [child.get_visible() for child in children]
    window().use_result("settings")
    said["settings"] = [
        window().panel.form.value("prompt"),
        window().panel.form.value("seed"),
        window().panel.form.seed_locked,
    ]
    file = Gio.File.new_for_path(str(FOUND / "varied.xcf"))
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, file, None)
    clear()
    yield settled()
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
    shown(image)
    yield settled()
    group = image.get_layers()[0]
    image.set_selected_layers([group])
    window().look(image)
    fill(images=1)
    said["after_reopening"] = window().result_row.widget.get_visible()
    window().status.set_text("")
    window().use_result("vary")
    yield lambda: status().startswith("Done")
    yield settled()
    said["one_more"] = len(group.get_children()) - 3
    layer = group.get_children()[0]
    layer.attach_parasite(Gimp.Parasite.new("underpaint-recipe", 1, list(b"{broken")))
    image.set_selected_layers([layer])
    window().look(image)
    said["broken"] = window().result_row.widget.get_visible()


def chosen(images: int = 3, at: int = 0, **values: Any) -> Run:
    """A batch of results, one of which is selected; its layers from the lowest."""
    image, layer = yield from painted()
    fill(images=images, prompt="a pond", **values)
    yield from generated()
    group = image.get_layers()[0]
    layers = group.get_children()[::-1]
    image.set_selected_layers([layers[at]])
    window().look(image)
    yield settled()
    return image, layer, group, layers


def states(group: Any) -> list[list[Any]]:
    """What a group holds, from the lowest."""
    return [[one.get_name(), one.get_visible()] for one in reversed(group.get_children())]


def recipe(layer: Any) -> bytes:
    found = layer.get_parasite("underpaint-recipe")
    return b"" if found is None else bytes(found.get_data())


def button(name: str) -> Any:
    return window().result_row.buttons[name]


def kept_one(said: Said) -> Run:
    """Keep one of three by its button, and have the others back by one real Ctrl+Z."""
    image, _layer, group, layers = yield from chosen(at=1)
    said["before"] = states(group)
    recipes = [recipe(one) for one in layers]
    ids = [one.get_tattoo() for one in layers]
    kept = settled(changed=True)
    press(button("keep"))
    yield kept
    said["status"] = status()
    said["after"] = states(group)
    said["selected"] = [one.get_name() for one in image.get_selected_layers()]
    said["recipe_stays"] = recipe(group.get_children()[0]) == recipes[1]
    said["alone"] = [button("keep").get_sensitive(), button("vary").get_sensitive()]
    yield from undo()
    said["after_undo"] = states(group)
    back = group.get_children()[::-1]
    said["the_same"] = [one.get_tattoo() for one in back] == ids
    said["recipes_are_back"] = [recipe(one) for one in back] == recipes
    yield from undo()
    said["after_two"] = names(image)


def result_keys(said: Said) -> Run:
    """What can be done with a result, by the shortcuts of the menu's entries."""
    image, layer, group, layers = yield from chosen(images=3, at=2, vary_amount=0.3)
    yield from to_gimp()
    said["visible"] = []
    for key in ("6", "7"):  # next, which goes on at the first; previous
        pressed = settled(changed=True)
        xdo("key", f"ctrl+alt+{key}")
        yield pressed
        said["visible"].append([one.get_visible() for one in layers])
    fill(images=1)
    window().status.set_text("")
    xdo("key", "ctrl+alt+4")
    yield lambda: status().startswith("Done")
    yield settled()
    said["varied"] = len(group.get_children())
    kept = settled(changed=True)
    xdo("key", "ctrl+alt+5")
    yield kept
    said["kept"] = [status(), len(group.get_children())]
    image.set_selected_layers([layer])
    yield settled()
    refused = settled(changed=True)
    xdo("key", "ctrl+alt+5")
    yield refused
    said["refused"] = status()
    fill(steps=1000, strength=1.0)
    xdo("key", "ctrl+alt+9")
    yield lambda: status().startswith("Step")
    xdo("key", "ctrl+alt+3")
    yield lambda: status().startswith("Cancelled")


def more_of_these(said: Said) -> Run:
    """Generate with a result selected: on the layer that it was made from, unless chosen so."""
    image, _layer, _group, layers = yield from chosen(images=2, at=1)
    ours = window()
    said["plan"] = [ours.plan.get_text(), ours.offer.get_label()]
    first = json.loads(recipe(layers[1]))["recipe"]["facts"]
    yield from generated()
    said["groups"] = names(image)
    made = image.get_layers()[0].get_children()[0]
    facts = json.loads(recipe(made))["recipe"]["facts"]
    said["same_source"] = facts["source_hash"] == first["source_hash"]
    said["same_picture"] = get(made, native(made)) == get(layers[1], native(layers[1]))
    said["active"] = [one.get_name() for one in image.get_selected_layers()]
    ours.offer.clicked()
    yield settled()
    said["itself"] = [ours.plan.get_text(), ours.offer.get_label()]


def kept_with_locks(said: Said) -> Run:
    """A locked result stays; in a locked group nothing is removed."""
    _image, _layer, group, layers = yield from chosen(at=0)
    layers[1].set_lock_content(True)
    kept = settled(changed=True)
    press(button("keep"))
    yield kept
    said["after"] = states(group)
    layers[1].set_lock_content(False)
    group.set_lock_content(True)
    kept = settled(changed=True)
    press(button("keep"))
    yield kept
    said["status"] = status()
    said["in_locked_group"] = states(group)


def compared(said: Said) -> Run:
    """Hold Compare with the mouse, let go, and undo: there was nothing to undo."""
    image, layer, group, _layers = yield from chosen(at=2)
    before, where = states(group), corner()
    layer.set_visible(False)
    window().look(image)
    yield settled()
    place = button("compare").get_allocation()
    _, x, y = button("compare").get_window().get_origin()
    middle = (x + place.x + place.width // 2, y + place.y + place.height // 2)
    held = settled(changed=True)
    mouse(*middle, "mousedown", "1")
    yield held
    said["hidden"] = [one.get_visible() for one in group.get_children()]
    said["source_shown"] = layer.get_visible()
    released = settled(changed=True)
    xdo("mouseup", "1")
    yield released
    said["after"] = states(group) == before
    said["source_hidden_again"] = not layer.get_visible()
    yield from undo(where)  # of hiding the layer
    said["source_is_back"] = layer.get_visible()
    yield from undo()
    said["after_undo"] = names(image)


def duplicated(said: Said) -> Run:
    """Image > Duplicate by its key; a variation in the duplicate is one of the right layer."""
    image, _layer = yield from painted()
    fill(prompt="a pond", vary_amount=0.3)
    yield from generated()
    said["undo_steps"] = names(image)
    first = json.loads(recipe(image.get_layers()[0].get_children()[0]))
    yield from to_gimp()
    xdo("key", "ctrl+d")
    yield lambda: len(Gimp.get_images()) == 2
    yield settled()
    (double,) = (one for one in Gimp.get_images() if one.get_id() != image.get_id())
    group = double.get_layers()[0]
    double.set_selected_layers([group])
    window().look(double)
    window().status.set_text("")
    yield settled()
    press(button("vary"))
    yield lambda: status().startswith("Done")
    yield settled()
    said["status"] = status()
    new = json.loads(recipe(group.get_children()[0]))
    was, now = first["recipe"]["facts"], new["recipe"]["facts"]
    said["varied"] = len(now["variations"])
    said["same_source"] = now["source_hash"] == was["source_hash"]
    said["same_name"] = new["source"] == first["source"]
    said["layers"] = [len(group.get_children()), names(image), names(double)]
    yield from undo()
    said["after_undo"] = len(group.get_children())


def cards() -> list[Any]:
    return [card for card in window().result_row.thumbnails if card.button.get_visible()]


def captions() -> list[list[str]]:
    return [card._label.get_text().split("\n") for card in cards()]


def carded(said: Said) -> Run:
    """The thumbnails: what is beneath them, and what a click does."""
    image, _layer, group, _layers = yield from chosen(images=2, at=1, vary_amount=0.3)
    fill(images=3)
    window().status.set_text("")
    press(button("vary"))
    yield lambda: status().startswith("Done")
    yield settled()
    said["captions"] = captions()
    pictures = [card._image.get_pixbuf() for card in cards()]
    said["sizes"] = [[one.get_width(), one.get_height()] for one in pictures]
    said["different"] = len({bytes(one.get_pixels()) for one in pictures})
    shown_other = settled(changed=True)
    press(cards()[2].button)
    yield shown_other
    said["visible"] = [visible for _, visible in states(group)]
    (selected,) = image.get_selected_layers()
    said["selected_is_it"] = selected.get_id() == group.get_children()[::-1][2].get_id()
    said["width"] = window().window.get_size()[0]
    window().status.set_text("")
    press(button("vary"))
    yield lambda: status().startswith("Done")
    yield settled()
    said["page"] = [window().result_row.page.get_text(), len(cards())]
    image.set_selected_layers([group.get_children()[0]])
    window().look(image)
    said["page_of_last"] = [window().result_row.page.get_text(), len(cards())]
    used = settled(changed=True)
    press(button("settings"))
    yield used
    said["settings"] = status()


def sketched(said: Said) -> Run:
    """Cancel, and keep what the picture had become; undo takes it back."""
    image, layer = yield from painted()
    yield from underway(steps=1000, strength=1.0)
    yield window().preview.get_visible
    said["offered_while"] = window().remedy.get_visible()
    yield 0.3
    press(window().cancel)
    yield lambda: status().startswith("Cancelled")
    yield 0.3
    said["offer"] = window().remedy.get_label()
    press(window().remedy)
    yield 0.6
    said["status"] = status()
    said["offer_after"] = window().remedy.get_visible()
    group = image.get_layers()[0]
    (sketch,) = group.get_children()
    said["group"], said["name"] = group.get_name(), sketch.get_name()
    said["covers"] = box_of(sketch)
    left, top, _, _ = box_of(sketch)
    data = get(sketch, "R'G'B'A u8", (80 - left, 80 - top, 96, 96))
    said["opaque"] = sum(alpha > 200 for alpha in data[3::4]) / (96 * 96)
    said["colours"] = len({data[i : i + 3] for i in range(0, len(data), 4)})
    image.set_selected_layers([sketch])
    window().look(image)
    said["can"] = {name: one.get_sensitive() for name, one in window().result_row.buttons.items()}
    image.set_selected_layers([layer])
    fill(**USUAL)
    yield 0.3
    yield from generated()
    said["order"] = [one.get_children()[0].get_name() for one in image.get_layers()[:-1]]
    yield from undo()
    yield from undo()
    said["after_undo"] = names(image)


def reach(said: Said) -> Run:
    """Go through the models by the arrow keys: one that cannot be used is passed over."""
    control = window().controls["model"]
    control.value = "sd"
    window().window.present()
    control.widget.grab_focus()
    yield settled()
    reached = {"sd"}
    for _ in range(4):
        xdo("key", "Down")
        yield 0.2
        reached.add(control.value)
    said["torn_can_be_chosen"] = ["sd" in reached, "sd-torn" in reached]
    said["reached"] = sorted(reached)
    fill(model="sd-torn")
    said["torn"] = window().model_facts.text.get_text()


def fitted(said: Said) -> Run:
    """Steps and guidance follow the model, until a number is typed, and again at a button."""
    image, _ = yield from painted()
    yield lambda: window().session.models
    steps, guidance = (window().controls[name] for name in ("steps", "guidance_scale"))

    def read() -> list[Any]:
        window().look(image)
        return [
            steps.widget.get_value(), steps._auto.get_active(),
            guidance.widget.get_value(), guidance._auto.get_active(),
            window().controls["sampler"].widget.get_active_text(), window().plan.get_text(),
        ]  # fmt: skip

    fill(steps=None, guidance_scale=None, sampler="auto", strength=0.5)
    said["usual"] = read()
    fill(model="sd-few")
    said["few"] = read()
    said["facts"] = window().model_facts.text.get_text()
    yield window().model_facts.picture.get_visible
    small = window().model_facts.picture.get_pixbuf()
    said["picture"] = [small.get_width(), small.get_height(), list(small.get_pixels()[:3])]
    yield from reach(said)
    said["no_picture"] = not window().model_facts.picture.get_visible()
    fill(model="sd-few")
    window().window.present()
    steps.widget.grab_focus()
    yield settled()
    xdo("key", "Up")
    yield 0.2
    said["stepped"] = read()
    xdo("key", "ctrl+a", "Delete")
    xdo("type", "15")
    yield 0.2
    window().refresh()  # as when a message of the daemon's comes meanwhile
    xdo("key", "Tab")
    yield settled()
    said["typed"] = read()
    fill(model="")
    said["kept"] = read()
    steps._auto.clicked()
    said["let_go"] = read()
    fill(model="sd-few")
    yield from generated()
    group = image.get_layers()[0]
    made = json.loads(recipe(group.get_children()[0]))["recipe"]["request"]["sampling"]
    said["made"] = [made["steps"], made["guidance_scale"], made["sampler"]]
    image.set_selected_layers([group.get_children()[0]])
    yield settled()
    window().use_result("settings")
    said["copied"] = read()[:4]
    fill(**USUAL)


def styled(said: Said) -> Run:
    """Choose a style and generate, then use the settings of a picture of another program."""
    from editor.style_steps import USED, write_picture, write_style

    image, _ = yield from painted()
    write_style()
    window().session.prompt_sources._asked = None
    window().look(image)
    styles = window().controls["style"]
    yield lambda: "Few" in [row[1] for row in styles.widget.get_model()]
    said["torn_can_be_chosen"] = [name not in styles._unusable for name in ("Few", "Torn")]
    fill(steps=None, guidance_scale=None, sampler="auto", style="Few")
    said["own"] = [
        window().controls["steps"].widget.get_value(), window().plan.get_text(),
        window().model_facts.text.get_text(),
    ]  # fmt: skip
    yield settled()
    _keep_picture("styled_form")
    yield from generated()
    made = image.get_layers()[0].get_children()[0]
    said["recipe"] = json.loads(recipe(made))["recipe"]
    file = write_picture(FOUND / "webui.png")
    window()._pictures.open(window().window)
    dialog = window()._pictures._dialog
    dialog.set_filename(str(file))
    yield settled()
    _keep_picture("styled_picture")
    dialog.emit("response", -3)  # as its button Open does
    dialog.hide()
    yield lambda: status().startswith("The settings")
    said["status"] = status()
    said["used"] = {name: window().controls[name].value for name in USED}
    yield settled()
    fill(**USUAL)


def shared(said: Said) -> Run:
    """Three batches, while the other editor asks for its own."""
    image, _ = yield from painted()
    fill(prompt="from GIMP", images=2)
    for _ in range(3):
        yield from generated()
    said["groups"] = names(image)
    said["layers"] = [len(group.get_children()) for group in image.get_layers()[:-1]]


def portrait(said: Said) -> Run:
    """Take the guide's picture: a sketch, partly erased, filled by the starter model."""
    from gi.repository import Gio

    xdo("search", "--onlyvisible", "--class", "gimp", "windowsize", "1080", "760")
    file = Gio.File.new_for_path(os.environ["UNDERPAINT_SKETCH"])
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
    shown(image)
    window().show(image, to_front=False)
    fill(**{**USUAL, "prompt": "tree on a hill with a river, nature photograph", "steps": 20,
            "guidance_scale": 4.0, "seed": 1})  # fmt: skip
    yield 1.0
    window().window.move(1090, 0)
    yield from to_gimp()
    xdo("key", "shift+ctrl+j")  # the whole picture
    yield 1.0
    yield from generated()
    yield 1.5
    said["status"] = status()


def _keep_picture(name: str) -> None:
    root = Gdk.get_default_root_window()
    pixels = Gdk.pixbuf_get_from_window(root, 0, 0, root.get_width(), root.get_height())
    pixels.savev(str(FOUND / f"{name}.png"), "png", [], [])


def downloaded(said: Said) -> Run:
    """Choose "Get a model...", press Download, and choose what came."""
    yield from painted()
    control = window().controls["model"]
    before = control.value
    window().window.present()
    yield 0.5
    control.widget.grab_focus()
    control.widget.popup()
    yield 0.5
    xdo("key", "End")
    yield 0.3
    xdo("key", "Return")
    yield lambda: window()._downloads is not None and window()._downloads._rows
    yield 0.7
    said["choice_stays"] = control.value == before
    said["heading"] = window()._downloads.heading.get_text()
    offers = window().session.downloads.offers
    said["offers"] = [offer.model for offer in offers]
    row = window()._downloads._rows[offers[0].model]
    said["button"] = [row._button.get_label(), row._button.get_visible()]
    said["height"] = window()._downloads.window.get_size()[1]
    _keep_picture("downloads-offered")
    press(row._button)
    yield lambda: not row._button.get_visible()
    yield 0.5
    _keep_picture("downloads-done")
    said["row"] = row._status.get_text()
    said["status"] = status()
    yield lambda: offers[0].title in [one.value for one in window().session.model_choices]
    window()._downloads.window.hide()
    fill(model=offers[0].title)
    yield from generated()
    said["done"] = status()
