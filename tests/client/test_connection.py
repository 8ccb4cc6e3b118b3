from __future__ import annotations

from collections import deque

import pytest

from underpaint_client import Connection, wire


@pytest.mark.parametrize(
    ("ending", "taken"),
    [
        (wire.Done("j"), ["j"]),
        (wire.Failed("j", "failed", "no memory"), ["j"]),
        (wire.Failed("j", "cancelled", "cancelled"), ["j"]),
        (wire.Failed("j", "kept", "picture 2 could not be read"), []),
    ],
)
def test_only_what_came_whole_is_taken(
    monkeypatch: pytest.MonkeyPatch, ending: wire.Message, taken: list[str]
) -> None:
    connection, said = object.__new__(Connection), list[str]()
    connection._inbox = deque([(ending, ())])
    monkeypatch.setattr(connection, "take", said.append)
    assert [message for message, _ in connection.events("j")] == [ending]
    assert said == taken
