"""The models there are, as clients are told of them."""

from __future__ import annotations

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.wire import ModelEntry

from .describe import describe_model
from .find import list_models


def list_entries() -> tuple[ModelEntry, ...]:
    """Describe every model, by name; one that cannot be used says why."""
    entries = []
    for name, path in sorted(list_models().items()):
        try:
            info = describe_model(path)
        except ModelUnavailableError as error:
            entries.append(ModelEntry(name, "", 0, str(error)))
        else:
            entries.append(ModelEntry(name, info.family, info.native))
    return tuple(entries)
