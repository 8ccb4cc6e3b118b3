"""`underpaint generate`: one request, from the command line and back to files."""

from __future__ import annotations

import argparse
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from underpaint.engine.source import Source
from underpaint.models import list_models, model_folders
from underpaint.models.find import DEFAULT_VARIABLE, pick_model
from underpaint.models.roots import FOLDERS_VARIABLE, used_roots
from underpaint.server.arrays import to_frame, to_pixels
from underpaint.server.background import find_or_start
from underpaint_client import messages
from underpaint_client.address import Address
from underpaint_client.descriptions import STARTER_MESSAGE, describe_noise, describe_plan
from underpaint_client.errors import (
    BadInputError,
    DaemonStoppedError,
    DaemonUnavailableError,
    TurnedAwayError,
    UnderpaintError,
)
from underpaint_client.following import AWAY, Event, Following, State, find_error, perform
from underpaint_client.frames import Frame
from underpaint_client.home import ConnectionInfo, remote_file
from underpaint_client.request import Request
from underpaint_client.rules import STARTER_MODEL, check_request
from underpaint_client.steps import plan_request, plan_steps

from .options import Parser, add_parameters, read_parameters
from .output_spec import OutputSpec, forget_spec, keep_spec
from .outputs import choose_outputs, make_stem, open_folder
from .pictures import Drawing, read_picture, read_selection
from .printing import show_json, show_path
from .terminal import Display, make_display

if TYPE_CHECKING:
    from underpaint_client import Connection

_EXAMPLES = """
examples:
  underpaint generate "tree on a hill with a river, nature photograph" -I sketch.png -f 0.85
  underpaint generate a lake at dusk -W 512 -H 512 -n 4 -o lakes/
"""


COMMAND_LINE = "the command line"
"""What the command line calls itself in the note of a job, where editors give their name."""

MODEL_INDEX = "model_index.json"
"""What is in every model's folder."""


def make_parser() -> Parser:
    """Return the parser of `underpaint generate`."""
    parser = Parser(
        "generate",
        "Paint: from a prompt alone, over a whole picture, or into its erased parts.",
    )
    parser.epilog = _EXAMPLES
    add = parser.add_argument
    add(
        "-I",
        "--init-img",
        type=Path,
        metavar="FILE",
        help="The picture to start from. The colour under alpha 0, 8 or 16 bits a channel, the ICC"
        " profile, the resolution, EXIF, XMP and texts are kept; a message names what is not.",
    )
    add(
        "--selection",
        type=Path,
        metavar="FILE",
        help="A picture of what may change: white may, black may not, greys in part. The noise of a"
        " JPEG around black and white is taken for these, and a message says so.",
    )
    add_parameters(parser, Request)
    add(
        "--save-intermediates",
        type=Path,
        metavar="DIR",
        help="Write a picture of every step into this folder, which takes time.",
    )
    add("-o", "--output", metavar="PATH", help="A PNG file, or a folder to count up in.")
    add("--force", action="store_true", help="Replace files that exist.")
    add("--json", action="store_true", help="Print an object per picture: output, recipe, timings.")
    return parser


def make_request(options: argparse.Namespace) -> Request:
    """Return the request that the options ask for, checked.

    Raises
    ------
    BadInputError
        Names the value that is out of range.
    """
    values = read_parameters(options, Request)
    request = Request(**{**values, "model": settle_model(options.model)})
    check_request(request)
    return request


def settle_model(name: str) -> str:
    """Return what to ask the daemon for, so that this environment holds and not the daemon's.

    Parameters
    ----------
    name : str
        As `--model`; empty for `$UNDERPAINT_MODEL`, and where that is not set for the daemon's
        default.

    Returns
    -------
    str
        A name; a path where a folder is named, or lies in this environment's `$UNDERPAINT_MODELS`.
    """
    name = name or os.environ.get(DEFAULT_VARIABLE, "")
    found = pick_model(list_models(), name)
    if found is None:  # else the daemon runs in another folder
        return str(Path(name).absolute()) if _names_folder(name) else name
    here = [root.path for root in used_roots() if root.name == FOLDERS_VARIABLE]
    is_here_alone = any(found.is_relative_to(folder) for folder in here)
    return str(found.absolute()) if is_here_alone and not remote_file().exists() else name


def _names_folder(model: str) -> bool:
    """Return whether a model is named by its folder; one of that name may hold anything else."""
    folder = Path(model)
    is_path = model in (".", "..") or any(mark in model for mark in (os.sep, os.altsep) if mark)
    return bool(model) and (folder.is_dir() if is_path else (folder / MODEL_INDEX).is_file())


def run_generate(words: Sequence[str]) -> int:
    """Generate, and write what comes."""
    options = make_parser().read(words)
    request = make_request(options)
    display = make_display()
    drawing, selection = read_inputs(options, request, display)
    stem = make_stem(request.prompt, options.init_img)
    outputs = choose_outputs(options.output, request.images, stem, force=options.force)
    if options.save_intermediates is not None:
        open_folder(options.save_intermediates, "--save-intermediates")
    if drawing is not None:
        display.say(_describe(request, drawing, selection))
    with open_connection(display) as connection:
        default = connection.welcome.default_model
        if not options.model and request.model and Path(request.model).name != Path(default).name:
            display.say(
                f"note: {DEFAULT_VARIABLE} is {os.environ[DEFAULT_VARIABLE]} here, so that is used"
                f" and not the daemon's default, {default or 'none'}"
            )
        if (request.model or default) == STARTER_MODEL:
            display.say(
                f"{STARTER_MESSAGE}: put a Stable Diffusion model into {model_folders()[0]}, or"
                " name one with -m"
            )
        Session(
            connection,
            request,
            drawing,
            OutputSpec(tuple(outputs), stem, request.images, drawing),
            display,
            force=options.force,
            as_json=options.json,
            steps_folder=options.save_intermediates,
        ).run(selection)
    return 0


def open_connection(display: Display) -> Connection:
    """Connect to the daemon, starting one where none runs; say so, and what it has to say."""
    connection, started = find_or_start()
    if started:
        display.say(f"started the daemon (process id {connection.info.pid})")
    if connection.welcome.remark:
        display.say(f"note: {connection.welcome.remark}")
    return connection


def describe_return(before: ConnectionInfo, now: ConnectionInfo, *, started: bool) -> str:
    """Say that a daemon answers, after one had fallen silent or gone."""
    if before.pid == now.pid:
        return f"the daemon at {now.endpoint} answers again; the job goes on"
    came = "started another" if started else "another runs"
    return f"the daemon (process id {before.pid}) is gone; {came} ({now.pid}); the job goes on"


def describe_fetch(job: str) -> str:
    """Return the way to what comes of a job when nobody is there for it."""
    return f"`underpaint results --save FOLDER {job[:8]}` then fetches it"


def describe_loss(job: str, *, accepted: bool, far: bool = False) -> str:
    """Return what becomes of a job whose daemon does not answer any more.

    Parameters
    ----------
    job : str
        Its id.
    accepted : bool
        Whether the daemon has said that it has it.
    far : bool
        Whether the daemon is on another machine.
    """
    if not accepted:
        return "it did not say that it has the job: `underpaint results` shows whether it does"
    kept = "the job goes on there when it runs again" if far else "the daemon keeps the job"
    return f"{kept}; {describe_fetch(job)}"


def read_inputs(
    options: argparse.Namespace, request: Request, display: Display
) -> tuple[Drawing | None, Any]:
    """Read picture and selection, as far as they are named; return what reading has dropped.

    Raises
    ------
    BadInputError
        Where one is needed and not named, cannot be read, or does not fit.
    """
    if options.init_img is None:
        wants_picture = options.selection or request.fit or request.mode in ("img2img", "inpaint")
        if wants_picture:
            raise BadInputError(
                "--selection, --fit and the modes img2img and inpaint need a picture; name it"
                " with -I"
            )
        return None, None
    drawing = read_picture(options.init_img)
    selection = None if options.selection is None else read_selection(options.selection)
    for note in dict.fromkeys((*drawing.notes, *(selection.notes if selection else ()))):
        display.say(f"note: {note}")
    if selection is None:
        return drawing, None
    Source.of(drawing.pixels, selection.amounts)  # says what does not fit
    return drawing, selection.amounts


def _describe(request: Request, drawing: Drawing, selection: Any) -> str:
    source = Source.of(drawing.pixels, selection).with_mode(request.mode)
    change = source.change_box()
    if change.empty or request.strength == 0:
        return describe_plan(source.mode, 0, plan_steps(request.steps, 0))
    changes = source.change_in(change)
    selected = float(source.selection_in(source.box).sum())
    plan = plan_request(request, source.mode, float(changes.max()))
    whole = selected if source.mode == "inpaint" else drawing.box.extent.pixels
    of = "layer" if selection is None else "selection"
    return describe_plan(source.mode, float(changes.sum()) / whole, plan, of=of)


@dataclass
class Session:
    """One job, from its submission to its last file."""

    connection: Connection
    request: Request
    drawing: Drawing | None
    outputs: OutputSpec
    display: Display
    force: bool
    as_json: bool
    steps_folder: Path | None = None
    noted: set[str] = field(default_factory=set)
    written: list[Path] = field(default_factory=list)

    def run(self, selection: Any) -> None:
        """Send the job and see to what comes."""
        frames: dict[str, Frame] = {}
        if self.drawing is not None:
            box = self.drawing.box
            frames["layer"] = to_frame("layer", self.drawing.pixels, box)
            if selection is not None:
                frames["selection"] = to_frame("selection", selection, box, "Y")
        started = time.monotonic()
        previews = "full" if self.steps_folder else ""
        note = Address(COMMAND_LINE, str(self.outputs.paths[0])).to_text()
        submit = messages.Submit(uuid.uuid4().hex, self.request, previews, note)
        following = Following.submitted(submit, tuple(frames.values()))
        self._keep_spec(submit.job)
        self._do(following, Event.CONNECTED)
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

    def _do(self, following: Following, event: Event) -> None:
        perform(self.connection, following, following.handle(event))

    def _follow(self, following: Following, started: float) -> None:
        """See to what comes until the job ends, though the daemon should die of it."""
        while not following.ended:
            try:
                self._see_to(following, started)
            except TurnedAwayError:
                raise
            except (DaemonStoppedError, BadInputError) as error:  # or a file cannot be written
                if not following.accepted:
                    raise
                told = describe_loss(following.job, accepted=True)
                raise type(error)(f"{error}; {told}") from None
            except DaemonUnavailableError:
                self._find_again(following)

    def _find_again(self, following: Following) -> None:
        """Connect once more, and go on; a daemon of this machine that has died is started."""
        before = self.connection.info
        self._do(following, Event.DISCONNECTED)
        self.connection.close(0)
        try:
            self.connection, started = find_or_start()
        except DaemonUnavailableError as error:
            far = not before.pid
            lost = f"{before.endpoint} does not answer any more" if far else str(error)
            told = describe_loss(following.job, accepted=following.accepted, far=far)
            raise DaemonUnavailableError(f"{lost}; {told}") from None
        self.display.say(describe_return(before, self.connection.info, started=started))
        self._do(following, Event.CONNECTED)

    def _see_to(self, following: Following, started: float) -> None:
        for message, frames in self.connection.events(following):
            if isinstance(message, messages.Accepted) and message.remark:
                self._note(message.remark)
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
            self._note(
                "should this run end early, the daemon keeps the pictures, but not the names and"
                f" metadata of their files: {error}"
            )

    def _cancel(self, following: Following) -> bool:
        """Cancel the job, and return whether nothing more is to come of it."""
        accepted = following.accepted
        if following.state not in AWAY:
            self.display.say("cancelling; the daemon goes on")
            self._do(following, Event.CANCEL)
            deadline = time.monotonic() + 10
            while not following.ended and time.monotonic() < deadline:
                self._hear(following, deadline - time.monotonic())
            if following.ended:
                self._do(following, Event.TAKE)  # what came was written
                return following.state is not State.KEPT
        told = describe_loss(following.job, accepted=accepted)
        self.display.say(f"the daemon does not answer; {told}")
        return False

    def _hear(self, following: Following, seconds: float) -> None:
        """Wait for a word of how a job ends."""
        received = self.connection.receive(seconds)
        if received is None:
            return
        error = find_error(received[0])
        if isinstance(error, TurnedAwayError):
            following.give_up(error)
        perform(self.connection, following, following.hear(received[0]).actions)

    def _save_step(self, preview: messages.Preview, frame: Frame) -> None:
        """Write what a step came to, opaque: the part of the canvas that the model works on."""
        name = f"{self.outputs.stem}-{preview.image:02d}-step-{preview.step:03d}.png"
        _, _, width, height = preview.area
        shown = Image.fromarray(np.ascontiguousarray(to_pixels(frame)[..., :3]))
        folder = self.steps_folder or Path()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            shown.resize((width, height), Image.Resampling.LANCZOS).save(folder / name)
        except OSError as error:
            raise BadInputError(
                f"folder {folder} cannot be written: {error.strerror}; name another with"
                " --save-intermediates"
            ) from None

    def _note(self, note: str) -> None:
        """Tell it once: the images of a batch mostly share theirs."""
        if note not in self.noted:
            self.display.say(f"note: {note}")
        self.noted.add(note)

    def _write(self, picture: messages.Picture, frame: Frame, seconds: float) -> None:
        path, recipe = self.outputs.path_of(picture.index), picture.recipe
        if path is None:
            return
        path = self.outputs.write(path, picture, frame, replace=self.force)
        self.written.append(path)
        for note in recipe.notes:
            self._note(note)
        drawn = self.request.variation_amount and self.request.variation_seed is None
        if self.request.seed is None or drawn:
            self.display.say(describe_noise(recipe))
        timings = {name: round(value, 4) for name, value in picture.timings.items()}
        result = {
            "output": str(path),
            "recipe": recipe.to_dict(),
            "timings": {**timings, "total": round(seconds, 4)},
        }
        self.display.result(lambda: show_json(result) if self.as_json else show_path(path))
