"""List the LoRAs, and find the one that a name means."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.home import home
from underpaint_client.printable import one_line
from underpaint_client.sentences import NO_TEXT, Listing, Sentence, as_sentence, sentence

from .facts import family_facts
from .find import name_some
from .kinds import is_lora, with_article
from .loras import LoraFacts
from .roots import lora_roots
from .scanning import Scanned, scan
from .stamps import FileStamp

_NOT_USABLE = ("LyCORIS (OFT)", "LyCORIS (IA3)", "LyCORIS (GLoRA)", "LyCORIS (full)")


@dataclass(frozen=True)
class ListedLora:
    """A LoRA as `underpaint loras` lists it.

    Parameters
    ----------
    name : str
        The name to use it by: its path below its folder of LoRAs, without the ending.
    path, root : str
        The file, and the name of the folder that it was found in, as `Root.name`.
    kind : str
        `LoRA`, or which of LyCORIS: `LyCORIS (LoHa)`.
    size : int
        Bytes.
    facts : LoraFacts
        What its header says.
    reason : Sentence
        Why it cannot be used, without the file; empty where it can.
    damage : Sentence
        Why its file cannot be read, which it names; empty where it can.
    stamp : FileStamp
        What tells the file, as its header was read, from a later one.
    """

    name: str
    path: str
    root: str
    kind: str
    size: int
    facts: LoraFacts
    reason: Sentence = NO_TEXT
    damage: Sentence = NO_TEXT
    stamp: FileStamp = field(default=(0, 0, 0), repr=False)

    @property
    def bases(self) -> str:
        """What it was made for, in words; empty if its header does not say it."""
        return " or ".join(self.base_titles)

    @property
    def base_titles(self) -> list[str]:
        """What users call the models that it was made for."""
        words = (one.partition(" ") for one in self.facts.bases)
        return [_base_title(family, variant) for family, _, variant in words]

    @property
    def problem(self) -> Sentence:
        """Why it cannot be used; empty where it can."""
        if self.damage or not self.reason:
            return self.damage
        return sentence("LoRA {file}: {problem}", file=one_line(self.path), problem=self.reason)


def _base_title(family: str, variant: str) -> str:
    title = family_facts(family, variant).title
    is_told = title != family_facts(family).title or variant.lower() in title.lower()
    return title if is_told else f"{title} {variant}"


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
        return _describe_damaged(one) if one.problem else None
    if contents.lora is None or not is_lora(contents.kind):
        return None
    reason = as_sentence(contents.lora.problem)
    if contents.kind in _NOT_USABLE:
        reason = sentence(
            "{kind} cannot be used; use a LoRA, LoHa or LoKr", kind=with_article(contents.kind)
        )
    return _list(one, contents.kind, contents.lora, reason)


def _describe_damaged(one: Scanned) -> ListedLora | None:
    """Describe a file that cannot be read, where it can be nothing but a LoRA."""
    if one.found.root.holds != "loras":
        return None
    reason = sentence("its file cannot be read; fetch it again")
    return _list(one, "LoRA", LoraFacts(), reason, as_sentence(one.problem))


def _list(
    one: Scanned, kind: str, facts: LoraFacts, reason: Sentence, damage: Sentence = NO_TEXT
) -> ListedLora:
    return ListedLora(
        name=one.found.name,
        path=str(one.found.path).encode("utf-8", "backslashreplace").decode(),
        root=one.found.root.name,
        kind=kind,
        size=one.found.stamp[0],
        facts=facts,
        reason=reason,
        damage=damage,
        stamp=one.found.stamp,
    )


def find_lora(name: str, loras: Iterable[ListedLora] | None = None) -> ListedLora:
    """Return the LoRA that a name means; upper and lower case are the same.

    Parameters
    ----------
    name : str
        From the list, with or without the ending of the file, or the last part of it. A name of
        its own comes before the last part of another's.
    loras : iterable of ListedLora, optional
        From `list_loras`, which is called if it is not given.

    Raises
    ------
    ModelUnavailableError
        No LoRA is called so, several are, or it cannot be used.
    """
    there = list_loras() if loras is None else tuple(loras)
    wanted = name.replace("\\", "/").casefold()
    exact = [one for one in there if one.name == name]
    whole = [one for one in there if wanted in _spellings(one.name)]
    last = [one for one in there if wanted in _spellings(one.name.rpartition("/")[2])]
    found = exact or whole or last
    if len(found) > 1:
        names = Listing(one_line(one.name) for one in found[:_MOST_NAMED])
        more = len(found) - _MOST_NAMED
        some = sentence("{names!r}", names=names)
        if more > 0:
            some = sentence("{names!r} and {more} more", names=names, more=more)
        raise ModelUnavailableError(
            "LoRA {name!r} may be any of {found}; name one of them in full", name=name, found=some
        )
    if not found:
        raise ModelUnavailableError(
            "LoRA {name!r} is unknown; LoRAs found: {known}; yours go to {folder}",
            name=name,
            known=name_some(one.name for one in there),
            folder=home() / "loras",
        )
    if found[0].problem:
        raise ModelUnavailableError(found[0].problem)
    return found[0]


_MOST_NAMED = 5


def _spellings(name: str) -> tuple[str, str]:
    folded = name.casefold()
    return folded, f"{folded}.safetensors"
