"""CURVE keys for TCP: the daemon's, this machine's client's, and the list of clients let in."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import zmq
from zmq.auth.thread import ThreadAuthenticator

from underpaint_client.errors import DaemonUnavailableError
from underpaint_client.home import home

from .places import private_folder

ZAP_DOMAIN = "underpaint"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeyPair:
    """A CURVE key pair, in Z85: 40 characters each."""

    public: str
    secret: str


def key_folder() -> Path:
    """Give the folder of the keys, its owner's alone."""
    return private_folder(home() / "keys")


def own_keys(name: str) -> KeyPair:
    """Give the key pair of that name, made the first time it is asked for."""
    file = key_folder() / f"{name}.json"
    try:
        return KeyPair(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        public, secret = (key.decode("ascii") for key in zmq.curve_keypair())
    except (TypeError, ValueError, OSError) as error:
        raise DaemonUnavailableError(
            f"the key file {file} cannot be read ({error}); remove it, and a new pair is made"
        ) from None
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump({"public": public, "secret": secret}, stream)
    return KeyPair(public, secret)


def allow_list() -> Path:
    """Give the list of clients that are let in: a public key a line, then a comment."""
    return key_folder() / "authorized_clients"


def allow(public: str, comment: str) -> None:
    """Let a client in, from now on."""
    if not _allowed(public):
        descriptor = os.open(allow_list(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as stream:
            stream.write(f"{public} {comment}\n")


def _allowed(public: str) -> bool:
    try:
        lines = allow_list().read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.split()[0] == public for line in lines if line.strip())


class _AllowList:
    """What pyzmq's authenticator asks; the list is read anew each time, so edits count at once."""

    def callback(self, _domain: str, key: bytes) -> bool:
        allowed = _allowed(key.decode("ascii"))
        if not allowed:
            log.warning("a client with the unknown key %s was turned away", key.decode("ascii"))
        return allowed


def guard(context: zmq.Context[zmq.Socket[bytes]]) -> ThreadAuthenticator:
    """Start the authenticator that lets in whom the allow-list names."""
    authenticator = ThreadAuthenticator(context)
    authenticator.start()
    authenticator.configure_curve_callback(ZAP_DOMAIN, credentials_provider=_AllowList())
    return authenticator


def lock_socket(socket: zmq.Socket[bytes]) -> None:
    """Make a socket, before it is bound, speak CURVE only, and to listed clients only."""
    keys = own_keys("server")
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public.encode("ascii"))
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.encode("ascii"))
    socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN.encode("ascii"))
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
