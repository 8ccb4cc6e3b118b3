"""`underpaint keys`: who may use this machine's daemon from elsewhere, and this machine's key."""

from __future__ import annotations

import shlex
import socket
import sys
from collections.abc import Sequence

from underpaint.server import keys
from underpaint.server.places import make_home
from underpaint_client.errors import BadInputError

from .options import Parser

ACTIONS = ("new", "list", "allow", "revoke")
SHOWN = 8
"""Characters of a key that are enough to tell keys apart."""


def make_parser() -> Parser:
    """Give the parser of `underpaint keys`."""
    parser = Parser(
        "keys",
        "Say who may use this machine's daemon over the network.\n\n"
        "  new                     show this machine's public key, made the first time\n"
        "  list                    show who is let in: key, comment\n"
        "  allow PUBLIC [COMMENT]  let in the machine whose public key that is\n"
        "  revoke WHICH            let it in no more: its key, the beginning of it, or its comment",
    )
    parser.add_argument("action", choices=ACTIONS, help="see above")
    parser.add_argument("which", nargs="?", help="a public key; to revoke, what tells it apart")
    parser.add_argument("comment", nargs="*", help="who that is")
    return parser


def run_keys(words: Sequence[str]) -> int:
    """Show or change who is let in."""
    options = make_parser().read(words)
    wants_which, wants_comment = options.action in ("allow", "revoke"), options.action == "allow"
    if wants_which and not options.which:
        what = {"allow": "a public key", "revoke": "a key, the beginning of one, or a comment"}
        raise BadInputError(
            f"`underpaint keys {options.action}` needs {what[options.action]};"
            " `underpaint keys list` shows who is let in"
        )
    if options.which and not wants_which:
        raise BadInputError(f"`underpaint keys {options.action}` takes no {options.which!r}")
    comment = " ".join(options.comment)
    if comment and not wants_comment:
        raise BadInputError(f"{comment!r} is too much; quote what tells the client apart")
    make_home()
    _DO[options.action](options.which or "", comment)
    return 0


def allow_command(public: str) -> str:
    """Give what lets this machine in, to be run where the daemon is."""
    host = socket.gethostname() or "a client"
    return f"underpaint keys allow {shlex.quote(public)} {shlex.quote(host)}"


def _new(_which: str, _comment: str) -> None:
    public = keys.own_keys("client").public
    print(public)
    print(
        "this is this machine's public key; its secret never leaves it. Where the daemon runs:\n"
        f"  {allow_command(public)}",
        file=sys.stderr,
    )


def _list(_which: str, _comment: str) -> None:
    allowed = keys.list_allowed()
    for one in allowed:
        print(f"{one.public}  {one.comment}".rstrip())
    if not allowed:
        print("nobody from elsewhere is let in", file=sys.stderr)


def _allow(which: str, comment: str) -> None:
    added = keys.allow(which, comment)
    told = "is let in" if added else "was let in already"
    if comment and not added:
        told += f"; it is called {comment!r} now"
    print(f"{which[:SHOWN]}... {told}", file=sys.stderr)


def _revoke(which: str, _comment: str) -> None:
    found = keys.revoke(which)
    print(
        f"{found.public[:SHOWN]}... {found.comment}".rstrip()
        + " is let in no more; its jobs end, and its results are dropped",
        file=sys.stderr,
    )


_DO = {"new": _new, "list": _list, "allow": _allow, "revoke": _revoke}
