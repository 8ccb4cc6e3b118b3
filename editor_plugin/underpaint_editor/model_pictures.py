"""The small pictures of models, which the daemon sends one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from underpaint_client.frames import Frame

    from .pump import Pump
    from .tracker import JobTracker

_MOST = 64


class ModelPictures:
    """See the module.

    Parameters
    ----------
    tracker : JobTracker
        Asks the daemon.
    pump : Pump
        Is woken then.
    """

    def __init__(self, tracker: JobTracker, pump: Pump) -> None:
        self._tracker, self._pump = tracker, pump
        self._awaited = ""
        self._known: dict[str, Frame | None] = {}

    def find(self, model: str) -> Frame | None:
        """Return the picture of a model.

        Returns
        -------
        Frame or None
            None if there is none, or if it is not known yet: then the daemon is asked.
        """
        if model not in self._known and model != self._awaited:
            self._awaited = model  # the daemon answers the last question only
            self._tracker.ask_model_picture(model)
            self._pump.wake()
        return self._known.get(model)

    def add(self, model: str, picture: Frame | None) -> None:
        """Keep what the daemon has sent."""
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[model] = picture
        if model == self._awaited:
            self._awaited = ""

    def clear(self) -> None:
        """Forget all: another daemon may have other models."""
        self._known.clear()
        self._awaited = ""
