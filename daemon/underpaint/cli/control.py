"""`underpaint control`: the picture of a control layer, made from any picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from underpaint_client.control_layers import CONTROL_PICTURES, ControlPicture
from underpaint_client.request import Request
from underpaint_client.rules import check_request

from .daemon_connection import open_connection
from .job_runner import JobRunner
from .options import Parser
from .output_spec import OutputSpec
from .outputs import choose_outputs
from .pictures import read_picture
from .terminal import make_display

_EXAMPLES = """
examples:
  underpaint control canny photo.png edges.png
  underpaint control depth photo.png -o depths/
  underpaint generate a castle -I photo.png --control depth=depth.png:0.8
"""


def make_parser() -> Parser:
    """Return the parser of `underpaint control`."""
    parser = Parser("control", "Make the picture of a control layer from any picture.")
    parser.epilog = _EXAMPLES
    add = parser.add_argument
    add("kind", choices=CONTROL_PICTURES, help=f"one of {', '.join(CONTROL_PICTURES)}")
    add("picture", type=Path, help="the picture that it is made from; all of it counts")
    add("out", nargs="?", help="a PNG file, or a folder, whose files are numbered")
    add("-o", "--output", metavar="PATH", help="the same")
    add(
        "--preprocessor",
        default="",
        metavar="NAME",
        help="the model that computes it, as `underpaint preprocessors` lists it",
    )
    add("--force", action="store_true", help="replace files that exist")
    add("--json", action="store_true", help="print an object: output, recipe, timings")
    return parser


def run_control(words: Sequence[str]) -> int:
    """Make it, and write what comes."""
    options = make_parser().read(words)
    wanted = ControlPicture(options.kind, options.preprocessor)
    request = replace(Request(), control_picture=wanted)
    check_request(request)
    display = make_display()
    drawing = read_picture(options.picture)
    for note in drawing.notes:
        display.note(note)
    stem = f"{options.picture.stem}-{options.kind}"
    outputs = choose_outputs(options.output or options.out, 1, stem, force=options.force)
    with open_connection(display) as connection:
        JobRunner(
            connection,
            request,
            drawing,
            OutputSpec(tuple(outputs), stem, 1, drawing),
            display,
            force=options.force,
            as_json=options.json,
        ).run(None, None, {})
    return 0
