"""The wire: the only contract between editors, daemon and workers.

A message is a list of frames. The first is a JSON object

    {"protocol": 3, "type": "submit", "body": {...}, "frames": [{...}, ...]}

and one raw frame of pixels follows for each entry of `frames`, in that order. An entry says the
pixels' name, shape, dtype, channel order and the canvas position of their top left corner. Pixels
are straight (never premultiplied), rows from the top, little-endian, without padding. Between
machines an entry may also name an encoding: `packed` pixels are as `packing` packs them, and `held`
ones are left out, since the daemon has them by their digest.

Bodies are the dataclasses below. Both sides build them with `encode`; the daemon decodes with a
validating library on top of `open_envelope`, the client, which trusts its daemon, with `decode`.
An object with sentences for people may have `sentences` beside its fields: what they were made of,
by field, to show them in another language. Clients that do not know it show the English text.

The protocol's version is raised whenever a message is written in another way, so that neither side
misreads the other. Protocol 2 has the request and the recipe by groups. In protocol 3 a request
may leave steps and guidance scale to the model, and models are described.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection
from dataclasses import dataclass, is_dataclass
from typing import Any, get_args, get_origin

from .errors import BadInputError, OtherProtocolError
from .frames import CHANNELS, Bytes, Frame
from .geometry import Box
from .messages import TYPES, Message, Picture
from .recipe import Recipe
from .request import Request
from .sentences import Listing, Sentence, sentence
from .typed_json import SENTENCES, field_types, read_fields, sentence_fields, to_json

PROTOCOL = 3

MAX_HEADER = 2**20
"""Bytes of the largest header that is read from a client."""

MAX_ANSWER = 2**25
"""Bytes of the largest header that is read from one's own daemon: it may describe many models."""


MAX_FRAMES = 8
"""Frames of the largest message that is read."""


def encode(
    message: Message, frames: tuple[Frame, ...] = (), protocol: int = PROTOCOL
) -> list[Bytes]:
    """Return a message as the frames that travel.

    Another `protocol` than today's is for a `Failed`, which has always looked the same, to somebody
    who speaks that one.
    """
    header = {
        "protocol": protocol,
        "type": message.type,
        "body": _body(message),
        "frames": [frame.describe() for frame in frames],
    }
    return [json.dumps(header).encode("utf-8"), *(frame.data for frame in frames)]


def _body(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = to_json(message)
    if isinstance(message, Picture):
        body["recipe"] = message.recipe.to_dict()
    return body


@dataclass(frozen=True)
class Envelope:
    """A message whose header was read and whose frames fit, the body still plain JSON."""

    type: str
    body: dict[str, Any]
    frames: tuple[Frame, ...]


def open_envelope(parts: list[Bytes], most: int = MAX_HEADER) -> Envelope:
    """Read a header of at most `most` bytes, and match the frames to it.

    Raises
    ------
    OtherProtocolError
        Says which, and what to do about it where a client sent the message.
    BadInputError
        Says what does not fit: no JSON, no protocol, an unknown type or field, a frame too many or
        too few, bytes that do not fill the declared shape.
    """
    header = _read_header(parts, most)
    protocol = header.get("protocol")
    if type(protocol) is not int or protocol < 1:
        raise BadInputError(
            "protocol {protocol!r} does not exist; this program speaks {expected}",
            protocol=protocol,
            expected=PROTOCOL,
        )
    if protocol != PROTOCOL:
        raise OtherProtocolError(describe_protocol(protocol, from_client=True), protocol)
    _refuse_unknown("message", header, ("protocol", "type", "body", "frames"))
    kind, body, entries = header.get("type"), header.get("body", {}), header.get("frames", [])
    if not isinstance(kind, str) or kind not in TYPES:
        raise BadInputError(
            "message type {type!r} is unknown; protocol {protocol} has no such",
            type=kind,
            protocol=PROTOCOL,
        )
    if not isinstance(body, dict) or not isinstance(entries, list):
        raise BadInputError("{message}: body must be an object and frames a list", message=kind)
    if len(entries) > MAX_FRAMES:
        raise BadInputError(
            "{message}: {count} frames are too many; send {most} at most",
            message=kind,
            count=len(entries),
            most=MAX_FRAMES,
        )
    if len(entries) != len(parts) - 1:
        raise BadInputError(
            "{message}: {count} frames are declared and {found} came; send as many",
            message=kind,
            count=len(entries),
            found=len(parts) - 1,
        )
    frames = tuple(_read_frame(entry, data) for entry, data in zip(entries, parts[1:]))
    return Envelope(kind, body, frames)


def describe_protocol(protocol: int, *, from_client: bool) -> Sentence:
    """Return what to do where a message is of another protocol.

    Parameters
    ----------
    protocol : int
        The message's.
    from_client : bool
        Whether a client sent it to the daemon, or the daemon to a client.
    """
    is_older = protocol < PROTOCOL
    if from_client:
        how = (
            sentence("this plug-in or program is of an older Underpaint than the daemon")
            if is_older
            else sentence("this plug-in or program is of a newer Underpaint than the daemon")
        )
    else:
        how = (
            sentence("the daemon is of an older Underpaint than this program")
            if is_older
            else sentence("the daemon is of a newer Underpaint than this program")
        )
    if from_client != is_older:
        way_out = sentence("end the daemon with `underpaint stop`, and start it again")
    else:
        way_out = sentence(
            "update the plug-in with `underpaint install` and its editor's name, or else the"
            " program, and start it again"
        )
    return sentence(
        "{difference}: it speaks protocol {protocol}, and not {expected}; {way_out}",
        difference=how,
        protocol=protocol,
        expected=PROTOCOL,
        way_out=way_out,
    )


def _read_header(parts: list[Bytes], most: int) -> dict[str, Any]:
    if not parts:
        raise BadInputError("an empty message came; send a JSON header first")
    raw = bytes(parts[0][: most + 1])
    if len(raw) > most:
        raise BadInputError(
            "the header is over {most} bytes; pixels belong in their own frames", most=most
        )
    try:
        header = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadInputError(
            "the header {header!r} is not JSON ({error})", header=raw[:40], error=error
        ) from None
    if not isinstance(header, dict):
        raise BadInputError("the header {header!r} is not a JSON object; send one", header=raw[:40])
    return header


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _read_frame(entry: Any, data: Bytes) -> Frame:
    names = ("name", "shape", "dtype", "channels", "offset", "encoding", "digest")
    if not isinstance(entry, dict):
        raise BadInputError(
            "frame entry {entry!r} must be an object of {names}", entry=entry, names=Listing(names)
        )
    _refuse_unknown("frame", entry, names)
    name, dtype, channels = (entry.get(key) for key in ("name", "dtype", "channels"))
    encoding, digest = entry.get("encoding", ""), entry.get("digest", "")
    shape, offset = entry.get("shape"), entry.get("offset", [0, 0])
    if not (isinstance(name, str) and isinstance(dtype, str) and isinstance(channels, str)):
        raise BadInputError("frame {name!r}: name, dtype and channels must be text", name=name)
    if not (isinstance(encoding, str) and isinstance(digest, str)):
        raise BadInputError("frame {name!r}: encoding and digest must be text", name=name)
    height, width, depth = _whole_numbers(f"frame {name!r}: shape", shape, 3)
    x, y = _whole_numbers(f"frame {name!r}: offset", offset, 2)
    if depth != CHANNELS.get(channels, depth):
        raise BadInputError(
            "frame {name!r}: {depth} channels do not fit {channels}; send {wanted}",
            name=name,
            depth=depth,
            channels=channels,
            wanted=CHANNELS[channels],
        )
    return Frame(name, Box(x, y, width, height), dtype, channels, data, encoding, digest)


def _whole_numbers(what: str, value: Any, count: int) -> list[int]:
    if isinstance(value, list) and len(value) == count:
        numbers = [n for n in value if type(n) is int and abs(n) < 2**31]
        if len(numbers) == count:
            return numbers
    raise BadInputError(
        "{field} {value!r} must be {count} whole numbers: {names}",
        field=what,
        value=value,
        count=count,
        names="height, width, channels" if count == 3 else "x, y",
    )


def _refuse_unknown(what: str, found: dict[str, Any], known: Collection[str]) -> None:
    for name in found:
        if name not in known:
            raise BadInputError(
                "{object}: field {name!r} is unknown; it has {known}",
                object=what,
                name=name,
                known=Listing(known),
            )


def refuse_unknown_fields(envelope: Envelope) -> None:
    """Check that a body, and each object in it, has no field that its type does not know.

    Raises
    ------
    BadInputError
        Names the field.
    """
    _refuse_unknown_fields(envelope.type, TYPES[envelope.type], envelope.body)


def _refuse_unknown_fields(what: str, cls: Any, found: Any) -> None:
    """Look through a dataclass's JSON, whatever its types: they are checked later."""
    if not isinstance(found, dict):
        return
    of_sentences = (SENTENCES,) if sentence_fields(cls) else ()
    _refuse_unknown(what, found, (*field_types(cls), *of_sentences))
    for name, (kind, is_list) in _inner_objects(cls).items():
        inner = found.get(name)
        for one in (inner if isinstance(inner, list) else ()) if is_list else (inner,):
            _refuse_unknown_fields(name, kind, one)


@functools.cache
def _inner_objects(cls: Any) -> dict[str, tuple[Any, bool]]:
    """Return the fields that hold dataclasses: which, and whether as a list."""
    found = {}
    for name, kind in field_types(cls).items():
        is_list = get_origin(kind) is tuple
        inner = get_args(kind)[0] if is_list else kind
        if is_dataclass(inner):
            found[name] = inner, is_list
    return found


def read_request(found: dict[str, Any]) -> Request:
    """Read a request as it travels.

    Raises
    ------
    ValueError
        Names the field that is unknown or not of its type.
    """
    request: Request = read_fields("request", Request, found)
    return request


def decode(parts: list[Bytes]) -> tuple[Message, tuple[Frame, ...]]:
    """Read a message from one's own daemon; fields that a newer one added are passed over.

    Raises
    ------
    BadInputError
        Where it is not a message of this protocol.
    """
    try:
        envelope = open_envelope(parts, MAX_ANSWER)
    except OtherProtocolError as error:
        why = describe_protocol(error.protocol, from_client=False)
        raise OtherProtocolError(why, error.protocol) from None
    body = dict(envelope.body)
    try:
        if "recipe" in body:  # may be of an older format
            body["recipe"] = Recipe.from_dict(body["recipe"])
        message = read_fields(envelope.type, TYPES[envelope.type], body, skip_unknown=True)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise BadInputError("{message}: {error}", message=envelope.type, error=error) from None
    return message, envelope.frames
