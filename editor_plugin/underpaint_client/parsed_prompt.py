"""What a prompt says, once it is read, and the error of one that cannot be read."""

from __future__ import annotations

from dataclasses import dataclass, field

from .errors import BadInputError
from .sentences import Sentence

LONGEST_EXCERPT = 40
"""Characters of a prompt that messages quote."""


class PromptError(BadInputError):
    """Something in a prompt can be read in no way.

    Parameters
    ----------
    position : int
        Where it begins: 0 is the prompt's first character.
    excerpt : str
        What is there.
    problem : Sentence
        What is wrong with it, and what to write instead.
    """

    def __init__(self, position: int, excerpt: str, problem: Sentence) -> None:
        super().__init__(
            "the prompt's character {position}, {excerpt!r}: {problem}",
            position=position + 1,
            excerpt=shorten_excerpt(excerpt),
            problem=problem,
        )
        self.position = position
        self.excerpt = excerpt


@dataclass(frozen=True)
class Segment:
    """Words that have one weight.

    Parameters
    ----------
    text : str
        Without syntax.
    weight : float
        -10..10; 1 is usual.
    """

    text: str
    weight: float = 1.0


@dataclass(frozen=True)
class LoraReference:
    """A LoRA that a prompt names.

    Parameters
    ----------
    name : str
        As it is written.
    weight : float
        Its strength in the denoiser.
    encoder_weight : float
        Its strength in the text encoders.
    position : int
        Where in the prompt it is named.
    """

    name: str
    weight: float = 1.0
    encoder_weight: float = 1.0
    position: int = field(default=0, compare=False)


@dataclass(frozen=True)
class LayerReference:
    """A layer that a prompt names, by the name that the editor shows; `position` as above."""

    name: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Remark:
    """Something that is read otherwise than its author may think.

    Parameters
    ----------
    position : int
        Where it begins: 0 is the prompt's first character.
    excerpt : str
        What is there, at most 40 characters.
    explanation : Sentence
        How it is read, and what to write instead.
    """

    position: int
    excerpt: str
    explanation: Sentence


@dataclass(frozen=True)
class ParsedPrompt:
    """What a prompt says.

    Parameters
    ----------
    chunks : tuple of tuple of Segment
        What is between two `BREAK`; at least one, which may be empty.
    loras : tuple of LoraReference
    layers : tuple of LayerReference
    remarks : tuple of Remark
        One for each kind.
    """

    chunks: tuple[tuple[Segment, ...], ...]
    loras: tuple[LoraReference, ...] = ()
    layers: tuple[LayerReference, ...] = ()
    remarks: tuple[Remark, ...] = ()

    @property
    def words(self) -> str:
        """The prompt without syntax, for models that cannot weigh words."""
        return " ".join("".join(one.text for one in chunk) for chunk in self.chunks)

    @property
    def weighted(self) -> Segment | None:
        """The first words whose weight is not 1; None if there are none."""
        segments = (one for chunk in self.chunks for one in chunk if one.text.strip())
        return next((one for one in segments if one.weight != 1), None)

    @property
    def is_plain(self) -> bool:
        """Whether all words weigh the same and belong to one chunk, as far as they fit into it."""
        return len(self.chunks) == 1 and self.weighted is None


def shorten_excerpt(text: str) -> str:
    """Return a part of a prompt as messages quote it: at most 40 characters."""
    return text if len(text) <= LONGEST_EXCERPT else f"{text[:LONGEST_EXCERPT]}..."
