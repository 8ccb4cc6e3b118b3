"""The house's rules: who may import whom, seen in fresh processes."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(found.stdout.split())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import underpaint_client", {"zmq", "numpy", "msgspec", "torch", "underpaint"}),
        ("import underpaint.server.daemon", {"torch", "diffusers", "transformers", "numpy"}),
        ("import underpaint.models", {"torch", "diffusers", "transformers"}),
        ("import underpaint.cli", {"torch", "diffusers", "transformers"}),
        ("from underpaint.engine import Engine", {"zmq", "msgspec"}),
    ],
)
def test_imports_stay_small(statement: str, absent: set[str]) -> None:
    assert not loaded_by(statement) & absent


def test_the_client_needs_the_standard_library_alone() -> None:
    for file in (ROOT / "editor_plugin" / "underpaint_client").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for name in names:
                top = name.partition(".")[0]
                assert top in sys.stdlib_module_names or (file.name, top) == (
                    "connection.py",
                    "zmq",
                ), f"{file.name} imports {name}"


def test_the_engine_knows_neither_wire_nor_connection() -> None:
    for file in (ROOT / "daemon" / "underpaint" / "engine").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert "underpaint_client.wire" not in text
        assert "underpaint_client.connection" not in text
        assert "underpaint_client import Connection" not in text
