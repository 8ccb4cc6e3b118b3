from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from daemons import until
from underpaint.cli import main
from underpaint.cli.results import choose, describe
from underpaint_client import connect
from underpaint_client.address import Address
from underpaint_client.errors import BadInputError
from underpaint_client.messages import WaitingJob
from underpaint_client.request import Request

JOBS = [
    WaitingJob(
        "abc1", Request.of(prompt="a  lake"), Address("Krita", "/a.kra").to_text(), ended=True
    ),
    WaitingJob("abd2", Request(), "no address", ended=False),
]


def test_choosing() -> None:
    assert choose(JOBS, []) == JOBS
    assert choose(JOBS, ["abd", "abc"]) == [JOBS[1], JOBS[0]]
    assert choose(JOBS, ["all"]) == JOBS
    assert choose(JOBS, ["abd", "abd2"]) == [JOBS[1]]
    for ambiguous in ("ab", ""):
        with pytest.raises(BadInputError, match=f"2 jobs begin with '{ambiguous}': abc1, abd2;"):
            choose(JOBS, [ambiguous])
    with pytest.raises(BadInputError, match="no job that waits begins with 'x'"):
        choose(JOBS, ["x"])


def test_a_line() -> None:
    assert describe(JOBS[0]) == "abc1  ended     a lake  (Krita, /a.kra)"
    assert describe(JOBS[1]) == "abd2  not done  no prompt  (from somewhere)"


def leave(images: int, prompt: str) -> str:
    """Ask for pictures, and be gone before they come."""
    request = Request.of(
        prompt=prompt, model="sd", steps=2, strength=1.0, width=64, height=64, images=images, seed=5
    )
    gone = connect()
    job = gone.submit(request)
    next(gone.events(job))
    gone.close()
    with connect() as other:
        until(lambda: job in [one.job for one in other.waiting() if one.ended])
    return job


def test_what_waits_can_be_saved_and_dropped(
    daemon: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, dropped = leave(2, "a lake"), leave(1, "a hill")
    assert main(["results", kept, dropped]) == 0
    assert "ended     a lake" in capsys.readouterr().out
    assert main(["results", "--drop"]) == 2
    assert main(["results", "--drop", dropped]) == 0
    assert f"dropped {dropped[:8]}  ended     a hill" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main(["results", "--save", str(tmp_path / "file" / "in"), kept]) == 2
    assert "choose another with --save" in capsys.readouterr().err
    assert main(["results", "--save", str(tmp_path / "out"), kept[:12]]) == 0
    names = ["a-lake-0001.png", "a-lake-0002.png"]
    assert capsys.readouterr().out.split() == [str(tmp_path / "out" / name) for name in names]
    for name in names:
        with Image.open(tmp_path / "out" / name) as picture:
            assert picture.size == (64, 64)
    with connect() as other:
        assert not {kept, dropped} & {job.job for job in other.waiting()}
    assert main(["results", kept]) == 2
    assert "no job that waits begins" in capsys.readouterr().err
