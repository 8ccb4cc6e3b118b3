"""The log stays short, and has nothing in it of what was painted."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import zmq

from underpaint.server import logs
from underpaint.server.paths import log_file, make_home
from underpaint_client import connect, messages, wire
from underpaint_client.dealer import open_dealer
from underpaint_client.request import Request

SECRET = "a-lighthouse-nobody-must-know-of"


def test_a_log_is_turned_while_others_write_to_it(home: Path) -> None:
    make_home()
    assert log_file().parent.stat().st_mode & 0o777 == 0o700
    with log_file().open("ab", buffering=0) as daemon, log_file().open("ab", buffering=0) as worker:
        daemon.write(b"old\n" * 300)
        logs.turn_log(1000)
        worker.write(b"new\n")
        daemon.write(b"newer\n")
        logs.turn_log(1000)
    assert log_file().read_bytes() == b"new\nnewer\n"
    assert log_file().with_suffix(".log.1").read_bytes() == b"old\n" * 300


def test_only_the_process_whose_log_it_is_turns_it(home: Path) -> None:
    make_home()
    code = (
        "from underpaint.server import logs; import sys;"
        "sys.stderr.write('x' * 100); sys.stderr.flush(); logs.LogTurner(10).look()"
    )
    with log_file().open("ab") as file:
        file.write(b"y" * 100)
        file.flush()
        subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.PIPE)
        assert log_file().stat().st_size == 100
        subprocess.run([sys.executable, "-c", code], check=True, stderr=file)
    assert log_file().stat().st_size == 0


def test_an_exception_is_written_without_its_words() -> None:
    formatter = logs._Formatter()
    try:
        try:
            int(SECRET)
        except ValueError as error:
            raise RuntimeError(SECRET) from error
    except RuntimeError:
        record = logging.LogRecord("x", 0, "x", 1, "job %s failed", ("7",), sys.exc_info())
    written = formatter.format(record)
    assert SECRET not in written
    assert "RuntimeError" in written
    assert "ValueError" in written
    assert f"{Path(__file__).name}:" in written


def test_the_log_of_a_daemon_knows_no_prompt(daemon: Path) -> None:
    prompts = [SECRET, f"{SECRET} " * 100, f"{{{SECRET}|{SECRET}", "\0" + SECRET]
    requests = [Request.of(prompt=p, model="sd", steps=1, width=64, height=64) for p in prompts]
    requests += [
        Request.of(prompt=SECRET, sampler=SECRET),
        Request.of(prompt=SECRET, model=f"/{SECRET}"),
        Request.of(prompt=SECRET * 1000),
    ]
    with connect() as connection:
        for request in requests:
            job = connection.submit(request)
            *_, (last, _) = connection.events(job)
            assert isinstance(last, messages.Done | messages.Failed)
        connection.cancel(connection.submit(Request.of(prompt=SECRET, model="sd", steps=100)))
        with zmq.Context() as context, open_dealer(zmq, context, connection.info) as dealer:
            dealer.send_multipart([SECRET.encode()])
            refused, _ = wire.decode(dealer.recv_multipart())
            assert isinstance(refused, messages.Failed)
            assert "not JSON" in refused.message
    text = log_file().read_text(encoding="utf-8", errors="replace")
    assert "refused a message" in text
    assert SECRET not in text
