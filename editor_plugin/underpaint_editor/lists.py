"""What a panel lists: the models to choose from, and the jobs in the queue. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .layers import describe_job

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underpaint_client.messages import ModelEntry

    from .job import Job


@dataclass(frozen=True)
class ModelChoice:
    """A model to choose.

    Parameters
    ----------
    value : str
        What the form holds; empty for the daemon's default.
    label, tip : str
        What the artist reads; `tip` says what is wrong with a model that cannot be used.
    usable : bool
    """

    value: str
    label: str
    tip: str = ""
    usable: bool = True


GET_MODEL = ":get"
"""The value of the choice of models that opens the window for downloads. No model has that name."""

_GET_MODEL = ModelChoice(GET_MODEL, "Get a model...", "Download a model to this machine")


@dataclass(frozen=True)
class QueueEntry:
    """One of several jobs, in words, and whether it waits for others."""

    job: Job
    text: str
    waits: bool


def list_models(models: Iterable[ModelEntry], default: str) -> list[ModelChoice]:
    """Return what to offer for the form's model.

    Parameters
    ----------
    models : iterable of ModelEntry
        What the daemon has.
    default : str
        The name of its default model; empty if it has none, or is away.
    """
    return [
        ModelChoice("", f"Default ({default})" if default else "Default"),
        *(
            ModelChoice(m.name, m.name, m.problem or f"{m.native} pixels", not m.problem)
            for m in models
        ),
        _GET_MODEL,
    ]


def list_queue(jobs: Iterable[Job]) -> list[QueueEntry]:
    """Return an editor's jobs, the one that runs first; empty if there are fewer than two."""
    ordered = sorted(jobs, key=lambda job: job.position)
    if len(ordered) < 2:
        return []
    return [
        QueueEntry(
            job, describe_job(job.request.prompt.positive, job.position), waits=job.position > 0
        )
        for job in ordered
    ]
