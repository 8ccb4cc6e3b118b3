"""Benchmark results are recorded in one form, and only on a quiet machine."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from benchmarks import record


def test_an_entry_has_date_commit_machine_and_numbers() -> None:
    when = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
    text = record.entry(
        when, ["speed.py", "--rounds", "7"], "a 1.0\nb 2.0\n", "abc123", "a machine"
    )
    assert text == (
        "\n## 2026-11-27 speed.py --rounds 7\n\nabc123; a machine\n\n```\na 1.0\nb 2.0\n```\n"
    )


def test_a_busy_machine_records_nothing() -> None:
    record.check_quiet(0.5, 2)
    with pytest.raises(SystemExit, match=r"busy \(load 3\.0 on 2 cores\)"):
        record.check_quiet(3.0, 2)


def test_a_benchmark_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        record.main(["gone.py"])
    assert "speed.py" in capsys.readouterr().err
