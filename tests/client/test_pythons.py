"""The client on every Python that is installed, as the editors bring their own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CLIENT = Path(__file__).parents[2] / "editor_plugin"

SCRIPT = """
import sys
sys.path[:0] = [{client!r}, {packages!r}]
from underpaint_client import Box, Frame, InputFrames, Request, connect
connection = connect()
assert connection.hello().pid == connection.info.pid
data = bytes(range(64))
frame = Frame("layer", Box(1, 2, 4, 4), "u1", "BGRA", data)
job = connection.submit(Request.of(strength=0.0), InputFrames(frame))
pictures = [frames[0] for message, frames in connection.events(job) if message.type == "picture"]
assert [bytes(picture.data) for picture in pictures] == [data]
assert connection.fd > 0
connection.close()
print(sys.version)
"""


def find_pythons() -> dict[str, str]:
    """Return every CPython from 3.9 on that is on the PATH or under pyenv, by version."""
    found: dict[str, str] = {}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in range(9, 15):
        version = f"3.{minor}"
        candidates = [
            shutil.which(f"python{version}"),
            *map(str, pyenv.glob(f"{version}.*/bin/python")),
        ]
        for candidate in filter(None, candidates):
            asked = subprocess.run(
                [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if asked.stdout.strip() == version:
                found.setdefault(version, str(candidate))
    return found


PYTHONS = find_pythons()


@pytest.mark.parametrize("version", PYTHONS)
def test_client(daemon: Path, version: str, pytestconfig: pytest.Config) -> None:
    assert pytestconfig.cache is not None
    packages: Path = pytestconfig.cache.mkdir(f"pyzmq-{version}")
    if not (packages / "zmq").exists():
        installed = subprocess.run(
            [PYTHONS[version], "-m", "pip", "install", "--quiet", "--target", packages, "pyzmq"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if installed.returncode:
            pytest.skip(
                f"pyzmq cannot be installed for Python {version}: {installed.stderr[-200:]}"
            )
    script = SCRIPT.format(client=str(CLIENT), packages=str(packages))
    process = subprocess.run(
        [PYTHONS[version], "-W", "error", "-c", script], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith(version)
