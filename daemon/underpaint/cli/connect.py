"""`underpaint connect`: use the daemon of another machine, or this one's again."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence

from underpaint.server import keys
from underpaint.server.paths import make_home
from underpaint_client import Connection
from underpaint_client.errors import BadInputError, DaemonUnavailableError
from underpaint_client.home import (
    ConnectionInfo,
    read_connection_file,
    remote_file,
    write_connection_file,
)
from underpaint_client.printable import one_line
from underpaint_client.sentences import sentence

from .keys import allow_command
from .options import Parser
from .printing import say, show

PATIENCE = 5.0
"""Seconds that another machine may take to answer."""


def run_connect(words: Sequence[str]) -> int:
    """Choose the daemon that this machine's command line and editors use."""
    parser = Parser(
        "connect", "Use the daemon of another machine; without arguments, show which is used."
    )
    parser.add_argument("endpoint", nargs="?", metavar="tcp://HOST:PORT", help="where it listens")
    parser.add_argument(
        "public",
        nargs="?",
        metavar="SERVER_PUBLIC_KEY",
        help="its public key, as `underpaint serve --bind` prints it there",
    )
    parser.add_argument("--forget", action="store_true", help="use this machine's own again")
    options = parser.read(words)
    if options.forget:
        if options.endpoint:
            raise BadInputError("--forget goes alone")
        _forget()
        return 0
    if not options.endpoint:
        info = read_connection_file(remote_file())
        show(info.endpoint if info else "this machine's own daemon")
        return 0
    _use(make_info(options.endpoint, options.public or ""))
    return 0


def make_info(endpoint: str, public: str) -> ConnectionInfo:
    """Return what this machine's clients must know; make its key pair if there is none.

    Raises
    ------
    BadInputError
        Names the invalid address or key.
    DaemonUnavailableError
        If Underpaint's home cannot be written.
    """
    host, port = _address(endpoint)
    if not host or not 0 < port < 2**16:
        raise BadInputError(
            "{endpoint!r} is not an address; use tcp://HOST:PORT, as `underpaint serve --bind`"
            " prints it on the daemon's machine",
            endpoint=endpoint,
        )
    if not public:
        raise BadInputError(
            "the server's public key is missing; `underpaint serve --bind` prints it on the"
            " daemon's machine"
        )
    if not keys.is_key(public):
        raise BadInputError(
            "{key!r} is not a server's public key, which has {length} characters; `underpaint"
            " serve --bind` prints it on the daemon's machine",
            key=public,
            length=keys.KEY_LENGTH,
        )
    make_home()
    own = keys.own_keys("client")
    return ConnectionInfo(endpoint, 0, public, own.public, own.secret)


def _address(endpoint: str) -> tuple[str, int]:
    """Return host and port; the host is empty if it is not valid."""
    found = re.fullmatch(r"tcp://(?P<host>[\w.-]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})", endpoint)
    return (found["host"].strip("[]"), int(found["port"])) if found else ("", 0)


def _forget() -> None:
    there = remote_file().exists()
    if there:
        remote_file().unlink(missing_ok=True)
    told = "this machine's own daemon is used again" if there else "no other daemon was in use"
    say(told)


def _use(info: ConnectionInfo) -> None:
    """Connect to that daemon, and use it from now on if it answers; raise what is missing."""
    before = read_connection_file(remote_file())
    used = before.endpoint if before else sentence("this machine's own daemon")
    try:
        with socket.create_connection(_address(info.endpoint), PATIENCE):
            pass
    except OSError as error:
        raise DaemonUnavailableError(
            "nothing answers at {endpoint} ({error}); start the daemon there with `underpaint"
            " serve --bind`, and check that no firewall blocks it. Nothing has changed: {used} is"
            " used",
            endpoint=info.endpoint,
            error=error,
            used=used,
        ) from None
    try:
        with Connection(info) as connection:
            welcome = connection.hello(timeout=PATIENCE)
    except DaemonUnavailableError:
        write_connection_file(info, remote_file())
        raise DaemonUnavailableError(
            "{endpoint} does not accept this machine (or has another key). Run on the daemon's"
            " machine:\n  {command}\nand then this command again. This address is used from now on;"
            " `underpaint connect --forget` undoes that",
            endpoint=info.endpoint,
            command=allow_command(info.client_public),
        ) from None
    write_connection_file(info, remote_file())
    say(f"the daemon at {info.endpoint} ({one_line(welcome.version)}) is used from now on")
