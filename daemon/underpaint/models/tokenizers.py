"""Whether a tokenizer can read a prompt. A broken one opens all the same, and drops every word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from underpaint_client.errors import ModelUnavailableError

from .files import Part
from .reading import read_json, read_text

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
"""What every vocabulary has alone: words that it does not know are built of such tokens."""

_UNMADE = 0.01
"""The share of a vocabulary that may come from no merge: tokens that somebody added."""


def check_tokenizer(model: Path, part: Part, encoder: dict[str, Any]) -> int:
    """See that a tokenizer knows words, and that its text encoder knows all its tokens.

    Parameters
    ----------
    model : Path
        The model's folder.
    part : Part
        The tokenizer.
    encoder : dict
        What the `config.json` of its text encoder holds.

    Returns
    -------
    int
        How many tokens a prompt may have, with its start and its end: what the tokenizer says, at
        most what the encoder has positions for.

    Raises
    ------
    ModelUnavailableError
        Names the file that is empty, cut short, or of another model.
    """
    files = {file.opened_as: file.path for file in part.files}
    settings = {
        name: read_json(model, path)
        for name, path in files.items()
        if name not in ("tokenizer.json", "vocab.json", "merges.txt")
    }
    if "tokenizer.json" in files:
        source = merges_source = files["tokenizer.json"]
        vocabulary, merges, added = _read_fast(model, source)
    else:
        source, merges_source = files["vocab.json"], files["merges.txt"]
        vocabulary, merges = read_json(model, source), _read_merges(model, merges_source)
        added = {}
    added |= settings.get("added_tokens.json", {})
    _check_vocabulary(model, source, vocabulary, added, encoder)
    _check_merges(model, merges_source, vocabulary, merges)
    config = settings.get("tokenizer_config.json", {})
    known = vocabulary.keys() | added.keys()
    for role, default in (("bos_token", "<|startoftext|>"), ("eos_token", "<|endoftext|>")):
        token = settings.get("special_tokens_map.json", {}).get(role, config.get(role, default))
        name = token.get("content") if isinstance(token, dict) else token
        if name not in known:
            raise _broken(model, source, f"it lacks the {role} {str(name)[:80]!r}")
    return _choose_length(model, files, config, encoder)


def _choose_length(
    model: Path, files: dict[str, str], config: dict[str, Any], encoder: dict[str, Any]
) -> int:
    """Return how many tokens a prompt may have.

    Configs without a length, and those with the 10^30 that transformers writes for "unknown", mean
    as many as the encoder has positions.
    """
    positions = encoder.get("max_position_embeddings", 77)
    said = config.get("model_max_length")
    length = positions if said is None else said
    if type(positions) is not int or type(length) not in (int, float) or not length >= 3:
        name = files.get("tokenizer_config.json", "tokenizer_config.json")
        raise ModelUnavailableError(
            f"model {model}: {name}: model_max_length {str(said)[:80]!r} leaves no room for a"
            f" prompt; set it to {positions}, or fetch the file again"
        )
    return int(min(length, positions))


def _read_fast(model: Path, name: str) -> tuple[dict[str, Any], list[Any], dict[str, Any]]:
    """Return vocabulary, merges and added tokens of a `tokenizer.json`."""
    found = read_json(model, name)
    inner, added = found.get("model"), found.get("added_tokens")
    if not isinstance(inner, dict) or inner.get("type", "BPE") != "BPE":
        raise _broken(model, name, "it holds no byte-pair encoding")
    merges = inner.get("merges")
    if not isinstance(added, list) or not isinstance(merges, list):
        raise _broken(model, name, "it lacks added_tokens or merges")
    vocabulary = inner.get("vocab")
    if not isinstance(vocabulary, dict):
        raise _broken(model, name, "it has no vocabulary")
    tokens = [one for one in added if isinstance(one, dict) and isinstance(one.get("content"), str)]
    return vocabulary, merges, {one["content"]: one.get("id") for one in tokens}


def _read_merges(model: Path, name: str) -> list[str]:
    lines = read_text(model, name).splitlines()
    if not lines:
        raise _broken(model, name, "it is empty")
    return [line for line in lines[lines[0].startswith("#version") :] if line]


def _check_vocabulary(
    model: Path,
    name: str,
    vocabulary: dict[str, Any],
    added: dict[str, Any],
    encoder: dict[str, Any],
) -> None:
    size = encoder.get("vocab_size", 49408)
    missing = [one for one in LETTERS if one not in vocabulary]
    if not any(token.endswith("</w>") for token in vocabulary):
        missing.append("</w>")
    if missing:
        raise _broken(
            model, name, f"its {len(vocabulary)} tokens lack {missing[0]!r}, so that words are lost"
        )
    for token, number in (*vocabulary.items(), *added.items()):
        if type(number) is not int or not 0 <= number < size:
            raise _broken(
                model,
                name,
                f"its token {token[:80]!r} has the number {json.dumps(number)[:80]}, and the text"
                f" encoder knows 0 to {size - 1}",
            )


def _check_merges(model: Path, name: str, vocabulary: dict[str, Any], merges: list[Any]) -> None:
    made = set()
    for merge in merges:
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or not all(one in vocabulary for one in pair)
        ):
            raise _broken(model, name, f"its merge {str(merge)[:80]!r} is of no two of its tokens")
        made.add(pair[0] + pair[1])
        if pair[0] + pair[1] not in vocabulary:
            raise _broken(model, name, f"its merge {str(merge)[:80]!r} makes none of its tokens")
    unmade = [
        one
        for one in vocabulary
        if one not in made and len(one.removesuffix("</w>")) > 1 and not one.startswith("<|")
    ]
    if len(unmade) > _UNMADE * len(vocabulary):
        raise _broken(
            model,
            name,
            f"it is cut short: {len(unmade)} tokens, {unmade[0]!r} first, are never made",
        )


def _broken(model: Path, name: str, reason: str) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"model {model} cannot read prompts: {name}: {reason}; fetch it again"
    )
