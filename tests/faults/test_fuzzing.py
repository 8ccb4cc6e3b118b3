"""A short run of `fuzzing`: each hostile message ends as a message or as an error."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faults.fuzzing import Fuzzer, judge, memory, mutate, seeds, through_socket
from limited import limited_daemon, new_guest
from underpaint.server.validation import read_message
from underpaint_client import connect, messages, wire
from underpaint_client.errors import BadInputError
from underpaint_client.frames import Bytes


def take_steps(fuzzer: Fuzzer, count: int) -> None:
    for _ in range(count):
        fuzzer.step()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize("seed", range(3))
def test_mutated_messages_are_read_or_refused(seed: int) -> None:
    fuzzer = Fuzzer(random.Random(seed))
    take_steps(fuzzer, 3000)
    assert 0 < fuzzer.taken < fuzzer.run
    assert len(fuzzer.corpus) > len(seeds())  # it does find new ways through the reader


@settings(deadline=None, max_examples=300)
@given(kind=st.sampled_from(sorted(messages.TYPES)), body=JSON, frames=JSON, data=st.binary())
def test_any_body_is_read_or_refused(kind: str, body: object, frames: object, data: bytes) -> None:
    header = json.dumps({"protocol": wire.PROTOCOL, "type": kind, "body": body, "frames": frames})
    judge([header.encode(), data])


def test_a_fuzzer_sees_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would tell: with a reader that fails on one kind of message, it comes to nothing good."""
    monkeypatch.setattr(wire, "refuse_unknown_fields", lambda envelope: 1 / 0)
    fuzzer = Fuzzer(random.Random(0))
    with pytest.raises(ZeroDivisionError):
        take_steps(fuzzer, 3000)


def test_half_a_surrogate_pair_is_no_text() -> None:
    parts: list[Bytes] = [b'{"protocol":3,"type":"prefer","body":{"job":{"\\ud800":1}}}']
    with pytest.raises(BadInputError):
        read_message(wire.open_envelope(parts))
    parts = [b'{"protocol":3,"type":"submit","body":{"job":"j","request":{},"packed":"\\ud800"}}']
    with pytest.raises(BadInputError, match="UTF-8"):
        read_message(wire.open_envelope(parts))


@pytest.mark.parametrize("remote", [False, True], ids=["ipc", "tcp"])
def test_a_daemon_answers_between_hostile_messages(
    home: Path, monkeypatch: pytest.MonkeyPatch, *, remote: bool
) -> None:
    monkeypatch.setenv("UNDERPAINT_MODEL", "none")
    with limited_daemon("--bind", "tcp://127.0.0.1:*") as process:
        fuzzer = Fuzzer(random.Random(5), guided=False)
        info = new_guest() if remote else None
        through_socket(fuzzer, 500, info)
        before = memory(process.pid)
        through_socket(fuzzer, 1500, info)
        assert memory(process.pid) < before + 64  # what came is not kept
        with connect() as connection:
            assert connection.hello().pid == process.pid


def test_the_fuzzer_sends_every_kind_and_size_of_message() -> None:
    fuzzer = Fuzzer(random.Random(0), guided=False)
    sent = [
        mutate(fuzzer.rng, fuzzer.rng.choice(fuzzer.corpus), fuzzer.corpus) for _ in range(6000)
    ]
    kinds = {
        kind for kind in messages.TYPES if any(f'"{kind}"'.encode() in p[0] for p in sent if p)
    }
    assert {"follow", "taken", "ask_waiting", "submit", "cancel", "prefer"} <= kinds
    assert max(len(part) for parts in sent for part in parts) > wire.MAX_HEADER
    assert max(map(len, sent)) > 1000
