"""What GIMP sees: menu entries, and procedures for scripts.

One process lives as long as GIMP does. It holds the connection to the daemon and the window, and
its procedures come and go with it.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, GLib, GObject  # noqa: E402 - after their versions

from underpaint_client.errors import BadInputError, UnderpaintError, to_sentence  # noqa: E402
from underpaint_client.request import Request  # noqa: E402
from underpaint_client.seeds import draw_seed  # noqa: E402
from underpaint_editor.form import FIELDS, Choice, Field, Form, Number, Switch  # noqa: E402
from underpaint_editor.log import log_exception  # noqa: E402

from .canvas import GimpDocument  # noqa: E402
from .session import session, wait_until  # noqa: E402

if TYPE_CHECKING:
    from .window import Window

SERVICE = "underpaint-service"
GENERATE = "underpaint-generate"
AGAIN = "underpaint-again"
CANCEL = "underpaint-cancel"
WINDOW = "underpaint-window"
MENU = "<Image>/Filters/Underpaint"
_ENTRIES = {
    GENERATE: ("_Generate...", "Enter a prompt, then generate on the selected layer"),
    AGAIN: ("_Again", "Generate on the selected layer with the current settings"),
    CANCEL: ("_Cancel", "Stop all jobs; finished images are kept"),
    WINDOW: ("Open Dock _Window", "Show Underpaint's window beside the image"),
}
_ARGUMENTS = tuple(field for field in FIELDS if hasattr(Request, field.name))
"""The fields that scripts give; the rest is for the window alone."""

_READ_WRITE = GObject.ParamFlags.READWRITE
_SUCCESS = Gimp.PDBStatusType.SUCCESS


def has_screen() -> bool:
    """Return whether there is one to show windows on."""
    gi.require_version("Gdk", "3.0")
    gi.require_version("Gtk", "3.0")
    from gi.repository import Gdk, Gtk  # noqa: PLC0415 - GIMP may run without a screen

    found, _ = Gtk.init_check([])
    return bool(found) and Gdk.Display.get_default() is not None


@functools.cache
def window() -> Window:
    """Return the one window; the first call connects to the screen."""
    from .window import Window  # noqa: PLC0415 - as above

    return Window()


class Underpaint(Gimp.PlugIn):
    """See the module."""

    def do_query_procedures(self) -> list[str]:
        """Name what is always there: the process that brings all else."""
        return [SERVICE]

    def do_set_i18n(self, _name: str) -> bool:
        """Say that there are no translations."""
        return False

    def do_create_procedure(self, name: str) -> Any:
        """Describe the process that GIMP starts with itself."""
        procedure = Gimp.Procedure.new(self, name, Gimp.PDBProcType.PERSISTENT, self._serve, None)
        procedure.set_documentation("Holds Underpaint's connection to its daemon", None, name)
        return procedure

    def _serve(self, procedure: Any, _config: Any, _data: Any) -> Any:
        for name in _ENTRIES:
            self.add_temp_procedure(self._entry(name))
        procedure.persistent_ready()
        self.persistent_enable()
        session()
        GLib.MainLoop().run()
        return procedure.new_return_values(_SUCCESS, None)

    def _entry(self, name: str) -> Any:
        label, told = _ENTRIES[name]
        run = self._generate if name == GENERATE else self._press
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.TEMPORARY, run, None)
        procedure.set_menu_label(label)
        procedure.add_menu_path(MENU)
        procedure.set_documentation(told, _HELP, name)
        procedure.set_image_types("*" if name in (GENERATE, AGAIN) else "")
        procedure.set_sensitivity_mask(
            Gimp.ProcedureSensitivityMask.DRAWABLE
            if name in (GENERATE, AGAIN)
            else Gimp.ProcedureSensitivityMask.ALWAYS
        )
        if name == GENERATE:
            for field in _ARGUMENTS:
                _add_argument(procedure, field)
            procedure.add_boolean_argument(
                "seed-locked", "Lock", "Use this seed; otherwise a random one is used",
                False, _READ_WRITE,
            )  # fmt: skip
            procedure.add_group_layer_return_value(
                "group",
                "Group",
                "The group with the new layers, the last on top",
                True,
                _READ_WRITE,
            )
        return procedure

    # ---- what is chosen --------------------------------------------------------------------

    def _press(
        self, procedure: Any, _mode: Any, image: Any, layers: Any, _config: Any, _data: Any
    ) -> Any:
        name = procedure.get_name()
        if name == CANCEL:
            session().cancel()
            return _answer(procedure)
        return _on_screen(procedure, image, None if name == WINDOW else layers)

    def _generate(
        self, procedure: Any, mode: Any, image: Any, layers: Any, config: Any, _data: Any
    ) -> Any:
        if mode == Gimp.RunMode.NONINTERACTIVE:
            return _run(self, procedure, image, layers, config)
        again = mode == Gimp.RunMode.WITH_LAST_VALS
        return _on_screen(procedure, image, layers if again else None, to_front=not again)


def _answer(procedure: Any, error: str = "") -> Any:
    if error:
        failed = Gimp.PDBStatusType.EXECUTION_ERROR
        return procedure.new_return_values(failed, GLib.Error(error))
    return procedure.new_return_values(_SUCCESS, None)


def _on_screen(
    procedure: Any, image: Any, layers: list[Any] | None, *, to_front: bool = False
) -> Any:
    """Show the window, and where there are layers, paint with the settings as they are."""
    if not has_screen():
        return _answer(procedure, "There is no display to show Underpaint's window on.")
    window().show(image, to_front=to_front)
    if layers is not None:
        window().generate_now(image, layers)
    return _answer(procedure)


_HELP = (
    "Fills what was erased, guided by the colour underneath; repaints the whole layer where nothing"
    " was erased. The results are a group of layers above the source layer. A script waits until"
    " all results have arrived."
)


def _run(plugin: Any, procedure: Any, image: Any, layers: Any, config: Any) -> Any:
    """Paint for a script, which waits."""
    try:
        batch = session().send(form_of(config).request(draw_seed()), GimpDocument.of(image, layers))
        wait_until(lambda: batch.ended, plugin)
    except UnderpaintError as error:
        return _answer(procedure, to_sentence(error))
    except Exception as error:  # noqa: BLE001 - a script must hear of it, whatever it is
        log_exception("generating for a script", error)
        return _answer(procedure, f"Underpaint failed ({type(error).__name__}: {error}).")
    if batch.error is not None:
        return _answer(procedure, to_sentence(batch.error))
    values = _answer(procedure)
    values.remove(1)
    values.insert(1, GObject.Value(Gimp.GroupLayer, batch.group))
    return values


def form_of(config: Any) -> Form:
    """Return the form that a script's arguments make.

    Raises
    ------
    BadInputError
        Where an argument is not what the form's field can hold.
    """
    found: dict[str, Any] = {"seed_locked": config.get_property("seed-locked")}
    for field in _ARGUMENTS:
        value = config.get_property(field.name.replace("_", "-"))
        if isinstance(field, Number):
            value = value if field.decimals else whole_number(field, value)
        elif value is None:  # a script may say NULL
            value = Form().value(field.name)
        found[field.name] = value
    return Form.of(**found)


def whole_number(field: Number, value: float) -> int:
    """Return a number of a field that holds whole ones.

    Raises
    ------
    BadInputError
        Where it is none.
    """
    if not float(value).is_integer():  # nor is what is infinite
        low, high = int(field.minimum), int(field.maximum)
        raise BadInputError(
            f"{field.name} {value} is not a whole number; give one from {low} to {high}"
        )
    return int(value)


def _add_argument(procedure: Any, field: Field) -> None:
    """Describe one of the form's fields to scripts.

    GIMP gets no limits: it replaces what is outside of them by the default and says nothing, or a
    warning that scripts do not see. `check_request` refuses it, by name and value.
    """
    name, default = field.name.replace("_", "-"), Form().value(field.name)
    told = f"{field.tip} {_allowed(field)}".rstrip()
    if isinstance(field, Number):
        limits = (-math.inf, math.inf)
        procedure.add_double_argument(name, field.label, told, *limits, default, _READ_WRITE)
    elif isinstance(field, Switch):
        procedure.add_boolean_argument(name, field.label, told, default, _READ_WRITE)
    else:
        procedure.add_string_argument(name, field.label, told, default, _READ_WRITE)


def _allowed(field: Field) -> str:
    """Return the values that a field can hold, for those who write scripts."""
    if isinstance(field, Number):
        return f"From {field.minimum:g} to {int(field.maximum)}."
    if isinstance(field, Choice) and field.name != "model":
        return f"One of: {', '.join(field.options)}."
    return ""
