"""Check that a tokenizer can read a prompt. A broken one can be opened, and drops every word."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from underpaint_client.errors import ModelUnavailableError, UnderpaintError
from underpaint_client.sentences import Sentence, sentence

from .files import Part
from .reading import MOST_WORDS, parse_json, read_json, read_text

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
"""Tokens of every vocabulary: words that it does not know are built of them."""

_WORDS = ("tokenizer.json", "vocab.json", "merges.txt")

_UNMADE = 0.01
"""The largest share of a vocabulary that comes from no merge: tokens that somebody added."""


def check_tokenizer(model: Path, part: Part, encoder: dict[str, Any]) -> int | None:
    """Check that a tokenizer knows words, and that its text encoder knows all its tokens.

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
        most what the encoder has positions for. None for other tokenizers than CLIP's: their
        pipelines say it.

    Raises
    ------
    ModelUnavailableError
        A file is empty, truncated, or of another model. The message names it.
    """
    files = {file.opened_as: file.path for file in part.files}
    if "CLIP" not in part.class_name:
        _check_other(model, files)
        return None
    settings = {name: read_json(model, files[name]) for name in files if name not in _WORDS}
    source = files.get("tokenizer.json") or files["vocab.json"]
    merges_source = files.get("merges.txt") or source
    texts = [read_text(model, name) for name in (source, merges_source)]
    size = encoder.get("vocab_size", 49408)
    added = settings.get("added_tokens.json", {})
    try:
        known = _read_words(*texts, size) | added.keys()
        _check_numbers(added, size)
    except _NoVocabularyError as error:
        raise _broken(model, source, error.sentence) from None
    except _NoMergesError as error:
        raise _broken(model, merges_source, error.sentence) from None
    config = settings.get("tokenizer_config.json", {})
    for role, default in (("bos_token", "<|startoftext|>"), ("eos_token", "<|endoftext|>")):
        token = settings.get("special_tokens_map.json", {}).get(role, config.get(role, default))
        name = token.get("content") if isinstance(token, dict) else token
        if not isinstance(name, str) or name not in known:
            lacks = sentence("it lacks the {role} {token!r}", role=role, token=str(name)[:80])
            raise _broken(model, source, lacks)
    return _choose_length(model, files, config, encoder)


def _check_other(model: Path, files: dict[str, str]) -> None:
    """Check that a tokenizer that is not CLIP's has a vocabulary; opening it tries its words."""
    for name in files.values():
        if name.endswith(".json"):
            read_json(model, name, most=MOST_WORDS)
    if "tokenizer.json" in files:
        inner = read_json(model, files["tokenizer.json"], most=MOST_WORDS).get("model")
        if not (isinstance(inner, dict) and inner.get("vocab")):
            raise _broken(model, files["tokenizer.json"], sentence("it has no vocabulary"))
    elif not read_json(model, files["vocab.json"], most=MOST_WORDS):
        raise _broken(model, files["vocab.json"], sentence("it is empty"))


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
            "model {model}: {name}: model_max_length {length!r} leaves no room for a prompt; set it"
            " to {positions}, or fetch the file again",
            model=model,
            name=name,
            length=str(said)[:80],
            positions=positions,
        )
    return int(min(length, positions))


class _NoVocabularyError(UnderpaintError):
    """What is wrong with a vocabulary."""


class _NoMergesError(UnderpaintError):
    """What is wrong with the merges."""


@functools.lru_cache(maxsize=8)  # most models of a family have the same one, of 49,408 tokens
def _read_words(vocabulary_text: str, merges_text: str, size: int) -> frozenset[str]:
    """Return the tokens of a tokenizer whose words can be read.

    Parameters
    ----------
    vocabulary_text : str
        What `vocab.json` or `tokenizer.json` holds.
    merges_text : str
        What `merges.txt` holds; the same text where `tokenizer.json` holds both.
    size : int
        How many tokens the text encoder knows.
    """
    try:
        vocabulary = parse_json(vocabulary_text, MOST_WORDS)
    except ValueError as error:
        raise _NoVocabularyError(str(error)) from None
    added: dict[str, Any] = {}
    if merges_text == vocabulary_text:
        vocabulary, merges, added = _read_fast(vocabulary)
    else:
        merges = _read_merges(merges_text)
    if not isinstance(vocabulary, dict):
        raise _NoVocabularyError("it has no vocabulary")
    missing = [one for one in LETTERS if one not in vocabulary]
    if not any(token.endswith("</w>") for token in vocabulary):
        missing.append("</w>")
    if missing:
        raise _NoVocabularyError(
            "its {tokens} tokens lack {token!r}, so that words are lost",
            tokens=len(vocabulary),
            token=missing[0],
        )
    _check_numbers(vocabulary, size)
    _check_numbers(added, size)
    _check_merges(vocabulary, merges)
    return frozenset(vocabulary) | added.keys()


def _read_fast(found: Any) -> tuple[Any, list[Any], dict[str, Any]]:
    """Return vocabulary, merges and added tokens of a `tokenizer.json`."""
    inner = found.get("model") if isinstance(found, dict) else None
    if not isinstance(inner, dict) or inner.get("type", "BPE") != "BPE":
        raise _NoVocabularyError("it holds no byte-pair encoding")
    merges, added = inner.get("merges"), found.get("added_tokens")
    if not isinstance(added, list) or not isinstance(merges, list):
        raise _NoVocabularyError("it lacks added_tokens or merges")
    tokens = [one for one in added if isinstance(one, dict) and isinstance(one.get("content"), str)]
    return inner.get("vocab"), merges, {one["content"]: one.get("id") for one in tokens}


def _read_merges(text: str) -> list[Any]:
    lines = text.splitlines()
    if not lines:
        raise _NoMergesError("it is empty")
    return [line for line in lines[lines[0].startswith("#version") :] if line]


def _check_numbers(tokens: dict[str, Any], size: int) -> None:
    for token, number in tokens.items():
        if type(number) is not int or not 0 <= number < size:
            raise _NoVocabularyError(
                "its token {token!r} has the number {number}, and the text encoder knows 0 to"
                " {most}",
                token=token[:80],
                number=str(number)[:80],
                most=size - 1,
            )


def _check_merges(vocabulary: dict[str, Any], merges: list[Any]) -> None:
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or {*map(type, pair)} != {str}:
            raise _NoMergesError("its merge {merge} is not a pair of tokens", merge=str(pair)[:80])
    made = {first + second for first, second in pairs}
    if not {one for pair in pairs for one in pair} | made <= vocabulary.keys():
        odd = next(p for p in pairs if not {*p, p[0] + p[1]} <= vocabulary.keys())
        raise _NoMergesError("its merge {merge} is not of its tokens", merge=str(odd)[:80])
    unmade = [
        one
        for one in vocabulary
        if one not in made and len(one.removesuffix("</w>")) > 1 and not one.startswith("<|")
    ]
    if len(unmade) > _UNMADE * len(vocabulary):
        raise _NoMergesError(
            "it is cut short: {tokens} tokens, {token!r} first, are never made",
            tokens=len(unmade),
            token=unmade[0],
        )


def _broken(model: Path, name: str, reason: Sentence) -> ModelUnavailableError:
    return ModelUnavailableError(
        "model {model} cannot read prompts: {name}: {reason}; fetch it again",
        model=model,
        name=name,
        reason=reason,
    )
