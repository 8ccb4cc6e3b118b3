"""The image that the window works on: the one in front, or the one that the artist chooses."""

from __future__ import annotations

from collections.abc import Callable

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gtk", "3.0")
from gi.repository import Gimp, Gtk  # noqa: E402 - after their versions

from underpaint_client.errors import BadInputError  # noqa: E402
from underpaint_client.sentences import sentence  # noqa: E402

from . import front  # noqa: E402


class ImageChoice:
    """See the module. The list is shown only if the image in front cannot be told.

    Parameters
    ----------
    chosen : callable
        Called with the image that the artist chooses in the list; None if it was closed.
    """

    def __init__(self, chosen: Callable[[Gimp.Image | None], None]) -> None:
        self.image: Gimp.Image | None = None
        self.front_known = True
        """Whether it can be told which image is in front."""
        self._chosen = chosen
        self._seen: frozenset[int] = frozenset()  # images that were open when one was chosen
        self._filling = False
        self.widget = Gtk.ComboBoxText(no_show_all=True)
        self.widget.set_name("image")
        self.widget.set_tooltip_text(sentence("The image to work on"))
        self.widget.get_accessible().set_name(sentence("Image"))
        self.widget.connect("changed", self._changed)

    def find(self, chosen: Gimp.Image | None = None) -> Gimp.Image | None:
        """Return the image to work on; None if there is none, or the artist has to choose.

        Parameters
        ----------
        chosen : Gimp.Image, optional
            The image that the artist has chosen now.
        """
        by_id = {one.get_id(): one for one in Gimp.get_images()}
        in_front = front.image_in_front(list(by_id.values()))
        self.front_known = in_front is not None or len(by_id) < 2
        if chosen is not None:
            self._seen = frozenset(by_id)
            return chosen
        first = None if in_front is None else in_front.get_id()
        before = None if self.image is None else self.image.get_id()
        found = front.choose_image(list(by_id), first, before, self._seen)
        return None if found is None else by_id[found]

    def show(self) -> None:
        """List the open images, if the artist has to choose one."""
        self._filling = True
        self.widget.remove_all()
        for image in Gimp.get_images():
            self.widget.append(str(image.get_id()), front.name_in_title(image))
        self.widget.set_active_id(None if self.image is None else str(self.image.get_id()))
        self.widget.set_visible(not self.front_known)
        self._filling = False

    def check(self) -> None:
        """Check that it is known which image to work on.

        Raises
        ------
        BadInputError
            If the artist has to choose one.
        """
        if self.image is None and not self.front_known:
            raise BadInputError(
                "several images are open, and Underpaint cannot tell which one is in front; choose"
                " it at the top of this window, or use Filters > Underpaint in the image's window"
            )

    def _changed(self, _box: object) -> None:
        chosen = self.widget.get_active_id()
        if not self._filling and chosen:
            self._chosen(Gimp.Image.get_by_id(int(chosen)))
