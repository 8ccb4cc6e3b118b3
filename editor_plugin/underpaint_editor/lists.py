"""What a panel lists: models and styles to choose from, and the jobs in the queue. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from underpaint_client.control_layers import CONTROL_PICTURES
from underpaint_client.descriptions import describe_model
from underpaint_client.sentences import NO_TEXT, Sentence, as_sentence, sentence

from .layers import describe_job

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from underpaint_client.model_entry import ModelEntry
    from underpaint_client.styles import Style

    from .job import Job


@dataclass(frozen=True)
class ListedChoice:
    """A model or a style to choose.

    Parameters
    ----------
    value : str
        What the form holds; empty for the daemon's default model, and for no style.
    label, tip : Sentence
        What the artist reads; `tip` describes it, or says why it cannot be used.
    usable : bool
    """

    value: str
    label: Sentence
    tip: Sentence = NO_TEXT
    usable: bool = True


GET_MODEL = ":get"
"""The value of the choice of models that opens the window for downloads. No model has that name."""

_GET_MODEL = ListedChoice(
    GET_MODEL, sentence("Get a model..."), sentence("Download a model to this machine")
)


@dataclass(frozen=True)
class QueueEntry:
    """One of several jobs, in words, and whether it waits for others."""

    job: Job
    text: Sentence
    waits: bool


def list_models(models: Sequence[ModelEntry], default: str) -> list[ListedChoice]:
    """Return what to offer for the form's model.

    Parameters
    ----------
    models : sequence of ModelEntry
        What the daemon has.
    default : str
        The name of its default model; empty if it has none, or is away.
    """
    first = ListedChoice(
        "",
        sentence("Default ({model})", model=default) if default else sentence("Default"),
        describe_choice(find_model(models, default, "")),
    )
    choices = (
        ListedChoice(m.name, Sentence(m.name), describe_model(m), not m.problem) for m in models
    )
    return [first, *choices, _GET_MODEL]


def list_styles(styles: Sequence[Style]) -> list[ListedChoice]:
    """Return what to offer for the form's style.

    Parameters
    ----------
    styles : sequence of Style
        What the daemon has.
    """
    return [
        ListedChoice("", sentence("None")),
        *(
            ListedChoice(
                one.name,
                Sentence(one.name),
                as_sentence(one.problem or one.prompt),
                not one.problem,
            )
            for one in styles
        ),
    ]


def list_control_pictures(known: Sequence[str]) -> list[ListedChoice]:
    """Return the kinds of control layers that can be made of a layer.

    Parameters
    ----------
    known : sequence of str
        Those that the daemon has all it needs for; empty where it has not said it. The others can
        be chosen too: it then says what is missing.
    """
    return [
        ListedChoice(kind, as_sentence(label))
        if kind in known or not known
        else ListedChoice(kind, sentence("{kind} (no model yet)", kind=as_sentence(label)))
        for kind, label in CONTROL_PICTURES.items()
    ]


def describe_choice(model: ModelEntry | None) -> Sentence:
    """Return what is shown below the choice of the model; empty if nothing is known of it."""
    return NO_TEXT if model is None else describe_model(model)


def find_model(models: Sequence[ModelEntry], default: str, name: str) -> ModelEntry | None:
    """Return the model that the form names; None if the daemon does not have it, or is away.

    Parameters
    ----------
    models : sequence of ModelEntry
    default : str
        As `list_models`.
    name : str
        What the form holds: a model's name, or its last part where no other model has it, as in
        recipes. Empty for the default.
    """
    wanted = name or default
    found = [model for model in models if model.name == wanted]
    found = found or [model for model in models if model.name.rpartition("/")[2] == wanted]
    return found[0] if len(found) == 1 else None


def list_queue(jobs: Iterable[Job]) -> list[QueueEntry]:
    """Return an editor's jobs, the one that runs first; empty if there are fewer than two."""
    ordered = sorted(jobs, key=lambda job: job.position)
    if len(ordered) < 2:
        return []
    return [
        QueueEntry(job, describe_job(job.request, job.position), waits=job.position > 0)
        for job in ordered
    ]
