"""A job's progress: how much of it is done, how long it will take, and both in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from underpaint_client.descriptions import describe_seconds
from underpaint_client.sentences import Listing, Sentence, as_sentence, sentence

if TYPE_CHECKING:
    from underpaint_client import messages


@dataclass
class Pace:
    """How fast a job's steps go by."""

    first: tuple[int, float] | None = None

    def seconds_left(self, done: int, total: int, now: float) -> float | None:
        """Return an estimate; None until two steps have been seen.

        Parameters
        ----------
        done, total : int
            Steps of the whole job.
        now : float
            Seconds of a monotonic clock.
        """
        if self.first is None or done < self.first[0]:
            self.first = (done, now)
        since, began = self.first
        if done <= since:
            return None
        return (now - began) / (done - since) * (total - done)


def describe_progress(
    progress: messages.Progress, pace: Pace, now: float
) -> tuple[float | None, Sentence]:
    """Return a progress message as a fraction (or None) and a sentence for the artist."""
    if not progress.steps:
        return None, sentence("{phase}...", phase=as_sentence(progress.phase))
    total = progress.steps * max(progress.images, 1)
    done = progress.steps * max(progress.image - 1, 0) + progress.step * progress.together
    left = pace.seconds_left(done, total, now)
    parts = [sentence("Step {step} of {steps}", step=progress.step, steps=progress.steps)]
    if progress.images > 1:
        parts.append(
            sentence("image {image} of {images}", image=progress.image, images=progress.images)
        )
    if left is not None:
        parts.append(sentence("{time} left", time=describe_seconds(left)))
    return done / total, sentence("{parts}", parts=Listing(parts))
