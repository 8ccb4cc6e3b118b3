"""What was learned about a model's need for memory, kept from one start to the next."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from underpaint.models.shared_json import SharedJson
from underpaint_client.geometry import Extent

from .savings import PLACEMENTS, QUANTISED, UNLIMITED, Bytes, Saving

LEARNED: SharedJson[dict[str, Any]] = SharedJson("memory-savings.json", dict)
"""The savings that were needed, by model and device. Without it, what failed is tried again."""

_MODELS, _SIZES = 64, 16
"""How many models are remembered, and how many sizes of each: the latest ones."""

_MORE_ROOM = 1.1
"""A saving is forgotten where so many times the memory is free as when it was learned."""


@dataclass
class Experience:
    """What was learned of a model's need for memory.

    Parameters
    ----------
    savings : dict of int to Saving
        What had to be saved, by the number of pixels it was needed at; 0 for the model itself.
    painted : Extent
        The largest size that it painted.
    free : Bytes
        What was free before the model was loaded.
    key : str
        Names the model and the device in `LEARNED`; empty where nothing is kept.
    """

    savings: dict[int, Saving] = field(default_factory=dict)
    painted: Extent = field(default_factory=lambda: Extent(0, 0))
    free: Bytes = UNLIMITED
    key: str = ""
    _kept: dict[int, Saving] = field(default_factory=dict)

    @classmethod
    def recall(cls, key: str, free: Bytes) -> Experience:
        """Return what an earlier start learned, where there is no more memory now than then."""
        kept = read_entry(LEARNED.read().get(key), free)
        return cls(dict(kept), free=free, key=key, _kept=kept)

    def keep(self) -> None:
        """Keep the savings that helped for the next start. Call this when a picture is painted."""
        if not self.key or self.savings == self._kept:
            return
        self._kept = dict(self.savings)
        with LEARNED.changing() as known:
            known[self.key] = write_entry(self.savings, self.free)
            oldest = sorted(known, key=lambda key: _learned(known[key]))
            for key in oldest[: max(0, len(known) - _MODELS)]:
                del known[key]


def first_saving(savings: Mapping[int, Saving], pixels: int) -> Saving:
    """Return what was needed at the largest size that is not larger than this one."""
    known = [size for size in savings if size <= pixels]
    return savings[max(known)] if known else Saving()


def make_key(*what: str) -> str:
    """Return the key of a model, a device, and how it may be quantised."""
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def write_entry(savings: Mapping[int, Saving], free: Bytes) -> dict[str, Any]:
    """Return what is kept of one model, as JSON."""
    last = list(savings.items())[-_SIZES:]
    return {
        "learned": int(time.time()),
        "free": free.device,
        "savings": [[pixels, asdict(saving)] for pixels, saving in last],
    }


def read_entry(found: Any, free: Bytes) -> dict[int, Saving]:
    """Return the savings of one model, as `write_entry` wrote them.

    Parameters
    ----------
    found : Any
        What the file has, which may be anything. Wrong values are ignored.
    free : Bytes
        What is free now. An entry that was written with less is ignored.
    """
    then = found.get("free") if isinstance(found, dict) else None
    if not isinstance(then, int | float) or not free.device <= then * _MORE_ROOM:
        return {}
    listed = found.get("savings")
    savings: dict[int, Saving] = {}
    for one in listed[-_SIZES:] if isinstance(listed, list) else []:
        match one:
            case [int(pixels), dict(values)] if 0 <= pixels < 2**40:
                saving = _read_saving(values)
                if saving is not None:
                    savings[pixels] = saving
    return savings


def _read_saving(values: dict[str, Any]) -> Saving | None:
    if values.keys() != {one.name for one in fields(Saving)}:
        return None
    counts = [values[name] for name in ("together", "encode_tile", "decode_tile")]
    if not all(type(one) is int and 0 <= one < 2**20 for one in counts):
        return None
    if type(values["sliced"]) is not bool:
        return None
    if values["placement"] not in PLACEMENTS or values["quantised"] not in QUANTISED:
        return None
    return Saving(**values)


def _learned(entry: Mapping[str, Any]) -> float:
    learned = entry.get("learned")
    return float(learned) if isinstance(learned, int) and abs(learned) < 2**53 else 0.0
