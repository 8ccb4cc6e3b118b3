"""Run one job from the command line: submit it, follow it across daemons, and write its files."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from underpaint.server.arrays import to_frame, to_pixels
from underpaint.server.background import find_or_start
from underpaint_client import Connection, messages
from underpaint_client.address import Address
from underpaint_client.descriptions import describe_noise
from underpaint_client.errors import (
    BadInputError,
    DaemonStoppedError,
    DaemonUnavailableError,
    TurnedAwayError,
    UnderpaintError,
)
from underpaint_client.following import OFFLINE, Event, Following, State, find_error, perform
from underpaint_client.frames import Frame
from underpaint_client.inputs import PROFILE, InputFrames, profile_frame
from underpaint_client.request import Request

from .daemon_connection import describe_loss, describe_return
from .output_spec import OutputSpec, forget_spec, keep_spec
from .pictures import Drawing
from .printing import show_json, show_path
from .terminal import Display

COMMAND_LINE = "the command line"
"""The editor's name in the note of a job that the command line has submitted."""


@dataclass
class JobRunner:
    """Runs one job, from its submission to its last file.

    Parameters
    ----------
    connection : Connection
        Closed at the end; replaced if the daemon ends in between.
    request : Request
    drawing : Drawing or None
        The picture to start from.
    outputs : OutputSpec
        Where the images are written, and with which metadata.
    display : Display
    force : bool
        Whether to replace files that exist.
    as_json : bool
        Whether to print an object for each image instead of its path.
    steps_folder : Path or None
        Where to write a picture of every step.
    """

    connection: Connection
    request: Request
    drawing: Drawing | None
    outputs: OutputSpec
    display: Display
    force: bool
    as_json: bool
    steps_folder: Path | None = None
    written: list[Path] = field(default_factory=list)

    def run(self, selection: Any, context: Any, rasters: Mapping[str, Frame]) -> None:
        """Submit the job, and write its images as they arrive.

        Parameters
        ----------
        selection, context : array or None
            As `read_inputs` returns them.
        rasters : mapping of str to Frame
            As `read_control_pictures` and `read_region_masks` return them.

        Raises
        ------
        UnderpaintError
            If the job fails, or a file cannot be written.
        """
        frames = dict(rasters)
        inputs = InputFrames(rasters=frames)
        if self.drawing is not None:
            box = self.drawing.box
            if context is not None:
                frames["context"] = to_frame("context", context, box)
            if self.drawing.profile:
                frames[PROFILE] = profile_frame(self.drawing.profile)
            inputs = InputFrames(
                to_frame("layer", self.drawing.pixels, box),
                None if selection is None else to_frame("selection", selection, box, "Y"),
                rasters=frames,
            )
        started = time.monotonic()
        previews = "full" if self.steps_folder else ""
        note = Address(COMMAND_LINE, str(self.outputs.paths[0])).to_text()
        submit = messages.Submit(uuid.uuid4().hex, self.request, previews, note)
        following = Following.submitted(submit, inputs.frames)
        self._keep_spec(submit.job)
        self._handle(following, Event.CONNECTED)
        try:
            with self.display:
                self._follow(following, started)
        except KeyboardInterrupt:
            if self._cancel(following):
                forget_spec(submit.job)
            raise
        finally:
            self.connection.close()
        if following.error is not None:
            raise following.error
        forget_spec(submit.job)

    def _handle(self, following: Following, event: Event) -> None:
        perform(self.connection, following, following.handle(event))

    def _follow(self, following: Following, started: float) -> None:
        """Handle messages until the job ends, even if the daemon ends before."""
        while not following.ended:
            try:
                self._read_messages(following, started)
            except TurnedAwayError:
                raise
            except (DaemonStoppedError, BadInputError) as error:  # or a file cannot be written
                if not following.accepted:
                    raise
                told = describe_loss(following.job, accepted=True)
                raise type(error)(f"{error}; {told}") from None
            except DaemonUnavailableError:
                self._reconnect(following)

    def _reconnect(self, following: Following) -> None:
        """Connect again, and go on with the job; start a daemon of this machine that has died."""
        earlier, before = self.connection, self.connection.info
        self._handle(following, Event.DISCONNECTED)
        earlier.close(0)
        try:
            self.connection, started = find_or_start()
        except DaemonUnavailableError as error:
            far = not before.pid
            lost = f"{before.endpoint} no longer answers" if far else str(error)
            told = describe_loss(following.job, accepted=following.accepted, far=far)
            raise DaemonUnavailableError("{problem}; {hint}", problem=lost, hint=told) from None
        self.connection.continue_from(earlier)
        self.display.say(describe_return(before, self.connection.info, started=started))
        self._handle(following, Event.CONNECTED)

    def _read_messages(self, following: Following, started: float) -> None:
        for message, frames in self.connection.events(following):
            if isinstance(message, messages.Accepted) and message.remark:
                self.display.note(message.remark)
            if isinstance(message, messages.Progress):
                self.display.progress(message)
            elif isinstance(message, messages.Preview):
                self._save_step(message, frames[0])
            elif isinstance(message, messages.Picture):
                self._write(message, frames[0], time.monotonic() - started)

    def _keep_spec(self, job: str) -> None:
        try:
            keep_spec(job, self.outputs)
        except (OSError, UnderpaintError) as error:
            self.display.note(
                "if this run ends early, the daemon keeps the pictures, but not the names and"
                f" metadata of their files: {error}"
            )

    def _cancel(self, following: Following) -> bool:
        """Cancel the job; return whether it has ended and nothing of it is left with the daemon."""
        accepted = following.accepted
        if following.state not in OFFLINE:
            self.display.say("cancelling the job; the daemon keeps running")
            self._handle(following, Event.CANCEL)
            deadline = time.monotonic() + 10
            while not following.ended and time.monotonic() < deadline:
                self._receive_end(following, deadline - time.monotonic())
            if following.ended:
                self._handle(following, Event.ACKNOWLEDGE)  # what came was written
                return following.state is not State.KEPT
        told = describe_loss(following.job, accepted=accepted)
        self.display.say(f"the daemon does not answer; {told}")
        return False

    def _receive_end(self, following: Following, seconds: float) -> None:
        """Wait for the next message of a job that was cancelled."""
        received = self.connection.receive(seconds)
        if received is None:
            return
        error = find_error(received[0])
        if isinstance(error, TurnedAwayError):
            following.give_up(error)
        perform(self.connection, following, following.handle_message(received[0]).actions)

    def _save_step(self, preview: messages.Preview, frame: Frame) -> None:
        """Write the picture of a step, opaque: the part of the canvas that the model works on."""
        name = f"{self.outputs.stem}-{preview.image:02d}-step-{preview.step:03d}.png"
        _, _, width, height = preview.area
        shown = Image.fromarray(np.ascontiguousarray(to_pixels(frame)[..., :3]))
        folder = self.steps_folder or Path()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            shown.resize((width, height), Image.Resampling.LANCZOS).save(folder / name)
        except OSError as error:
            raise BadInputError(
                "folder {folder} cannot be written: {reason}; name another with"
                " --save-intermediates",
                folder=folder,
                reason=error.strerror,
            ) from None

    def _write(self, picture: messages.Picture, frame: Frame, seconds: float) -> None:
        path, recipe = self.outputs.path_of(picture.index), picture.recipe
        if path is None:
            return
        path = self.outputs.write(path, picture, frame, replace=self.force)
        self.written.append(path)
        for note in recipe.facts.notes:
            self.display.note(note)
        variation = self.request.variation
        drawn = variation.amount and variation.seed is None
        paints = not self.request.control_picture.kind
        if paints and (self.request.sampling.seed is None or drawn):
            self.display.say(describe_noise(recipe))
        timings = {name: round(value, 4) for name, value in picture.timings.items()}
        result = {
            "output": str(path),
            "recipe": recipe.to_dict(),
            "timings": {**timings, "total": round(seconds, 4)},
        }
        self.display.result(lambda: show_json(result) if self.as_json else show_path(path))
