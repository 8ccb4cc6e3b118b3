"""What others wrote commands no terminal, and what cannot be printed is said rightly."""

from __future__ import annotations

import ast
import io
import json
import logging
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any, Self

import pytest
from rich.console import Console

from daemons import RUN
from underpaint.cli import daemon as daemon_command
from underpaint.cli import main, printing, terminal
from underpaint.server import keys, logs
from underpaint_client import messages
from underpaint_client.errors import BadInputError
from underpaint_client.printable import escape_json, one_line, printable

CLI = Path(printing.__file__).parent

# A window's title, a colour, C1's CSI, a line that is drawn over, and a text turned around.
ATTACK = "\x1b]0;owned\x07\x1b[31mred\x9b2Jx\rover\u202egnp.exe\x08\x7f\udc9bend"
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff]")


def test_controls_are_written_out_and_layout_stays() -> None:
    assert printable("a\n\tb ä 湖 👩‍🎨") == "a\n\tb ä 湖 👩‍🎨"
    assert printable("\x1b[1m\x9b\u202e\udcff\r") == r"\x1b[1m\x9b\u202e\xff\x0d"
    assert not UNSAFE.search(printable(ATTACK))
    assert one_line("a\n b\x1b\u2028c") == r"a b\x1b c"
    assert one_line("x" * 90, 60) == "x" * 60


def test_json_stays_the_same_json() -> None:
    found = {"output": ATTACK, "prompt": "湖\n"}
    text = escape_json(json.dumps(found, ensure_ascii=False))
    assert not UNSAFE.search(text)
    assert "湖" in text
    assert json.loads(text) == found


def test_commands_print_by_one_function() -> None:
    for file in CLI.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and file.name != "printing.py":
                name = ast.unparse(node.func)
                assert name != "print", f"{file.name}:{node.lineno}"
                assert not re.match(r"sys\.std(out|err)\.write", name), f"{file.name}:{node.lineno}"


class FakeConnection:
    """A daemon of somebody else."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        pass

    def status(self) -> messages.Status:
        text = f"{ATTACK}\nqueue     0 jobs"
        worker = messages.WorkerStatus(1, text, text, text)
        job = messages.JobStatus(text, text, text)
        return messages.Status(text, 1, (text,), 1.0, text, (worker,), (job, job))


def test_the_status_of_another_daemon(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(daemon_command, "connect", FakeConnection)
    assert main(["status"]) == 0
    told = capsys.readouterr().out
    assert not UNSAFE.search(told)
    assert len(told.splitlines()) == 7  # nobody adds lines of their own
    assert main(["status", "--json"]) == 0
    told = capsys.readouterr().out
    assert not UNSAFE.search(told)
    assert json.loads(told)["default_model"].startswith(ATTACK)


def test_errors_and_comments(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_words: object) -> None:
        raise BadInputError(ATTACK)

    monkeypatch.setattr(daemon_command, "run_stop", fail)
    assert main(["stop"]) == 2
    public = "a" * 40
    keys.allow_list().write_text(f"{public} \x1b[2Jann\n")
    assert main(["keys", "list"]) == 0
    assert main(["keys", "revoke", "\x1b[2Jann"]) == 0
    found = capsys.readouterr()
    assert not UNSAFE.search(found.out + found.err)
    assert r"aaaa  \x1b[2Jann" in found.out


def test_names_of_models(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = home / "models" / "evil\x1b[31m\n"
    bad.mkdir(parents=True)
    (bad / "model_index.json").write_text('{"_class_name": "\\u001b[2J"}')
    assert main(["models"]) == 0
    found = capsys.readouterr()
    assert "evil" in found.err
    assert not UNSAFE.search(found.out + found.err)
    assert main(["doctor"]) in (0, 3)
    assert not UNSAFE.search(capsys.readouterr().out)


@pytest.mark.parametrize("bar", [False, True])
def test_notes_and_phases(capsys: pytest.CaptureFixture[str], bar: bool) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=200, color_system=None)
    display = terminal.Bar(console) if bar else terminal.Display()
    with display:
        display.say(f"note: {ATTACK}")
        for phase in (f"Opening {ATTACK}", "[/nothing] [link=x]", "Denoising"):
            display.progress(messages.Progress("job", phase, 1, 2))
    found = screen.getvalue() + capsys.readouterr().err
    for attack in ("\x1b]0;", "\x07", "\x1b[31m", "\x9b", "\u202e"):
        assert attack not in found
    assert "[/nothing]" in found


def test_the_log() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "model %s", (ATTACK,), None)
    assert not UNSAFE.search(logs._Formatter("%(message)s").format(record))


def test_paths_are_exact_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    printing.show_path("odd\x1bname.png")
    assert capsys.readouterr().out == "odd\x1bname.png\n"


def run(words: str, to: str) -> subprocess.CompletedProcess[str]:
    command = f"set -o pipefail; {shlex.join(RUN)} {words} {to}"
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("words", ["--help", "generate --help", "keys new", "models --json"])
def test_who_stops_reading_early_has_no_trouble(home: Path, words: str) -> None:
    process = run(words, "| true")
    for wrong in ("cannot be printed", "Traceback", "Broken pipe", "Exception ignored"):
        assert wrong not in process.stderr
    assert process.returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")  # noqa: PTH110
def test_a_full_disk_is_said_once(home: Path) -> None:
    process = run("keys new", ">/dev/full")
    assert process.returncode == 4
    assert process.stderr.count("cannot be printed: No space left on device") == 1
    assert "Traceback" not in process.stderr


def test_a_file_that_cannot_be_written_is_no_trouble_of_printing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdopen", fail)
    assert main(["keys", "new"]) == 3
    told = capsys.readouterr().err
    assert "keys/client." in told
    assert "cannot be used: No space left on device" in told
    assert "printed" not in told
