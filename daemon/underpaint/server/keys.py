"""CURVE keys for TCP: the daemon's, this machine's client's, and the allow-list of clients."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import os
import shlex
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import filelock
import zmq

from underpaint_client.errors import BadInputError, DaemonUnavailableError
from underpaint_client.home import home, read_trusted, write_private

from .paths import private_folder

ZAP_DOMAIN = "underpaint"

KEY_LENGTH = 40
"""Characters of a CURVE key in Z85."""

MAX_COMMENT = 200
"""Characters of the longest comment beside a key."""

_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeyPair:
    """A CURVE key pair, in Z85: 40 characters each."""

    public: str
    secret: str = field(repr=False)


def key_folder() -> Path:
    """Return the folder of the keys, its owner's alone."""
    return private_folder(home() / "keys")


def own_keys(name: str) -> KeyPair:
    """Return the key pair of that name, made the first time it is asked for."""
    file = _key_file(name)
    if not file.exists():
        pair = _make_pair()
        draft = file.with_name(f"{name}.{os.getpid()}.{threading.get_ident()}")
        write_private(draft, json.dumps({"public": pair.public, "secret": pair.secret}))
        with contextlib.suppress(FileExistsError):  # another process was faster
            os.link(draft, file)
        draft.unlink()
    try:
        return _read_pair(read_trusted(file))
    except (TypeError, ValueError, OSError, RecursionError) as error:
        raise DaemonUnavailableError(
            "the key file {file} cannot be read ({error}); remove it, and a new pair is created",
            file=file,
            error=error,
        ) from None


def _read_pair(text: str) -> KeyPair:
    pair = KeyPair(**json.loads(text))
    if not (is_key(pair.public) and is_key(pair.secret)):
        raise ValueError("it does not contain a pair of keys")
    return pair


def _make_pair() -> KeyPair:
    """Make a pair whose public key can be typed after a command as it is."""
    while True:  # a thousand times or two, a tenth of a second
        public, secret = (key.decode("ascii") for key in zmq.curve_keypair())
        if shlex.quote(public) == public and public[0].isalnum():
            return KeyPair(public, secret)


def _key_file(name: str) -> Path:
    return key_folder() / f"{name}.json"


def own_owners() -> set[str]:
    """Return the names of this machine's own user as an owner of jobs, with ipc and without it."""
    return {"", _public("client")}


def _public(name: str) -> str:
    """Return the public key of that name; empty if no pair was made yet."""
    return own_keys(name).public if _key_file(name).exists() else ""


@dataclass(frozen=True)
class Allowed:
    """One line of the allow-list: a client that has access over TCP.

    Parameters
    ----------
    public : str
        Its public key, in Z85: 40 characters.
    comment : str
        Who that is, for people; may be empty.
    """

    public: str
    comment: str = ""

    def __str__(self) -> str:
        return f"{self.public} {self.comment}".rstrip()


def allow_list() -> Path:
    """Return the path of the allow-list: a public key on each line, then a comment."""
    return key_folder() / "authorized_clients"


def list_allowed() -> list[Allowed]:
    """Return the clients with access, as they were added; skip lines without a valid key.

    Raises
    ------
    DaemonUnavailableError
        Others can write the list.
    """
    return [found for line in _read_lines() if (found := _read_line(line)) is not None]


def _read_lines() -> list[str]:
    """Return the list's lines with their ends; only line feeds end one."""
    try:
        text = read_trusted(allow_list())
    except FileNotFoundError:
        return []
    return text.removesuffix("\n").split("\n") if text else []


def _read_line(line: str) -> Allowed | None:
    """Return the client of a line; None for an empty line, a comment or a damaged one."""
    words = line.lstrip("\ufeff").split(maxsplit=1)  # joined files have such marks within
    if not words or not is_key(words[0]):
        return None
    return Allowed(words[0], "".join(words[1:]).strip())


def is_key(text: str) -> bool:
    """Return whether that is a public key: 40 characters of Z85, for 32 bytes."""
    if len(text) != KEY_LENGTH or set(text) - set(_Z85):
        return False
    digits = [_Z85.index(character) for character in text]
    groups = [digits[start : start + 5] for start in range(0, KEY_LENGTH, 5)]
    return all(functools.reduce(lambda n, d: n * 85 + d, group) < 2**32 for group in groups)


def name_key(public: bytes) -> str:
    """Return a digest that tells keys apart in a log."""
    return hashlib.sha256(public).hexdigest()[:12]


def allow(public: str, comment: str = "") -> bool:
    """Add a client to the allow-list; it has access at once.

    Returns
    -------
    bool
        False if it already had access; another comment then takes the place of its own.

    Raises
    ------
    BadInputError
        If that is not a public key, or the comment is not one line of text.
    """
    if not is_key(public):
        raise BadInputError(
            "{key!r} is not a public key, which has {length} characters; `underpaint keys new`"
            " on the other machine prints its own (quote it: it may hold characters that a shell"
            " reads)",
            key=public,
            length=KEY_LENGTH,
        )
    if public in (own_keys("server").public, own_keys("server").secret):
        raise BadInputError("that is this server's own key; use the other machine's")
    if not comment.isprintable() or len(comment) > MAX_COMMENT:
        raise BadInputError(
            "comment {comment!r} must be one line of {most} or fewer",
            comment=comment[:40],
            most=MAX_COMMENT,
        )
    new = Allowed(public, " ".join(comment.split()))
    with _changing():
        lines = _read_lines()
        if any("\0" in line for line in lines):
            raise BadInputError(
                "{file} is not valid UTF-8; save it as UTF-8 text", file=allow_list()
            )
        found = [_read_line(line) for line in lines]
        is_new = all(one is None or one.public != public for one in found)
        if is_new:
            _write([*lines, str(new)])
        elif new.comment:
            same = [one is not None and one.public == public for one in found]
            _write([str(new) if is_it else line for is_it, line in zip(same, lines, strict=True)])
    return is_new


def revoke(which: str) -> Allowed:
    """Revoke a client's access; a running daemon refuses its next message.

    Parameters
    ----------
    which : str
        Its public key, the beginning of it, or its comment.

    Raises
    ------
    BadInputError
        If no client has that name, or more than one.
    """
    with _changing():
        found = find_allowed(list_allowed(), which)
        lines = [(line, _read_line(line)) for line in _read_lines()]
        _write([line for line, one in lines if one is None or one.public != found.public])
        if found.public == _public("client"):  # or the next daemon would let it in again
            _key_file("client").unlink()
    return found


def find_allowed(known: Sequence[Allowed], which: str) -> Allowed:
    """Find the one client that is meant; raises as `revoke` does."""
    clients: dict[str, Allowed] = {}  # one may be listed more than once
    for one in known:
        clients.setdefault(one.public, one)
    exact = [clients[which]] if which in clients else []
    called = [clients[key] for key in {one.public: 0 for one in known if one.comment == which}]
    begun = [one for key, one in clients.items() if key.startswith(which)]
    for found in (exact, called, begun) if which else ():
        if len(found) == 1:
            return found[0]
        if found:
            who = ", ".join(f"{one.public[:8]}... {one.comment}".rstrip() for one in found)
            raise BadInputError(
                "{client!r} is more than one client: {clients}; give more of the key's characters",
                client=which,
                clients=who,
            )
    raise BadInputError(
        "no client is called {client!r}; `underpaint keys list` shows them", client=which
    )


def _write(lines: Sequence[str]) -> None:
    write_private(allow_list(), "".join(f"{line}\n" for line in lines))


def _changing() -> filelock.FileLock:
    """Lock the allow-list against changes by others."""
    return filelock.FileLock(key_folder() / "authorized_clients.lock", mode=0o600)


SETTLE = 3.0
"""Seconds for which a list must stay as it is before what it no longer has counts as revoked: an
editor that saves it may empty it first."""


class Settling:
    """Notices, once, when something has stayed as it is for a while.

    Parameters
    ----------
    seconds : float
        How long.
    clock : callable
        Returns seconds.
    """

    def __init__(
        self, seconds: float = SETTLE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._last: object = self  # which is like nothing else
        self._since: float | None = None

    def has_settled(self, now_is: object) -> bool:
        """Return whether that has become so and has stayed so until now; once for each change."""
        if now_is != self._last:
            self._last, self._since = now_is, self._clock()
        if self._since is None or self._clock() - self._since < self._seconds:
            return False
        self._since = None
        return True


class AllowList:
    """The list as a running daemon asks it, of every message: read anew when it has changed."""

    def __init__(self) -> None:
        self._read: tuple[tuple[int, ...] | None, frozenset[str]] = (None, frozenset())
        self._file = allow_list()

    def __contains__(self, public: str) -> bool:
        stamp = self.stamp()
        if stamp is None:
            return False
        if stamp != self._read[0]:
            try:
                self._read = (stamp, self._look())
            except OSError:  # nobody is let in by a list that cannot be read
                return False
        return public in self._read[1]

    def _look(self) -> frozenset[str]:
        try:
            return frozenset(one.public for one in list_allowed())
        except DaemonUnavailableError as error:
            log.error("no other machine can connect: %s", error)  # noqa: TRY400 - it says all
            return frozenset()

    def has_dropped(self, public: str) -> bool:
        """Return whether a key was revoked: the list is there, can be read, and does not have it.

        A list that is missing or cannot be read lets nobody in, and revokes nothing.
        """
        try:
            allowed = {one.public for one in list_allowed()}
            return self._file.exists() and public not in allowed
        except (OSError, DaemonUnavailableError):
            return False

    def stamp(self) -> tuple[int, ...] | None:
        """Return what changes whenever the list does; None if it cannot be looked at."""
        try:
            found = self._file.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)

    def lets_in(self, public: str) -> bool:
        """Return whether a client has access, and log if it has not."""
        allowed = public in self
        if not allowed:
            log.warning(
                "a client was turned away; SHA-256 of its key: %s...", name_key(public.encode())
            )
        return allowed


def lock_socket(socket: zmq.Socket[bytes]) -> None:
    """Make a socket, before it is bound, speak CURVE only, and to listed clients only."""
    keys = own_keys("server")
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public.encode("ascii"))
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.encode("ascii"))
    socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN.encode("ascii"))
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)


def reachable(endpoint: str, host: str) -> str:
    """Return an endpoint that can be used: with that host where it is bound on all there are."""
    bound, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    return f"tcp://{host}:{port}" if bound in ("0.0.0.0", "[::]") else endpoint  # noqa: S104


def own_address() -> str:
    """Return the address by which other machines most likely reach this one."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.connect(("192.0.2.1", 9))  # nothing is sent: only the way there is looked up
            return str(line.getsockname()[0])
    except OSError:
        return socket.getfqdn()


def invitation(endpoints: Sequence[str]) -> str:
    """Return what to run on other machines, so that they use the daemon at these endpoints."""
    public = shlex.quote(own_keys("server").public)
    lines = [
        f"  underpaint connect {reachable(endpoint, own_address())} {public}"
        for endpoint in endpoints
        if endpoint.startswith("tcp")
    ]
    return "\n".join(["to paint from another machine, run there:", *lines])
