"""What is tried in a real Krita. Each function is one scenario; see `underpaint_agent`.

What a scenario finds out goes into `said`; the tests outside compare it.
"""

from __future__ import annotations

import importlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from driver import Settled
from krita import Krita, Selection

from underpaint_krita.qt import QtCore, QtGui, QtWidgets

QtTest = importlib.import_module(QtCore.__name__.replace("QtCore", "QtTest"))

Said = dict[str, Any]
Run = Generator[Any, None, Any]
Hole = tuple[int, int, int, int]

FOUND = Path(os.environ["UNDERPAINT_AGENT"])
SRGB = "sRGB-elle-V2-srgbtrc.icc"
HOLE = (80, 80, 96, 96)  # left, top, width, height
RESOLUTION = float(os.environ.get("UNDERPAINT_DPI", "300"))
USUAL = {
    "prompt": "a lake",
    "strength": 0.6,
    "steps": 4,
    "seed": 7,
    "seed_locked": True,
    "images": 1,
    "mode": "auto",
    "result": "patch",
    "model": "",
    "fill": "auto",
    "context": "layer",
}


ACTIONS = [
    f"underpaint_{name}" for name in ("generate", "cancel", "previous", "next", "keep", "vary")
]


def docker() -> Any:
    return next(d for d in Krita.instance().dockers() if d.objectName() == "underpaint")


def is_busy() -> bool:
    """Whether a docker has something to do still."""
    turns = [d._turns for d in Krita.instance().dockers() if d.objectName() == "underpaint"]
    return any(one.busy or one._waiting for one in turns)


def control(name: str) -> Any:
    return docker().findChild(QtWidgets.QWidget, name)


def status() -> str:
    return str(control("status").text())


def _state() -> list[object]:
    """What changes on the screen and in the document in front, but for the pixels."""
    document = Krita.instance().activeDocument()
    node = None if document is None else document.activeNode()
    focus = QtWidgets.QApplication.focusWidget()
    texts = [control(name).text() for name in ("plan", "status", "remedy")]
    place = control("generate").mapToGlobal(QtCore.QPoint(0, 0))
    there = [*texts, place.x(), place.y(), "" if focus is None else focus.objectName(), is_busy()]
    if document is None or node is None:
        return there
    layers = [
        (one.uniqueId().toString(), one.visible(), one.locked())
        for one in _nodes(document.rootNode())
    ]
    size = document.width(), document.height()
    return [*there, node.uniqueId().toString(), size, document.fileName(), layers]


def _nodes(root: Any) -> list[Any]:
    return [inner for child in root.childNodes() for inner in (child, *_nodes(child))]


def settled(*, changed: bool = False) -> Settled:
    """Wait until Krita and the docker have done what was begun."""
    return Settled(_state, changed=changed)


def new_document(
    width: int = 256,
    height: int = 256,
    model: str = "RGBA",
    depth: str = "U8",
    profile: str = SRGB,
) -> Any:
    krita = Krita.instance()
    document = krita.createDocument(width, height, "test", model, depth, profile, RESOLUTION)
    krita.activeWindow().addView(document)
    return document


def painting(width: int = 256, height: int = 256, hole: Hole = HOLE) -> bytes:
    """BGRA: a gradient of colours, erased in a box with the colour kept."""
    data = bytearray()
    left, top, wide, high = hole
    for y in range(height):
        for x in range(width):
            erased = left <= x < left + wide and top <= y < top + high
            data += bytes((x * 255 // width, y * 255 // height, 90, 0 if erased else 255))
    return bytes(data)


def paint(node: Any, data: bytes, width: int = 256, height: int = 256) -> None:
    node.setPixelData(QtCore.QByteArray(data), 0, 0, width, height)


def pixels(node: Any, width: int = 256, height: int = 256) -> bytes:
    return bytes(node.pixelData(0, 0, width, height).data())


def shown(document: Any, width: int = 256, height: int = 256) -> bytes:
    document.refreshProjection()
    document.waitForDone()
    return bytes(document.pixelData(0, 0, width, height).data())


def opened(data: bytes | None = None, **kind: Any) -> Run:
    """A document with a painting, on the canvas and settled."""
    document = new_document(**kind)
    yield settled()
    layer = yield from with_layer(document)
    paint(layer, painting() if data is None else data)
    document.refreshProjection()
    fill(**USUAL)
    yield settled()
    plan()
    return document, layer


def with_layer(document: Any) -> Run:
    """Add the layer that the painting goes to, and wait until it is active."""
    layer = document.createNode("Painting", "paintlayer")
    document.rootNode().addChildNode(layer, None)
    yield lambda: document.activeNode() and document.activeNode().name() == "Painting"
    return layer


def plan() -> str:
    """What the docker says that it will do, when the mouse enters it."""
    docker()._look()
    return str(control("plan").text())


def fill(**values: Any) -> None:
    for name, value in values.items():
        if name == "seed_locked":
            docker().lock.setChecked(value)
        else:
            docker().controls[name].value = value


def generated() -> Run:
    """Press the button and wait until all is in place."""
    control("status").setText("")
    control("generate").click()
    yield ended
    yield settled()


def ended() -> bool:
    return status().startswith(("Done", "The ", "No ", "Its ", "Cancelled", "Model"))


def underway(**values: Any) -> Run:
    """Press the button and wait for the first step."""
    fill(**values)
    control("status").setText("")
    control("generate").click()
    yield lambda: status().startswith("Step")


def result(layer: Any) -> tuple[Any, list[Any]]:
    """The group above the layer, and its layers from the lowest."""
    siblings = layer.parentNode().childNodes()
    index = next(i for i, n in enumerate(siblings) if n.uniqueId() == layer.uniqueId())
    group = siblings[index + 1]
    return group, group.childNodes()


def outside(data: bytes, hole: Hole = HOLE, width: int = 256, each: int = 4) -> bytes:
    """The bytes outside of a box, where a pixel has so many."""
    left, top, wide, high = hole
    line = each * width
    rows = [data[line * y : line * (y + 1)] for y in range(len(data) // line)]
    kept = bytearray()
    for y, row in enumerate(rows):
        kept += row[: each * left] + row[each * (left + wide) :] if top <= y < top + high else row
    return bytes(kept)


# ---- the contract --------------------------------------------------------------------------


def contract(said: Said) -> Run:
    """The checks that every adapter must pass."""
    from tested_editor import KritaUnderTest

    from editor.contract_checks import SETTLE, run_checks

    form = docker().panel.form
    said["checks"] = {}
    for seconds in run_checks(KritaUnderTest(docker()), said["checks"], close_all):
        yield settled() if seconds == SETTLE else seconds
    docker().panel.fill(form)


def nothing_there(said: Said) -> Run:
    """What Krita may not have: an action, an open document, an entry in a list."""
    from tested_editor import KritaUnderTest

    from editor.contract_checks import SIZE, painting, refusal, results
    from underpaint_client.address import Address
    from underpaint_krita import tree

    editor = KritaUnderTest(docker())
    document = editor.open_painting(painting(), SIZE)
    yield settled()
    document.insert("a lake", results(2))
    yield settled()
    selected = editor.select_layer(document, "seed 1")
    yield settled()
    real = tree.Krita

    class WithoutActions:
        def __getattr__(self, name: str) -> Any:
            return (lambda _name: None) if name == "action" else getattr(real.instance(), name)

    tree.Krita = type("Fake", (), {"instance": staticmethod(WithoutActions)})  # type: ignore[assignment]
    try:
        said["no_action"] = refusal(selected.keep_only)
    finally:
        tree.Krita = real
    said["still_there"] = [list(editor.shown(document)), document.layer.locked()]
    editor.close(document)
    yield settled()
    said["closed"] = refusal(lambda: document.insert("a lake", results(1)))
    unknown = editor.find_document(Address("Krita", "", "none", 96, 64))
    said["unknown"] = [refusal(lambda: unknown.address), unknown.is_open, unknown.can_redo]
    control("model").clear()
    said["empty_list"] = docker().controls["model"].value
    docker()._listed = {}
    docker()._refresh()


def fitted(said: Said) -> Run:
    """Steps and guidance follow the model, until a number is typed, and again at a button."""
    document, layer = yield from opened()
    yield lambda: docker().session.models

    def read() -> list[Any]:
        docker()._look()
        return [
            control("steps").value(), control("steps_auto").isChecked(),
            control("guidance_scale").value(), control("guidance_scale_auto").isChecked(),
            control("sampler").currentText(), control("plan").text(),
        ]  # fmt: skip

    fill(steps=None, guidance_scale=None, sampler="auto", strength=0.5)
    said["usual"] = read()
    fill(model="sd-few")
    said["few"] = read()
    said["facts"] = control("model_facts").text()
    yield control("model_picture").isVisible
    image = control("model_picture").pixmap().toImage()
    said["picture"] = [image.width(), image.height(), image.pixelColor(5, 5).getRgb()[:3]]
    rows = control("model").model()
    said["torn_can_be_chosen"] = [
        rows.item(control("model").findData(name)).isEnabled() for name in ("sd", "sd-torn")
    ]
    fill(model="sd-torn")
    said["torn"] = control("model_facts").text()
    said["no_picture"] = not control("model_picture").isVisible()
    fill(model="sd-few")
    yield from focus()
    yield from click(control("steps"))
    yield from xdo("key", "Up")
    yield 0.2
    said["stepped"] = read()
    yield from xdo("key", "ctrl+a")
    yield from xdo("type", "15")
    docker()._refresh()  # as when a message of the daemon's comes meanwhile
    yield from xdo("key", "Tab")
    yield 0.2
    said["typed"] = read()
    fill(model="")
    said["kept"] = read()
    yield from click(control("steps_auto"))
    said["let_go"] = read()
    fill(model="sd-few")
    yield from generated()
    _group, (layer_of_result,) = result(layer)
    made = json.loads(recipe(document, layer_of_result))["recipe"]["request"]["sampling"]
    said["made"] = [made["steps"], made["guidance_scale"], made["sampler"]]
    document.setActiveNode(layer_of_result)
    yield settled()
    docker().use_result("settings")
    said["copied"] = read()[:4]
    fill(**USUAL, guidance_scale=None, sampler="auto")


def styled(said: Said) -> Run:
    """Choose a style and generate, then use the settings of a picture of another program."""
    from editor.style_steps import USED, write_picture, write_style

    document, layer = yield from opened()
    write_style()
    docker().session.prompt_sources._asked = None
    docker()._look()
    styles = control("style")
    yield lambda: styles.findData("Few") >= 0
    said["torn_can_be_chosen"] = [
        styles.model().item(styles.findData(name)).isEnabled() for name in ("Few", "Torn")
    ]
    fill(steps=None, guidance_scale=None, sampler="auto", style="Few")
    said["own"] = [control("steps").value(), control("plan").text(), control("model_facts").text()]
    yield settled()
    _keep_picture("styled_form")
    yield from generated()
    _group, (layer_of_result,) = result(layer)
    said["recipe"] = json.loads(recipe(document, layer_of_result))["recipe"]
    file = write_picture(FOUND / "webui.png")
    control("picture").click()
    yield lambda: docker().findChild(QtWidgets.QFileDialog)
    dialog = docker().findChild(QtWidgets.QFileDialog)
    yield dialog.isVisible
    yield from xdo("windowfocus", "--sync", int(dialog.winId()))
    yield from xdo("type", str(file))
    yield settled()
    _keep_picture("styled_picture")
    yield from xdo("key", "Return")
    yield lambda: status().startswith("The settings")
    said["status"] = status()
    said["used"] = {name: docker().controls[name].value for name in USED}
    fill(**USUAL, guidance_scale=None, sampler="auto", negative_prompt="")


def close_all() -> None:
    for dialog in QtWidgets.QApplication.topLevelWidgets():
        if isinstance(dialog, QtWidgets.QDialog) and dialog.isVisible():
            dialog.close()  # a scenario that failed has left it
    for document in Krita.instance().documents():
        document.waitForDone()  # what goes on still would crash Krita
        document.setModified(False)
        document.close()


def narrowest() -> int:
    """Return how many pixels the docker must have for nothing to be cut off."""
    area = docker().widget()
    return int(
        area.widget().minimumSizeHint().width() + area.verticalScrollBar().sizeHint().width()
    )


# ---- control layers ------------------------------------------------------------------------


def controlled(said: Said) -> Run:
    """Use a layer as canny edges in the docker, and generate on the one below it."""
    from underpaint_client.geometry import Box
    from underpaint_editor.layer_role import LayerRole
    from underpaint_krita.canvas import KritaDocument

    document, layer = yield from opened()

    def details() -> bool:
        docker()._look()
        return bool(control("control_strength").isVisible())

    said["details"] = [details()]
    lines = document.createNode("Lines", "paintlayer")
    paint(lines, bytes((255, 255, 255, 255)) * 256 * 96 + bytes(256 * 4 * 160))
    document.rootNode().addChildNode(lines, layer)
    yield lambda: document.activeNode() and document.activeNode().name() == "Lines"
    docker()._look()
    box = control("layer_role")
    box.setCurrentIndex(box.findData("canny"))
    control("control_strength").setValue(1.5)
    yield settled()
    said["details"].append(details())
    said["refused"] = plan()
    document.setActiveNode(layer)
    yield settled()
    said["details"].append(details())
    yield from generated()
    _group, (held,) = result(layer)
    said["used"] = json.loads(recipe(document, held))["recipe"]["facts"]["controls"]
    lines.setVisible(False)
    yield from generated()
    groups = [one for one in layer.parentNode().childNodes() if one.type() == "grouplayer"]
    (free,) = groups[-1].childNodes()
    said["again"] = json.loads(recipe(document, free))["recipe"]["facts"]["controls"]
    said["differs"] = pixels(free) != pixels(held)
    lines.setVisible(True)
    around = KritaDocument(document, lines, Box(0, 0, 256, 256))
    around.set_role(None)
    KritaDocument(document, layer, around.canvas).set_role(LayerRole.of(layer_role="depth"))
    for group in groups:
        group.setVisible(False)
    document.refreshProjection()
    yield settled()
    frame = around.surroundings.read_context(Box(0, 128, 256, 64))
    said["below"] = [set(bytes(frame.data)) <= {255}, around.surroundings.shows_below()]
    around.set_role(LayerRole.of(layer_role="canny", control_strength=1.5))
    document.setActiveNode(lines)
    yield settled()
    docker()._look()
    yield settled()


HALVES = (bytes((0, 0, 0, 255)) * 128 + bytes((255, 255, 255, 255)) * 128) * 256
"""BGRA: black on the left, white on the right."""


def control_made(said: Said) -> Run:
    """Make a control layer of the painting by the menu, undo that, and copy one."""
    from underpaint_krita.tree import control_layers, role_of

    document, layer = yield from opened(HALVES)
    menu = docker().control_menu.menu

    def choose(name: str) -> Run:
        control("status").setText("")
        control("make_control").click()
        yield menu.isVisible
        yield settled()
        said["offered"] = [action.text() for action in menu.actions()]
        next(one for one in menu.actions() if one.text() == name).trigger()
        menu.close()
        yield lambda: status().startswith(("Control layer", "No model"))
        yield settled()

    def layers() -> list[str]:
        return [
            one.name() for one in document.rootNode().childNodes() if one.name() != "Background"
        ]

    yield from choose("Depth (no model yet)")
    said["refused"], said["before"] = status(), layers()
    yield from choose("Canny edges")
    said["told"], said["layers"] = status(), layers()
    made = document.nodeByName("Canny edges")
    role = role_of(document, made)
    said["role"], said["opacity"] = role.kind, made.opacity() / 255
    said["active"] = document.activeNode().name()
    data = pixels(made)
    said["colours"] = sorted({data[n : n + 3].hex() for n in range(0, len(data), 4)})
    yield from undo()
    said["undone"] = layers()
    yield from choose("Canny edges")
    yield from generated()
    held = next(one for one in layers() if one.startswith("a lake"))
    (picture,) = document.nodeByName(held).childNodes()
    said["used"] = json.loads(recipe(document, picture))["recipe"]["facts"]["controls"]
    said["order"] = layers()
    document.setActiveNode(document.nodeByName("Canny edges"))
    yield settled()
    docker()._look()
    said["not_painted_on"] = [control("generate").isEnabled(), control("generate").toolTip()]
    Krita.instance().action("duplicatelayer").trigger()
    yield lambda: document.activeNode().name() not in ("Canny edges", "Painting")
    yield settled()
    docker()._look()
    said["copy"] = [one.kind for one, _ in control_layers(document)]
    said["chosen"] = control("layer_role").currentData()
    document.setActiveNode(layer)
    yield settled()
    docker()._look()
    said["painted_on"] = control("generate").isEnabled()


def referenced(said: Said) -> Run:
    """Use a layer as a style reference in the docker, and generate on the one below it."""
    document, layer = yield from opened()
    photo = document.createNode("Photo", "paintlayer")
    colours = bytes((200, 40, 40, 255)) * 32 + bytes((40, 40, 200, 255)) * 32
    photo.setPixelData(QtCore.QByteArray(colours * 64), 300, 300, 64, 64)  # outside the canvas
    document.rootNode().addChildNode(photo, layer)
    yield lambda: document.activeNode() and document.activeNode().name() == "Photo"
    docker()._look()
    box = control("layer_role")
    box.setCurrentIndex(box.findData("style"))
    control("control_strength").setValue(0.75)
    yield settled()
    said["details"] = bool(control("control_strength").isVisible())
    said["refused"] = plan()
    document.setActiveNode(layer)
    yield settled()
    docker()._look()
    yield from generated()
    _group, (taken,) = result(layer)
    made = json.loads(recipe(document, taken))["recipe"]
    said["asked"] = made["request"]["conditioning"]["references"]
    said["used"] = made["facts"]["references"]
    photo.setVisible(False)
    yield from generated()
    groups = [one for one in layer.parentNode().childNodes() if one.type() == "grouplayer"]
    (free,) = groups[-1].childNodes()
    said["again"] = json.loads(recipe(document, free))["recipe"]["facts"]["references"]
    said["differs"] = pixels(free) != pixels(taken)


def regional(said: Said) -> Run:
    """Use a layer as a region in the docker, type its prompt, and generate on the one below it."""
    document, layer = yield from opened()
    sky = document.createNode("Sky", "paintlayer")
    paint(sky, bytes((255, 160, 90, 255)) * 256 * 96 + bytes(256 * 4 * 160))
    document.rootNode().addChildNode(sky, layer)
    yield lambda: document.activeNode() and document.activeNode().name() == "Sky"
    docker()._look()
    box = control("layer_role")
    box.setCurrentIndex(box.findData("region"))
    yield settled()
    docker()._look()
    names = ("control_strength", "region_prompt")
    said["shown"] = [bool(control(name).isVisible()) for name in names]
    document.setActiveNode(layer)
    yield settled()
    docker()._look()
    control("generate").click()
    yield settled()
    said["without"] = status()
    document.setActiveNode(sky)
    yield settled()
    docker()._look()
    edit = control("region_prompt")
    edit.setFocus()
    for letter in "red sunset":
        edit.insertPlainText(letter)
        docker()._look()
    said["typed"] = [edit.toPlainText(), edit.textCursor().position()]
    yield settled()
    _keep_picture("regional")
    document.setActiveNode(layer)
    yield settled()
    docker()._look()
    said["plan"] = plan()
    yield from generated()
    _group, (made,) = result(layer)
    facts = json.loads(recipe(document, made))["recipe"]["facts"]
    said["used"] = facts["regions"]
    sky.setVisible(False)
    docker()._look()
    yield settled()
    said["hidden"] = plan()


# ---- looks ---------------------------------------------------------------------------------


def looks(said: Said) -> Run:
    yield from opened()
    fill(prompt="tree on a hill with a river, nature photograph")
    yield settled()
    said["plan"] = control("plan").text()
    said["status"] = status()
    names = [
        *("prompt", "negative_prompt", "strength", "mode", "steps", "compensate", "seed"),
        *("guidance_scale", "images", "sampler", "model", "fill", "result", "plan"),
        *("generate", "cancel", "progress", "status"),
    ]
    said["missing"] = [name for name in names if control(name) is None]
    said["mute"] = [
        name for name in names
        if control(name) is not None and not control(name).accessibleName()
    ]  # fmt: skip
    body = docker().widget().widget()
    fill(prompt="a lake")
    said["arrows"] = [
        name for name in ("prompt", "negative_prompt")
        if control(name).verticalScrollBar().isVisible()
    ]  # fmt: skip
    docker().result_row.setVisible(True)
    docker().setFixedWidth(250)
    yield settled()
    said["too_wide"] = narrowest()
    said["cut_off"] = [
        w.objectName() or w.text()
        for w in body.findChildren(QtWidgets.QWidget)
        if w.isVisible() and w.parent() is body and w.geometry().right() > body.width()
    ]
    docker().setMinimumWidth(0)
    docker().setMaximumWidth(16777215)
    said["actions"] = [
        name for name in ACTIONS
        if Krita.instance().action(name) is not None
    ]  # fmt: skip


def shortcuts(said: Said) -> Run:
    """Press the keys that Krita's settings give to the actions, the docker shown and hidden."""
    document, _layer = yield from opened()
    yield from focus()
    said["given"] = [Krita.instance().action(name).shortcut().toString() for name in ACTIONS]
    said["groups"] = []
    for shown in (True, False):
        docker().setVisible(shown)
        control("status").setText("")
        yield settled()
        yield from xdo("key", "ctrl+shift+F9")
        yield lambda: status().startswith("Done")
        yield settled()
        said["groups"].append(len(document.topLevelNodes()))
    fill(steps=1000, strength=1.0)
    yield from xdo("key", "ctrl+shift+F9")
    yield lambda: status().startswith("Step")
    yield from xdo("key", "ctrl+shift+F8")
    yield lambda: status().startswith("Cancelled")
    docker().setVisible(True)


def ctrl_enter(said: Said) -> Run:
    """Press Ctrl+Enter and Shift+Enter in the texts, with either Enter key."""
    document, _layer = yield from opened()
    yield from focus()
    search = [
        action.objectName() for action in Krita.instance().actions()
        if action.shortcut() == QtGui.QKeySequence("Ctrl+Return")
    ]  # fmt: skip
    said["krita_has_it"] = search
    said["popups"], said["groups"] = [], []
    for name, key in (
        ("prompt", "ctrl+Return"), ("negative_prompt", "ctrl+KP_Enter"), ("prompt", "shift+Return"),
    ):  # fmt: skip
        yield from click(control(name))
        control("status").setText("")
        yield from xdo("key", key)
        yield 0.5  # in which nothing opens
        popups = [w for w in QtWidgets.QApplication.topLevelWidgets() if w.isVisible()]
        window = Krita.instance().activeWindow().qwindow()
        said["popups"].append([w.metaObject().className() for w in popups if w is not window])
        said["bars"] = [
            w.metaObject().className() for w in window.findChildren(QtWidgets.QWidget)
            if "CommandBar" in w.metaObject().className() and w.isVisible()
        ]  # fmt: skip
        yield lambda: status().startswith("Done")
        yield settled()
        said["groups"].append(len(document.topLevelNodes()))
    said["prompt"] = control("prompt").toPlainText()


def typed(said: Said) -> Run:
    """Numbers by real keys, with either decimal sign; and Generate with one that is being typed."""
    from editor.typed_numbers import TYPED

    document, layer = yield from opened()
    yield from focus()
    for name, text in TYPED:
        fill(strength=0.6, guidance_scale=7.5, steps=4, seed=7)
        control(name).setFocus()
        yield from xdo("key", "ctrl+a", "Delete")
        yield from xdo("type", text)
        yield from xdo("key", "Tab")
        yield settled()
        said[f"{name} {text}"] = [docker().controls[name].value, control(name).text()]
    fill(strength=0.6, steps=20, guidance_scale=1.0)
    yield from click(control("strength"))
    yield from xdo("key", "ctrl+a", "Delete")
    yield from xdo("type", "0.35")
    yield settled()
    yield from generated()
    _group, (made,) = result(layer)
    found = json.loads(recipe(document, made))["recipe"]
    said["made"] = [found["request"]["sampling"]["strength"], found["facts"]["steps_run"]]
    fill(**USUAL, guidance_scale=None)


def weighed(said: Said) -> Run:
    """Change weights by Ctrl+Up and Ctrl+Down, at the caret and of a selection, and undo it."""
    document, _layer = yield from opened()
    yield from focus()
    said["texts"] = {}
    for name in ("prompt", "negative_prompt"):
        fill(**{name: "\U0001f600 a red lake"})  # Qt counts the first character as two
        yield from click(control(name))
        found = said["texts"][name] = []
        for keys in (
            ("ctrl+End", "ctrl+Up"), ("ctrl+Up",), ("ctrl+Down", "ctrl+Down"), ("ctrl+Down",),
            ("ctrl+z",), ("ctrl+End", "ctrl+shift+Left", "ctrl+shift+Left", "ctrl+Up"),
        ):  # fmt: skip
            for key in keys:
                yield from xdo("key", key)
                yield 0.1
            yield 0.2
            found.append([control(name).toPlainText(), control(name).textCursor().selectedText()])
    said["form"] = docker().panel.form.value("prompt")
    fill(negative_prompt="")
    control("status").setText("")
    yield from xdo("key", "ctrl+Return")
    yield lambda: status().startswith("Done")
    yield settled()
    said["groups"] = len(document.topLevelNodes())


def completed(said: Said) -> Run:
    """Complete names with the real keyboard and mouse, and see what cannot be read marked."""
    from editor.completion_steps import complete_names

    document, _layer = yield from opened()
    tags = Path(os.environ["UNDERPAINT_HOME"], "tags.csv")
    tags.write_text("blue_sky,0,9\nblue_eyes_(cat),0,5\n", encoding="utf-8")
    fill(prompt="")
    yield from focus()
    edit = control("prompt")
    popup = control("prompt_completions")
    yield from click(edit)
    said["steps"] = []

    def note(*keys: str, typed: str = "") -> Run:
        if typed:
            yield from xdo("type", "--delay", 30, typed)
        for key in keys:
            yield from xdo("key", key)
            yield 0.15
        yield 0.3
        rows = [popup.item(row).text() for row in range(popup.count())]
        said["steps"].append([
            edit.toPlainText(), rows if popup.isVisible() else [], popup.currentRow(),
            edit.hasFocus(),
        ])  # fmt: skip

    yield from complete_names(note, said["steps"], popup.isVisible, _keep_picture)
    corner = popup.mapToGlobal(popup.visualItemRect(popup.item(0)).center())
    yield from mouse(corner.x(), corner.y(), "click", 1)
    yield from note()
    yield from note(typed="<lora:")
    yield from mouse(*canvas_point(40, 40), "click", 1)
    yield 0.5
    said["canvas_clicked"] = [popup.isVisible(), edit.hasFocus()]
    fill(prompt="# <lora:>\na lake <lora:ink:much>")
    marks = edit.extraSelections()
    said["marked"] = [one.cursor.selectedText() for one in marks]
    said["plan"] = control("plan").text()
    yield 0.3
    _keep_picture("completed_error")
    control("status").setText("")
    control("generate").click()
    yield 0.3
    said["status"] = status()
    fill(prompt="a pond __b")
    said["unmarked"] = len(edit.extraSelections())
    yield from click(edit)
    yield from xdo("key", "ctrl+End")
    yield from note(typed="i")
    control("status").setText("")
    yield from xdo("key", *["BackSpace"] * 4, "ctrl+Return")
    yield lambda: status().startswith("Done")
    yield 0.6
    said["groups"] = len(document.topLevelNodes())
    fill(prompt="")
    yield from click(edit)
    yield from note("Up")
    tags.unlink()


# ---- the way it goes -----------------------------------------------------------------------


def canvas_point(x: int, y: int) -> tuple[int, int]:
    """The screen position of a pixel, at 100 % and the canvas centred."""
    window = Krita.instance().activeWindow().qwindow()
    area = next(
        w for w in window.findChildren(QtWidgets.QWidget)
        if w.metaObject().className() in ("KisOpenGLCanvas2", "KisQPainterCanvas")
        and w.isVisible()
    )  # fmt: skip
    middle = area.mapToGlobal(area.rect().center())
    return middle.x() + x - 128, middle.y() + y - 128


def xdo(*words: Any) -> Run:
    process = subprocess.Popen(["xdotool", *map(str, words)])
    yield lambda: process.poll() is not None


def mouse(x: int, y: int, *words: Any) -> Run:
    """Move the real mouse to one of Qt's points of the screen, and go on with `xdotool`'s words."""
    scale = QtWidgets.QApplication.primaryScreen().devicePixelRatio()
    yield from xdo("mousemove", round(x * scale), round(y * scale), *words)


def eraser(said: Said) -> Run:
    document, layer = yield from opened(painting(hole=(0, 0, 0, 0)))
    before = pixels(layer)
    view = Krita.instance().activeWindow().activeView()
    view.canvas().setZoomLevel(1.0)
    view.setBrushSize(40)
    yield settled()
    Krita.instance().action("KritaShape/KisToolBrush").trigger()
    Krita.instance().action("erase_action").trigger()
    yield settled()
    yield from mouse(*canvas_point(90, 128), "mousedown", 1)
    yield 0.2
    for x in range(95, 170, 5):
        yield from mouse(*canvas_point(x, 128))
    yield from xdo("mouseup", 1)
    yield 1.0  # a stroke ends some time later
    Krita.instance().action("erase_action").trigger()
    erased = pixels(layer)
    said["erased"] = erased[3::4].count(0)
    said["colour_kept"] = all(
        erased[i : i + 3] == before[i : i + 3]
        for i in range(0, len(erased), 4)
        if erased[i + 3] == 0
    )
    said["plan"] = plan()
    button = control("generate")
    centre = button.mapToGlobal(button.rect().center())
    control("status").setText("")
    yield from mouse(centre.x(), centre.y(), "click", 1)
    yield lambda: status().startswith("Done")
    yield settled()
    said["status"] = status()
    group, (patch,) = result(layer)
    said["group"], said["name"] = group.name(), patch.name()
    said["source_untouched"] = pixels(layer) == erased
    said["active"] = document.activeNode().name()
    over = shown(document)
    whole = [i for i in range(0, len(erased), 4) if erased[i + 3] == 255]
    said["kept"] = all(over[i : i + 3] == erased[i : i + 3] for i in whole)
    gone = [i for i in range(0, len(erased), 4) if erased[i + 3] == 0]
    said["filled"] = sum(over[i + 3] == 255 for i in gone) / len(gone)
    said["changed"] = sum(over[i : i + 3] != before[i : i + 3] for i in gone) / len(gone)
    Krita.instance().action("edit_undo").trigger()
    document.waitForDone()
    yield settled()
    said["after_undo"] = [node.name() for node in document.topLevelNodes()]
    said["undone"] = pixels(layer) == erased


def hidden_colour(said: Said) -> Run:
    _document, layer = yield from opened()
    fill(strength=0.0, result="layer")
    yield from generated()
    said["status"] = status()
    _, (copy,) = result(layer)
    said["same"] = pixels(copy) == painting()


def batch(said: Said) -> Run:
    document, layer = yield from opened()
    fill(images=3, seed=41)
    yield from generated()
    group, layers = result(layer)
    said["group"] = group.name()
    said["layers"] = [node.name() for node in layers]
    said["visible"] = [node.visible() for node in layers]
    said["distinct"] = len({pixels(node) for node in layers})
    document.waitForDone()  # without a refresh: as it is on the canvas
    middle = (120, 120, 16, 16)
    drawn = bytes(document.pixelData(*middle).data())
    said["drawn"] = drawn == bytes(layers[-1].pixelData(*middle).data())
    for when in ("after_undo", "after_two"):
        yield from undo()
        said[when] = [node.name() for node in document.topLevelNodes()]


def soft_selection(said: Said) -> Run:
    document, layer = yield from opened(painting(hole=(0, 0, 0, 0)))
    chosen = Selection()
    chosen.select(64, 64, 128, 128, 255)
    chosen.feather(10)
    document.setSelection(chosen)
    before = bytes(document.selection().pixelData(0, 0, 256, 256).data())
    yield settled()
    said["plan"] = plan()
    yield from generated()
    said["status"] = status()
    _, (_patch,) = result(layer)
    found, source = shown(document), pixels(layer)
    outer = [i for i in range(256 * 256) if before[i] == 0]
    inner = [i for i in range(256 * 256) if before[i] == 255]
    said["kept"] = all(found[4 * i : 4 * i + 4] == source[4 * i : 4 * i + 4] for i in outer)
    said["changed"] = sum(found[4 * i] != source[4 * i] for i in inner) / len(inner)
    after = bytes(document.selection().pixelData(0, 0, 256, 256).data())
    said["selection_kept"] = before == after
    said["active"] = document.activeNode().name()


def whole_layer(said: Said) -> Run:
    document, layer = yield from opened()
    chosen = Selection()
    chosen.select(100, 100, 30, 30, 255)
    document.setSelection(chosen)
    yield settled()
    fill(result="layer")
    yield from generated()
    said["status"] = status()
    _, (copy,) = result(layer)
    box = (100, 100, 30, 30)
    said["kept"] = outside(pixels(copy), box) == outside(pixels(layer), box)
    said["changed"] = pixels(copy) != pixels(layer)


def empty_selected(said: Said) -> Run:
    document, layer = yield from opened(bytes(4 * 256 * 256))
    chosen = Selection()
    chosen.select(100, 100, 30, 30, 255)
    document.setSelection(chosen)
    yield settled()
    said["plan"] = plan()
    yield from generated()
    said["status"] = status()
    said["name"] = result(layer)[0].name()


def over_painting(said: Said) -> Run:
    """Fill a selection on a new empty layer over a painting, twice, and repaint new paper."""
    document, below = yield from opened(painting(hole=(0, 0, 0, 0)))
    above = document.createNode("Sky", "paintlayer")
    paint(above, bytes((9, 200, 9, 255)) * 256 * 20 + bytes(4 * 256 * 236))
    layer = document.createNode("New", "paintlayer")
    document.rootNode().addChildNode(layer, below)
    yield settled()
    document.rootNode().addChildNode(above, layer)
    yield settled()
    document.setActiveNode(layer)
    yield settled()
    said["alone"] = [plan(), control("offer").text()]
    left, top, wide, high = HOLE
    chosen = Selection()
    chosen.select(left, top, wide, high, 255)
    document.setSelection(chosen)
    yield settled()
    said["plan"] = [plan(), control("offer").text()]
    before = [[node.name(), node.visible()] for node in document.topLevelNodes()]
    modified, documents = document.modified(), len(Krita.instance().documents())
    from underpaint_krita import canvas

    began = time.monotonic()
    frame = canvas.KritaDocument.of_active().surroundings.read_context(canvas.Box(0, 0, 256, 256))
    said["seconds"] = time.monotonic() - began
    said["below_alone"] = bytes(frame.data) == pixels(below)
    said["no_trace"] = [
        before == [[node.name(), node.visible()] for node in document.topLevelNodes()],
        modified == document.modified(),
        documents == len(Krita.instance().documents()),
        document.activeNode().name() == "New",
    ]
    facts: list[list[str]] = []
    for _ in range(2):
        yield from generated()
        said["status"] = status()
        group = document.topLevelNodes()[3 + len(facts)]
        made = json.loads(recipe(document, group.childNodes()[-1]))["recipe"]
        mode, source = made["request"]["mode"], made["request"]["source"]
        facts.append([mode, source["context"], made["facts"]["context_hash"]])
    said["facts"] = facts
    (patch,) = group.childNodes()
    said["patch"] = list(patch.bounds().getRect())
    said["source_untouched"] = not any(pixels(layer))
    over, under = shown(document), pixels(below)
    said["kept"] = outside(over)[4 * 256 * 20 :] == outside(under)[4 * 256 * 20 :]
    _keep_picture("over-painting")
    control("offer").click()
    yield settled()
    said["clicked"] = [docker().controls["mode"].value, plan(), control("offer").text()]
    control("offer").click()
    yield settled()
    said["clicked_again"] = [docker().controls["mode"].value, plan(), control("offer").text()]
    said["row"] = control("context").currentText()
    document = new_document()
    yield settled()
    paint(document.topLevelNodes()[0], b"\xff" * 4 * 256 * 256)
    document.refreshProjection()
    yield settled()
    said["paper"] = [plan(), control("offer").text()]
    control("offer").click()
    yield settled()
    said["repainted"] = [docker().controls["mode"].value, plan(), control("offer").text()]
    fill(**USUAL)


def deleted_group(said: Said) -> Run:
    document, _ = yield from opened()
    group, inner = document.createGroupLayer("Group"), document.createNode("Inner", "paintlayer")
    paint(inner, painting())
    group.addChildNode(inner, None)
    document.rootNode().addChildNode(group, None)
    yield settled()
    document.setActiveNode(inner)
    yield settled()
    yield from underway(steps=60)
    group.remove()
    yield lambda: status().startswith("Done")
    yield settled()
    said["status"] = status()
    said["layers"] = [node.name() for node in document.topLevelNodes()]


def documents_keep_their_forms(said: Said) -> Run:
    first, _ = yield from opened()
    fill(prompt="one", seed_locked=False)
    yield from generated()
    drawn = int(control("seed").value())
    fill(prompt="one and a half")
    yield from opened()
    fill(prompt="two")
    window = Krita.instance().activeWindow().qwindow()
    window.findChild(QtWidgets.QMdiArea).activatePreviousSubWindow()
    yield lambda: control("prompt").toPlainText() != "two"
    said["prompt"] = control("prompt").toPlainText()
    text = bytes(first.annotation("underpaint/form")).decode()
    said["seeds"] = [drawn, json.loads(text)["seed"]]


def cleared(said: Said) -> Run:
    document, layer = yield from opened(painting(hole=(0, 0, 0, 0)))
    chosen = Selection()
    chosen.select(80, 80, 96, 96, 255)
    document.setSelection(chosen)
    yield settled()
    Krita.instance().action("clear").trigger()
    document.waitForDone()
    yield settled()
    document.setSelection(None)
    yield settled()
    source = pixels(layer)
    said["lost"] = source.count(bytes(4 * 96)) > 0
    yield from generated()
    said["status"] = status()
    said["kept"] = outside(shown(document)) == outside(source)


def transparency_mask(said: Said) -> Run:
    document, layer = yield from opened(painting(hole=(0, 0, 0, 0)))
    Krita.instance().action("add_new_transparency_mask").trigger()
    yield lambda: bool(layer.childNodes())
    mask = layer.childNodes()[0]
    amounts = bytearray(b"\xff" * (256 * 256))
    for y in range(80, 176):
        amounts[256 * y + 80 : 256 * y + 176] = bytes(96)
    mask.setPixelData(QtCore.QByteArray(bytes(amounts)), 0, 0, 256, 256)
    document.refreshProjection()
    document.waitForDone()
    yield settled()
    said["active"] = document.activeNode().type()
    said["plan"] = plan()
    fill(strength=0.0, result="layer")
    yield from generated()
    _, (copy,) = result(layer)
    said["same"] = pixels(copy) == painting()


def _masked(said: Said, add: Callable[[Any, Any], Run]) -> Run:
    """A layer with a hole and a mask that is no transparency mask, at strength 0."""
    document, layer = yield from opened()
    yield from add(document, layer)
    document.setActiveNode(layer)
    document.refreshProjection()
    document.waitForDone()
    yield settled()
    said["masks"] = [node.type() for node in layer.childNodes()]
    source = painting()
    there = [n for n in range(256 * 256) if source[4 * n + 3]]
    hole = [n for n in range(256 * 256) if not source[4 * n + 3]]
    looks = bytes(layer.projectionPixelData(0, 0, 256, 256).data())
    said["lost_by_krita"] = sum(looks[4 * n : 4 * n + 4] == bytes(4) for n in hole)
    fill(strength=0.6)
    said["plan"] = plan()
    fill(strength=0.0, result="layer")
    yield from generated()
    said["status"] = status()
    copy = pixels(result(layer)[1][0])
    said["looks_the_same"] = all(copy[4 * n : 4 * n + 4] == looks[4 * n : 4 * n + 4] for n in there)
    said["still_a_hole"] = all(copy[4 * n + 3] == looks[4 * n + 3] for n in hole)
    said["kept"] = sum(copy[4 * n : 4 * n + 3] == source[4 * n : 4 * n + 3] for n in hole)


def filter_mask(said: Said) -> Run:
    def add(document: Any, layer: Any) -> Run:
        invert = Krita.instance().filter("invert")
        layer.addChildNode(document.createFilterMask("inverted", invert, layer), None)
        yield settled()

    yield from _masked(said, add)


def two_masks(said: Said) -> Run:
    def add(document: Any, layer: Any) -> Run:
        for count in (1, 2):
            Krita.instance().action("add_new_transparency_mask").trigger()
            yield lambda n=count: len(layer.childNodes()) == n
            document.setActiveNode(layer)
            yield settled()

    yield from _masked(said, add)


def colorize_mask(said: Said) -> Run:
    def add(_document: Any, layer: Any) -> Run:
        Krita.instance().action("add_new_colorize_mask").trigger()
        yield lambda: bool(layer.childNodes())
        yield settled()

    yield from _masked(said, add)
    Krita.instance().action("KritaShape/KisToolBrush").trigger()


def local_selection(said: Said) -> Run:
    """What is selected of one layer counts for it, whatever is selected of all."""
    document, layer = yield from opened(painting(hole=(0, 0, 0, 0)))
    half = Selection()
    half.select(0, 0, 128, 256, 255)
    document.setSelection(half)
    yield settled()
    Krita.instance().action("add_new_selection_mask").trigger()
    yield lambda: bool(layer.childNodes())
    document.setActiveNode(layer)
    yield settled()
    (mask,) = layer.childNodes()
    said["type"] = mask.type()
    said["plan"] = plan()
    other = Selection()
    other.select(0, 0, 256, 64, 255)
    document.setSelection(other)
    yield settled()
    said["beside_another"] = plan()
    yield from generated()
    said["status"] = status()
    found, source = shown(document), pixels(layer)
    said["kept"] = outside(found, (0, 0, 128, 256)) == outside(source, (0, 0, 128, 256))
    rows = [4 * (256 * y + 60) for y in range(100, 256)]
    said["changed"] = sum(found[i : i + 3] != source[i : i + 3] for i in rows) / len(rows)
    mask.setVisible(False)
    document.setActiveNode(layer)
    yield settled()
    said["hidden"] = plan()
    document.setSelection(None)
    yield settled()
    fill(strength=0.0, result="layer")
    mask.setVisible(True)
    paint(layer, painting())
    document.refreshProjection()
    document.waitForDone()
    document.setActiveNode(layer)
    yield settled()
    yield from generated()
    copy = next(
        node.childNodes()[0] for node in reversed(document.topLevelNodes()) if node.childNodes()
    )
    said["colour_under_it"] = pixels(copy) == painting()


def off_canvas(said: Said) -> Run:
    _document, layer = yield from opened(bytes(4 * 256 * 256))
    layer.setPixelData(QtCore.QByteArray(painting(hole=(0, 0, 0, 0))), 400, 300, 256, 256)
    layer.setPixelData(QtCore.QByteArray(painting(hole=(0, 0, 0, 0))), -400, -300, 256, 256)
    yield settled()
    said["around_the_canvas"] = layer.bounds().intersects(QtCore.QRect(0, 0, 256, 256))
    said["plan"] = plan()
    yield from generated()
    said["status"] = status()
    said["opaque"] = pixels(result(layer)[1][0])[3::4].count(255)


def noted(said: Said) -> Run:
    """What Krita cannot do is in the plan before the run."""
    document, layer = yield from opened()
    said["plain"] = plan()
    layer.setVisible(False)
    said["hidden"] = plan()
    layer.setVisible(True)
    extra = document.createNode("extra", "paintlayer")
    document.rootNode().addChildNode(extra, None)
    yield settled()
    yield from undo()
    document.setActiveNode(layer)
    yield settled()
    said["undone"] = plan()
    paint(layer, bytes(4 * 256 * 128) + painting()[4 * 256 * 128 :])
    said["cleared"] = plan()
    fill(strength=0.0)
    said["nothing_runs"] = plan()


def removed(said: Said) -> Run:
    """A layer that was removed lies in no group; what looks at it meanwhile does not break."""
    from underpaint_krita import tree
    from underpaint_krita.selected import KritaResult

    document, _group, layers = yield from chosen(images=2)
    selected = KritaResult.of_active()
    assert selected is not None
    layers[0].remove()
    copy = layers[1].duplicate()
    said["nowhere"] = [layers[0].parentNode() is None, copy.parentNode() is None]
    said["batch"] = [one.layer.name() for one in tree.batch_of(document, layers[0])]
    said["selected"] = [len(selected.results), selected.index]
    said["copy"] = tree.tag_of_copy(document, copy) == tree.tag_of(document, layers[1])
    said["groups"] = list(tree.groups(layers[0]))
    active = document.activeNode
    fake = type("Fake", (), {"activeNode": lambda _self: copy})()
    tree.restore_active(fake, layers[1], "another")
    said["active"] = active() is not None


def undone(said: Said) -> Run:
    """The artist undoes something while it paints: that can still be redone."""
    document, _layer = yield from opened()
    said["held"], said["redo"], said["layers"] = [], [], []
    for way in ("redo", "button"):
        extra = document.createNode(f"{way} this", "paintlayer")
        document.rootNode().addChildNode(extra, None)
        yield settled()
        document.setActiveNode(document.nodeByName("Painting"))
        yield settled()
        docker()._look()
        yield from underway(steps=100)
        yield from undo()
        document.setActiveNode(document.nodeByName("Painting"))
        yield lambda: status().startswith("The result is ready")
        yield 1.2
        said["held"].append([status(), control("remedy").text(), control("remedy").isVisible()])
        redo = Krita.instance().action("edit_redo")
        said["redo"].append(redo.isEnabled())
        if way == "redo":
            redo.trigger()
            yield lambda: status().startswith("Inserted")
        else:
            docker()._look()  # the mouse that enters would move the button by its longer plan
            yield settled()
            yield from click(control("remedy"))
        yield settled()
        said["told"] = status()
        said["layers"].append([node.name() for node in document.topLevelNodes()])
    said["remedy_gone"] = control("remedy").isHidden()


def compared_and_saved(said: Said) -> Run:
    """Save with Ctrl+S while Compare is held: what is hidden for a moment is not in the file."""
    document, group, _layers = yield from chosen(at=1)
    file = FOUND / "compared.kra"
    document.setBatchmode(True)
    document.saveAs(str(file))
    document.waitForDone()
    yield settled()
    picture = shown(document)
    yield from focus()
    group.setName("renamed")
    document.setModified(True)
    said["before"] = states(group)
    button = control("compare")
    docker().widget().ensureWidgetVisible(button)
    yield settled()
    middle = button.mapToGlobal(button.rect().center())
    yield from mouse(middle.x(), middle.y(), "mousedown", 1)
    yield settled()
    said["hidden"] = [node.visible() for node in group.childNodes()]
    written = file.stat().st_mtime_ns
    yield from xdo("key", "ctrl+s")
    yield lambda: file.stat().st_mtime_ns != written
    yield 1.5
    said["after"] = states(group)
    yield from xdo("mouseup", 1)
    yield settled()
    said["released"] = states(group)
    said["same"] = shown(document) == picture
    document.setModified(False)
    document.close()
    yield settled()
    again = Krita.instance().openDocument(str(file))
    group = next(node for node in again.topLevelNodes() if node.name() == "renamed")
    said["saved"] = states(group)
    again.close()


def nested(said: Said) -> Run:
    """Krita handles events inside a call of its API, until the job has ended, as 5.3 may."""
    from underpaint_krita import docker as module

    document, _layer = yield from opened()
    panel, session = docker().panel, docker().session
    real, show_selected = module.KritaResult.of_active, panel.show_selected
    depths = [0]

    def of_active() -> Any:
        until = time.monotonic() + 30
        while session.running and time.monotonic() < until:
            QtWidgets.QApplication.processEvents()
        return real()

    def count(selected: Any) -> None:
        depths.append(depths[-1] + 1)
        of_active()
        show_selected(selected)
        depths.append(depths[-1] - 1)

    control("status").setText("")
    setattr(module.KritaResult, "of_active", of_active)  # noqa: B010
    panel.show_selected = count
    try:
        control("generate").click()
        yield lambda: status().startswith("Done")
        yield settled()
    finally:
        setattr(module.KritaResult, "of_active", real)  # noqa: B010
        panel.show_selected = show_selected
    said["depth"] = max(depths)
    said["cancel"] = control("cancel").isEnabled()
    said["running"] = session.running
    said["layers"] = [node.name() for node in document.topLevelNodes()]


def failed(said: Said) -> Run:
    """An exception in a slot of the docker's: no dialog, but a sentence and a line in the log."""
    from underpaint_editor.log import log_file
    from underpaint_editor.unhandled import catch_unhandled

    yield from opened()
    reported, passed_on = sys.excepthook, []
    sys.excepthook = lambda _kind, error, _trace: passed_on.append(str(error))
    catch_unhandled(docker().session.report)  # the driver has put itself before
    queue = docker().queue
    try:
        docker().queue = None
        docker().session._listener.refresh()
        QtCore.QTimer.singleShot(0, lambda: 1 / 0)
        yield settled()
    finally:
        docker().queue = queue
        sys.excepthook = reported
    said["status"], said["passed_on"] = status(), passed_on
    said["dialog"] = QtWidgets.QApplication.activeModalWidget() is not None
    said["logged"] = "a callback failed: AttributeError at docker.py" in log_file(
        "Krita"
    ).read_text(encoding="utf-8")
    docker()._refresh()


def painted_at_once(said: Said) -> Run:
    """How often the progress bar is painted inside of the call that moves it."""
    yield from opened()
    bar = control("progress")
    painted: list[int] = []

    class Watch(QtCore.QObject):
        def eventFilter(self, _watched: Any, event: Any) -> bool:  # noqa: N802 - Qt calls it
            painted.append(event.type() == QtCore.QEvent.Type.Paint)
            return False

    watch = Watch()
    bar.installEventFilter(watch)
    for step in range(100):
        docker()._show_progress(step / 100)
    said["within"] = sum(painted)
    yield settled()
    bar.removeEventFilter(watch)
    said["later"] = sum(painted) - said["within"]
    docker()._show_progress(0)


def group_layer(said: Said) -> Run:
    document, _layer = yield from opened()
    group = document.createGroupLayer("Group")
    inner = document.createNode("Inner", "paintlayer")
    paint(inner, painting())
    group.addChildNode(inner, None)
    document.rootNode().addChildNode(group, None)
    yield settled()
    document.setActiveNode(group)
    document.refreshProjection()
    document.waitForDone()
    yield settled()
    said["plan"] = plan()
    yield from generated()
    said["status"] = status()
    said["name"] = result(group)[0].name()


def vector_layer(said: Said) -> Run:
    document, _ = yield from opened()
    vector = document.createVectorLayer("Vector")
    document.rootNode().addChildNode(vector, None)
    yield settled()
    vector.addShapesFromSvg(
        '<svg xmlns="http://www.w3.org/2000/svg" width="61pt" height="61pt">'
        '<rect x="0" y="0" width="30" height="61" fill="#3060a0"/></svg>'
    )
    document.setActiveNode(vector)
    document.refreshProjection()
    document.waitForDone()
    yield settled()
    said["plan"] = plan()
    yield from generated()
    said["status"] = status()
    said["name"] = result(vector)[0].name()


def empty_layer(said: Said) -> Run:
    _document, layer = yield from opened(bytes(4 * 256 * 256))
    said["plan"] = plan()
    yield from generated()
    said["status"] = status()
    _, (painted,) = result(layer)
    said["opaque"] = pixels(painted)[3::4].count(255)


def _other_space(said: Said, model: str, depth: str, profile: str) -> Run:
    document = new_document(256, 256, model, depth, profile)
    yield settled()
    layer = yield from with_layer(document)
    scratch = document.createNode("scratch", "paintlayer")
    scratch.setColorSpace("RGBA", "U8", SRGB)
    paint(scratch, painting())
    scratch.setColorSpace(model, depth, profile)
    layer.setPixelData(scratch.pixelData(0, 0, 256, 256), 0, 0, 256, 256)
    document.refreshProjection()
    document.waitForDone()
    wanted = layer.pixelData(0, 0, 256, 256).data()
    each = len(wanted) // (256 * 256)
    fill(**{**USUAL, "strength": 0.0, "result": "layer"})
    yield from generated()
    said["status"] = status()
    _, (copy,) = result(layer)
    said["space"] = [copy.colorModel(), copy.colorDepth(), copy.colorProfile()]
    said["own"] = [model, depth, profile]
    said["same"] = copy.pixelData(0, 0, 256, 256).data() == wanted
    middle = each * (256 * 128 + 128)
    said["hidden"] = any(wanted[middle : middle + each])
    docker()._look()
    fill(strength=0.6, result="layer")
    said["plan"] = control("plan").text()
    yield from generated()
    said["status_again"] = status()
    (painted,) = document.topLevelNodes()[-1].childNodes()
    after = painted.pixelData(0, 0, 256, 256).data()
    said["kept"] = outside(after, each=each) == outside(wanted, each=each)
    said["changed"] = after[middle : middle + each] != wanted[middle : middle + each]
    painted.setColorSpace("RGBA", "U8", SRGB)
    said["painted"] = list(pixels(painted)[4 * (256 * 128 + 100) : 4 * (256 * 128 + 156)])


def eight_bit(said: Said) -> Run:
    yield from _other_space(said, "RGBA", "U8", SRGB)


def sixteen_bit(said: Said) -> Run:
    yield from _other_space(said, "RGBA", "U16", SRGB)


def floating(said: Said) -> Run:
    yield from _other_space(said, "RGBA", "F32", "sRGB-elle-V2-g10.icc")


def grey(said: Said) -> Run:
    yield from _other_space(said, "GRAYA", "U8", "Gray-D50-elle-V2-srgbtrc.icc")


def cmyk(said: Said) -> Run:
    yield from _other_space(said, "CMYKA", "U8", "Chemical proof")


# ---- what gets in the way ------------------------------------------------------------------


def previews() -> list[Any]:
    """What lies over the canvas."""
    window = Krita.instance().activeWindow().qwindow()
    found = window.findChildren(QtWidgets.QWidget, "underpaint_preview")
    return [widget for widget in found if widget.isVisible()]


def cancelled(said: Said) -> Run:
    document, _layer = yield from opened()
    yield from underway(steps=1000, strength=1.0)
    said["progress"] = control("progress").maximum()
    said["while"] = status()
    yield lambda: control("preview").isVisible()
    size = control("preview").pixmap().size()
    said["preview"] = [size.width(), size.height()]
    shown = previews()
    said["on_canvas"] = [[one.width(), one.height()] for one in shown]
    said["canvas"] = shown[0].parent().height()
    said["layers_meanwhile"] = [node.name() for node in document.topLevelNodes()]
    yield 0.3
    pressed = time.monotonic()
    control("cancel").click()
    yield lambda: status().startswith("Cancelled")
    said["seconds"] = time.monotonic() - pressed
    said["status"] = status()
    said["layers"] = [node.name() for node in document.topLevelNodes()]
    said["enabled"] = control("cancel").isEnabled()
    said["preview_gone"] = not control("preview").isVisible() and not previews()


def overlaid(said: Said) -> Run:
    """Where a layer is on the screen, the picture so far would be, whatever the view."""
    from underpaint_client.geometry import Box
    from underpaint_krita import overlay

    document, _ = yield from opened(painting(hole=(0, 0, 256, 256)))
    _, _, wide, high = box = (40, 60, 120, 90)
    mark = document.createNode("mark", "paintlayer")
    document.rootNode().addChildNode(mark, None)
    mark.setPixelData(QtCore.QByteArray(bytes((255, 0, 255, 255)) * (wide * high)), *box)
    image = QtGui.QImage(wide // 10, high // 10, QtGui.QImage.Format.Format_RGBA8888)
    image.fill(QtGui.QColor(255, 0, 255))
    window = Krita.instance().activeWindow()
    canvas = window.activeView().canvas()
    found = overlay.find_canvas(window.qwindow())
    assert found is not None
    area: Any = found[1]
    viewport, bar = area.viewport(), area.horizontalScrollBar()
    views: dict[str, Callable[[], object]] = {
        "as it is": lambda: None,
        "larger": lambda: canvas.setZoomLevel(2.0),
        "smaller": lambda: canvas.setZoomLevel(0.7),
        "turned": lambda: canvas.setRotation(30.0),
        "mirrored": lambda: canvas.setMirror(True),
        "moved": lambda: bar.setValue(bar.value() + 60),
        "straight": lambda: canvas.setRotation(0.0),
        "enlarged": lambda: canvas.setZoomLevel(3.3),
    }
    overlay.show(said, document, image, Box(*box))
    said["views"] = {}
    for name, change in views.items():
        change()
        mark.setVisible(False)
        document.refreshProjection()
        yield from drawn(viewport)
        widget = _magenta(viewport)
        overlay.hide(said)
        nothing = _magenta(viewport)
        mark.setVisible(True)
        document.refreshProjection()
        yield from drawn(viewport)
        layer = _magenta(viewport)
        overlay.show(said, document, image, Box(*box))
        said["views"][name] = [len(layer), len(layer ^ widget), len(nothing)]
    mark.setVisible(False)
    document.refreshProjection()
    yield from drawn(viewport)
    overlay.hide("another")
    said["others"] = len(_magenta(viewport))
    overlay.set_hidden(document, hidden=True)
    overlay.show(said, document, image, Box(*box))
    said["veiled"] = len(_magenta(viewport))
    overlay.set_hidden(document, hidden=False)
    said["unveiled"] = len(_magenta(viewport))


def drawn(widget: Any) -> Run:
    """Wait until what a widget shows has stopped changing."""
    yield 0.4
    before = None
    while (now := widget.grab().toImage()) != before:
        before = now
        yield 0.2


def _magenta(widget: Any) -> set[tuple[int, int]]:
    """Every other pixel of a widget that is as it should be seen."""
    shot = widget.grab().toImage().convertToFormat(QtGui.QImage.Format.Format_RGB32)
    wide, high = shot.width(), shot.height()
    data = memoryview(shot.bits().asstring(4 * wide * high)).cast("I")
    return {
        (x, y)
        for y in range(0, high, 2)
        for x in range(0, wide, 2)
        if data[wide * y + x] & 0xFFFFFF == 0xFF00FF
    }


def two_documents(said: Said) -> Run:
    first, _one = yield from opened()
    fill(images=2)
    control("generate").click()
    second, _other = yield from opened(painting(hole=(10, 10, 40, 40)))
    yield from generated()
    yield lambda: len(first.topLevelNodes()) == 3 and len(second.topLevelNodes()) == 3
    said["first"] = [node.name() for node in first.topLevelNodes()]
    said["second"] = [node.name() for node in second.topLevelNodes()]


def hidden_and_locked(said: Said) -> Run:
    document, layer = yield from opened()
    layer.setLocked(True)
    layer.setVisible(False)
    yield from underway(steps=60)
    document.resizeImage(0, 0, 300, 200)
    yield lambda: status().startswith("Done")
    yield settled()
    said["status"] = status()
    said["layers"] = [node.name() for node in document.topLevelNodes()]
    said["same"] = pixels(layer) == painting()


def deleted_layer(said: Said) -> Run:
    document, layer = yield from opened()
    yield from underway(steps=60)
    layer.remove()
    yield lambda: status().startswith("Done")
    yield settled()
    said["status"] = status()
    said["layers"] = [node.name() for node in document.topLevelNodes()]


def closed_document(said: Said) -> Run:
    document, _layer = yield from opened()
    yield from underway(steps=60)
    document.setModified(False)
    document.close()
    yield lambda: status().startswith("The document was closed")
    said["status"] = status()
    said["remedy"] = control("remedy").text()
    control("remedy").click()
    yield settled()
    again = Krita.instance().activeDocument()
    said["layers"] = [node.name() for node in again.topLevelNodes()]
    said["told"] = status()
    said["hidden"] = control("remedy").isHidden()


def save_and_reopen(said: Said) -> Run:
    document, _layer = yield from opened()
    fill(prompt="a château in the mist", strength=0.35)
    yield from generated()
    path = str(Path(os.environ["UNDERPAINT_AGENT"], "saved.kra"))
    document.setBatchmode(True)
    said["saved"] = document.saveAs(path)
    document.close()
    fill(prompt="something else", strength=0.9)
    yield settled()
    again = Krita.instance().openDocument(path)
    Krita.instance().activeWindow().addView(again)
    yield settled()
    said["prompt"] = control("prompt").toPlainText()
    said["strength"] = control("strength").value()
    found = next(node for node in again.topLevelNodes() if node.name() == "Painting")
    said["same"] = pixels(found) == painting()
    said["layers"] = [node.name() for node in again.topLevelNodes()]


def wrong_input(said: Said) -> Run:
    yield from opened()
    fill(model="no-such-model")
    yield from generated()
    said["model"] = status()
    for document in Krita.instance().documents():
        document.setModified(False)
        document.close()
    yield settled()
    control("generate").click()
    yield 0.2
    said["no_document"] = status()


def large(said: Said) -> Run:
    size = 4096
    document = new_document(size, size)
    yield 1.0
    layer = yield from with_layer(document)
    row = painting(256, 1, (0, 0, 0, 0)) * 16
    data = bytearray(row * size)
    for y in range(1800, 2100):
        for x in range(1800, 2100):
            data[4 * (size * y + x) + 3] = 0
    began = time.perf_counter()
    layer.setPixelData(QtCore.QByteArray(bytes(data)), 0, 0, size, size)
    said["write_ms"] = 1000 * (time.perf_counter() - began)
    document.refreshProjection()
    document.waitForDone()
    yield 2.0
    times = []
    for _ in range(3):
        began = time.perf_counter()
        layer.pixelData(0, 0, size, size).data()
        times.append(1000 * (time.perf_counter() - began))
    said["read_ms"] = sorted(times)[1]
    fill(**USUAL)
    yield 1.0
    began = time.perf_counter()
    docker()._look()
    said["plan_ms"] = 1000 * (time.perf_counter() - began)
    said["plan"] = control("plan").text()
    took = _timed("read", "insert")
    gaps: list[float] = []
    last = [time.perf_counter()]
    beat = QtCore.QTimer()

    def pulse() -> None:
        now = time.perf_counter()
        gaps.append(now - last[0])
        last[0] = now

    beat.timeout.connect(pulse)
    beat.start(1)
    yield 0.5
    said["idle_gap_ms"] = 1000 * max(gaps)
    gaps.clear()
    yield from generated()
    yield 1.0
    beat.stop()
    said["gaps_ms"] = [round(1000 * gap) for gap in sorted(gaps)[-5:]]
    said["ours_ms"] = took
    # What the same insertion takes Krita, with nothing of ours around it.
    _, (patch,) = result(layer)
    box = patch.bounds()
    edges = (box.x(), box.y(), box.width(), box.height())
    data = patch.pixelData(*edges)
    began = time.perf_counter()
    bare, inner = document.createGroupLayer("bare"), document.createNode("inner", "paintlayer")
    inner.setPixelData(data, *edges)
    bare.addChildNode(inner, None)
    document.rootNode().addChildNode(bare, layer)
    said["bare_insert_ms"] = 1000 * (time.perf_counter() - began)
    said["status"] = status()


def _timed(*names: str) -> dict[str, float]:
    """Time functions of the plug-in's canvas from now on, in milliseconds."""
    from underpaint_krita import canvas

    took: dict[str, float] = {}

    def wrap(name: str, function: Any) -> Any:
        def timed(*args: Any, **more: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*args, **more)
            finally:
                took[name] = 1000 * (time.perf_counter() - began)

        return timed

    for name in names:
        setattr(canvas.KritaDocument, name, wrap(name, getattr(canvas.KritaDocument, name)))
    return took


def no_daemon(said: Said) -> Run:
    """Generate without a daemon: it is started, and the request waits for it."""
    document, _ = yield from opened()
    said["before"] = [status(), control("remedy").text()]
    control("generate").click()
    yield 0.3
    said["status"] = [status(), control("cancel").isEnabled()]
    yield lambda: status().startswith("Done")
    yield settled()
    said["after"] = [node.name() for node in document.topLevelNodes()]
    said["remedy"] = control("remedy").isHidden()


def _running(steps: int = 1000) -> Run:
    found = yield from opened()
    yield from underway(steps=steps, strength=1.0)
    return found


def _processes() -> tuple[int, int]:
    text = subprocess.run(
        [*shlex.split(os.environ["UNDERPAINT_COMMAND"]), "status", "--json"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = json.loads(text)
    return found["pid"], found["workers"][0]["pid"]


def worker_killed(said: Said) -> Run:
    document, _ = yield from _running(200)
    os.kill(_processes()[1], 9)
    control("status").setText("")
    yield lambda: status().startswith("The worker")
    said["status"] = status()
    said["layers"] = [node.name() for node in document.topLevelNodes()]
    yield lambda: status().startswith("Done")
    yield settled()
    said["after"] = [node.name() for node in document.topLevelNodes()]


def daemon_killed(said: Said) -> Run:
    """It comes back by itself, and the job with it."""
    document, _ = yield from _running(200)
    daemon, worker = _processes()
    for process in (daemon, worker):
        os.kill(process, 9)
    yield lambda: status().startswith("Starting the daemon")
    said["layers"] = [node.name() for node in document.topLevelNodes()]
    yield lambda: status().startswith("Done")
    yield settled()
    said["after"] = [node.name() for node in document.topLevelNodes()]
    said["remedy"] = control("remedy").isHidden()


def left_behind(said: Said) -> Run:
    """Krita dies while it waits."""
    document, _ = yield from opened()
    document.setBatchmode(True)
    document.saveAs(str(FOUND / "left.kra"))
    yield from underway(steps=100, strength=1.0, images=2)
    os.kill(os.getpid(), 9)


def fetched(said: Said) -> Run:
    """The next start offers what came meanwhile, and its place is found again."""
    from underpaint_krita.session import session

    yield lambda: control("remedy").text() == "Fetch waiting results"
    said["status"] = status()
    document = Krita.instance().openDocument(str(FOUND / "left.kra"))
    Krita.instance().activeWindow().addView(document)
    yield settled()
    # As if this one died before it could say that it has them.
    delivery = session()._delivery
    acknowledge, delivery._forget = delivery._forget, lambda job: None
    control("remedy").click()
    said["gone"] = control("remedy").isHidden()
    yield lambda: status().startswith("Done")
    yield settled()
    said["names"] = [node.name() for node in document.topLevelNodes()]
    group = document.topLevelNodes()[-1]
    said["results"] = [node.name() for node in group.childNodes()]
    delivery._forget = acknowledge
    session().tracker.close()
    session().connect()
    yield lambda: control("remedy").text() == "Fetch waiting results"
    control("remedy").click()
    yield lambda: status().startswith("Done")
    yield settled()
    said["after"] = [len(node.childNodes()) for node in document.topLevelNodes()]
    session().tracker.close()
    session().connect()
    yield 1.0
    said["nothing_more"] = control("remedy").isHidden()


def portrait(said: Said) -> Run:
    """Take the guide's pictures: a sketch, partly erased, filled by the starter model.

    One is taken while it is painted. With `UNDERPAINT_THEME`, in that theme of Krita's.
    """
    window = Krita.instance().activeWindow().qwindow()
    theme = os.environ.get("UNDERPAINT_THEME")
    for action in Krita.instance().actions():
        if theme and action.text() == theme:
            action.trigger()
    layers = next(d for d in Krita.instance().dockers() if d.objectName() == "KisLayerBox")
    window.resizeDocks([layers, docker()], [220, 700], QtCore.Qt.Orientation.Vertical)
    window.resizeDocks([layers, docker()], [300, 300], QtCore.Qt.Orientation.Horizontal)
    document = Krita.instance().openDocument(os.environ["UNDERPAINT_SKETCH"])
    Krita.instance().activeWindow().addView(document)
    yield 1.0
    Krita.instance().activeWindow().activeView().canvas().setZoomLevel(2.0)
    fill(prompt="tree on a hill with a river, nature photograph", strength=0.6, steps=20,
         guidance_scale=4.0, mode="auto", images=1, result="patch", model="", fill="auto",
         negative_prompt="", seed=1, seed_locked=True, sampler="dpmpp_2m")  # fmt: skip
    docker()._look()
    control("generate").click()
    yield lambda: status().startswith("Step 7 ")
    yield 0.2  # its preview follows
    _keep_picture("meanwhile")
    yield ended
    yield 1.5
    said["status"] = status()


def form_shown(said: Said) -> Run:
    """Take pictures of the whole form with a result selected, for someone to look at."""
    yield from chosen(images=2)
    docker().setMinimumHeight(700)
    yield 1.0
    _keep_picture("form")
    bar = docker().widget().verticalScrollBar()
    bar.setValue(bar.maximum())
    yield 0.5
    _keep_picture("form-end")
    docker().setMinimumHeight(0)


def varied(said: Said) -> Run:
    """Vary a result, look through what came, take its settings over; and again after reopening."""
    document, layer = yield from opened()
    fill(prompt="a pond", vary_amount=0.3)
    yield from generated()
    said["hidden_without"] = not control("vary").isVisible()
    group, (first,) = result(layer)
    document.setActiveNode(first)
    yield settled()
    docker()._look()
    said["shown"] = control("vary").isVisible()
    fill(images=2, prompt="something else")
    before = pixels(first)
    control("status").setText("")
    control("vary").click()
    yield lambda: status().startswith("Done")
    yield settled()
    said["status"] = status()
    children = group.childNodes()
    said["names"] = [node.name() for node in children]
    said["visible"] = [node.visible() for node in children]
    said["distinct"] = len({pixels(node) for node in children})
    said["first_stays"] = pixels(first) == before
    said["groups"] = [node.name() for node in document.topLevelNodes()]
    document.setActiveNode(children[-1])
    yield settled()
    control("next").click()
    yield settled()
    said["after_next"] = [node.visible() for node in children]
    said["active"] = document.activeNode().name()
    control("previous").click()
    yield settled()
    said["after_previous"] = [node.visible() for node in children]
    docker()._look()
    control("settings").click()
    said["settings"] = [
        control("prompt").toPlainText(),
        docker().panel.form.value("seed"),
        docker().lock.isChecked(),
    ]
    fill(images=1, seed=8)
    yield from generated()
    file = str(FOUND / "varied.kra")
    document.saveAs(file)
    document.waitForDone()
    document.close()
    yield settled()
    document = Krita.instance().openDocument(file)
    Krita.instance().activeWindow().addView(document)
    yield settled()
    group = next(node for node in document.topLevelNodes() if node.name().startswith("a pond"))
    document.setActiveNode(group)
    yield settled()
    docker()._look()
    said["after_reopening"] = control("vary").isVisible()
    fill(images=1)
    count = len(group.childNodes())
    control("status").setText("")
    control("vary").click()
    yield lambda: status().startswith("Done")
    yield settled()
    said["one_more"] = len(group.childNodes()) - count
    node = group.childNodes()[0]
    document.setAnnotation("underpaint/recipe/" + node.uniqueId().toString(), "x", b"{broken")
    document.setActiveNode(node)
    yield settled()
    docker()._look()
    said["broken"] = control("vary").isVisible()


def click(widget: Any) -> Run:
    """Click with the real mouse, once all is where it stays."""
    docker().widget().ensureWidgetVisible(widget)
    yield settled()
    middle = widget.mapToGlobal(widget.rect().center())
    yield from mouse(middle.x(), middle.y(), "click", 1)
    yield settled()


def focus() -> Run:
    """Set the real keyboard's focus to Krita's window."""
    window = Krita.instance().activeWindow().qwindow()
    yield from xdo("windowfocus", "--sync", int(window.winId()))
    yield window.isActiveWindow


def undo() -> Run:
    """Undo with the real keyboard, the mouse over the canvas."""
    yield from focus()
    yield from mouse(*canvas_point(128, 128))
    undone = settled(changed=True)
    yield from xdo("key", "ctrl+z")
    yield undone


def chosen(images: int = 3, at: int = 0, **values: Any) -> Run:
    """A batch of results, one of which is the active layer, and what that is made of."""
    document, layer = yield from opened()
    fill(images=images, prompt="a pond", **values)
    yield from generated()
    group, layers = result(layer)
    document.setActiveNode(layers[at])
    yield settled()
    docker()._look()
    yield 0.2
    return document, group, layers


def states(group: Any) -> list[list[Any]]:
    return [[node.name(), node.visible(), node.locked()] for node in group.childNodes()]


def recipe(document: Any, node: Any) -> bytes:
    return bytes(document.annotation("underpaint/recipe/" + node.uniqueId().toString()).data())


def kept_one(said: Said) -> Run:
    """Keep one of three by its button, and have the others back by one real Ctrl+Z."""
    document, group, layers = yield from chosen(at=1)
    document.topLevelNodes()[0].setLocked(True)
    said["before"] = states(group)
    recipes = [recipe(document, node) for node in layers]
    ids = [node.uniqueId() for node in layers]
    said["recipes"] = len(set(recipes)) == 3 and all(recipes)
    yield from click(control("keep"))
    yield settled()
    said["status"] = status()
    said["after"] = states(group)
    said["active"] = document.activeNode().name()
    said["recipe_stays"] = recipe(document, group.childNodes()[0]) == recipes[1]
    said["others_locks"] = [node.locked() for node in document.topLevelNodes()]
    said["groups"] = [node.name() for node in document.topLevelNodes()]
    docker()._look()
    said["alone"] = [control("keep").isEnabled(), control("vary").isEnabled()]
    yield from undo()
    said["after_undo"] = states(group)
    back = group.childNodes()
    said["the_same"] = [node.uniqueId() for node in back] == ids
    said["recipes_are_back"] = [recipe(document, node) for node in back] == recipes
    yield from undo()
    said["after_two"] = [node.name() for node in document.topLevelNodes()]


def result_keys(said: Said) -> Run:
    """What can be done with a result, by the shortcuts, with the docker hidden."""
    document, group, layers = yield from chosen(images=3, at=2, vary_amount=0.3)
    docker().setVisible(False)
    yield from focus()
    said["visible"] = []
    for key in ("F6", "F7"):  # next, which goes on at the first; previous
        yield from xdo("key", f"ctrl+shift+{key}")
        yield settled()
        said["visible"].append([node.visible() for node in layers])
    fill(images=1)
    control("status").setText("")
    yield from xdo("key", "ctrl+shift+F4")
    yield lambda: status().startswith("Done")
    yield settled()
    said["varied"] = len(group.childNodes())
    kept = settled(changed=True)
    yield from xdo("key", "ctrl+shift+F5")
    yield kept
    said["kept"] = [status(), len(group.childNodes())]
    document.setActiveNode(document.nodeByName("Background"))
    yield settled()
    yield from xdo("key", "ctrl+shift+F5")
    yield settled()
    said["refused"] = status()
    docker().setVisible(True)


def more_of_these(said: Said) -> Run:
    """Generate with a result selected: on the layer that it was made from, unless chosen so."""
    document, _group, layers = yield from chosen(images=2, at=1)
    said["plan"] = [plan(), control("offer").text()]
    first = json.loads(recipe(document, layers[1]))["recipe"]["facts"]
    yield from generated()
    said["groups"] = [node.name() for node in document.topLevelNodes()]
    made = document.topLevelNodes()[-1].childNodes()[1]
    facts = json.loads(recipe(document, made))["recipe"]["facts"]
    said["same_source"] = facts["source_hash"] == first["source_hash"]
    said["same_picture"] = pixels(made) == pixels(layers[1])
    said["active"] = document.activeNode().name()
    control("offer").click()
    yield settled()
    said["itself"] = [control("plan").text(), control("offer").text()]


def kept_with_locks(said: Said) -> Run:
    """A locked result stays; in a locked group nothing is removed."""
    _document, group, layers = yield from chosen(at=0)
    layers[1].setLocked(True)
    yield from click(control("keep"))
    said["after"] = states(group)
    group.setLocked(True)
    layers[1].setLocked(False)
    yield from click(control("keep"))
    said["status"] = status()
    said["in_locked_group"] = states(group)


def compared(said: Said) -> Run:
    """Hold Compare with the mouse, let go, and undo: there was nothing to undo."""
    document, group, _layers = yield from chosen(at=1)
    source = document.nodeByName("Painting")
    yield from click(control("next"))
    said["before"] = states(group)
    picture = shown(document)
    source.setVisible(False)
    without = shown(document)
    button = control("compare")
    middle = button.mapToGlobal(button.rect().center())
    yield from mouse(middle.x(), middle.y(), "mousedown", 1)
    yield settled()
    said["hidden"] = [node.visible() for node in group.childNodes()]
    said["source_shown"] = source.visible()
    held = shown(document)
    yield from xdo("mouseup", 1)
    yield settled()
    said["differs"] = held != picture
    said["after"] = states(group)
    said["source_hidden_again"] = not source.visible()
    said["as_before"] = shown(document) == without
    source.setVisible(True)
    said["all_back"] = shown(document) == picture
    yield from undo()
    said["after_undo"] = [node.name() for node in document.topLevelNodes()]


def carded(said: Said) -> Run:
    """The thumbnails: what is beneath them, what a click does, and how long they take."""
    document, group, _layers = yield from chosen(images=2, at=1, vary_amount=0.3)
    fill(images=3)
    control("status").setText("")
    yield from click(control("vary"))
    yield lambda: status().startswith("Done")
    yield settled()
    docker()._look()
    yield settled()

    def cards() -> list[Any]:
        return [card for card in docker().result_row.thumbnails if card.isVisible()]

    said["captions"] = [card.text().split("\n") for card in cards()]
    said["checked"] = [card.isChecked() for card in cards()]
    said["different"] = len({card.icon().pixmap(60).toImage().bits().asstring(4 * 60 * 60)
                             for card in cards()})  # fmt: skip
    image = cards()[0].icon().pixmap(60).toImage()
    said["opaque"] = [image.pixelColor(x, y).alpha() for x, y in ((1, 1), (30, 30), (58, 58))]
    yield from click(cards()[2])
    said["visible"] = [node.visible() for node in group.childNodes()]
    said["active_is_it"] = document.activeNode().uniqueId() == group.childNodes()[2].uniqueId()
    said["checked_after"] = [card.isChecked() for card in cards()]
    docker().setFixedWidth(250)
    yield settled()
    said["too_wide"] = narrowest()
    docker().setMinimumWidth(0)
    docker().setMaximumWidth(16777215)
    fill(images=3)
    control("status").setText("")
    yield from click(control("vary"))
    yield lambda: status().startswith("Done")
    yield settled()
    docker()._look()
    said["page"] = [control("page").text(), len(cards())]
    document.setActiveNode(group.childNodes()[-1])
    yield settled()
    docker()._look()
    said["page_of_last"] = [control("page").text(), len(cards())]


def sketched(said: Said) -> Run:
    """Cancel, and keep what the picture had become; undo takes it back."""
    document, layer = yield from opened()
    yield from underway(steps=1000, strength=1.0)
    yield lambda: control("preview").isVisible()
    said["offered_while"] = control("remedy").isVisible()
    yield from click(control("cancel"))
    yield lambda: status().startswith("Cancelled")
    yield 0.2
    said["offer"] = control("remedy").text()
    yield from click(control("remedy"))
    yield settled()
    said["status"] = status()
    said["offer_after"] = control("remedy").isVisible()
    group, (sketch,) = result(layer)
    said["group"], said["name"] = group.name(), sketch.name()
    box = sketch.bounds()
    said["covers"] = [box.x(), box.y(), box.width(), box.height()]
    data = bytes(sketch.pixelData(80, 80, 96, 96).data())
    said["opaque"] = sum(alpha > 200 for alpha in data[3::4]) / (96 * 96)
    said["colours"] = len({data[i : i + 3] for i in range(0, len(data), 4)})
    document.setActiveNode(sketch)
    yield settled()
    docker()._look()
    said["can"] = {name: button.isEnabled() for name, button in docker().result_row.buttons.items()}
    document.setActiveNode(layer)
    yield settled()
    fill(**USUAL)
    yield from generated()
    said["order"] = [len(node.childNodes()) and node.childNodes()[0].name()
                     for node in document.topLevelNodes()]  # fmt: skip
    said["offer_gone"] = not control("remedy").isVisible()
    yield from undo()
    yield from undo()
    said["after_undo"] = [node.name() for node in document.topLevelNodes()]


def duplicated(said: Said) -> Run:
    """Copies of a result carry its recipe on; what only lies beside it does not."""
    document, group, layers = yield from chosen(images=2, at=0)
    doubled = settled(changed=True)
    Krita.instance().action("duplicatelayer").trigger()
    yield doubled
    copy = document.activeNode()
    said["name"] = copy.name()
    said["bare"] = not recipe(document, copy)
    docker()._look()
    said["same"] = recipe(document, copy) == recipe(document, layers[0])
    said["can_vary"] = control("vary").isVisible() and control("vary").isEnabled()
    copy.move(5, 5)
    docker()._look()
    said["after_moving"] = control("vary").isVisible()
    other = document.createNode("mine", "paintlayer")
    group.addChildNode(other, None)
    yield settled()
    document.setActiveNode(other)
    yield settled()
    docker()._look()
    said["mine"] = control("vary").isVisible()
    fill(vary_amount=0.3)
    document.setActiveNode(layers[1])
    yield settled()
    docker()._look()
    control("status").setText("")
    yield from click(control("vary"))
    yield lambda: status().startswith("Done")
    yield settled()
    varied = next(node for node in group.childNodes() if " with " in node.name())
    document.setActiveNode(varied)
    yield settled()
    docker()._look()
    yield from click(control("settings"))
    said["settings"] = status()


def queued(said: Said) -> Run:
    """Several jobs at once: hurry one, drop one, by the buttons of the list."""
    document, _layer = yield from opened()
    fill(prompt="one")
    yield from underway(steps=1000, strength=1.0)
    for name in ("two", "three", "four"):
        fill(prompt=name, steps=4)
        control("generate").click()

    def lines() -> list[Any]:
        box = docker().queue
        return [box.itemAt(index).widget() for index in range(box.count())]

    def text(line: Any) -> str:
        return str(line.findChild(QtWidgets.QLabel).text())

    def push(line: Any, name: str) -> None:
        line.findChild(QtWidgets.QToolButton, name).click()

    yield lambda: len(lines()) == 4
    yield settled()
    said["lines"] = [text(line) for line in lines()]
    push(lines()[3], "hurry")
    yield lambda: text(lines()[1]) == "four: 1 ahead"
    push(lines()[2], "drop")
    yield lambda: len(lines()) == 3
    push(lines()[0], "drop")
    yield lambda: not docker().session.running
    yield settled()
    said["layers"] = [node.name() for node in document.topLevelNodes()]
    said["left"] = len(lines())


def newest(said: Said) -> Run:
    document, _layer = yield from opened()
    for number in range(3):
        fill(prompt=f"batch {number}")
        yield from generated()
    prompts = []
    keys = QtCore.Qt.Key
    for key in (keys.Key_Up, keys.Key_Up, keys.Key_Down):
        QtTest.QTest.keyClick(control("prompt"), key)
        prompts.append(control("prompt").toPlainText())
    said["prompts"] = prompts
    said["order"] = [node.name() for node in document.topLevelNodes()]


def shared(said: Said) -> Run:
    """Three batches, while the other editor asks for its own."""
    document, _ = yield from opened()
    fill(prompt="from Krita", images=2)
    for _ in range(3):
        yield from generated()
    groups = [node for node in document.topLevelNodes() if node.type() == "grouplayer"]
    said["groups"] = [node.name() for node in document.topLevelNodes()]
    said["layers"] = [len(group.childNodes()) for group in groups]


def event_loop(said: Said) -> Run:
    """Measure the gaps between turns of Krita's event loop, idle and while steps go by fast.

    Each gap is told with how long this thread worked in it, and how long it waited for a
    processor, in milliseconds; the rest of a gap is sleep.
    """
    yield from opened(painting(hole=(0, 0, 256, 256)))
    schedule = Path("/proc/thread-self/schedstat").open(encoding="ascii")  # noqa: SIM115
    gaps: list[list[float]] = []
    last = [0.0, 0.0, 0.0]

    def pulse() -> None:
        schedule.seek(0)
        worked, waited, _ = map(int, schedule.read().split())
        now = [1000 * time.perf_counter(), worked / 1e6, waited / 1e6]
        gaps.append([now[0] - last[0], now[1] - last[1], now[2] - last[2]])
        last[:] = now

    timer = QtCore.QTimer()
    timer.timeout.connect(pulse)
    timer.start(1)
    yield 0.3
    gaps.clear()
    yield 5.0
    said["idle"] = {"gaps": list(gaps), "status": status()}
    for name, previews in (("without previews", False), ("with previews", True)):
        fill(steps=int(os.environ["UNDERPAINT_STEPS"]), strength=1.0, previews=previews)
        control("status").setText("")
        gaps.clear()
        control("generate").click()
        while not ended():  # in short waits: a long one would end as if nothing happened
            yield 0.05
        said[name] = {"gaps": list(gaps), "status": status()}
        yield 1.0
    timer.stop()


def _keep_picture(name: str) -> None:
    file = Path(os.environ["UNDERPAINT_AGENT"], f"{name}.png")
    QtWidgets.QApplication.primaryScreen().grabWindow(0).save(str(file))


def downloaded(said: Said) -> Run:
    """Choose "Get a model...", press Download, and choose what came."""
    yield from opened()
    yield from focus()
    choice = control("model")
    before = docker().panel.form.value("model")
    choice.setFocus()
    yield from xdo("key", "End")
    yield lambda: docker()._downloads is not None and docker()._downloads.isVisible()
    dialog = docker()._downloads
    yield lambda: dialog.findChildren(QtWidgets.QPushButton)
    yield settled()
    said["choice_stays"] = docker().panel.form.value("model") == before
    said["heading"] = dialog.heading.text()
    offers = docker().session.downloads.offers
    said["offers"] = [offer.model for offer in offers]
    row = dialog.findChild(QtWidgets.QWidget, offers[0].model)
    button = row.findChild(QtWidgets.QPushButton)
    said["button"] = [button.text().replace("&", ""), button.isVisible()]  # KDE adds shortcuts
    _keep_picture("downloads-offered")
    middle = button.mapToGlobal(button.rect().center())
    yield from mouse(middle.x(), middle.y(), "click", 1)
    yield lambda: not button.isVisible()
    yield settled()
    _keep_picture("downloads-done")
    said["row"] = row.findChild(QtWidgets.QLabel, "status").text()
    said["status"] = status()
    yield lambda: choice.findData(offers[0].title) >= 0
    yield from xdo("key", "Escape")
    yield lambda: not dialog.isVisible()
    fill(model=offers[0].title)
    yield from generated()
    said["done"] = status()
