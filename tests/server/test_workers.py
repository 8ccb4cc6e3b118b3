from __future__ import annotations

import pytest

from underpaint.server.workers import TRY_AGAIN, Worker


def test_a_worker_that_was_given_up_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("underpaint.server.workers.time.monotonic", lambda: now)
    worker = Worker(0, "cpu", "ipc://nowhere")
    assert not worker.may_start_again()
    worker.give_up()
    assert worker.state == "broken"
    now += TRY_AGAIN - 1
    assert not worker.may_start_again()
    now += 2
    assert worker.may_start_again()
