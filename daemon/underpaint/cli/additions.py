"""List what is added to models: what `underpaint loras` and `underpaint controlnets` share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from underpaint.models import find_model
from underpaint.models.additions import Addition
from underpaint.models.entries import describe_all
from underpaint.models.kinds import fits_base
from underpaint.models.roots import Root

from .models.tables import show_table
from .options import Parser
from .printing import say, show_json

_UNSHOWN = ("facts", "reason", "damage", "stamp")

Listed = TypeVar("Listed", bound=Addition)


def list_additions(
    parser: Parser,
    words: Sequence[str],
    roots: Sequence[Root],
    look: Callable[[Sequence[Root]], Sequence[Listed]],
    heads: Sequence[str],
    row: Callable[[Listed], Sequence[str]],
    kind: type[Listed],
) -> int:
    """List what is there, as a table or as JSON objects.

    Parameters
    ----------
    parser : Parser
        The command's, without options.
    words : sequence of str
        Behind the command.
    roots : sequence of Root
        Where to look; the first is Underpaint's own.
    look : callable
        Lists what is there.
    heads : sequence of str
        The table's.
    row : callable
        Returns a line of the table.
    kind : type
        What is listed.
    """
    title = kind.title
    parser.add_argument("--json", action="store_true", help=f"one JSON object per {title}")
    parser.add_argument("--model", metavar="NAME", help="list only those that may fit this model")
    options = parser.read(words)
    found = look(roots)
    fitting = _that_fit(found, options.model) if options.model else found
    if options.json:
        for one in fitting:
            fields: dict[str, Any] = asdict(one)
            facts = {**fields["facts"], "problem": one.problem}
            show_json({**{n: v for n, v in fields.items() if n not in _UNSHOWN}, **facts})
        return 0
    usable = [one for one in fitting if not one.problem]
    if usable:
        show_table(heads, [row(one) for one in usable])
    for one in fitting:
        if one.problem:
            say(f"underpaint: {one.problem}")
    if not found:
        say(f"no {title}s yet; put them into {roots[0].path}")
    elif not fitting:
        say(f"none of {len(found)} {title}s fits {options.model}")
    return 0


def _that_fit(found: Sequence[Listed], model: str) -> Sequence[Listed]:
    path = str(find_model(model))
    told = next((one for one in describe_all() if one.path == path), None)
    if told is None or not told.family:
        return found
    return [one for one in found if fits_base(one.made_for, told.family, told.variant)]
