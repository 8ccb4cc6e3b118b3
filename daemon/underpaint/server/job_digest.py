"""What tells a job from another of its id, when it is sent again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from underpaint_client.wire import PROTOCOL

if TYPE_CHECKING:
    from underpaint_client.frames import Frame
    from underpaint_client.messages import Submit


def digest_submission(submit: Submit, frames: tuple[Frame, ...]) -> bytes:
    """Return what tells a job from another of its id, however its pixels were packed.

    It begins with the version of the protocol that the message is of. Within one version it
    outlives updates: a field that a later Underpaint adds counts only where it is set.
    """
    looks = [[frame.name, frame.box, frame.dtype, frame.channels] for frame in frames]
    told = _canonical([replace(submit, packed=False), looks])
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return f"{PROTOCOL}:{digest}".encode("ascii")


def is_same_submission(one: bytes, other: bytes) -> bool:
    """Return whether two jobs of one id can be the same, by the digests of their messages.

    Digests of different versions of the protocol cannot be compared: then the id decides alone,
    which clients draw at random.
    """
    return one == other or _version(one) != _version(other)


def _version(digest: bytes) -> bytes:
    """Return the protocol of a digest; those of protocol 1 are 32 bytes and do not name it."""
    return b"1" if len(digest) == 32 else digest.partition(b":")[0]


def _canonical(value: Any) -> Any:
    """Return a message as JSON can hold it, without what is as it is by default."""
    if is_dataclass(value):
        found = {one.name: (getattr(value, one.name), _default(one)) for one in fields(value)}
        return {name: _canonical(now) for name, (now, usual) in found.items() if now != usual}
    return [_canonical(one) for one in value] if isinstance(value, list | tuple) else value


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()
