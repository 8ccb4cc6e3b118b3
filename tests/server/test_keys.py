"""The keys and the list of those who are let in."""

from __future__ import annotations

import shlex
import stat
import threading
from pathlib import Path

import pytest
import zmq

from underpaint.cli import main
from underpaint.server import keys
from underpaint.server.keys import Allowed, find_allowed
from underpaint_client.errors import BadInputError, DaemonUnavailableError


def make_key() -> str:
    public, _ = zmq.curve_keypair()
    return public.decode()


def test_allow_list_and_revoke(home: Path) -> None:
    ann, bob = make_key(), make_key()
    assert keys.list_allowed() == []
    assert keys.allow(ann, "ann's  tablet")
    assert keys.allow(bob)
    assert not keys.allow(bob, "bob")
    assert not keys.allow(bob)
    assert keys.list_allowed() == [Allowed(ann, "ann's tablet"), Allowed(bob, "bob")]
    assert stat.S_IMODE(keys.allow_list().stat().st_mode) == 0o600
    assert keys.revoke("ann's tablet") == Allowed(ann, "ann's tablet")
    assert keys.list_allowed() == [Allowed(bob, "bob")]


@pytest.mark.parametrize(
    "text", ["", "a" * 39, "a" * 41, "#" * 40, "a" * 39 + "\n", "ä" * 40, "-h"]
)
def test_what_is_no_key_is_refused(home: Path, text: str) -> None:
    with pytest.raises(BadInputError, match="is not a public key"):
        keys.allow(text)
    assert keys.list_allowed() == []


def test_this_servers_own_keys_and_odd_comments_are_refused(home: Path) -> None:
    with pytest.raises(BadInputError, match="this server's own key"):
        keys.allow(keys.own_keys("server").public)
    with pytest.raises(BadInputError, match="one line"):
        keys.allow(make_key(), f"x\n{make_key()}")


KNOWN = [Allowed("abc" + "0" * 37, "ann"), Allowed("abd" + "0" * 37, "bob"), Allowed("b" * 40, "a")]


@pytest.mark.parametrize(
    ("which", "found"),
    [("ann", 0), ("abc", 0), ("abd" + "0" * 37, 1), ("a", 2), ("b", 2), ("bob", 1)],
)
def test_a_client_is_found_by_key_beginning_or_comment(which: str, found: int) -> None:
    assert find_allowed(KNOWN, which) is KNOWN[found]


@pytest.mark.parametrize(
    ("which", "told"), [("ab", "more than one client: abc00000... ann, abd"), ("", "no client"),
                        ("z", "no client is called 'z'")],
)  # fmt: skip
def test_nobody_or_more_than_one_is_said(which: str, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        find_allowed(KNOWN, which)


def test_a_running_daemon_sees_changes_at_once(home: Path) -> None:
    public, allowed = make_key(), keys.AllowList()
    for _ in range(20):  # faster than clocks may tick
        assert public not in allowed
        keys.allow(public)
        assert public in allowed
        keys.revoke(public)
    assert "" not in allowed
    keys.allow_list().unlink()
    assert public not in allowed


def test_the_log_knows_no_key(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    public = make_key()
    assert not keys.AllowList().lets_in(public)
    assert keys.name_key(public.encode()) in caplog.text
    assert public[:8] not in caplog.text


def test_lines_that_are_no_keys_let_nobody_in(home: Path) -> None:
    public = make_key()
    keys.allow_list().write_bytes(b"# a note\n\n\xff\xfe\n  %s  by hand \n" % public.encode())
    assert keys.list_allowed() == [Allowed(public, "by hand")]
    assert "#" not in keys.AllowList()


def test_what_was_written_by_hand_stays(home: Path) -> None:
    """Comments, order, line ends, a byte order mark, and bytes that are no UTF-8."""
    ann, bob, eve, new = (make_key() for _ in range(4))
    written = (
        f"\ufeff{ann} ann's tablet\r\n# the studio, since May\n\n  {bob}\tbob  # upstairs\n"
        f"\ufeff{eve} joined by cat\n{ann} ann again\u2028{new} no line of its own\n"
    ).encode() + b"# caf\xe9"
    keys.allow_list().write_bytes(written)
    keys.allow_list().chmod(0o600)
    assert [one.public for one in keys.list_allowed()] == [ann, bob, eve, ann]
    assert keys.allow(new, "new")
    lines = written.replace(b"\xef\xbb\xbf", b"", 1).split(b"\n")
    assert keys.allow_list().read_bytes().split(b"\n") == [*lines, f"{new} new".encode(), b""]
    assert not keys.allow(bob, "robert")
    lines[3] = f"{bob} robert".encode()
    assert keys.allow_list().read_bytes().split(b"\n") == [*lines, f"{new} new".encode(), b""]
    assert keys.revoke("joined by cat").public == eve
    del lines[4]
    assert keys.revoke(new[:12]).public == new
    assert keys.allow_list().read_bytes().split(b"\n") == [*lines, b""]


@pytest.mark.parametrize("how", ["key", "beginning", "comment"])
def test_who_is_listed_twice_is_revoked_wholly(home: Path, how: str) -> None:
    ann, bob = make_key(), make_key()
    keys.allow(bob)
    with keys.allow_list().open("a") as file:
        file.write(f"{ann} tablet\n# {ann}\n{ann} tracker\n")
    which = {"key": ann, "beginning": ann[:20], "comment": "tracker"}[how]
    assert keys.revoke(which).public == ann
    assert keys.list_allowed() == [Allowed(bob)]
    assert keys.allow_list().read_text() == f"{bob}\n# {ann}\n"


def test_a_list_in_another_encoding_is_left_alone_and_said(home: Path) -> None:
    written = f"{make_key()} ann\r\n".encode("utf-16")
    keys.allow_list().write_bytes(written)
    keys.allow_list().chmod(0o600)
    with pytest.raises(BadInputError, match="authorized_clients is not valid UTF-8"):
        keys.allow(make_key())
    assert keys.allow_list().read_bytes() == written


def test_revoking_this_machines_own_key_makes_a_new_one(home: Path) -> None:
    own = keys.own_keys("client").public
    keys.allow(own, "this machine")
    keys.revoke("this machine")
    assert keys.own_keys("client").public != own


def test_keys_need_no_quotes_and_are_private(home: Path) -> None:
    for name in ("client", "server"):
        pair = keys.own_keys(name)
        assert keys.own_keys(name) == pair
        assert shlex.quote(pair.public) == pair.public
        assert keys.is_key(pair.public)
        assert pair.secret not in repr(pair)
        assert stat.S_IMODE((home / "keys" / f"{name}.json").stat().st_mode) == 0o600
    assert {file.name for file in (home / "keys").iterdir()} == {"client.json", "server.json"}


def test_processes_that_start_together_get_one_pair(home: Path) -> None:
    found = []
    threads = [threading.Thread(target=lambda: found.append(keys.own_keys("x"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"public": "a", "secret": "b"}'])
def test_a_damaged_key_file_is_named(home: Path, text: str) -> None:
    (keys.key_folder() / "client.json").write_text(text)
    with pytest.raises(DaemonUnavailableError, match="client.json cannot be read"):
        keys.own_keys("client")


def test_commands(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    public = make_key().replace("-", "a")
    while not keys.is_key(public):
        public = make_key().replace("-", "a")
    assert main(["keys", "allow", public, "a", "friend"]) == 0
    assert main(["keys", "list"]) == 0
    assert capsys.readouterr().out == f"{public}  a friend\n"
    assert main(["keys", "new"]) == 0
    own = capsys.readouterr()
    assert own.out.strip() == keys.own_keys("client").public
    assert keys.own_keys("client").secret not in own.out + own.err
    assert main(["keys", "revoke", "a friend"]) == 0
    assert keys.list_allowed() == []
    for wrong in (["allow"], ["revoke"], ["list", "x"], ["revoke", "a", "friend"], ["forget"]):
        assert main(["keys", *wrong]) == 2


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        ("tcp://0.0.0.0:7", "tcp://gpu:7"),
        ("tcp://[::]:7", "tcp://gpu:7"),
        ("tcp://192.168.1.2:7", "tcp://192.168.1.2:7"),
    ],
)
def test_others_are_told_an_address_that_they_can_use(endpoint: str, shown: str) -> None:
    assert keys.reachable(endpoint, "gpu") == shown


def test_the_invitation_names_no_ipc(home: Path) -> None:
    told = keys.invitation(["ipc:///home/ann/run/clients.sock", "tcp://192.168.1.2:7"])
    (command,) = told.splitlines()[1:]
    assert command.split() == [
        "underpaint", "connect", "tcp://192.168.1.2:7", keys.own_keys("server").public
    ]  # fmt: skip


def test_a_list_counts_when_it_has_stayed_as_it_is() -> None:
    now = [0.0]
    settling = keys.Settling(3.0, lambda: now[0])
    seen = []
    for moment, stamp in [
        (0, "all"),
        (2, "all"),
        (4, "all"),
        (5, "all"),
        (6, "empty"),
        (8, "all"),
        (10, "all"),
        (12, "all"),
        (13, "some"),
        (17, "some"),
        (30, "some"),
    ]:
        now[0] = moment
        if settling.has_settled(stamp):
            seen.append((moment, stamp))
    assert seen == [(4, "all"), (12, "all"), (17, "some")]
