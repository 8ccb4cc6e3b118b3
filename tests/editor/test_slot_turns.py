"""Slots that an editor's events would call one inside another."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from underpaint_editor.turns import Turns


class Loop:
    """An event loop that keeps what it is to call."""

    def __init__(self) -> None:
        self.kept: list[Callable[[], None]] = []

    def watch(self, fd: int, callback: Callable[[], None]) -> Callable[[], None]:
        raise AssertionError

    def call_later(self, milliseconds: int, callback: Callable[[], None]) -> None:
        self.kept.append(callback)

    def run(self) -> None:
        while self.kept:
            self.kept.pop(0)()


@pytest.fixture
def loop() -> Loop:
    return Loop()


def test_none_runs_inside_another_and_each_runs_once(loop: Loop) -> None:
    turns, said = Turns(loop), list[str]()

    def first() -> None:
        said.append("first begins")
        if len(said) == 1:
            for function in (second, first, third, second, first):
                turns.take(function)
        said.append("first ends")

    def second() -> None:
        said.append("second")
        turns.take(third)  # which waits already

    def third() -> None:
        said.append("third")

    turns.take(first)
    assert said == ["first begins", "first ends"]
    loop.run()
    assert said[2:] == ["second", "first begins", "first ends", "third"]


def test_the_event_loop_may_come_round_while_one_runs(loop: Loop) -> None:
    turns, said = Turns(loop), list[str]()

    def outer() -> None:
        turns.take(lambda: said.append("inner"))
        loop.run()
        said.append("outer")

    turns.take(outer)
    loop.run()
    turns.take(outer)
    loop.run()
    assert said == ["outer", "inner"] * 2


def test_one_that_fails_does_not_keep_others_from_running(loop: Loop) -> None:
    turns, said = Turns(loop), list[str]()

    def fail() -> None:
        turns.take(lambda: said.append("after"))
        raise ValueError("once")

    with pytest.raises(ValueError, match="once"):
        turns.take(fail)
    loop.run()
    turns.take(lambda: said.append("later"))
    assert said == ["after", "later"]
