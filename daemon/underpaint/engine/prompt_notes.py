"""Notes about what the model does not read of a prompt: one for each kind of loss."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from underpaint_client.parsed_prompt import ParsedPrompt
from underpaint_client.prompt_embeddings import find_references
from underpaint_client.prompt_language import parse_prompt
from underpaint_client.sentences import Listing, Sentence, sentence

_LONGEST_QUOTE = 40

_MOST_QUOTED = 10
"""Words that one note quotes: recipes travel in messages, whose headers have a limit."""

_NOT_LOADED = sentence("what it names is not loaded, and it is read as words")
_SYNTAX: tuple[tuple[re.Pattern[str], Sentence], ...] = (
    (re.compile(r"<\s*hypernet\s*:[^<>]*>", re.IGNORECASE), _NOT_LOADED),
    (
        re.compile(r"\bAND\b"),
        sentence("prompts are not divided there, and it is read as words"),
    ),
)
"""What Stable Diffusion WebUI, ComfyUI and others understand, and `prompt_language` does not.

A prompt comes from anywhere, so each pattern can match a text in one way only: searching takes time
that grows with the length of a prompt, and not with its square.
"""


@dataclass(frozen=True)
class Reading:
    """How a model's tokenizer reads a prompt.

    Parameters
    ----------
    tokens : int
        How many it has, without those that mark beginning and end.
    limit : int
        How many of them the model reads.
    unknown : tuple of str
        Words with parts that the tokenizer has no token for.
    """

    tokens: int
    limit: int
    unknown: tuple[str, ...] = ()


def read_prompt(tokenizers: Sequence[Any], text: str) -> Reading:
    """Return how CLIP's tokenizers read a text: of several, the one that reads least of it."""
    readings = []
    for tokenizer in tokenizers:

        def tokens(words: str, tokenizer: Any = tokenizer) -> list[int]:
            found: list[int] = tokenizer(words, truncation=False, verbose=False)["input_ids"]
            return found[1:-1]  # without beginning and end

        whole, unknown = tokens(text), tokenizer.unk_token_id
        words = text.split() if unknown in whole else ()
        unread = tuple(word for word in words if unknown in tokens(word))
        readings.append(Reading(len(whole), tokenizer.model_max_length - 2, unread))
    return max(readings, key=lambda one: (one.tokens - one.limit, len(one.unknown)))


def describe_losses(
    prompt: str,
    negative: str,
    read: Callable[[ParsedPrompt], Reading],
    *,
    guided: bool,
    takes_negative: bool = True,
    weighs_words: bool = True,
    is_loaded: Callable[[str], bool] = lambda _name: False,
    regions: Sequence[tuple[Sentence, str]] = (),
) -> tuple[str, ...]:
    """Return what of a prompt and a negative prompt the model does not read.

    Parameters
    ----------
    prompt, negative : str
        As they go to the model.
    read : callable
        How it reads one.
    guided : bool
        Whether the guidance scale is over 1, so that the negative prompt is used.
    takes_negative : bool
        Whether the model uses one at any guidance scale.
    weighs_words : bool
        Whether words can weigh more than others, and prompts have several chunks.
    is_loaded : callable
        Returns whether the model can use the embedding of a name.
    regions : sequence of (Sentence, str)
        What messages call each region, and its prompt.

    Returns
    -------
    tuple of str
        One sentence for each kind of loss.
    """

    def describe(which: Sentence, text: str, parsed: ParsedPrompt) -> list[str]:
        of_one = _of_one(which, text, parsed, read(parsed), weighs_words=weighs_words)
        missing = (written for written, name in find_references(text) if not is_loaded(name))
        return of_one + [_describe_part(which, one, _NOT_LOADED) for one in list(missing)[:1]]

    notes = describe(sentence("the prompt"), prompt, parse_prompt(prompt))
    for region, text in regions:
        notes += describe(region, text, parse_prompt(text))
    if negative.strip() and not takes_negative:
        notes.append("this model takes no negative prompt; it was not used")
    elif negative.strip() and not guided:
        notes.append(
            "the negative prompt is not used at a guidance scale of 1 or less; choose a higher one"
        )
    elif negative:
        parsed = parse_prompt(negative)
        notes += describe(sentence("the negative prompt"), negative, parsed)
        notes += [
            sentence(
                "the negative prompt has the LoRA {lora!r}: it was not used; name it in the prompt",
                lora=_shortened(one.name),
            )
            for one in parsed.loras[:1]
        ]
    return tuple(notes)


def _of_one(
    which: Sentence, text: str, prompt: ParsedPrompt, reading: Reading, *, weighs_words: bool
) -> list[str]:
    """Return the notes about one prompt; `which` is what it is called in them."""
    notes: list[str] = []
    if reading.tokens > reading.limit:
        notes.append(
            sentence(
                "{prompt} has {tokens} tokens and the model reads the first {limit}; the rest was"
                " left out",
                prompt=which,
                tokens=reading.tokens,
                limit=reading.limit,
            )
        )
    if reading.unknown:
        notes.append(_describe_unknown(which, list(dict.fromkeys(reading.unknown))))
    notes += [_describe_part(which, one.excerpt, one.explanation) for one in prompt.remarks]
    if not weighs_words and prompt.weighted is not None:
        notes.append(
            sentence(
                "{prompt} has a weight for {words!r}: this model cannot weigh words; it reads them"
                " alike",
                prompt=which,
                words=_shortened(prompt.weighted.text.strip()),
            )
        )
    if not weighs_words and len(prompt.chunks) > 1:
        notes.append(
            sentence(
                "{prompt} has 'BREAK': this model reads it as one, and 'BREAK' was left out",
                prompt=which,
            )
        )
    for layer in prompt.layers[:1]:
        notes.append(
            sentence(
                "{prompt} has the layer {layer!r}: it was not used",
                prompt=which,
                layer=_shortened(layer.name),
            )
        )
    for pattern, consequence in _SYNTAX:
        if found := pattern.search(text):
            notes.append(_describe_part(which, found[0], consequence))
    return notes


def _describe_unknown(which: Sentence, words: list[str]) -> Sentence:
    quoted = Listing(map(_shortened, words[:_MOST_QUOTED]))
    more = len(words) - len(quoted)
    if more:
        return sentence(
            "{prompt} has words that the model does not know: {words!r} and {more} more",
            prompt=which,
            words=quoted,
            more=more,
        )
    return sentence(
        "{prompt} has words that the model does not know: {words!r}", prompt=which, words=quoted
    )


def _describe_part(which: Sentence, excerpt: str, explanation: Sentence) -> Sentence:
    return sentence(
        "{prompt} has {excerpt!r}: {explanation}",
        prompt=which,
        excerpt=_shortened(excerpt),
        explanation=explanation,
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."
