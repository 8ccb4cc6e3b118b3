"""`underpaint keys`: who may use this machine's daemon from elsewhere, and this machine's key."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Sequence

from underpaint.server import keys
from underpaint.server.paths import make_home
from underpaint_client.errors import BadInputError
from underpaint_client.printable import one_line

from .options import Parser
from .printing import say, show

ACTIONS = ("new", "list", "allow", "revoke")
SHOWN = 8
"""Characters of a key that are enough to tell keys apart."""


def make_parser() -> Parser:
    """Return the parser of `underpaint keys`."""
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
    """Return what lets this machine in, to be run where the daemon is."""
    host = socket.gethostname() or "a client"
    return f"underpaint keys allow {shlex.quote(public)} {shlex.quote(host)}"


def _new(_which: str, _comment: str) -> None:
    public = keys.own_keys("client").public
    show(public)
    say(
        "this is this machine's public key; its secret never leaves it. Where the daemon runs:\n"
        f"  {allow_command(public)}"
    )


def _list(_which: str, _comment: str) -> None:
    allowed = keys.list_allowed()
    for one in allowed:
        show(f"{one.public}  {one_line(one.comment)}".rstrip())
    if not allowed:
        say("nobody from elsewhere is let in")


def _allow(which: str, comment: str) -> None:
    added = keys.allow(which, comment)
    told = "is let in" if added else "was let in already"
    if comment and not added:
        told += f"; it is called {comment!r} now"
    say(f"{which[:SHOWN]}... {told}")


def _revoke(which: str, _comment: str) -> None:
    found = keys.revoke(which)
    who = f"{found.public[:SHOWN]}... {one_line(found.comment)}".rstrip()
    say(f"{who} is let in no more; its jobs end, and its results are dropped")


_DO = {"new": _new, "list": _list, "allow": _allow, "revoke": _revoke}
