"""Collect the sentences that people read, for translation.

`python tests/sentence_catalogue.py FOLDER` writes one `.pot` file for each package into the
folder. What is collected are the literals that errors are raised with, those of `sentence` and
`Sentence`, notes, the phases of progress, and what is declared to be a `Label`: a field of a
class, a parameter of a function, or a dictionary's values.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = {
    name: ROOT / folder / name
    for folder, names in {
        "daemon": ("underpaint",),
        "editor_plugin": (
            "underpaint_client", "underpaint_editor", "underpaint_krita", "underpaint_gimp",
        ),
    }.items()
    for name in names
}  # fmt: skip


def _read_nodes() -> Iterator[ast.AST]:
    for folder in PACKAGES.values():
        for file in folder.rglob("*.py"):
            yield from ast.walk(ast.parse(file.read_text(encoding="utf-8")))


NODES = list(_read_nodes())
"""All that is written in the packages."""


def _find_errors() -> set[str]:
    """Return the names of the errors that people read, wherever they are defined."""
    classes = {
        node.name: {_name(base) for base in node.bases}
        for node in NODES
        if isinstance(node, ast.ClassDef)
    }
    found = {"UnderpaintError"}
    while more := {name for name, bases in classes.items() if bases & found} - found:
        found |= more
    return found


def _name(node: ast.AST) -> str:
    return getattr(node, "id", "") or getattr(node, "attr", "")


def _is_label(annotation: ast.AST | None) -> bool:
    """Return whether a type is `Label`, or a mapping to it."""
    return annotation is not None and any(_name(one) == "Label" for one in ast.walk(annotation))


def _find_labelled() -> dict[str, dict[str, int]]:
    """Return what takes labels: classes and functions by name; which arguments, and where."""
    found: dict[str, dict[str, int]] = {}
    for node in NODES:
        arguments: list[tuple[str, ast.expr | None]]
        if isinstance(node, ast.ClassDef):
            fields = [one for one in node.body if isinstance(one, ast.AnnAssign)]
            arguments = [(_name(one.target), one.annotation) for one in fields]
        elif isinstance(node, ast.FunctionDef):
            arguments = [(one.arg, one.annotation) for one in node.args.args]
        else:
            continue
        places = {name: at for at, (name, kind) in enumerate(arguments) if _is_label(kind)}
        if places:
            found[node.name] = places
    return found


LABELLED = _find_labelled()
LABEL_CONSTANTS = {
    _name(node.target)
    for node in NODES
    if isinstance(node, ast.AnnAssign) and _is_label(node.annotation)
}
ERRORS = _find_errors()
WRITERS = ERRORS | {"sentence", "Sentence"}
"""What is called with a template first."""

PHASES = {"Progress"}
NOTES = {"notes"}


@dataclass(frozen=True)
class Written:
    """A sentence in the source.

    Parameters
    ----------
    template, plural : str
        Empty where they are no literals.
    values : frozenset of str, optional
        The names of the values that it is given; None for a text that takes none.
    is_built : bool
        Whether it is put together by an f-string, `+`, `%` or `format` instead.
    """

    file: Path
    line: int
    template: str
    plural: str = ""
    values: frozenset[str] | None = None
    is_built: bool = False

    @property
    def where(self) -> str:
        """The file inside the repository."""
        return self.file.relative_to(ROOT).as_posix()


def read_source(file: Path, source: str) -> Iterator[Written]:
    """Yield the sentences of a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield from _of_call(file, node)
        elif isinstance(node, ast.AnnAssign) and node.value and _is_label(node.annotation):
            yield from _of_label(file, node.value)
        elif isinstance(node, (ast.Assign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(_name(target) in NOTES for target in targets):
                yield from _of_notes(file, node.value)


def read_package(folder: Path) -> list[Written]:
    """Return the sentences of a package, in the order of its files."""
    return [
        one
        for file in sorted(folder.rglob("*.py"))
        for one in read_source(file, file.read_text(encoding="utf-8"))
    ]


def _of_call(file: Path, call: ast.Call) -> Iterator[Written]:
    name = _name(call.func)
    if _is_of_base(call.func) and call.args and (_literal(call.args[0]) or _is_built(call.args[0])):
        name = "UnderpaintError"  # an error calls its base class
    if name in WRITERS and call.args:
        yield _of_writer(file, call, name)
    elif name in PHASES:
        for one in call.args:
            if _literal(one) or _is_built(one):
                yield Written(file, one.lineno, _literal(one), is_built=_is_built(one))
    elif isinstance(call.func, ast.Name) and name in LABELLED:  # else a toolkit's of that name
        for argument, at in LABELLED[name].items():
            given = [one.value for one in call.keywords if one.arg == argument]
            for one in given or call.args[at : at + 1]:
                yield from _of_label(file, one)
    else:
        yield from _of_call_with_notes(file, call)


def _of_writer(file: Path, call: ast.Call, name: str) -> Written:
    """Return what an error, `sentence` or `Sentence` is called with."""
    first, *others = call.args
    plural = next((text for one in others if (text := _literal(one)) and name[0] == "s"), "")
    names = frozenset(one.arg for one in call.keywords if one.arg)
    is_built = _is_built(first)
    if name == "sentence" and not _literal(first):  # `**` is for who passes a template on
        is_built = all(one.arg for one in call.keywords)
    takes = names if name == "sentence" or (names and name in ERRORS) else None
    text = _literal(first)
    if name == "sentence" and not names and not plural:  # it is looked up as it reads
        text = text.replace("{{", "{").replace("}}", "}")
        takes = None
    return Written(file, call.lineno, text, plural, takes, is_built)


def _of_label(file: Path, value: ast.expr) -> Iterator[Written]:
    """Yield a label, or those of a mapping. What is neither is taken for built."""
    if isinstance(value, ast.Dict):  # without what is unpacked into it
        for key, one in zip(value.keys, value.values, strict=True):
            if key is not None:
                yield from _of_label(file, one)
    elif not _is_declared_elsewhere(value):
        yield Written(file, value.lineno, _literal(value), is_built=not _is_text(value))


def _is_of_base(function: ast.expr) -> bool:
    """Return whether a call is `super().__init__`."""
    return (
        isinstance(function, ast.Attribute)
        and function.attr == "__init__"
        and isinstance(function.value, ast.Call)
        and _name(function.value.func) == "super"
    )


def _of_call_with_notes(file: Path, call: ast.Call) -> Iterator[Written]:
    """Yield what is appended to notes, or given as them."""
    notes = [keyword.value for keyword in call.keywords if keyword.arg in NOTES]
    if isinstance(call.func, ast.Attribute) and _name(call.func.value) in NOTES:
        notes += call.args
    for one in notes:
        yield from _of_notes(file, one)


def _of_notes(file: Path, value: ast.AST) -> Iterator[Written]:
    """Yield the literals and built texts of a note, or of a list of them."""
    if isinstance(value, ast.IfExp):
        values: list[ast.expr] = [value.body, value.orelse]
    elif isinstance(value, (ast.Tuple, ast.List)):
        values = value.elts
    elif isinstance(value, (ast.ListComp, ast.GeneratorExp)):
        values = [value.elt]
    elif isinstance(value, ast.expr) and (_literal(value) or _is_built(value)):
        yield Written(file, value.lineno, _literal(value), is_built=_is_built(value))
        return
    else:
        return
    for one in values:
        yield from _of_notes(file, one.value if isinstance(one, ast.Starred) else one)


def _is_declared_elsewhere(value: ast.expr) -> bool:
    """Return whether a value is a constant or an attribute, which were collected there."""
    if isinstance(value, ast.Name):
        return value.id in LABEL_CONSTANTS
    return isinstance(value, ast.Attribute) or (
        isinstance(value, ast.Call) and _name(value.func) == "field"
    )


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _literal(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _is_built(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp):
        return any(_literal(one) or _is_built(one) for one in (node.left, node.right))
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and node.func.attr == "format"
    return isinstance(node, ast.JoinedStr)


_WORDS = re.compile(r"[A-Za-z]{2,}[,;:.]? | [A-Za-z]{2,}")
_UNSEEN = {
    "AttributeError", "LookupError", "OSError", "RuntimeError", "TypeError", "ValueError",
    "MemoryError", "DatabaseError", "DamagedFileError", "log_event", "log_exception", "debug",
    "info", "warning", "error", "exception", "sentence",
}  # fmt: skip
"""What is called with words that are no sentences: errors of programs, logs, values."""


def find_put_together(source: str) -> list[str]:
    """Return the words of a module that are put together by f-strings, wherever they go.

    Words in an error of Python's, in a log, and in a value of a sentence are not among them.
    """
    tree = ast.parse(source)
    passed_over: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) in _UNSEEN:
            passed_over |= {id(one) for one in ast.walk(node)}
    texts = (
        "".join(_literal(part) or "{}" for part in node.values)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr) and id(node) not in passed_over
    )
    return [text for text in texts if _WORDS.search(text)]


def make_pot(sentences: list[Written]) -> str:
    """Return sentences as gettext's tools read them, each once, with where they are written."""
    places: dict[tuple[str, str], list[str]] = {}
    with_values = {one.template for one in sentences if one.values}
    for one in sentences:
        if one.template:
            places.setdefault((one.template, one.plural), []).append(f"{one.where}:{one.line}")
    parts = ['msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n']
    for (template, plural), where in places.items():
        lines = [f"#: {place}" for place in where]
        if template in with_values:
            lines.append("#, python-brace-format")
        lines.append(f"msgid {_quote(template)}")
        if plural:
            lines += [f"msgid_plural {_quote(plural)}", 'msgstr[0] ""', 'msgstr[1] ""']
        else:
            lines.append('msgstr ""')
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def main(folder: Path) -> None:
    """Write the catalogues."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, package in PACKAGES.items():
        (folder / f"{name}.pot").write_text(make_pot(read_package(package)), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
