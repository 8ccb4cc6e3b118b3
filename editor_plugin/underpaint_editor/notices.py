"""What the tracker reports to the session: one value for each thing that has happened. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from underpaint_client import messages, model_messages
from underpaint_client.geometry import Box
from underpaint_client.model_entry import ModelEntry
from underpaint_client.prompt_messages import PromptNames
from underpaint_client.sentences import Sentence, sentence

from .progress import describe_progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from underpaint_client.errors import UnderpaintError
    from underpaint_client.frames import Frame

    from .job import Job


@dataclass(frozen=True)
class Connected:
    """The daemon has answered.

    Parameters
    ----------
    default_model : str
        Empty if it has no model.
    remark : str
        A clause for the artist; mostly empty.
    prompt_names : bool
        Whether it can be asked what prompts can name.
    """

    default_model: str
    remark: str = ""
    prompt_names: bool = False


@dataclass(frozen=True)
class Disconnected:
    """The daemon is gone. The jobs wait for it to come back.

    Parameters
    ----------
    error : UnderpaintError
        Why.
    planned : bool
        Whether it was told to stop, or another one would not help.
    """

    error: UnderpaintError
    planned: bool = False


@dataclass(frozen=True)
class ModelsListed:
    """The models that the daemon has."""

    models: tuple[ModelEntry, ...]


@dataclass(frozen=True)
class ModelPictureReceived:
    """What a model paints, small, RGBA, u1; None if there is no picture of it."""

    model: str
    picture: Frame | None


@dataclass(frozen=True)
class PromptNamesListed:
    """What prompts can name."""

    names: PromptNames


@dataclass(frozen=True)
class ResultsWaiting:
    """Jobs of this user that no client follows: an editor ended before their results arrived."""

    jobs: tuple[messages.WaitingJob, ...]


@dataclass(frozen=True)
class Progressed:
    """A job has made progress.

    Parameters
    ----------
    job : Job
    fraction : float or None
        0..1 of the whole job; None if it is not known.
    text : Sentence
        The same for the artist.
    """

    job: Job
    fraction: float | None
    text: Sentence


@dataclass(frozen=True)
class PositionChanged:
    """A job's position in the queue has changed; `Job.position` says which it is now."""

    job: Job


@dataclass(frozen=True)
class PreviewReceived:
    """What an image looks like so far.

    Parameters
    ----------
    job : Job
    area : Box
        Where to scale the frame to on the canvas.
    frame : Frame
        RGBA, u1.
    image : int
        Which image of the batch, from 1 on.
    step, steps : int
        How many steps were run, and of how many.
    """

    job: Job
    area: Box
    frame: Frame
    image: int = 1
    step: int = 0
    steps: int = 0


@dataclass(frozen=True)
class ImageReceived:
    """A finished image has arrived."""

    job: Job
    picture: messages.Picture
    frame: Frame


@dataclass(frozen=True)
class Ended:
    """A job has ended.

    Parameters
    ----------
    job : Job
    error : UnderpaintError or None
        None if all images have arrived.
    given_up : bool
        Whether only this client has stopped waiting: the daemon may have more images, and offers
        them later.
    """

    job: Job
    error: UnderpaintError | None
    given_up: bool = False


@dataclass(frozen=True)
class DownloadNews:
    """Models that can be downloaded, or how far a download is."""

    message: model_messages.Suggestions | model_messages.Download


@dataclass(frozen=True)
class Refused:
    """The daemon could not answer a message that belongs to no job."""

    error: UnderpaintError


Notice = Union[
    Connected, Disconnected, ModelsListed, ModelPictureReceived, PromptNamesListed, ResultsWaiting,
    Progressed, PositionChanged, PreviewReceived, ImageReceived, Ended, DownloadNews, Refused,
]  # fmt: skip


def describe_answer(message: messages.Message, frames: tuple[Frame, ...]) -> Notice | None:
    """Return the notice of what the daemon says of itself; None if it says something else."""
    if isinstance(message, messages.Welcome):
        return Connected(message.default_model, message.remark, message.prompt_names)
    if isinstance(message, model_messages.Models):
        return ModelsListed(message.models)
    if isinstance(message, (model_messages.Suggestions, model_messages.Download)):
        return DownloadNews(message)
    if isinstance(message, model_messages.ModelPicture):
        return ModelPictureReceived(message.model, frames[0] if frames else None)
    if isinstance(message, PromptNames):
        return PromptNamesListed(message)
    return None


def describe_message(
    job: Job, message: messages.Message, frames: tuple[Frame, ...], now: float, *, alone: bool
) -> Notice | None:
    """Return the notice for a message about a job.

    Parameters
    ----------
    job : Job
    message : Message
    frames : tuple of Frame
        The message's.
    now : float
        Seconds of a monotonic clock.
    alone : bool
        Whether this editor has no other job: its position is then shown as progress.

    Returns
    -------
    Notice or None
        None if the artist is told nothing.
    """
    if isinstance(message, messages.Accepted) and message.position and alone:
        return Progressed(job, None, sentence("Waiting: {jobs} ahead", jobs=message.position))
    if isinstance(message, messages.Progress):
        return Progressed(job, *describe_progress(message, job.pace, now))
    if isinstance(message, messages.Preview):
        area = Box(*message.area)
        return PreviewReceived(job, area, frames[0], message.image, message.step, message.steps)
    if isinstance(message, messages.Picture):
        return ImageReceived(job, message, frames[0])
    return None


def skip_outdated(notices: Iterable[Notice]) -> Iterator[Notice]:
    """Yield notices in their order, without progress and previews that newer ones replace.

    Of consecutive progress and previews, the last progress is kept, and the last preview of each
    job. All other notices are yielded as soon as they arrive, before the next is asked for.
    """
    progress: Progressed | None = None
    previews: dict[str, PreviewReceived] = {}
    for notice in notices:
        if isinstance(notice, Progressed):
            progress = notice
        elif isinstance(notice, PreviewReceived):
            previews[notice.job.name] = notice
        else:
            yield from _pending(progress, previews)
            progress, previews = None, {}
            yield notice
    yield from _pending(progress, previews)


def _pending(progress: Progressed | None, previews: dict[str, PreviewReceived]) -> Iterator[Notice]:
    if progress is not None:
        yield progress
    yield from previews.values()
