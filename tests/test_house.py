"""The house's rules: who may import whom, seen in fresh processes."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

from run_order import FIRST, find_rank

ROOT = Path(__file__).parents[1]


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(found.stdout.split())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import underpaint_client", {"zmq", "numpy", "msgspec", "torch", "underpaint"}),
        ("import underpaint_editor.session", {"zmq", "numpy", "msgspec", "torch", "underpaint"}),
        ("import underpaint.server.daemon", {"torch", "diffusers", "transformers", "numpy"}),
        ("import underpaint.models", {"torch", "diffusers", "transformers"}),
        ("import underpaint.cli", {"torch", "diffusers", "transformers"}),
        ("from underpaint.engine import Engine", {"zmq"}),
    ],
)
def test_imports_stay_small(statement: str, absent: set[str]) -> None:
    assert not loaded_by(statement) & absent


def imports(source: str, package: str) -> set[str]:
    """Return the full names of all that a module imports, wherever in it and in whatever form.

    Parameters
    ----------
    source : str
        The module's text.
    package : str
        The package that it lies in: relative imports begin there.

    Returns
    -------
    set of str
        Both `a` and `a.b` for `from a import b`, which may be a module or a name in one. What is
        reached as an attribute of an imported name is among them.
    """
    found: set[str] = set()
    tree = ast.parse(source)
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.add(alias.name)
                top = alias.name.partition(".")[0]
                aliases[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            base = resolve_name(base, package) if node.level else base
            found.add(base)
            for alias in node.names:
                found.add(f"{base}.{alias.name}")
                aliases[alias.asname or alias.name] = f"{base}.{alias.name}"
        elif isinstance(node, ast.Call) and _is_import_call(node.func):
            name = _literal(node.args[0] if node.args else node.keywords[0].value)
            found.add(resolve_name(name, package) if name.startswith(".") else name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (name := _dotted(node)):
            top, _, rest = name.partition(".")
            if top in aliases:
                found.add(f"{aliases[top]}.{rest}")
    return found


def _is_import_call(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("import_module", "__import__")


def _literal(node: ast.expr) -> str:
    """Return what a call imports; of an f-string, what is known of it."""
    if isinstance(node, ast.JoinedStr):
        node = node.values[0] if node.values else ast.Constant("")
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else "?"


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return node.id if isinstance(node, ast.Name) else ""


def imports_of(folder: Path) -> Iterator[tuple[str, set[str]]]:
    """Yield each module of a package, subfolders too, as a path from it, and what it imports.

    The package's full name begins at `underpaint` or `underpaint_client`.
    """
    start = max(n for n, part in enumerate(folder.parts) if part in PACKAGES)
    for file in sorted(folder.rglob("*.py")):
        package = ".".join(file.parent.parts[start:])
        yield str(file.relative_to(folder)), imports(file.read_text(encoding="utf-8"), package)


CLIENT = ROOT / "editor_plugin" / "underpaint_client"
ENGINE = ROOT / "daemon" / "underpaint" / "engine"
PACKAGES = ("underpaint", "underpaint_client")


def beyond_the_standard_library(file: str, names: set[str]) -> set[str]:
    """Return what a module of the client imports and may not."""
    allowed = {*sys.stdlib_module_names, "__future__", "underpaint_client"}
    if file == "connection.py":
        allowed.add("zmq")
    return {name for name in names if name.partition(".")[0] not in allowed}


def sockets_in(names: set[str]) -> set[str]:
    """Return what a module of the engine imports and may not: wire, connection, what is of them."""
    closed = {
        "underpaint_client.wire",
        "underpaint_client.messages",
        "underpaint_client.connection",
        "underpaint_editor",
        "underpaint.server",
        "zmq",
    }
    text = (CLIENT / "__init__.py").read_text(encoding="utf-8")
    for name in imports(text, "underpaint_client"):
        if name.startswith(("underpaint_client.wire.", "underpaint_client.connection.")):
            closed.add(f"underpaint_client.{name.rpartition('.')[2]}")
    return {
        name for name in names if any(name == one or name.startswith(f"{one}.") for one in closed)
    }


def test_what_takes_longest_is_begun_first() -> None:
    tests = ROOT / "tests"
    assert all((tests / one).exists() for one in FIRST)
    files = [one.relative_to(tests).as_posix() for one in sorted(tests.rglob("test_*.py"))]
    ordered = sorted(files, key=find_rank)
    assert ordered[:2] == list(FIRST[:2])
    assert {one.partition("/")[0] for one in ordered[2:5]} == {"training"}
    rest = [one for one in files if find_rank(one) == len(FIRST)]
    assert ordered[-len(rest) :] == rest


def test_the_client_needs_the_standard_library_alone() -> None:
    seen = dict(imports_of(CLIENT))
    assert "connection.py" in seen
    assert not {
        f: odd for f, names in seen.items() if (odd := beyond_the_standard_library(f, names))
    }


def test_the_engine_knows_neither_wire_nor_connection() -> None:
    seen = dict(imports_of(ENGINE))
    assert "run.py" in seen
    assert not {file: odd for file, names in seen.items() if (odd := sockets_in(names))}


@pytest.mark.parametrize(
    "source",
    [
        "import underpaint_client.wire",
        "import underpaint_client.wire as w",
        "import json, underpaint_client.connection",
        "from underpaint_client import wire",
        "from underpaint_client import request, wire as other",
        "from underpaint_client.wire import Submit",
        "from underpaint_client import Connection",
        "from underpaint_client import connect as call",
        "from underpaint_client import messages",
        "from underpaint_client.messages import Submit",
        "import underpaint_editor.session",
        "import underpaint_client as u\nu.wire.encode",
        "import underpaint_client\nunderpaint_client.connect()",
        "import underpaint_client.rules\nunderpaint_client.connection.connect()",
        "def late():\n    from underpaint_client import wire",
        "class Late:\n    def late(self):\n        import underpaint_client.wire",
        "if 0:\n    try:\n        import zmq\n    except ImportError:\n        pass",
        "import importlib\nimportlib.import_module('underpaint_client.wire')",
        "from importlib import import_module\nimport_module(name='underpaint_client.wire')",
        "import importlib\nimportlib.import_module('..server.jobs', __name__)",
        "__import__('zmq')",
        "from ..server import jobs",
        "from .. import server",
        "import zmq.asyncio",
    ],
)
def test_an_import_is_seen_in_every_form(source: str, tmp_path: Path) -> None:
    assert sockets_in(imports(source, "underpaint.engine"))
    assert "json" in imports(source + "\nimport json", "underpaint.engine")


@pytest.mark.parametrize(
    "source",
    [
        "import numpy",
        "import numpy.linalg as n",
        "from numpy import array",
        "def late():\n    import numpy",
        "import importlib\nimportlib.import_module('numpy')",
        "__import__('numpy')",
        "from .. import underpaint_gimp",
        "from ..underpaint_gimp import window",
        "import zmq",
    ],
)
def test_the_client_may_import_nothing_more(source: str) -> None:
    assert beyond_the_standard_library("rules.py", imports(source, "editor.underpaint_client"))


@pytest.mark.parametrize(
    "source",
    [
        "from underpaint_client import rules, request",
        "from underpaint_client.errors import BadInputError",
        "from . import plan",
        "import wirelessly",
        "wire = 1\nprint(wire)  # underpaint_client.wire is not for the engine",
    ],
)
def test_what_the_engine_may_import_is_let_be(source: str) -> None:
    assert not sockets_in(imports(source, "underpaint.engine"))


def test_subfolders_are_looked_into(tmp_path: Path) -> None:
    engine = tmp_path / "underpaint" / "engine"
    deep = engine / "families"
    deep.mkdir(parents=True)
    (deep / "flow.py").write_text("from ...server import jobs\n")
    seen = dict(imports_of(engine))
    assert sockets_in(seen[str(Path("families") / "flow.py")])


@pytest.mark.parametrize(
    "script",
    [
        path
        for folder in ("daemon", "editor_plugin", "install", "tests")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.read_bytes().startswith(b"#!")
    ],
    ids=lambda path: path.name,
)
def test_a_script_imports_by_full_names(script: Path) -> None:
    tree = ast.parse(script.read_text(encoding="utf-8"))
    relative = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    assert not [ast.unparse(node) for node in relative]  # it lies in no package when it runs


DOCUMENTED = ("daemon/training", "daemon/underpaint", "editor_plugin", "tests")
VAGUE = {"Give", "Tell", "Say"}


def vague_docstrings(source: str) -> list[str]:
    """Return the functions whose docstring begins with a verb that does not say what they do."""
    functions = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef))
    texts = ((node.name, (ast.get_docstring(node) or "-").split()[0]) for node in functions)
    return [name for name, first in texts if first in VAGUE]


@pytest.mark.parametrize("folder", DOCUMENTED)
def test_docstrings_say_return_send_or_handle(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    found = {file.name: vague_docstrings(file.read_text(encoding="utf-8")) for file in files}
    assert not {name: functions for name, functions in found.items() if functions}


def test_a_vague_docstring_is_seen() -> None:
    assert vague_docstrings('def f():\n    """Give the end."""') == ["f"]
    assert not vague_docstrings('def f():\n    """Return the end."""\n\ndef g(): ...')
