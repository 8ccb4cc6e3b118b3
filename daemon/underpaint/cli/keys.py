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
        "Choose which machines may use the daemon of this machine over the network.\n\n"
        "  new                     show this machine's public key, made the first time\n"
        "  list                    list the machines that have access: key, comment\n"
        "  allow PUBLIC [COMMENT]  give access to the machine with this public key\n"
        "  revoke WHICH            revoke access: by the key, its beginning, or the comment",
    )
    parser.add_argument("action", choices=ACTIONS, help="see above")
    parser.add_argument("which", nargs="?", help="a public key; to revoke, what tells it apart")
    parser.add_argument("comment", nargs="*", help="who that is")
    return parser


def run_keys(words: Sequence[str]) -> int:
    """Show or change which machines have access."""
    options = make_parser().read(words)
    wants_which, wants_comment = options.action in ("allow", "revoke"), options.action == "allow"
    if wants_which and not options.which:
        what = {"allow": "a public key", "revoke": "a key, the beginning of one, or a comment"}
        raise BadInputError(
            "`underpaint keys {action}` needs {argument}; `underpaint keys list` shows who has"
            " access",
            action=options.action,
            argument=what[options.action],
        )
    if options.which and not wants_which:
        raise BadInputError(
            "`underpaint keys {action}` takes no {argument!r}",
            action=options.action,
            argument=options.which,
        )
    comment = " ".join(options.comment)
    if comment and not wants_comment:
        raise BadInputError(
            "{comment!r} is too much; quote what tells the client apart", comment=comment
        )
    make_home()
    _DO[options.action](options.which or "", comment)
    return 0


def allow_command(public: str) -> str:
    """Return the command that gives this machine access, to run on the daemon's machine."""
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
        say("no other machine can connect")


def _allow(which: str, comment: str) -> None:
    added = keys.allow(which, comment)
    told = "has access now" if added else "already had access"
    if comment and not added:
        told += f"; it is called {comment!r} now"
    say(f"{which[:SHOWN]}... {told}")


def _revoke(which: str, _comment: str) -> None:
    found = keys.revoke(which)
    who = f"{found.public[:SHOWN]}... {one_line(found.comment)}".rstrip()
    say(f"{who} can no longer connect; its jobs end, and its results are deleted")


_DO = {"new": _new, "list": _list, "allow": _allow, "revoke": _revoke}
