"""List the LoRAs, and find the one that a name means."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from underpaint_client.sentences import as_sentence, sentence

from .additions import Addition, find_addition
from .kinds import is_lora, with_article
from .loras import LoraFacts
from .roots import lora_roots
from .scanning import Scanned, scan

_NOT_USABLE = ("LyCORIS (OFT)", "LyCORIS (IA3)", "LyCORIS (GLoRA)", "LyCORIS (full)")


@dataclass(frozen=True)
class ListedLora(Addition):
    """A LoRA as `underpaint loras` lists it.

    Parameters
    ----------
    kind : str
        `LoRA`, or which of LyCORIS: `LyCORIS (LoHa)`.
    facts : LoraFacts
        What its header says.
    """

    title = "LoRA"
    folder = "loras"

    facts: LoraFacts

    @property
    def made_for(self) -> tuple[str, ...]:
        """The models that it was made for."""
        return self.facts.bases


def list_loras(scanned: Iterable[Scanned] | None = None) -> tuple[ListedLora, ...]:
    """Describe every LoRA, by name; one that cannot be used says why.

    Parameters
    ----------
    scanned : iterable of Scanned, optional
        What was found in `lora_roots`, which are scanned if it is not given.
    """
    found = scan(lora_roots()) if scanned is None else scanned
    loras = [lora for one in found if (lora := _describe(one)) is not None]
    return tuple(sorted(loras, key=lambda lora: lora.name))


def _describe(one: Scanned) -> ListedLora | None:
    contents = one.contents
    if contents is None:
        return ListedLora.damaged(one, "LoRA", facts=LoraFacts())
    if contents.lora is None or not is_lora(contents.kind):
        return None
    reason = as_sentence(contents.lora.problem)
    if contents.kind in _NOT_USABLE:
        reason = sentence(
            "{kind} cannot be used; use a LoRA, LoHa or LoKr", kind=with_article(contents.kind)
        )
    return ListedLora.of(one, contents.kind, reason, facts=contents.lora)


def find_lora(name: str, loras: Iterable[ListedLora] | None = None) -> ListedLora:
    """Return the LoRA that a name means, as `find_addition`.

    Parameters
    ----------
    name : str
        From the list, or the last part of it.
    loras : iterable of ListedLora, optional
        From `list_loras`, which is called if it is not given.
    """
    return find_addition(ListedLora, name, list_loras() if loras is None else tuple(loras))
