"""Captions, as people would ask for the picture: true, but seldom the whole truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from .caption_words import (
    AIRS,
    BARE,
    BUILDINGS,
    FAIR,
    HOURS,
    MEDIA,
    MOODS,
    OF,
    SEASONS,
    SKIES,
    TIMES,
    TREES,
    Place,
    name_fields,
    name_places,
    name_tree,
    name_trees,
    share_noun,
    with_article,
    without_article,
)
from .scene import Amount, Backdrop, Building, Cover, Relief, Scene, Season, Time, Water, Weather

LONGEST = 70  # bytes: with two tokens around it, even one token a byte fits into CLIP's 77

_T = TypeVar("_T")


def describe(scene: Scene, rng: np.random.Generator) -> str:
    """Write a caption.

    Parameters
    ----------
    scene : Scene
        What is in the picture.
    rng : numpy.random.Generator
        Chooses words, their order, and what is left out.

    Returns
    -------
    str
        Lower case ASCII, at most `LONGEST` bytes.
    """
    writer = _Writer(scene, rng)
    kind = rng.random()
    if kind < 0.08:
        return writer.word()
    if kind < 0.22:
        return writer.list_of_words()
    if kind < 0.32 and scene.time is not Time.DAY:
        return writer.hour_over_land()
    return writer.phrase()


@dataclass(frozen=True)
class _Writer:
    scene: Scene
    rng: np.random.Generator

    def one(self, choices: Sequence[_T]) -> _T:
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def word(self) -> str:
        """Name one thing."""
        scene = self.scene
        words = [
            without_article(self.one(self.places()).name),
            without_article(self.one(self.places()).name),
        ]
        if scene.time is not Time.DAY:
            words.append(self.one(self.hours()))
        if scene.weather not in FAIR:
            words.append(self.one(AIRS[scene.weather]))
        if scene.season in {Season.WINTER, Season.AUTUMN} and scene.cover is not Cover.SAND:
            words.append(str(scene.season))
        words += [without_article(self.one(names)) for names in (*self.things(), *self.distance())]
        word = self.one(words)
        return _joined([word, self.medium()]) if self.chance(0.3) else word

    def list_of_words(self) -> str:
        """Name some things, with commas between."""
        scene = self.scene
        words = [without_article(self.one(self.places()).name)]
        things = (*self.things(), *self.distance())
        words += [without_article(self.one(names)) for names in things if self.chance(0.8)]
        if scene.time is not Time.DAY or self.chance(0.15):
            words.append(self.one(self.hours()))
        if self.chance(0.6):
            words.append(self.one(AIRS[scene.weather]))
        if scene.cover is not Cover.SAND and self.chance(0.6):
            words.append(str(scene.season))
        self.rng.shuffle(words)
        words = words[: int(self.rng.integers(2, 6))]
        if self.chance(0.6):
            words.insert(0 if self.chance(0.3) else len(words), self.medium())
        return _joined(list(dict.fromkeys(words)))

    def hour_over_land(self) -> str:
        """Return a phrase such as `sunset over the desert`."""
        hour = self.one(self.hours())
        mood = MOODS.get(self.scene.weather)
        if mood and self.chance(0.5):
            hour = f"{self.one(mood)} {hour}"
        place = without_article(self.one(self.places()).name)
        parts = [f"{hour} over {'the ' if self.chance(0.6) else ''}{place}"]
        extras = [self.one(names) for names in self.things()]
        if extras and self.chance(0.4):
            parts.append(f"with {self.one(extras)}")
        return self._fitted(parts, self.medium() if self.chance(0.65) else "", leads=False)

    def phrase(self) -> str:
        """Write a longer caption of a subject, what is with it, and in which light."""
        place = self.one(self.places())
        things = self.things()
        self.rng.shuffle(things)
        if things and self.chance(0.5):
            subject = self.one(things.pop())
            parts = [self._qualified(subject, place=False)]
            if not share_noun(subject, place.name):
                beside = place.where.startswith("by ") and self.chance(0.3)
                parts.append(f"with {place.name}" if beside else place.where)
        else:
            parts = [self._qualified(place.name, place=True)]
        more = [self.one(names) for names in (*things, *self.distance())]
        more = [thing for thing in more if not any(share_noun(thing, part) for part in parts)]
        if more and self.chance(0.55):
            count = 2 if self.chance(0.3) else 1
            link = self.one(("with", "with", "and")) if "with" not in " ".join(parts) else "and"
            parts.append(f"{link} {' and '.join(more[:count])}")
        parts += self._circumstances(parts[0])
        if self.chance(0.3):
            parts[0] = without_article(parts[0])
        medium = self.medium() if self.chance(0.72) else ""
        return self._fitted(parts, medium, leads=self.chance(0.22))

    def _qualified(self, phrase: str, *, place: bool) -> str:
        """Put an adjective before a noun, at times."""
        scene = self.scene
        words = list(MOODS.get(scene.weather, ())) if place else []
        if scene.snowy:
            words += ["snowy", "winter"] if place else ["snowy"]
        if scene.season is Season.AUTUMN and scene.cover is not Cover.SAND:
            words += ["autumn"] if place or (scene.trees in BARE and "tree" in phrase) else []
        noun = without_article(phrase)
        if not words or self.chance(0.5) or any(word in noun for word in ("snow", "autumn")):
            return phrase
        word = self.one(words)
        return f"{word} {noun}" if noun == phrase else with_article(f"{word} {noun}")

    def _circumstances(self, subject: str) -> list[str]:
        scene = self.scene
        moods = (*MOODS.get(scene.weather, ()), "snowy", "winter", "autumn")
        said_so = any(word in subject for word in moods)
        said = []
        if self.chance(0.12 if scene.time is Time.DAY else 0.8):
            times = list(TIMES[scene.time])
            if scene.weather in FAIR:
                if scene.time is Time.NIGHT:
                    times += ["under a starry night sky", "in a starry night", "under the stars"]
                    times += ["in moonlight"] if scene.facing else []
                if scene.time is Time.DAY:
                    times += ["on a sunny day", "in sunshine"]
            said.append(self.one(times))
        plain = scene.weather in FAIR
        if self.chance(0.22 if plain else 0.75) and not said_so and "star" not in " ".join(said):
            said.append(self.one(SKIES[scene.weather]))
        if scene.cover is not Cover.SAND and not said_so and self.chance(0.3):
            said.append(self.one(SEASONS[scene.season]))
        self.rng.shuffle(said)
        return said

    def _fitted(self, parts: list[str], medium: str, *, leads: bool) -> str:
        """Join the parts of a sentence, leaving out as many of the last as do not fit."""
        for count in range(len(parts), 0, -1):
            text = " ".join(parts[:count])
            if leads and medium.endswith(OF):
                text = f"{medium} of {text}"
            elif medium:
                text = f"{text}, {medium}"
            if len(text) <= LONGEST:
                return text
        return parts[0]

    def medium(self) -> str:
        return self.one(MEDIA[self.scene.finish])

    def hours(self) -> tuple[str, ...]:
        """List names of the time of day."""
        names = HOURS[self.scene.time]
        starry = self.scene.time is Time.NIGHT and self.scene.weather in FAIR
        return (*names, "starry night") if starry else names

    def places(self) -> list[Place]:
        """List names of the place; all true."""
        scene = self.scene
        high = scene.backdrop is Backdrop.MOUNTAINS and self.far_seen()
        names: list[Place] = []
        if scene.water is Water.LAKE:
            names += name_places("by", "a lake", "a lake", "a quiet lake")
            names += name_places("by", "a mountain lake", "an alpine lake") * high
            names += name_places("by", "a forest lake") * (scene.amount is Amount.FOREST)
        elif scene.water is Water.RIVER:
            names += name_places("by", "a river", "a winding river", "a river")
            names += name_places("in", "a river valley") * (scene.relief is Relief.VALLEY)
            names += name_places("by", "a mountain river") * high
        elif scene.water is Water.SEA:
            names += name_places("by", "the sea", "the seaside", "the ocean", "a bay")
            names += name_places("on", "a coast", "the sea shore")
        if scene.cover is Cover.SAND:
            names += name_places("in", "a desert", "a desert", "a sandy desert")
            names += name_places("among", "sand dunes", "dunes") * (
                scene.relief is not Relief.PLAIN
            )
            if scene.backdrop is Backdrop.MESAS and self.far_seen():
                names += name_places("in", "a desert with mesas", "a desert with red rocks")
        elif scene.water is Water.NONE:
            names += name_fields(scene)
        if high and scene.cover is not Cover.SAND and scene.water is not Water.SEA:
            names += [Place(name, "in the mountains") for name in ("mountains", "high mountains")]
            names += name_places("in", "a mountain landscape")
            names += [Place("snowy mountains", "in snowy mountains")] * scene.snowy
        if scene.amount is Amount.FOREST:
            kind = TREES[scene.trees][0]
            names += name_places("in", f"a {kind} forest" if kind else "a forest", "a forest")
            names += [Place("woods", "in the woods")]
        return names

    def things(self) -> list[tuple[str, ...]]:
        """List what stands in the place, each by all its names."""
        scene = self.scene
        things: list[tuple[str, ...]] = []
        if scene.lone:
            names = name_tree(scene)
            on_hill = scene.relief is Relief.KNOLL
            things.append(tuple(f"{name} on a hill" if on_hill else name for name in names))
        if scene.amount in {Amount.FEW, Amount.MANY}:
            things.append(name_trees(scene))
        if scene.building is not Building.NONE:
            things.append(BUILDINGS[scene.building])
        if scene.path:
            things.append(("a path", "a winding path", "a footpath", "a small road"))
        if scene.boat:
            things.append(("a sailing boat", "a sailboat", "a boat"))
        return things

    def far_seen(self) -> bool:
        """Return whether the distance is in sight."""
        return self.scene.weather is not Weather.FOG

    def distance(self) -> list[tuple[str, ...]]:
        """List what is far away."""
        if not self.far_seen():
            return []
        if self.scene.backdrop is Backdrop.MOUNTAINS:
            return [("mountains", "distant mountains", "mountains in the distance")]
        return [("distant hills", "hills")] if self.scene.backdrop is Backdrop.HILLS else []


def _joined(parts: list[str]) -> str:
    """Join parts by commas, leaving out as many of the last as do not fit."""
    while len(", ".join(parts)) > LONGEST:
        parts = parts[:-1]
    return ", ".join(parts)
