"""Answers of threads: each is handled once, in the thread that made the queue."""

from __future__ import annotations

import logging
import select
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from underpaint.server.answers import Answers, SharedAnswer


def is_readable(answers: Answers) -> bool:
    return bool(select.select([answers.fd], [], [], 0)[0])


def test_answers_wake_the_loop_and_are_handled_once_in_order() -> None:
    answers, handled = Answers(), list[tuple[int, str]]()
    here = threading.get_ident()
    assert not is_readable(answers)

    def add() -> None:
        for number in range(3):
            answers.add(lambda n=number: handled.append((n, str(threading.get_ident()))))  # type: ignore[misc]

    thread = threading.Thread(target=add)
    thread.start()
    thread.join()
    assert is_readable(answers)
    for _ in range(2):
        answers.handle()
        assert handled == [(number, str(here)) for number in range(3)]
        assert not is_readable(answers)
    answers.close()


def test_what_an_answer_raises_keeps_no_other_from_being_handled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers, handled = Answers(), list[str]()

    def fail() -> None:
        raise ValueError("a fault")

    answers.add(fail)
    answers.add(lambda: handled.append("next"))
    with caplog.at_level(logging.ERROR):
        answers.handle()
    assert handled == ["next"]
    assert "a fault" in caplog.text
    answers.close()


def test_what_comes_after_the_end_is_no_error() -> None:
    answers = Answers()
    answers.close()
    answers.add(lambda: None)


def test_all_who_wait_share_one_answer_and_wait_once() -> None:
    answers, made, handled = Answers(), list[int](), list[tuple[str, int]]()
    begun, go_on = threading.Event(), threading.Event()

    def make() -> int:
        begun.set()
        assert go_on.wait(30)
        made.append(len(made))
        return made[-1]

    def then(who: str) -> Callable[[int], object]:
        return lambda answer: handled.append((who, answer))

    with ThreadPoolExecutor(1) as thread:
        shared = SharedAnswer(answers, thread, make)
        assert shared.request("a", then("a"))
        assert begun.wait(30)
        # The answer that is being made may be old: who asks now waits for the next.
        assert shared.request("a", then("a again"))
        assert not shared.request("a", then("a once more"))
        assert not shared.request("b", then("b"))
        go_on.set()
    answers.handle()
    assert handled == [("a", 0), ("a again", 1), ("b", 1)]
    answers.close()
