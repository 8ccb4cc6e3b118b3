"""Run the stages of a run within the memory of the device."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from underpaint_client.errors import GenerationFailedError
from underpaint_client.geometry import Extent

from .abilities import find_lacking
from .experience import Experience, first_saving
from .memory import model_too_large, too_large, until_it_fits
from .model import Model
from .savings import Saving, Stage, Task, choose_saving, next_saving

log = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Fitting:
    """Runs the stages of a run, and repeats a stage with a saving where memory is short.

    Parameters
    ----------
    model : Model
        The model that runs.
    experience : Experience
        What is known about its need for memory; what is learned is added.
    size : Extent
        What the model works at, in pixels.
    """

    model: Model
    experience: Experience
    size: Extent

    @property
    def _task(self) -> Task:
        return Task(self.model.needs, self.size)

    def choose(self, planned: int) -> Saving:
        """Choose how to save memory at this size, for so many images at once."""
        return choose_saving(
            self._task,
            self.experience.free,
            self.model.abilities,
            planned=planned,
            learned=first_saving(self.experience.savings, self.size.pixels),
        )

    def run(
        self,
        stage: Stage,
        attempt: Callable[[], Result],
        together: Callable[[], int] = lambda: 1,
    ) -> Result:
        """Return the result of a stage.

        Parameters
        ----------
        stage : Stage
            Which one: it decides what can be saved.
        attempt : callable
            The stage; called again after each saving.
        together : callable
            Returns how many images run at once.

        Raises
        ------
        GenerationFailedError
            The memory is too small, whatever is saved; the message says what to change.
        """
        known, size, model = self.experience, self.size, self.model

        def save() -> None:
            model.free()
            saving = next_saving(
                stage,
                model.saving,
                model.abilities,
                self._task,
                free=known.free,
                together=together(),
            )
            if saving is None:
                known.savings.pop(size.pixels, None)  # the next job starts without it
                whole = stage in ("load", "prompt")
                raise GenerationFailedError(
                    model_too_large(
                        model.info.name, model.needs.weights, find_lacking(model.abilities)
                    )
                    if whole
                    else too_large(model.info.name, size, model.info.native, known.painted)
                )
            log.warning("%s at %s did not fit; next try with %s", stage, size, saving)
            model.save(saving)
            if not model.needs_more:  # else less may do for the next request
                known.savings[size.pixels] = saving

        return until_it_fits(attempt, save)
