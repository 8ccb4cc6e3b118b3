"""Messages: what clients, daemon and workers say to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Union, get_args

from .model_messages import (
    AskModelPicture,
    AskModels,
    AskSuggestions,
    Download,
    ModelPicture,
    Models,
    StartDownload,
    StopDownload,
    Suggestions,
)
from .prompt_messages import AskPromptNames, PromptNames
from .recipe import Recipe
from .request import Request
from .typed_json import SENTENCE

PREVIEWS = ("", "quick", "full")


@dataclass(frozen=True)
class Hello:
    """A client's first word; the daemon answers `Welcome` within milliseconds."""

    type: ClassVar[str] = "hello"
    client: str = ""


@dataclass(frozen=True)
class Submit:
    """Run this request on the frames that come with it, all of which may be left out.

    The frames are those of `InputFrames`, each under the name of its field or raster. `previews`
    asks for a `Preview` a few times a second (`quick`), or for one of each step, decoded (`full`).
    `note` is the client's own text of where the results go, to find it again when it comes back.
    `packed` says that pictures may come packed.

    A job is its id: sent twice, it is one job. It goes on whatever becomes of its client, and its
    results wait until a client says that they are `Taken`.
    """

    type: ClassVar[str] = "submit"
    job: str
    request: Request
    previews: str = ""
    note: str = ""
    packed: bool = False


@dataclass(frozen=True)
class Follow:
    """Send here what becomes of those jobs, and has become of them; `Followed` comes at once."""

    type: ClassVar[str] = "follow"
    jobs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Taken:
    """The results of that job are in safety, or not wanted; forget it.

    The daemon passes it over from who was sent only a part of them.
    """

    type: ClassVar[str] = "taken"
    job: str


@dataclass(frozen=True)
class AskWaiting:
    """Ask for `Waiting`."""

    type: ClassVar[str] = "ask_waiting"


@dataclass(frozen=True)
class Cancel:
    """Stop that job within a step; it ends in `Failed` with the code `cancelled`."""

    type: ClassVar[str] = "cancel"
    job: str


@dataclass(frozen=True)
class AskCancel:
    """Stop that job, whichever connection it came by: one's own, or on its own machine any."""

    type: ClassVar[str] = "ask_cancel"
    job: str


@dataclass(frozen=True)
class Prefer:
    """Run that job before the others of this client that wait."""

    type: ClassVar[str] = "prefer"
    job: str


@dataclass(frozen=True)
class AskStatus:
    """Ask for a `Status`."""

    type: ClassVar[str] = "ask_status"


@dataclass(frozen=True)
class AskStop:
    """Ask the daemon to end; its jobs go on when it starts again."""

    type: ClassVar[str] = "ask_stop"


@dataclass(frozen=True)
class Welcome:
    """The daemon's answer to `Hello`; `packed` says that it takes packed and held frames.

    `prompt_names` says that it answers `AskPromptNames`.
    """

    type: ClassVar[str] = "welcome"
    version: str
    pid: int
    default_model: str = ""
    remark: str = field(default="", metadata=SENTENCE)
    packed: bool = False
    prompt_names: bool = False


@dataclass(frozen=True)
class Want:
    """The daemon does not hold all frames of that job: submit it again, with its pixels."""

    type: ClassVar[str] = "want"
    job: str


@dataclass(frozen=True)
class Incoming:
    """The next message from the daemon has so many bytes, and a slow line needs time for them.

    Sent over TCP before each message that is large.
    """

    type: ClassVar[str] = "incoming"
    bytes: int


@dataclass(frozen=True)
class Followed:
    """The daemon's answer to `Follow`; what there is of the jobs comes as if it were new."""

    type: ClassVar[str] = "followed"


@dataclass(frozen=True)
class WaitingJob:
    """One job as `Waiting` lists it: its request and note, and whether it has ended."""

    job: str
    request: Request
    note: str
    ended: bool


@dataclass(frozen=True)
class Waiting:
    """The jobs of this client's owner that no client follows, oldest first."""

    type: ClassVar[str] = "waiting"
    jobs: tuple[WaitingJob, ...]


@dataclass(frozen=True)
class Leaving:
    """The daemon ends as it was told to; the jobs go on when it starts again."""

    type: ClassVar[str] = "leaving"


@dataclass(frozen=True)
class Accepted:
    """The job is in the queue; `position` jobs are before it. Said again when that changes.

    `remark` is a sentence for the artist, and mostly empty.
    """

    type: ClassVar[str] = "accepted"
    job: str
    position: int
    remark: str = field(default="", metadata=SENTENCE)


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    `phase` is a sentence's beginning for the artist ("Loading the model"). While it denoises,
    `step` of `steps` are done for `image` (1, 2, ...) of `images`, and for the ones after it where
    several run `together`.
    """

    type: ClassVar[str] = "progress"
    job: str
    phase: str = field(metadata=SENTENCE)
    step: int = 0
    steps: int = 0
    image: int = 0
    images: int = 0
    together: int = 1


@dataclass(frozen=True)
class Preview:
    """What an image looks like so far, as the frame `preview`: RGBA, u1, of any size.

    `area` is the part of the canvas that it shows: x, y, width, height.
    """

    type: ClassVar[str] = "preview"
    job: str
    image: int
    step: int
    steps: int
    area: tuple[int, int, int, int]


@dataclass(frozen=True)
class Picture:
    """One finished image, as the frame `picture`. It may come again: `index` tells.

    `kind` is `layer` or `patch`: what came out, which is `layer` where no patch could do it.
    `timings` are seconds by phase.
    """

    type: ClassVar[str] = "picture"
    job: str
    index: int
    kind: str
    recipe: Recipe
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """The job has ended, all its pictures are on their way."""

    type: ClassVar[str] = "done"
    job: str


@dataclass(frozen=True)
class Failed:
    """The job ended without (more) pictures, or a message was refused (`job` is then empty).

    `code` is one of `errors`, `message` fit to be shown.
    """

    type: ClassVar[str] = "failed"
    job: str
    code: str
    message: str = field(metadata=SENTENCE)


@dataclass(frozen=True)
class JobStatus:
    """One job as `Status` lists it; `state` is `queued` or `running`."""

    job: str
    state: str
    prompt: str


@dataclass(frozen=True)
class WorkerStatus:
    """One worker as `Status` lists it; `state` is `starting`, `idle`, `busy` or `broken`."""

    pid: int
    state: str
    device: str
    model: str


@dataclass(frozen=True)
class Status:
    """What the daemon is doing."""

    type: ClassVar[str] = "status"
    version: str
    pid: int
    endpoints: tuple[str, ...]
    uptime: float
    default_model: str
    workers: tuple[WorkerStatus, ...]
    jobs: tuple[JobStatus, ...]


@dataclass(frozen=True)
class WorkerReady:
    """A worker's first word to the daemon: it has torch and waits for a job."""

    type: ClassVar[str] = "worker_ready"
    pid: int
    device: str


@dataclass(frozen=True)
class WorkerModel:
    """A worker holds this model warm."""

    type: ClassVar[str] = "worker_model"
    model: str


@dataclass(frozen=True)
class WorkerPlan:
    """The model of a worker works on that many pixels of each image from now on."""

    type: ClassVar[str] = "worker_plan"
    pixels: int


@dataclass(frozen=True)
class Run:
    """The daemon's order to a worker: a `Submit`, and whether it may open models anywhere."""

    type: ClassVar[str] = "run"
    job: str
    request: Request
    allow_paths: bool
    previews: str = ""
    packed: bool = False


@dataclass(frozen=True)
class GoOn:
    """The daemon has room for the next picture of that job; a worker waits for it after each."""

    type: ClassVar[str] = "go_on"
    job: str


Message = Union[
    Hello, Submit, Follow, Taken, Cancel, AskCancel, Prefer, AskWaiting, AskStatus, AskModels,
    AskModelPicture, AskSuggestions, AskPromptNames, StartDownload, StopDownload, AskStop, Welcome,
    Want, Incoming, Followed, Waiting, Leaving, Accepted, Progress, Preview, Picture, Done, Failed,
    Status, Models, ModelPicture, Suggestions, PromptNames, Download, WorkerReady, WorkerModel,
    WorkerPlan, Run, GoOn,
]  # fmt: skip


TYPES: dict[str, Any] = {message.type: message for message in get_args(Message)}
"""The messages by what `type` says on the wire."""
