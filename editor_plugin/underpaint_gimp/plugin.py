"""What GIMP sees of the plug-in: menu entries, and procedures for scripts.

GIMP starts one process with itself. The process holds the connection to the daemon and the window,
and registers the temporary procedures behind the menu entries.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, GLib, GObject  # noqa: E402 - after their versions

from underpaint_client.errors import BadInputError, UnderpaintError, to_sentence  # noqa: E402
from underpaint_client.parameters import parameters_of  # noqa: E402
from underpaint_client.request import Request  # noqa: E402
from underpaint_client.seeds import draw_seed  # noqa: E402
from underpaint_client.sentences import (  # noqa: E402
    NO_TEXT,
    Listing,
    Sentence,
    join_sentences,
    sentence,
)
from underpaint_editor.form import FIELDS, LISTED, Choice, Field, Form, Number, Switch  # noqa: E402
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
RESULTS = {
    "underpaint-previous-result": "previous",
    "underpaint-next-result": "next",
    "underpaint-keep-result": "keep",
    "underpaint-vary-result": "vary",
}
"""The entries for the selected result, and the window's buttons that do the same."""

MENU = "<Image>/Filters/Underpaint"
_ENTRIES = {
    GENERATE: (
        sentence("_Generate..."),
        sentence("Enter a prompt, then generate on the selected layer"),
    ),
    AGAIN: (
        sentence("_Again"),
        sentence("Generate on the selected layer with the current settings"),
    ),
    CANCEL: (sentence("_Cancel"), sentence("Stop all jobs; finished images are kept")),
    WINDOW: (
        sentence("Open Dock _Window"),
        sentence("Show Underpaint's window beside the image"),
    ),
    "underpaint-previous-result": (
        sentence("_Previous Result"),
        sentence("Show the previous result of the selected batch"),
    ),
    "underpaint-next-result": (
        sentence("_Next Result"),
        sentence("Show the next result of the selected batch"),
    ),
    "underpaint-keep-result": (
        sentence("_Keep Result"),
        sentence("Keep the selected result and delete the others of its group"),
    ),
    "underpaint-vary-result": (
        sentence("_Vary Result"),
        sentence("Make variations of the selected result, in its group"),
    ),
}
"""The menu entries: what each is called, and what it does."""

LEFT_TO_MODEL = -1
"""The argument for a number that is left to the model: GIMP has no number without a value."""

_ARGUMENTS = tuple(field for field in FIELDS if field.name in parameters_of(Request))
"""The fields that are arguments for scripts; the others are for the window alone."""

_READ_WRITE = GObject.ParamFlags.READWRITE
_SUCCESS = Gimp.PDBStatusType.SUCCESS


def has_screen() -> bool:
    """Return whether there is a display to show windows on."""
    gi.require_version("Gdk", "3.0")
    gi.require_version("Gtk", "3.0")
    from gi.repository import Gdk, Gtk  # noqa: PLC0415 - GIMP may run without a screen

    found, _ = Gtk.init_check([])
    return found and Gdk.Display.get_default() is not None


@functools.cache
def window() -> Window:
    """Return the window, which is created by the first call."""
    from .window import Window  # noqa: PLC0415 - GIMP may run without a screen

    return Window()


class Underpaint(Gimp.PlugIn):
    """See the module."""

    def do_query_procedures(self) -> list[str]:
        """Return the name of the procedure that GIMP runs at its start."""
        return [SERVICE]

    def do_set_i18n(self, _name: str) -> bool:
        """Return False: there are no translations."""
        return False

    def do_create_procedure(self, name: str) -> Gimp.Procedure:
        """Return the procedure that GIMP runs at its start."""
        procedure = Gimp.Procedure.new(self, name, Gimp.PDBProcType.PERSISTENT, self._serve, None)
        procedure.set_documentation(
            sentence("Keeps Underpaint's connection to its daemon"), None, name
        )
        return procedure

    def _serve(
        self, procedure: Gimp.Procedure, _config: Gimp.ProcedureConfig, _data: object
    ) -> Gimp.ValueArray:
        """Register the menu entries, and run until GIMP ends."""
        for name in _ENTRIES:
            self.add_temp_procedure(self._make_entry(name))
        procedure.persistent_ready()
        self.persistent_enable()
        session()
        GLib.MainLoop().run()
        return procedure.new_return_values(_SUCCESS, None)

    def _make_entry(self, name: str) -> Gimp.ImageProcedure:
        """Return the procedure behind a menu entry."""
        label, description = _ENTRIES[name]
        run = self._generate if name == GENERATE else self._press
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.TEMPORARY, run, None)
        procedure.set_menu_label(label)
        procedure.add_menu_path(MENU)
        procedure.set_documentation(description, _HELP, name)
        needs_layer = name in (GENERATE, AGAIN, *RESULTS)
        procedure.set_image_types("*" if needs_layer else "")
        procedure.set_sensitivity_mask(
            Gimp.ProcedureSensitivityMask.DRAWABLE
            if needs_layer
            else Gimp.ProcedureSensitivityMask.ALWAYS
        )
        if name == GENERATE:
            for field in _ARGUMENTS:
                _add_argument(procedure, field)
            procedure.add_boolean_argument(
                "seed-locked",
                sentence("Lock"),
                sentence("Use this seed; otherwise a random one is used"),
                False,
                _READ_WRITE,
            )
            procedure.add_group_layer_return_value(
                "group",
                sentence("Group"),
                sentence("The group with the new layers, the last on top"),
                True,
                _READ_WRITE,
            )
        return procedure

    # ---- called by GIMP --------------------------------------------------------------------

    def _press(
        self,
        procedure: Gimp.Procedure,
        _mode: Gimp.RunMode,
        image: Gimp.Image | None,
        layers: Sequence[Gimp.Item],
        _config: Gimp.ProcedureConfig,
        _data: object,
    ) -> Gimp.ValueArray:
        """Run one of the menu entries that have no arguments."""
        name = procedure.get_name()
        if name == CANCEL:
            session().cancel()
            return _values(procedure)
        if name in RESULTS:
            return _use_result(procedure, image, RESULTS[name])
        return _show_window(procedure, image, None if name == WINDOW else layers)

    def _generate(
        self,
        procedure: Gimp.Procedure,
        mode: Gimp.RunMode,
        image: Gimp.Image | None,
        layers: Sequence[Gimp.Item],
        config: Gimp.ProcedureConfig,
        _data: object,
    ) -> Gimp.ValueArray:
        """Generate for a script, or show the window to an artist."""
        if mode == Gimp.RunMode.NONINTERACTIVE:
            return _generate_for_script(self, procedure, image, layers, config)
        again = mode == Gimp.RunMode.WITH_LAST_VALS
        return _show_window(procedure, image, layers if again else None, to_front=not again)


def _values(procedure: Gimp.Procedure, error: Sentence = NO_TEXT) -> Gimp.ValueArray:
    """Return a procedure's return values: success, or an error with its message."""
    if error:
        failed = Gimp.PDBStatusType.EXECUTION_ERROR
        return procedure.new_return_values(failed, GLib.Error(error))
    return procedure.new_return_values(_SUCCESS, None)


_NO_SCREEN = sentence("There is no display to show Underpaint's window on.")


def _use_result(
    procedure: Gimp.Procedure, image: Gimp.Image | None, button: str
) -> Gimp.ValueArray:
    """Do what a button for the selected result does, and show the window that says how it went."""
    if not has_screen():
        return _values(procedure, _NO_SCREEN)
    window().show(image, to_front=False)
    window().use_result(button)
    return _values(procedure)


def _show_window(
    procedure: Gimp.Procedure,
    image: Gimp.Image | None,
    layers: Sequence[Gimp.Item] | None,
    *,
    to_front: bool = False,
) -> Gimp.ValueArray:
    """Show the window; if there are layers, generate on them with the window's settings."""
    if not has_screen():
        return _values(procedure, _NO_SCREEN)
    window().show(image, to_front=to_front)
    if layers is not None:
        window().generate_now(image, layers)
    return _values(procedure)


_HELP = sentence(
    "Fills what was erased, guided by the colour underneath; repaints the whole layer where nothing"
    " was erased. The results are a group of layers above the source layer. A script waits until"
    " all results have arrived."
)


def _generate_for_script(
    plugin: Gimp.PlugIn,
    procedure: Gimp.Procedure,
    image: Gimp.Image | None,
    layers: Sequence[Gimp.Item],
    config: Gimp.ProcedureConfig,
) -> Gimp.ValueArray:
    """Generate, wait until the results are inserted, and return their group."""
    try:
        batch = session().send(form_of(config).request(draw_seed()), GimpDocument.of(image, layers))
        wait_until(lambda: batch.ended, plugin)
    except UnderpaintError as error:
        return _values(procedure, to_sentence(error))
    except Exception as error:  # noqa: BLE001 - GIMP prints it where a script does not see it
        log_exception("generating for a script", error)
        why = sentence(
            "Underpaint failed ({kind}: {error}).", kind=type(error).__name__, error=error
        )
        return _values(procedure, why)
    if batch.error is not None:
        return _values(procedure, to_sentence(batch.error))
    values = _values(procedure)
    values.remove(1)
    values.insert(1, GObject.Value(Gimp.GroupLayer, batch.group))
    return values


def form_of(config: Gimp.ProcedureConfig) -> Form:
    """Return a script's arguments as a form.

    Raises
    ------
    BadInputError
        If an argument is not a value of its field.
    """
    found: dict[str, object] = {"seed_locked": config.get_property("seed-locked")}
    for field in _ARGUMENTS:
        value = config.get_property(field.name.replace("_", "-"))
        if isinstance(field, Number) and isinstance(value, float):
            is_left = field.by_model and value == LEFT_TO_MODEL
            number = value if field.decimals or is_left else whole_number(field, value)
            found[field.name] = None if is_left else number
        else:  # a script may pass NULL
            found[field.name] = Form().value(field.name) if value is None else value
    return Form.of(**found)


def whole_number(field: Number, value: float) -> int:
    """Return the value of a field without decimals as an int.

    Raises
    ------
    BadInputError
        If it is not a whole number.
    """
    if not value.is_integer():  # infinity is not one either
        low, high = int(field.minimum), int(field.maximum)
        raise BadInputError(
            "{name} {value} is not a whole number; give one from {least} to {most}",
            name=field.name,
            value=value,
            least=low,
            most=high,
        )
    return int(value)


def _add_argument(procedure: Gimp.Procedure, field: Field) -> None:
    """Add an argument for one of the form's fields.

    Numbers get no limits: GIMP replaces a value outside of them by the default without a message
    that scripts see. `check_request` refuses it, with its name and value.
    """
    name, default = field.name.replace("_", "-"), Form().value(field.name)
    blurb = join_sentences(*filter(None, (field.tip, _allowed_values(field))))
    if isinstance(field, Number):
        limits = (-math.inf, math.inf)
        usual = LEFT_TO_MODEL if field.by_model else default
        procedure.add_double_argument(name, field.label, blurb, *limits, usual, _READ_WRITE)
    elif isinstance(field, Switch):
        procedure.add_boolean_argument(name, field.label, blurb, default, _READ_WRITE)
    else:
        procedure.add_string_argument(name, field.label, blurb, default, _READ_WRITE)


def _allowed_values(field: Field) -> Sentence:
    """Return the values that a field can have, in a sentence for those who write scripts."""
    if isinstance(field, Number):
        limits = sentence("from {least:g} to {most}", least=field.minimum, most=int(field.maximum))
        if not field.by_model:
            return limits
        return sentence(
            "{limits}, or {number}: what suits the model", limits=limits, number=LEFT_TO_MODEL
        )
    if isinstance(field, Choice) and field.name not in LISTED:
        return sentence("one of: {choices}", choices=Listing(field.options))
    return NO_TEXT
