"""The models there are, as clients are told of them."""

from __future__ import annotations

import functools
from pathlib import Path

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.messages import ModelEntry

from .describe import describe_model
from .files import Stamp, stamp_folder
from .find import list_models, list_unreadable


def list_entries() -> tuple[ModelEntry, ...]:
    """Describe every model, by name; one that cannot be used says why."""
    entries = {name: ModelEntry(name, "", 0, why) for name, why in list_unreadable().items()}
    for name, path in list_models().items():
        entries[name] = _entry(name, path, stamp_folder(path))
    return tuple(entries[name] for name in sorted(entries))


@functools.lru_cache(maxsize=256)  # a disk may be slow, and the daemon has others to answer
def _entry(name: str, path: Path, _stamps: tuple[Stamp, ...]) -> ModelEntry:
    try:
        info = describe_model(path)
    except ModelUnavailableError as error:
        return ModelEntry(name, "", 0, _printable(str(error)))
    except Exception as error:  # noqa: BLE001 - one odd folder must not hide the others
        reason = f"model {path} cannot be read ({error}); fetch it again"
        return ModelEntry(name, "", 0, _printable(reason))
    return ModelEntry(name, info.family, info.native)


def _printable(text: str) -> str:
    """Escape what cannot be sent: paths may hold any bytes."""
    return text.encode("utf-8", "backslashreplace").decode()
