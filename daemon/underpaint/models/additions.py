"""What is added to a model: LoRAs and ControlNets, listed, and found by their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeVar

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.home import home
from underpaint_client.printable import one_line
from underpaint_client.sentences import NO_TEXT, Listing, Sentence, as_sentence, sentence

from .describe import ModelInfo
from .facts import family_facts
from .find import name_some
from .kinds import fits_base
from .scanning import Scanned
from .stamps import FileStamp


@dataclass(frozen=True)
class Addition:
    """A file that is added to a model, as a command lists it.

    Parameters
    ----------
    name : str
        The name to use it by: its path below its folder, without the ending.
    path, root : str
        The file, and the name of the folder that it was found in, as `Root.name`.
    kind : str
        As `Contents.kind`.
    size : int
        Bytes.
    reason : Sentence
        Why it cannot be used, without the file; empty where it can.
    damage : Sentence
        Why its file cannot be read, which it names; empty where it can.
    stamp : FileStamp
        What tells the file, as its header was read, from a later one.
    """

    title: ClassVar[str]
    """What users call it: `LoRA`, `ControlNet`."""

    folder: ClassVar[str]
    """The folder in Underpaint's home that it belongs in."""

    name: str
    path: str
    root: str
    kind: str
    size: int
    reason: Sentence = field(default=NO_TEXT, kw_only=True)
    damage: Sentence = field(default=NO_TEXT, kw_only=True)
    stamp: FileStamp = field(default=(0, 0, 0), repr=False, kw_only=True)

    @classmethod
    def of(cls, one: Scanned, kind: str, reason: Sentence, **more: Any) -> Self:
        """Return what was found, with the fields that its own class adds."""
        return cls(
            name=one.found.name,
            path=str(one.found.path).encode("utf-8", "backslashreplace").decode(),
            root=one.found.root.name,
            kind=kind,
            size=one.found.stamp[0],
            reason=reason,
            stamp=one.found.stamp,
            **more,
        )

    @classmethod
    def damaged(cls, one: Scanned, kind: str, **more: Any) -> Self | None:
        """Return a file that cannot be read, where it can be nothing else; else None."""
        if not one.problem or one.found.root.holds != cls.folder:
            return None
        reason = sentence("its file cannot be read; fetch it again")
        return cls.of(one, kind, reason, damage=as_sentence(one.problem), **more)

    @property
    def made_for(self) -> tuple[str, ...]:
        """The models that it was made for, as `fits_base` has them."""
        raise NotImplementedError

    @property
    def bases(self) -> str:
        """What it was made for, in words; empty if its header does not say it."""
        return " or ".join(self.base_titles)

    @property
    def base_titles(self) -> list[str]:
        """What users call the models that it was made for."""
        words = (one.partition(" ") for one in self.made_for)
        return [_base_title(family, variant) for family, _, variant in words]

    @property
    def problem(self) -> Sentence:
        """Why it cannot be used; empty where it can."""
        if self.damage or not self.reason:
            return self.damage
        return sentence(
            "{kind} {file}: {problem}",
            kind=self.title,
            file=one_line(self.path),
            problem=self.reason,
        )


def _base_title(family: str, variant: str) -> str:
    title = family_facts(family, variant).title
    is_told = title != family_facts(family).title or variant.lower() in title.lower()
    return title if is_told else f"{title} {variant}"


Listed = TypeVar("Listed", bound=Addition)


def find_addition(kind: type[Listed], name: str, there: Sequence[Listed]) -> Listed:
    """Return the one that a name means; upper and lower case are the same.

    Parameters
    ----------
    kind : type
        What is looked for.
    name : str
        From the list, with or without the ending of the file, or the last part of it. A name of
        its own comes before the last part of another's.
    there : sequence of Addition
        All of that kind.

    Raises
    ------
    ModelUnavailableError
        None is called so, several are, or it cannot be used.
    """
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
            "{kind} {name!r} may be any of {found}; name one of them in full",
            kind=kind.title,
            name=name,
            found=some,
        )
    if not found:
        raise ModelUnavailableError(
            "{kind} {name!r} is unknown; {kind}s found: {known}; yours go to {folder}",
            kind=kind.title,
            name=name,
            known=name_some(one.name for one in there),
            folder=home() / kind.folder,
        )
    if found[0].problem:
        raise ModelUnavailableError(found[0].problem)
    return found[0]


_MOST_NAMED = 5


def _spellings(name: str) -> tuple[str, str]:
    folded = name.casefold()
    return folded, f"{folded}.safetensors"


def check_base(one: Addition, info: ModelInfo, variant: str = "") -> None:
    """Check that something was made for a model's family.

    Raises
    ------
    ModelUnavailableError
        It was made for another one.
    """
    if not fits_base(one.made_for, info.family, variant):
        raise ModelUnavailableError(
            "{kind} {name!r} is for {bases}, and the model {model!r} is {family}; choose a {kind}"
            " for this model, or another model",
            kind=one.title,
            name=one.name,
            bases=one.bases,
            model=info.name,
            family=family_facts(info.family, variant).title,
        )
