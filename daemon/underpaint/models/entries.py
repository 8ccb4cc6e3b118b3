"""The models there are, as clients are told of them."""

from __future__ import annotations

import functools
from pathlib import Path

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.wire import ModelEntry

from .describe import describe_model
from .find import list_models


def list_entries() -> tuple[ModelEntry, ...]:
    """Describe every model, by name; one that cannot be used says why."""
    return tuple(_entry(name, path, _changed(path)) for name, path in sorted(list_models().items()))


@functools.lru_cache(maxsize=256)  # a disk may be slow, and the daemon has others to answer
def _entry(name: str, path: Path, _changed: tuple[int, ...]) -> ModelEntry:
    try:
        info = describe_model(path)
    except ModelUnavailableError as error:
        return ModelEntry(name, "", 0, str(error))
    except Exception as error:  # noqa: BLE001 - one odd folder must not hide the others
        return ModelEntry(name, "", 0, f"model {path} cannot be read ({error}); fetch it again")
    return ModelEntry(name, info.family, info.native)


def _changed(path: Path) -> tuple[int, ...]:
    """Tell when a model's folders were last written to."""
    return tuple(part.stat().st_mtime_ns for part in (path, *sorted(path.iterdir())))
