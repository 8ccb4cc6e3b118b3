"""What an artist may set: `config.toml` in Underpaint's home. Nothing needs to be there.

::

    [results]
    days = 7        # how long results wait for an editor that does not come
    gigabytes = 4   # and how large all of one owner may be

    [serve]         # what `underpaint serve` has where its options do not say otherwise
    bind = ["tcp://0.0.0.0:7860"]
    ipc = true      # false as --no-ipc
    devices = ["auto"]

    [models]
    folders = ["/mnt/models"]  # more folders of models; `underpaint.models.roots` reads them

    [memory]
    quantise = "auto"  # or "never", "fp8", "int8", "nf4": how weights of models are stored

    [prompts]
    wildcards = ["/mnt/wildcards"]  # more of them; `underpaint.wildcards` reads them
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from underpaint.config_file import SHOWN, check_folder, config_file, load_config
from underpaint.engine.savings import GPU_QUANTISED
from underpaint_client.errors import BadInputError

from .retention import Retention


@dataclass(frozen=True)
class Config:
    """What is set, or what holds where nothing is.

    Parameters
    ----------
    retention : Retention
    bind : tuple of str
        As `check_address` wants them.
    ipc : bool
    devices : tuple of str
        As `check_device` wants them; a worker for each.
    folders : tuple of str
        More folders of models, as `check_folder` wants them.
    quantise : str
        As `Engine` has it.
    wildcards : tuple of str
        More folders of wildcard files, as `check_folder` wants them.
    """

    retention: Retention = field(default_factory=Retention)
    bind: tuple[str, ...] = ()
    ipc: bool = True
    devices: tuple[str, ...] = ("auto",)
    folders: tuple[str, ...] = ()
    quantise: str = "auto"
    wildcards: tuple[str, ...] = ()


def read_config() -> Config:
    """Read the configuration.

    Raises
    ------
    BadInputError
        Names the file, what in it is unknown or out of range, and what there is.
    """
    found = load_config()
    try:
        return _to_config(found)
    except (ValueError, BadInputError) as error:
        raise BadInputError(
            "{file}: {error}; correct it, or remove it", file=config_file(), error=error
        ) from None


def check_address(endpoint: str) -> None:
    """Check that an endpoint is one that can be listened on.

    Parameters
    ----------
    endpoint : str
        tcp://ADDRESS:PORT: an address of this machine, an interface's name, or `*`; 1 to 65535, or
        `*` for a port that is free.

    Raises
    ------
    BadInputError
        Says what is wrong with it.
    """
    found = re.fullmatch(
        r"tcp://(?P<host>\*|[\w.-]+|\[[0-9a-fA-F:.]+\]):(?P<port>\*|\d+)", endpoint, re.ASCII
    )
    if found is None:
        raise BadInputError(
            "{endpoint!r} is not an address to listen on; use tcp://ADDRESS:PORT, such as"
            " tcp://0.0.0.0:7860",
            endpoint=endpoint,
        )
    host, port = found["host"], found["port"]
    if port != "*" and not 0 < int(port) < 2**16:
        raise BadInputError(
            "{endpoint!r}: port {port} must be 1 to 65535, or * for any",
            endpoint=endpoint,
            port=port,
        )
    if host[0] == "[" or not host.strip("0123456789."):
        try:
            ipaddress.ip_address(host.strip("[]"))
        except ValueError as error:
            raise BadInputError("{endpoint!r}: {error}", endpoint=endpoint, error=error) from None


def check_device(device: str) -> None:
    """Check that a device is one that a worker could have, there or not.

    Raises
    ------
    BadInputError
        Says what there is.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise BadInputError(
            "device {device!r} is unknown; give auto, cpu, cuda, cuda:1 or mps", device=device
        )


def _positive(value: Any) -> float:
    try:
        number = float(value) if type(value) in (int, float) else 0.0
    except OverflowError:
        number = 0.0
    if not number > 0:
        raise ValueError("give a number above 0")
    return number


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("give true or false")  # noqa: TRY004 - as any other that is wrong
    return value


def _texts(check: Callable[[str], None]) -> Callable[[Any], tuple[str, ...]]:
    def read(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ValueError("give a list of texts, in [ ]")
        for one in value:
            check(one)
        return tuple(value)

    return read


_WAYS = ("auto", "never", *GPU_QUANTISED)


def _way(value: Any) -> str:
    if value not in _WAYS:
        raise ValueError(f"give one of {', '.join(_WAYS)}")
    return str(value)


_SECTIONS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "results": {"days": _positive, "gigabytes": _positive},
    "serve": {"bind": _texts(check_address), "ipc": _flag, "devices": _texts(check_device)},
    "models": {"folders": _texts(check_folder)},
    "memory": {"quantise": _way},
    "prompts": {"wildcards": _texts(check_folder)},
}


def _to_config(found: Mapping[str, Any]) -> Config:
    known = ", ".join(f"[{name}]" for name in _SECTIONS)
    for name, section in found.items():
        if name not in _SECTIONS or not isinstance(section, dict):
            raise ValueError(f"{name} is unknown; there are {known}")
    results, serve, *others = (_read(name, found.get(name, {})) for name in _SECTIONS)
    if serve.get("devices") == ():
        raise ValueError("devices under [serve] is empty; remove the line for auto")
    named = {name: value for section in others for name, value in section.items()}
    return Config(Retention(**results), **serve, **named)


def _read(section: str, found: Mapping[str, Any]) -> dict[str, Any]:
    readers = _SECTIONS[section]
    for name in found.keys() - readers.keys():
        raise ValueError(f"{name} under [{section}] is unknown; there are {' and '.join(readers)}")
    values = {}
    for name, value in found.items():
        try:
            values[name] = readers[name](value)
        except ValueError as error:
            told = repr(value)
            shown = told if len(told) <= SHOWN else f"{told[:SHOWN]}..."
            raise ValueError(f"{name} under [{section}] is {shown}; {error}") from None
    return values
