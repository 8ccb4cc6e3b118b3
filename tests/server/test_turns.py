"""What clients ask of the store is done in turn, and without end for nobody."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from underpaint.server.job_queue import Client
from underpaint.server.turns import AT_ONCE, MAX_ASKED, Turns
from underpaint_client.errors import BadInputError

ANN, BOB = Client(0, b"ann"), Client(0, b"bob")
GUEST, SAME_GUEST = Client(1, b"a", "key"), Client(1, b"b", "key")


class Store:
    """Is done when the test wants it to be."""

    def __init__(self) -> None:
        self.waits: list[Callable[[], object]] = []
        self.turns = Turns(self.waits.append)
        self.done: list[object] = []

    def ask(self, client: Client, *questions: object) -> None:
        for question in questions:
            self.turns.schedule(client, question, partial(self.done.append, (client, question)))

    def finish(self) -> None:
        for then in [self.waits.pop() for _ in self.waits]:
            then()


def test_the_store_has_few_questions_at_once() -> None:
    store = Store()
    store.ask(ANN, *range(1000))
    assert len(store.done) == AT_ONCE
    store.finish()
    assert len(store.done) == 2 * AT_ONCE
    while store.waits:
        store.finish()
    assert store.done == [(ANN, number) for number in range(1000)]


def test_another_client_comes_next() -> None:
    store = Store()
    store.ask(ANN, *range(1000))
    store.ask(BOB, "mine", "too")
    store.finish()
    assert {(BOB, "mine"), (BOB, "too")} <= set(store.done[: AT_ONCE + 4])


def test_a_question_that_waits_is_not_asked_twice() -> None:
    store = Store()
    store.ask(ANN, *range(AT_ONCE), *["waiting"] * 100)
    store.ask(BOB, "waiting")
    while store.waits:
        store.finish()
    assert store.done.count((ANN, "waiting")) == 1
    assert store.done.count((BOB, "waiting")) == 1


def test_connections_with_one_key_are_one() -> None:
    store = Store()
    store.ask(GUEST, *range(AT_ONCE + MAX_ASKED // 2))
    store.ask(SAME_GUEST, *range(MAX_ASKED // 2))
    with pytest.raises(BadInputError, match=f"{MAX_ASKED} questions of this client"):
        store.ask(SAME_GUEST, "one more")
    store.ask(ANN, "mine")


def test_a_question_that_fails_stops_nobody() -> None:
    store = Store()

    def fail() -> None:
        raise ZeroDivisionError

    for number in range(AT_ONCE):
        with pytest.raises(ZeroDivisionError):
            store.turns.schedule(ANN, number, fail)
    store.ask(ANN, "after")
    store.finish()
    assert store.done == [(ANN, "after")]
