"""Answers of threads: each is handled once, in the thread that made the queue."""

from __future__ import annotations

import logging
import select
import threading

import pytest

from underpaint.server.answers import Answers


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
