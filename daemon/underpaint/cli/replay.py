"""`underpaint replay`: make a picture again from the recipe in it, and print what differs."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from underpaint.models import describe_model, find_model, hash_model, list_models
from underpaint.models.additions import Listed, find_addition
from underpaint.models.controlnet_list import ListedControlNet, list_controlnets
from underpaint.models.embedding_list import EmbeddingIndex, list_embeddings
from underpaint.models.ip_adapter_list import ListedIpAdapter, list_ip_adapters
from underpaint.models.lora_list import ListedLora, list_loras
from underpaint_client.errors import BadInputError, ModelUnavailableError, UnderpaintError
from underpaint_client.recipe import Recipe
from underpaint_client.request import Request
from underpaint_client.rules import check_request
from underpaint_client.sentences import Listing

from .daemon_connection import open_connection
from .generate import (
    read_control_pictures,
    read_inputs,
    read_reference_pictures,
    read_region_masks,
    settle_model,
)
from .job_runner import JobRunner
from .options import Parser
from .output_spec import OutputSpec
from .outputs import choose_outputs
from .pictures import read_picture, read_recipe
from .terminal import make_display

_LOOKED_AT = ("underpaint", "torch", "diffusers", "device", "precision", "quantised")


def make_parser() -> Parser:
    """Return the parser of `underpaint replay`."""
    parser = Parser("replay", "Make a picture again from the recipe in it.")
    add = parser.add_argument
    add("picture", type=Path, help="a picture that Underpaint wrote")
    add("-I", "--init-img", type=Path, metavar="FILE", help="the picture that it was made from")
    add("--selection", type=Path, metavar="FILE", help="the selection that it was made with")
    add(
        "--control",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="the picture of a control layer that it was made with; once for each, in their order",
    )
    add(
        "--reference",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="the picture of a reference layer that it was made with; once for each, in order",
    )
    add(
        "--region",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="the mask of a region that it was made with; once for each, in their order",
    )
    add("--context", type=Path, metavar="FILE", help="the picture below that it was made over")
    add("-m", "--model", help="another model than the recipe's")
    add("-o", "--output", metavar="PATH", help="a PNG file, or a folder, whose files are numbered")
    add("--force", action="store_true", help="replace files that exist")
    add("--json", action="store_true", help="print an object: output, recipe, timings")
    return parser


def run_replay(words: Sequence[str]) -> int:
    """Make it again, and compare."""
    options = make_parser().read(words)
    recipe = read_recipe(options.picture)
    request = _request(recipe, options)
    display = make_display()
    drawing, selection, context = read_inputs(options, request, display)
    rasters = {
        **read_control_pictures(options.control, drawing, display),
        **read_reference_pictures(options.reference, display),
        **read_region_masks(options.region, drawing, display),
    }
    stem = f"{options.picture.stem}-again"
    outputs = choose_outputs(options.output, 1, stem, force=options.force)
    for difference in (*_differences(recipe, request), *_changed_additions(recipe)):
        display.note(difference)
    with open_connection(display) as connection:
        runner = JobRunner(
            connection,
            request,
            drawing,
            OutputSpec(tuple(outputs), stem, request.sampling.images, drawing),
            display,
            force=options.force,
            as_json=options.json,
        )
        runner.run(selection, context, rasters)
    display.say(_compare(options.picture, runner.written[-1], recipe))
    return 0


def _request(recipe: Recipe, options: argparse.Namespace) -> Request:
    request = recipe.request
    wanted = request.sampling.model if options.model is None else options.model
    if wanted:
        request = request.with_values(model=settle_model(wanted))
    changes = request.mode in ("img2img", "inpaint", "edit") or request.control_picture.kind
    if changes and options.init_img is None:
        raise BadInputError(
            "{picture} was made from another picture; name that picture with -I",
            picture=options.picture,
        )
    kinds = [layer.kind for layer in request.conditioning.controls]
    if len(kinds) != len(options.control):
        raise BadInputError(
            "{picture} was made with {count} control layers ({kinds}), and --control names {given};"
            " name the picture of each, in this order",
            picture=options.picture,
            count=len(kinds),
            kinds=Listing(kinds) if kinds else "none",
            given=len(options.control),
        )
    regions = request.conditioning.regions
    if len(regions) != len(options.region):
        names = [one.name or str(index + 1) for index, one in enumerate(regions)]
        raise BadInputError(
            "{picture} was made with {count} regions ({names}), and --region names {given}; name"
            " the mask of each, in this order",
            picture=options.picture,
            count=len(regions),
            names=Listing(names) if names else "none",
            given=len(options.region),
        )
    kinds = [layer.kind for layer in request.conditioning.references]
    if len(kinds) != len(options.reference):
        raise BadInputError(
            "{picture} was made with {count} reference layers ({kinds}), and --reference names"
            " {given}; name the picture of each, in this order",
            picture=options.picture,
            count=len(kinds),
            kinds=Listing(kinds) if kinds else "none",
            given=len(options.reference),
        )
    if (request.source.context == "below") != (options.context is not None):
        if options.context is None:
            raise BadInputError(
                "{picture} was made over another picture; name that picture with --context",
                picture=options.picture,
            )
        raise BadInputError(
            "{picture} was made without a context; leave out --context", picture=options.picture
        )
    try:
        check_request(request)
    except BadInputError as error:
        raise BadInputError(
            "the recipe in {picture} cannot be run: {error}", picture=options.picture, error=error
        ) from None
    return request


def _differences(recipe: Recipe, request: Request) -> list[str]:
    """Return what has changed since then, and may change the picture."""
    found: list[str] = []
    if request.control_picture.kind:
        return found
    try:
        model = hash_model(describe_model(find_model(request.sampling.model)))
    except UnderpaintError:
        if request.sampling.model not in list_models():
            return found  # the daemon will say so
        raise
    if recipe.facts.model_hash and model != recipe.facts.model_hash:
        found.append(f"the model {request.sampling.model!r} has changed since then")
    return found


def _changed_additions(recipe: Recipe) -> list[str]:
    """Return which LoRAs, ControlNets, IP-Adapters and embeddings are another file now.

    One that is missing stops the run, but for an embedding.
    """
    facts, found = recipe.facts, list[str]()
    named = EmbeddingIndex(list_embeddings() if facts.embeddings else ())
    for used in facts.embeddings:
        one = named.get(used.name)
        if one is None:
            found.append(f"the embedding {used.name!r} is gone")
        elif _hash_file(one.path) not in ("", used.sha256):
            found.append(f"the embedding {used.name!r} has changed since then")
    loras = {one.name: one.sha256 for one in facts.loras}
    nets = {one.model: one.sha256 for one in facts.controls if one.sha256}
    found += _changed(ListedLora, loras, list_loras()) if loras else ()
    found += _changed(ListedControlNet, nets, list_controlnets()) if nets else ()
    adapters = {one.model: one.sha256 for one in facts.references if one.sha256}
    found += _changed(ListedIpAdapter, adapters, list_ip_adapters()) if adapters else ()
    return found


def _changed(kind: type[Listed], used: Mapping[str, str], there: Sequence[Listed]) -> Iterator[str]:
    for name, sha256 in used.items():
        with contextlib.suppress(ModelUnavailableError):
            if _hash_file(find_addition(kind, name, there).path) not in ("", sha256):
                yield f"the {kind.title} {name!r} has changed since then"


def _hash_file(path: str) -> str:
    """Return the SHA-256 of a file; empty if it cannot be read."""
    try:
        with Path(path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


_OTHER = {
    "loras": "made with other LoRAs",
    "controls": "held to other control layers, or by other ControlNets",
    "references": "made with other reference layers, or with other models that read them",
    "regions": "made with other masks of its regions",
}
"""What is said where these facts of two recipes differ."""


def _compare(picture: Path, again: Path, recipe: Recipe) -> str:
    """Return how far the new picture is from the old one."""
    was, now = read_picture(picture).pixels, read_picture(again).pixels
    if was.shape != now.shape or was.dtype != now.dtype:
        return "the picture differs: it has another size or depth; it was made from another input"
    distance = np.abs(was.astype(np.int64) - now.astype(np.int64))
    if not distance.any():
        return "the picture is identical"
    then, made = recipe.facts, read_recipe(again).facts
    share = 100 * float((distance.max(axis=-1) > 0).mean())
    told = f"the picture differs in {share:.1f} % of its pixels, by up to {distance.max()}"
    if then.context_hash != made.context_hash:
        told += "; it was made with another context"
    elif then.source_hash and made.source_hash != then.source_hash:
        told += "; it was made from another input"
    differ = (name for name in _OTHER if getattr(then, name) != getattr(made, name))
    told += "".join(f"; it was {_OTHER[name]}" for name in differ)
    for name in _LOOKED_AT:
        before, after = then.versions.get(name, ""), made.versions.get(name, "")
        if before != after:
            told += f"; {name} was {before or 'none'} and is now {after or 'none'}"
    return told
