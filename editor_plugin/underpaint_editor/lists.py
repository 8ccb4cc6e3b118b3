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
    ]


def find_model(models: Iterable[ModelEntry], default: str, name: str) -> ModelEntry | None:
    """Return the model that the form names; None if the daemon does not have it, or is away.

    Parameters
    ----------
    models : iterable of ModelEntry
    default : str
        As `list_models`.
    name : str
        What the form holds; empty for the default.
    """
    return next((model for model in models if model.name == (name or default)), None)


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
