"""Check what comes from outside before anything is done with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from underpaint_client import messages, wire
from underpaint_client.errors import BadInputError
from underpaint_client.inputs import InputFrames
from underpaint_client.rules import check_rasters, check_request
from underpaint_client.typed_json import add_sentences

if TYPE_CHECKING:
    from underpaint_client.frames import Bytes, Frame
    from underpaint_client.messages import Message
    from underpaint_client.wire import Envelope

MAX_JOB_NAME = 64

MAX_FOLLOWED = 2048
"""Jobs of the largest `Follow`: more than can be queued or have results waiting."""


def read_message(envelope: Envelope) -> Message:
    """Turn a message's body into its dataclass.

    Raises
    ------
    BadInputError
        Names the field that is unknown, missing, of the wrong type or out of range.
    """
    wire.refuse_unknown_fields(envelope)
    if envelope.type == messages.Follow.type:
        _check_follow(envelope.body.get("jobs"))
    try:
        message: Message = msgspec.convert(envelope.body, messages.TYPES[envelope.type])
    except UnicodeError:  # half a surrogate pair
        raise BadInputError(
            "{message}: it contains text that is not valid UTF-8", message=envelope.type
        ) from None
    except (msgspec.ValidationError, RecursionError) as error:
        raise BadInputError("{message}: {error}", message=envelope.type, error=error) from None
    message = add_sentences(message, envelope.body)
    if isinstance(message, messages.Submit):
        _check_submit(message, envelope.frames)
    elif envelope.frames:
        raise BadInputError(
            "{message}: this message has no frames, but {frame} came",
            message=envelope.type,
            frame=envelope.frames[0],
        )
    return message


def _check_follow(jobs: object) -> None:
    if isinstance(jobs, list) and len(jobs) > MAX_FOLLOWED:
        raise BadInputError(
            "follow: {count} jobs are too many; follow {most} at once",
            count=len(jobs),
            most=MAX_FOLLOWED,
        )


def _check_submit(message: messages.Submit, frames: tuple[Frame, ...]) -> None:
    job = message.job
    if not (0 < len(job) <= MAX_JOB_NAME and job.isascii() and job.isprintable()):
        raise BadInputError(
            "submit: job {job!r} must be 1 to {most} printable ASCII characters",
            job=job[:80],
            most=MAX_JOB_NAME,
        )
    if message.previews not in messages.PREVIEWS:
        raise BadInputError(
            "submit: previews {previews!r} are unknown; ask for 'quick' or 'full' previews, or for"
            " none",
            previews=message.previews,
        )
    check_request(message.request)
    check_rasters(message.request, InputFrames.of(frames).rasters)


def find_job_name(parts: list[Bytes]) -> str:
    """Return the job that a message is about, though nothing else of it may make sense.

    Parameters
    ----------
    parts : list of bytes-like
        The message as it travels.

    Returns
    -------
    str
        Empty if no job is named.
    """
    try:
        job = json.loads(bytes(parts[0][: wire.MAX_HEADER]))["body"]["job"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return job if isinstance(job, str) and len(job) <= MAX_JOB_NAME else ""
