"""The wire: the only contract between editors, daemon and workers.

A message is a list of frames. The first is a JSON object

    {"protocol": 1, "type": "submit", "body": {...}, "frames": [{...}, ...]}

and one raw frame of pixels follows for each entry of `frames`, in that order. An entry says the
pixels' name, shape, dtype, channel order and the canvas position of their top left corner. Pixels
are straight (never premultiplied), rows from the top, little-endian, without padding. Between
machines an entry may also name an encoding: `packed` pixels are as `parcels` packs them, and `held`
ones are left out, since the daemon has them by their digest.

Bodies are the dataclasses below. Both sides build them with `encode`; the daemon decodes with a
validating library on top of `open_envelope`, the client, which trusts its daemon, with `decode`.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Union

from .errors import BadInputError
from .geometry import Box
from .request import Recipe, Request, Variation
from .rules import MAX_PIXELS, describe_size

PROTOCOL = 1

MAX_HEADER = 2**20
"""Bytes of the largest header that is read."""

ITEM_SIZES = {"u1": 1, "u2": 2, "f2": 2, "f4": 4}
"""Bytes a channel of each dtype: unsigned 0..max, or float 0..1 (beyond for HDR)."""

PREVIEWS = ("", "quick", "full")

CHANNELS = {"RGBA": 4, "BGRA": 4, "Y": 1}
"""Channel orders: what an editor holds in memory is what travels. Y is a selection."""

ENCODINGS = ("", "packed", "held")
"""How pixels travel: as they are, packed by `parcels`, or by their digest alone."""

MAX_PARCEL = 2**30
"""Bytes of the largest frame between machines: 16384 x 16384 of RGBA, 8 bits each, unpacked."""

MAX_FRAMES = 8
"""Frames of the largest message that is read."""

Bytes = Union[bytes, bytearray, memoryview]


@dataclass(frozen=True)
class Hello:
    """A client's first word; the daemon answers `Welcome` within milliseconds."""

    type: ClassVar[str] = "hello"
    client: str = ""


@dataclass(frozen=True)
class Submit:
    """Run this request on the frames that come with it, all of which may be left out.

    `layer` has the pixels. `selection` and `mask` are Y on the layer's box: how much is selected,
    and how much of the layer's alpha is left, as editors' layer masks say. `previews` asks for a
    `Preview` a few times a second (`quick`), or for one of each step, decoded (`full`). `note` is
    the client's own text of where the results go, to find it again when it comes back. `packed`
    says that pictures may come packed.

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
class AskModels:
    """Ask for `Models`."""

    type: ClassVar[str] = "ask_models"


@dataclass(frozen=True)
class AskStop:
    """Ask the daemon to end; its jobs go on when it starts again."""

    type: ClassVar[str] = "ask_stop"


@dataclass(frozen=True)
class Welcome:
    """The daemon's answer to `Hello`; `packed` says that it takes packed and held frames."""

    type: ClassVar[str] = "welcome"
    version: str
    pid: int
    default_model: str = ""
    remark: str = ""
    packed: bool = False


@dataclass(frozen=True)
class Want:
    """The daemon does not hold all frames of that job: submit it again, with its pixels."""

    type: ClassVar[str] = "want"
    job: str


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
    remark: str = ""


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    `phase` is a sentence's beginning for the artist ("Loading the model"). While it denoises,
    `step` of `steps` are done for `image` (1, 2, ...) of `images`, and for the ones after it where
    several run `together`.
    """

    type: ClassVar[str] = "progress"
    job: str
    phase: str
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
    message: str


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
class ModelEntry:
    """One model as `Models` lists it.

    `native` is the side it was trained at, in pixels; `problem` says why it cannot be used, and is
    empty where it can.
    """

    name: str
    family: str
    native: int
    problem: str = ""


@dataclass(frozen=True)
class Models:
    """What there is to paint with, by name."""

    type: ClassVar[str] = "models"
    models: tuple[ModelEntry, ...]


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
class Run:
    """The daemon's order to a worker: a `Submit`, and whether it may open models anywhere."""

    type: ClassVar[str] = "run"
    job: str
    request: Request
    allow_paths: bool
    previews: str = ""
    packed: bool = False


Message = Union[
    Hello, Submit, Follow, Taken, Cancel, AskCancel, Prefer, AskWaiting, AskStatus, AskModels,
    AskStop, Welcome, Want, Followed, Waiting, Leaving, Accepted, Progress, Preview, Picture, Done,
    Failed, Status, Models, WorkerReady, WorkerModel, Run,
]  # fmt: skip

TYPES: dict[str, Any] = {
    message.type: message
    for message in (
        Hello, Submit, Follow, Taken, Cancel, AskCancel, Prefer, AskWaiting, AskStatus, AskModels,
        AskStop, Welcome, Want, Followed, Waiting, Leaving, Accepted, Progress, Preview, Picture,
        Done, Failed, Status, Models, WorkerReady, WorkerModel, Run,
    )
}  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """Pixels on the wire.

    Parameters
    ----------
    name : str
        `layer`, `selection`, `mask` or `picture`.
    box : Box
        Where they lie on the canvas.
    dtype : str
        A key of `ITEM_SIZES`.
    channels : str
        A key of `CHANNELS`.
    data : bytes-like
        height x width x channels, rows from the top, without padding; or what `encoding` says.
    encoding : str
        One of `ENCODINGS`.
    digest : str
        SHA-256 of the pixels, hexadecimal; may be empty where they are not `held`.
    """

    name: str
    box: Box
    dtype: str
    channels: str
    data: Bytes = field(repr=False)
    encoding: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        """Refuse pixels that are not what they say.

        Raises
        ------
        BadInputError
            Unknown dtype, channel order or encoding, an empty or gigantic box, too few or too many
            bytes.
        """
        if self.dtype not in ITEM_SIZES:
            raise BadInputError(
                f"{self.name}: dtype {self.dtype!r} is unknown; send {_or(ITEM_SIZES)}"
            )
        if self.channels not in CHANNELS:
            raise BadInputError(
                f"{self.name}: channel order {self.channels!r} is unknown; send {_or(CHANNELS)}"
            )
        check_size(self.name, self.box)
        if self.encoding not in ENCODINGS:
            raise BadInputError(
                f"{self.name}: encoding {self.encoding[:40]!r} is unknown; send 'packed' or 'held'"
            )
        if self.digest and not re.fullmatch(r"[0-9a-f]{64}", self.digest):
            raise BadInputError(f"{self.name}: digest {self.digest[:80]!r} is no SHA-256")
        self._check_bytes(memoryview(self.data).nbytes)

    def _check_bytes(self, found: int) -> None:
        if self.encoding == "packed":
            if not 0 < found < self.size:
                raise BadInputError(
                    f"{self.name}: {found} bytes came packed for {self.size}; send fewer, or raw"
                )
        elif self.encoding == "held":
            if found or not self.digest:
                raise BadInputError(f"{self.name}: held pixels are a digest, and no bytes")
        elif found != self.size:
            raise BadInputError(
                f"{self.name}: {found} bytes came where {self.box.extent} pixels of {self.channels}"
                f" {self.dtype} are {self.size}; send the rows without padding"
            )

    @property
    def pixel(self) -> int:
        """Bytes of one pixel."""
        return CHANNELS[self.channels] * ITEM_SIZES[self.dtype]

    @property
    def size(self) -> int:
        """Bytes of all its pixels, as they are."""
        return self.box.extent.pixels * self.pixel

    def is_like(self, other: Frame) -> bool:
        """Tell whether another's pixels are laid out as these are."""
        return (self.box.extent, self.dtype, self.channels) == (
            other.box.extent,
            other.dtype,
            other.channels,
        )

    def describe(self) -> dict[str, Any]:
        """Give the entry in the header."""
        entry = {
            "name": self.name,
            "shape": [self.box.height, self.box.width, CHANNELS[self.channels]],
            "dtype": self.dtype,
            "channels": self.channels,
            "offset": [self.box.x, self.box.y],
        }
        extra = {"encoding": self.encoding, "digest": self.digest}
        return {**entry, **{name: value for name, value in extra.items() if value}}


def check_size(name: str, box: Box) -> None:
    """Refuse pixels that are none, or more than can be worked with.

    Raises
    ------
    BadInputError
        Says the size and the limit.
    """
    if box.empty:
        raise BadInputError(f"{name}: {box.extent} pixels are empty; send at least one")
    if box.extent.pixels > MAX_PIXELS:
        raise BadInputError(
            f"{name}: {box.extent} pixels are {describe_size(box.extent.pixels)}; crop or scale it"
            f" to {describe_size(MAX_PIXELS)} or fewer"
        )


def _or(names: dict[str, int]) -> str:
    return " or ".join(names)


def encode(message: Message, frames: tuple[Frame, ...] = ()) -> list[Bytes]:
    """Give a message as the frames that travel."""
    header = {
        "protocol": PROTOCOL,
        "type": message.type,
        "body": _body(message),
        "frames": [frame.describe() for frame in frames],
    }
    return [json.dumps(header).encode("utf-8"), *(frame.data for frame in frames)]


def _body(message: Message) -> dict[str, Any]:
    body = asdict(message)
    if isinstance(message, Picture):
        body["recipe"] = message.recipe.to_dict()
    return body


@dataclass(frozen=True)
class Envelope:
    """A message whose header was read and whose frames fit, the body still plain JSON."""

    type: str
    body: dict[str, Any]
    frames: tuple[Frame, ...]


def open_envelope(parts: list[Bytes]) -> Envelope:
    """Read a header and match the frames to it.

    Raises
    ------
    BadInputError
        Says what does not fit: no JSON, another protocol, an unknown type or field, a frame too
        many or too few, bytes that do not fill the declared shape.
    """
    header = _read_header(parts)
    protocol = header.get("protocol")
    if type(protocol) is not int or protocol != PROTOCOL:
        raise BadInputError(
            f"this message speaks protocol {protocol!r}, this program speaks {PROTOCOL};"
            " update the older of the daemon and the plug-in"
        )
    _refuse_unknown("message", header, ("protocol", "type", "body", "frames"))
    kind, body, entries = header.get("type"), header.get("body", {}), header.get("frames", [])
    if not isinstance(kind, str) or kind not in TYPES:
        raise BadInputError(f"message type {kind!r} is unknown; protocol {PROTOCOL} has no such")
    if not isinstance(body, dict) or not isinstance(entries, list):
        raise BadInputError(f"{kind}: body must be an object and frames a list")
    if len(entries) > MAX_FRAMES:
        raise BadInputError(
            f"{kind}: {len(entries)} frames are too many; send {MAX_FRAMES} at most"
        )
    if len(entries) != len(parts) - 1:
        raise BadInputError(
            f"{kind}: {len(entries)} frames are declared and {len(parts) - 1} came; send as many"
        )
    frames = tuple(_read_frame(entry, data) for entry, data in zip(entries, parts[1:]))
    return Envelope(kind, body, frames)


def _read_header(parts: list[Bytes]) -> dict[str, Any]:
    if not parts:
        raise BadInputError("an empty message came; send a JSON header first")
    raw = bytes(parts[0][: MAX_HEADER + 1])
    if len(raw) > MAX_HEADER:
        raise BadInputError(
            f"the header is over {MAX_HEADER} bytes; pixels belong in their own frames"
        )
    try:
        header = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"the header {raw[:40]!r} is no JSON ({error})") from None
    if not isinstance(header, dict):
        raise BadInputError(f"the header {raw[:40]!r} is no JSON object; send one")
    return header


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _read_frame(entry: Any, data: Bytes) -> Frame:
    names = ("name", "shape", "dtype", "channels", "offset", "encoding", "digest")
    if not isinstance(entry, dict):
        raise BadInputError(f"frame entry {entry!r} must be an object of {', '.join(names)}")
    _refuse_unknown("frame", entry, names)
    name, dtype, channels = (entry.get(key) for key in ("name", "dtype", "channels"))
    encoding, digest = entry.get("encoding", ""), entry.get("digest", "")
    shape, offset = entry.get("shape"), entry.get("offset", [0, 0])
    if not (isinstance(name, str) and isinstance(dtype, str) and isinstance(channels, str)):
        raise BadInputError(f"frame {name!r}: name, dtype and channels must be text")
    if not (isinstance(encoding, str) and isinstance(digest, str)):
        raise BadInputError(f"frame {name!r}: encoding and digest must be text")
    height, width, depth = _whole_numbers(f"frame {name!r}: shape", shape, 3)
    x, y = _whole_numbers(f"frame {name!r}: offset", offset, 2)
    if depth != CHANNELS.get(channels, depth):
        raise BadInputError(
            f"frame {name!r}: {depth} channels do not fit {channels}; send {CHANNELS[channels]}"
        )
    return Frame(name, Box(x, y, width, height), dtype, channels, data, encoding, digest)


def _whole_numbers(what: str, value: Any, count: int) -> list[int]:
    if isinstance(value, list) and len(value) == count:
        numbers = [n for n in value if type(n) is int and abs(n) < 2**31]
        if len(numbers) == count:
            return numbers
    raise BadInputError(
        f"{what} {value!r} must be {count} whole numbers:"
        f" {'height, width, channels' if count == 3 else 'x, y'}"
    )


def _refuse_unknown(what: str, found: dict[str, Any], known: tuple[str, ...]) -> None:
    for name in found:
        if name not in known:
            raise BadInputError(f"{what}: field {name!r} is unknown; it has {', '.join(known)}")


def refuse_unknown_fields(envelope: Envelope) -> None:
    """See that a body has no field that its type does not know.

    Raises
    ------
    BadInputError
        Names the field.
    """
    known = tuple(f.name for f in fields(TYPES[envelope.type]))
    _refuse_unknown(envelope.type, envelope.body, known)
    request = envelope.body.get("request")
    if isinstance(request, dict):
        _refuse_unknown("request", request, tuple(f.name for f in fields(Request)))
        variations = request.get("variations", ())
        for one in variations if isinstance(variations, list) else ():
            if isinstance(one, dict):
                _refuse_unknown("variation", one, tuple(f.name for f in fields(Variation)))


def read_request(found: dict[str, Any]) -> Request:
    """Read a request as it travels."""
    variations = tuple(Variation(**one) for one in found.get("variations", ()))
    return Request(**{**found, "variations": variations})


def decode(parts: list[Bytes]) -> tuple[Message, tuple[Frame, ...]]:
    """Read a message from one's own daemon; fields that a newer one added are passed over.

    Raises
    ------
    BadInputError
        Where it is no message of this protocol.
    """
    envelope = open_envelope(parts)
    cls = TYPES[envelope.type]
    known = {f.name: envelope.body[f.name] for f in fields(cls) if f.name in envelope.body}
    try:
        if cls is Picture:
            known["recipe"] = Recipe.from_dict(known["recipe"])
        if cls is Run:
            known["request"] = read_request(known["request"])
        if cls is Preview:
            known["area"] = tuple(known["area"])
        if cls is Status:
            known["endpoints"] = tuple(known["endpoints"])
            known["workers"] = tuple(WorkerStatus(**worker) for worker in known["workers"])
            known["jobs"] = tuple(JobStatus(**job) for job in known["jobs"])
        if cls is Follow:
            known["jobs"] = tuple(known.get("jobs", ()))
        if cls is Waiting:
            known["jobs"] = tuple(
                WaitingJob(**{**job, "request": read_request(job["request"])})
                for job in known["jobs"]
            )
        if cls is Models:
            known["models"] = tuple(ModelEntry(**model) for model in known["models"])
        return cls(**known), envelope.frames
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise BadInputError(f"{envelope.type}: {error}") from None
