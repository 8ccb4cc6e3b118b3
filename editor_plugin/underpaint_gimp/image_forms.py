"""The form of each image, kept while the artist works on another one."""

from __future__ import annotations

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402 - after its version

from underpaint_editor.form import Form  # noqa: E402
from underpaint_editor.panel import Panel  # noqa: E402

from .canvas import load_form  # noqa: E402


class ImageForms:
    """See the module.

    Parameters
    ----------
    panel : Panel
        Shows the form of the image that the artist works on.
    """

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._forms: dict[int, Form] = {}  # by the ids of images
        self._unassigned: Form | None = None  # as it was when the artist had to choose an image

    def keep(self, image: Gimp.Image) -> None:
        """Keep the form of an image that the artist leaves."""
        self._forms[image.get_id()] = self._panel.form

    def expect_choice(self) -> None:
        """Notice that the artist has to choose an image."""
        if self._unassigned is None:
            self._unassigned = self._panel.form

    def show(self, image: Gimp.Image) -> None:
        """Show the form of an image: the one that was kept, or that is saved in the image."""
        unassigned, self._unassigned = self._unassigned, None
        if unassigned not in (None, self._panel.form):
            return  # the artist has edited the form for this image, before choosing it
        known = self._forms.get(image.get_id())
        self._panel.fill(known or Form.from_text(load_form(image), self._panel.form))
