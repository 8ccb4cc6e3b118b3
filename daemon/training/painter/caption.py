"""Captions, as people would ask for the picture: true, but seldom the whole truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from .scene import (
    Amount,
    Backdrop,
    Building,
    Cover,
    Finish,
    Relief,
    Scene,
    Season,
    Time,
    Tree,
    Water,
    Weather,
)

LONGEST = 70  # bytes: with two tokens around it, even one token a byte fits into CLIP's 77

_MEDIA = {
    Finish.PHOTOGRAPH: (
        "photograph",
        "photo",
        "nature photograph",
        "landscape photograph",
        "nature photo",
        "landscape photography",
    ),
    Finish.OIL: ("oil painting", "oil on canvas", "painted in oil", "painting"),
    Finish.IMPRESSION: ("impressionist painting", "impressionism", "painting"),
    Finish.WATERCOLOUR: ("watercolour", "watercolor", "watercolor painting", "aquarelle"),
    Finish.PASTEL: ("pastel drawing", "soft pastel", "chalk pastel", "pastel"),
    Finish.POSTER: ("poster", "flat illustration", "travel poster", "vector illustration"),
}
_OF = ("photograph", "photo", "painting", "watercolour", "watercolor", "drawing", "illustration")
_TIMES = {
    Time.DAWN: ("at dawn", "at sunrise", "in the early morning", "in morning light"),
    Time.DAY: ("by day", "in daylight", "during the day"),
    Time.SUNSET: ("at sunset", "in evening light", "in the evening", "at golden hour"),
    Time.DUSK: ("at dusk", "at twilight", "in the blue hour", "after sunset"),
    Time.NIGHT: ("at night", "by night", "in the dark night"),
}
_HOURS = {
    Time.DAWN: ("dawn", "sunrise", "morning"),
    Time.DAY: ("day",),
    Time.SUNSET: ("sunset", "evening"),
    Time.DUSK: ("dusk", "twilight"),
    Time.NIGHT: ("night",),
}
_SKIES = {
    Weather.CLEAR: ("under a clear sky",),
    Weather.CLOUDY: ("under a cloudy sky", "under clouds", "beneath a cloudy sky"),
    Weather.OVERCAST: ("under an overcast sky", "under a grey sky", "beneath grey clouds"),
    Weather.STORM: ("under a stormy sky", "under dark clouds", "before the storm"),
    Weather.FOG: ("in fog", "in the mist", "in thick fog", "in mist"),
    Weather.RAIN: ("in the rain", "in rain", "with rain"),
    Weather.SNOWFALL: ("in falling snow", "in a snowfall", "while it snows"),
}
_AIRS = {
    Weather.CLEAR: ("clear sky",),
    Weather.CLOUDY: ("clouds", "cloudy"),
    Weather.OVERCAST: ("overcast", "grey sky"),
    Weather.STORM: ("storm", "stormy sky", "dark clouds"),
    Weather.FOG: ("fog", "mist", "foggy", "misty"),
    Weather.RAIN: ("rain", "rainy"),
    Weather.SNOWFALL: ("snowfall", "falling snow", "snow"),
}
_MOODS = {
    Weather.STORM: ("stormy",),
    Weather.FOG: ("foggy", "misty"),
    Weather.RAIN: ("rainy",),
}
_SEASONS = {
    Season.SPRING: ("in spring", "in springtime"),
    Season.SUMMER: ("in summer",),
    Season.AUTUMN: ("in autumn", "in the fall"),
    Season.WINTER: ("in winter", "in the snow", "covered in snow"),
}
_TREES = {
    Tree.PINE: ("pine", "fir"),
    Tree.BROADLEAF: ("",),
    Tree.BIRCH: ("birch",),
    Tree.POPLAR: ("poplar",),
    Tree.PALM: ("palm",),
    Tree.CACTUS: ("",),
}
_BUILDINGS = {
    Building.COTTAGE: ("a cottage", "a small house", "a house", "a little house"),
    Building.BARN: ("a red barn", "a barn", "a farm"),
    Building.CHURCH: ("a church", "a small church", "a church with a steeple"),
    Building.VILLAGE: ("a village", "a small village", "houses and a church"),
    Building.LIGHTHOUSE: ("a lighthouse", "a tall lighthouse"),
}
_T = TypeVar("_T")
_FAIR = {Weather.CLEAR, Weather.CLOUDY}
_BARE = {Tree.BROADLEAF, Tree.BIRCH, Tree.POPLAR}


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
        words = [_plain(self.one(self.places()).name), _plain(self.one(self.places()).name)]
        if scene.time is not Time.DAY:
            words.append(self.one(self.hours()))
        if scene.weather not in _FAIR:
            words.append(self.one(_AIRS[scene.weather]))
        if scene.season in {Season.WINTER, Season.AUTUMN} and scene.cover is not Cover.SAND:
            words.append(str(scene.season))
        words += [_plain(self.one(names)) for names in (*self.things(), *self.distance())]
        word = self.one(words)
        return _joined([word, self.medium()]) if self.chance(0.3) else word

    def list_of_words(self) -> str:
        """Name some things, with commas between."""
        scene = self.scene
        words = [_plain(self.one(self.places()).name)]
        things = (*self.things(), *self.distance())
        words += [_plain(self.one(names)) for names in things if self.chance(0.8)]
        if scene.time is not Time.DAY or self.chance(0.15):
            words.append(self.one(self.hours()))
        if self.chance(0.6):
            words.append(self.one(_AIRS[scene.weather]))
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
        mood = _MOODS.get(self.scene.weather)
        if mood and self.chance(0.5):
            hour = f"{self.one(mood)} {hour}"
        place = _plain(self.one(self.places()).name)
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
            if not _alike(subject, place.name):
                beside = place.where.startswith("by ") and self.chance(0.3)
                parts.append(f"with {place.name}" if beside else place.where)
        else:
            parts = [self._qualified(place.name, place=True)]
        more = [self.one(names) for names in (*things, *self.distance())]
        more = [thing for thing in more if not any(_alike(thing, part) for part in parts)]
        if more and self.chance(0.55):
            count = 2 if self.chance(0.3) else 1
            link = self.one(("with", "with", "and")) if "with" not in " ".join(parts) else "and"
            parts.append(f"{link} {' and '.join(more[:count])}")
        parts += self._circumstances(parts[0])
        if self.chance(0.3):
            parts[0] = _plain(parts[0])
        medium = self.medium() if self.chance(0.72) else ""
        return self._fitted(parts, medium, leads=self.chance(0.22))

    def _qualified(self, phrase: str, *, place: bool) -> str:
        """Put an adjective before a noun, at times."""
        scene = self.scene
        words = list(_MOODS.get(scene.weather, ())) if place else []
        if scene.snowy:
            words += ["snowy", "winter"] if place else ["snowy"]
        if scene.season is Season.AUTUMN and scene.cover is not Cover.SAND:
            words += ["autumn"] if place or (scene.trees in _BARE and "tree" in phrase) else []
        noun = _plain(phrase)
        if not words or self.chance(0.5) or any(word in noun for word in ("snow", "autumn")):
            return phrase
        word = self.one(words)
        return f"{word} {noun}" if noun == phrase else _a(f"{word} {noun}")

    def _circumstances(self, subject: str) -> list[str]:
        scene = self.scene
        moods = (*_MOODS.get(scene.weather, ()), "snowy", "winter", "autumn")
        said_so = any(word in subject for word in moods)
        said = []
        if self.chance(0.12 if scene.time is Time.DAY else 0.8):
            times = list(_TIMES[scene.time])
            if scene.weather in _FAIR:
                if scene.time is Time.NIGHT:
                    times += ["under a starry night sky", "in a starry night", "under the stars"]
                    times += ["in moonlight"] if scene.facing else []
                if scene.time is Time.DAY:
                    times += ["on a sunny day", "in sunshine"]
            said.append(self.one(times))
        plain = scene.weather in _FAIR
        if self.chance(0.22 if plain else 0.75) and not said_so and "star" not in " ".join(said):
            said.append(self.one(_SKIES[scene.weather]))
        if scene.cover is not Cover.SAND and not said_so and self.chance(0.3):
            said.append(self.one(_SEASONS[scene.season]))
        self.rng.shuffle(said)
        return said

    def _fitted(self, parts: list[str], medium: str, *, leads: bool) -> str:
        """Join the parts of a sentence, leaving out as many of the last as do not fit."""
        for count in range(len(parts), 0, -1):
            text = " ".join(parts[:count])
            if leads and medium.endswith(_OF):
                text = f"{medium} of {text}"
            elif medium:
                text = f"{text}, {medium}"
            if len(text) <= LONGEST:
                return text
        return parts[0]

    def medium(self) -> str:
        return self.one(_MEDIA[self.scene.finish])

    def hours(self) -> tuple[str, ...]:
        """List names of the time of day."""
        names = _HOURS[self.scene.time]
        starry = self.scene.time is Time.NIGHT and self.scene.weather in _FAIR
        return (*names, "starry night") if starry else names

    def places(self) -> list[_Place]:
        """List names of the place; all true."""
        scene = self.scene
        high = scene.backdrop is Backdrop.MOUNTAINS and self.far_seen()
        names: list[_Place] = []
        if scene.water is Water.LAKE:
            names += _places("by", "a lake", "a lake", "a quiet lake")
            names += _places("by", "a mountain lake", "an alpine lake") * high
            names += _places("by", "a forest lake") * (scene.amount is Amount.FOREST)
        elif scene.water is Water.RIVER:
            names += _places("by", "a river", "a winding river", "a river")
            names += _places("in", "a river valley") * (scene.relief is Relief.VALLEY)
            names += _places("by", "a mountain river") * high
        elif scene.water is Water.SEA:
            names += _places("by", "the sea", "the seaside", "the ocean", "a bay")
            names += _places("on", "a coast", "the sea shore")
        if scene.cover is Cover.SAND:
            names += _places("in", "a desert", "a desert", "a sandy desert")
            names += _places("among", "sand dunes", "dunes") * (scene.relief is not Relief.PLAIN)
            if scene.backdrop is Backdrop.MESAS and self.far_seen():
                names += _places("in", "a desert with mesas", "a desert with red rocks")
        elif scene.water is Water.NONE:
            names += _fields(scene)
        if high and scene.cover is not Cover.SAND and scene.water is not Water.SEA:
            names += [_Place(name, "in the mountains") for name in ("mountains", "high mountains")]
            names += _places("in", "a mountain landscape")
            names += [_Place("snowy mountains", "in snowy mountains")] * scene.snowy
        if scene.amount is Amount.FOREST:
            kind = _TREES[scene.trees][0]
            names += _places("in", f"a {kind} forest" if kind else "a forest", "a forest")
            names += [_Place("woods", "in the woods")]
        return names

    def things(self) -> list[tuple[str, ...]]:
        """List what stands in the place, each by all its names."""
        scene = self.scene
        things: list[tuple[str, ...]] = []
        if scene.lone:
            names = _one_tree(scene)
            on_hill = scene.relief is Relief.KNOLL
            things.append(tuple(f"{name} on a hill" if on_hill else name for name in names))
        if scene.amount in {Amount.FEW, Amount.MANY}:
            things.append(_some_trees(scene))
        if scene.building is not Building.NONE:
            things.append(_BUILDINGS[scene.building])
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


@dataclass(frozen=True)
class _Place:
    """A place's name, and where something in it is."""

    name: str
    where: str


def _places(preposition: str, *names: str) -> list[_Place]:
    return [_Place(name, f"{preposition} {name}") for name in names]


def _fields(scene: Scene) -> list[_Place]:
    """Name open land."""
    sown = {
        Cover.FLOWERS: ("a flower meadow", "a meadow with flowers", "a field of wildflowers"),
        Cover.LAVENDER: ("a lavender field", "a field of lavender"),
        Cover.WHEAT: ("a wheat field", "a golden wheat field"),
    }
    names = _places("in", *sown.get(scene.cover, ()))
    if scene.relief is Relief.HILLS:
        names += _places("among", "hills", "rolling hills")
        names += _places("in", "a hilly landscape")
    elif scene.relief is Relief.KNOLL:
        names += _places("on", "a hill", "a round hill")
    elif scene.relief is Relief.VALLEY:
        names += _places("in", "a valley", "a wide valley")
    elif scene.snowy:
        names += _places("in", "a snowy field", "a field of snow")
    elif scene.cover is Cover.GRASS:
        names += _places("in", "a meadow", "a green meadow" if _green(scene) else "a meadow")
    return names


def _one_tree(scene: Scene) -> tuple[str, ...]:
    """Name the single tree in front."""
    if scene.trees is Tree.CACTUS:
        return ("a cactus", "a tall cactus")
    names = ("a tree", "a large tree", *(f"a {kind}tree" for kind in _kinds(scene)))
    return (*names, "a lone tree", "a single tree") if scene.amount is Amount.NONE else names


def _some_trees(scene: Scene) -> tuple[str, ...]:
    """Name trees that do not make a forest."""
    if scene.trees is Tree.CACTUS:
        return ("cacti", "cactuses")
    names = ("trees", *(f"{kind}trees" for kind in _kinds(scene)))
    if scene.season is Season.AUTUMN and scene.trees in _BARE:
        return (*names, "autumn trees", "colourful autumn trees")
    if scene.season is Season.WINTER:
        return (*names, "bare trees" if scene.trees in _BARE else "snowy trees")
    return names


def _kinds(scene: Scene) -> tuple[str, ...]:
    return tuple(f"{kind} " if kind else "" for kind in _TREES[scene.trees])


def _green(scene: Scene) -> bool:
    return scene.season in {Season.SPRING, Season.SUMMER} and scene.time is Time.DAY


def _plain(phrase: str) -> str:
    """Take the article away."""
    return phrase.removeprefix("a ").removeprefix("an ").removeprefix("the ")


def _a(phrase: str) -> str:
    """Put an article before what is one of many."""
    return f"{'an' if phrase[0] in 'aeio' else 'a'} {phrase}"


def _alike(first: str, second: str) -> bool:
    """Return whether two phrases would say a noun twice."""
    one, other = ({word.rstrip("s") for word in text.split()} for text in (first, second))
    return bool({word for word in one & other if len(word) > 3})


def _joined(parts: list[str]) -> str:
    """Join parts by commas, leaving out as many of the last as do not fit."""
    while len(", ".join(parts)) > LONGEST:
        parts = parts[:-1]
    return ", ".join(parts)
