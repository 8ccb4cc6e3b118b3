"""What is in a picture: everything that the painter and the captions need to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self, TypeVar

import numpy as np


class Time(StrEnum):
    """Time of day."""

    DAWN = "dawn"
    DAY = "day"
    SUNSET = "sunset"
    DUSK = "dusk"
    NIGHT = "night"


class Weather(StrEnum):
    """What the air and the clouds do."""

    CLEAR = "clear"
    CLOUDY = "cloudy"
    OVERCAST = "overcast"
    STORM = "storm"
    FOG = "fog"
    RAIN = "rain"
    SNOWFALL = "snowfall"


class Season(StrEnum):
    """Season; winter means that snow lies."""

    SPRING = "spring"
    SUMMER = "summer"
    AUTUMN = "autumn"
    WINTER = "winter"


class Cover(StrEnum):
    """What grows on the open ground."""

    GRASS = "grass"
    FLOWERS = "flowers"
    WHEAT = "wheat"
    LAVENDER = "lavender"
    SAND = "sand"


class Relief(StrEnum):
    """The shape of the land from the foreground to the middle distance."""

    PLAIN = "plain"
    HILLS = "hills"
    KNOLL = "knoll"
    VALLEY = "valley"


class Backdrop(StrEnum):
    """What rises in the distance."""

    NONE = "none"
    HILLS = "hills"
    MOUNTAINS = "mountains"
    MESAS = "mesas"


class Water(StrEnum):
    """The water in the picture."""

    NONE = "none"
    LAKE = "lake"
    RIVER = "river"
    SEA = "sea"


class Tree(StrEnum):
    """What the trees are."""

    PINE = "pine"
    BROADLEAF = "broadleaf"
    BIRCH = "birch"
    POPLAR = "poplar"
    PALM = "palm"
    CACTUS = "cactus"


class Amount(StrEnum):
    """How many trees there are, a single large one in front not counted."""

    NONE = "none"
    FEW = "few"
    MANY = "many"
    FOREST = "forest"


class Building(StrEnum):
    """What people have built here."""

    NONE = "none"
    COTTAGE = "cottage"
    BARN = "barn"
    CHURCH = "church"
    VILLAGE = "village"
    LIGHTHOUSE = "lighthouse"


class Finish(StrEnum):
    """The medium in which the picture is carried out."""

    PHOTOGRAPH = "photograph"
    OIL = "oil"
    IMPRESSION = "impression"
    WATERCOLOUR = "watercolour"
    PASTEL = "pastel"
    POSTER = "poster"


@dataclass(frozen=True)
class Scene:
    """A picture before it is painted.

    Parameters
    ----------
    seed : int
        Of every texture and of where things stand.
    finish, time, weather, season, cover, relief, backdrop, water
        See the enumerations.
    trees : Tree
        What the trees are, where there are any.
    amount : Amount
        How many of them.
    lone : bool
        A large tree stands in front.
    building : Building
        What people have built.
    path, boat : bool
        Whether there is one. A boat needs a lake or the sea.
    horizon : float
        0.25..0.75; the height of the horizon from the top, in picture heights.
    zoom : float
        About 0.7..1.4; more shows less of the world, larger.
    eye : float
        Metres, about 3..14; how high above the water the painter's eye is.
    mirrored : bool
        The picture is turned left to right.
    sun : tuple of float
        Where the sun or the moon is: to the right in picture widths (0..1) and above the horizon
        as a part (0..1) of the sky.
    facing : bool
        That light is in the picture; otherwise it comes from behind the painter's shoulder.
    """

    seed: int
    finish: Finish = Finish.PHOTOGRAPH
    time: Time = Time.DAY
    weather: Weather = Weather.CLEAR
    season: Season = Season.SUMMER
    cover: Cover = Cover.GRASS
    relief: Relief = Relief.PLAIN
    backdrop: Backdrop = Backdrop.NONE
    water: Water = Water.NONE
    trees: Tree = Tree.BROADLEAF
    amount: Amount = Amount.NONE
    lone: bool = False
    building: Building = Building.NONE
    path: bool = False
    boat: bool = False
    horizon: float = 0.45
    zoom: float = 1.0
    eye: float = 6.0
    mirrored: bool = False
    sun: tuple[float, float] = (0.3, 0.4)
    facing: bool = False

    def with_(self, **changes: Any) -> Self:
        """Return the same picture with some fields changed, and the rest made to agree."""
        return _agreed(replace(self, **changes), frozenset(changes))

    @property
    def snowy(self) -> bool:
        """Whether snow lies on the ground."""
        return self.season is Season.WINTER and self.cover is not Cover.SAND

    @property
    def low_light(self) -> bool:
        """Whether windows are lit."""
        return self.time in {Time.DUSK, Time.NIGHT}


_S = TypeVar("_S", bound=Scene)
_T = TypeVar("_T")


def sample_scene(rng: np.random.Generator) -> Scene:
    """Draw everything about a picture.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where the randomness comes from; the same state gives the same scene.
    """
    fields: dict[str, Any] = {
        "seed": int(rng.integers(2**31)),
        "finish": _choose(rng, _FINISHES),
        "time": _choose(rng, _TIMES),
        "weather": _choose(rng, _WEATHERS),
        "season": _choose(rng, _SEASONS),
        "horizon": float(0.25 + 0.5 * rng.beta(2.4, 3.0)),
        "zoom": float(np.exp(rng.normal(0, 0.16)).clip(0.7, 1.4)),
        "eye": float(np.exp(rng.uniform(np.log(3.5), np.log(12)))),
        "mirrored": bool(rng.random() < 0.5),
        "sun": (float(rng.uniform(0.12, 0.88)), float(rng.uniform(0.08, 0.7))),
    }
    fields |= _SUBJECTS[_choose(rng, dict.fromkeys(_SUBJECTS, 1))](rng)
    if fields["time"] is not Time.DAY and fields["weather"] in _GREY and rng.random() < 0.6:
        # Grey weather hides what makes these hours worth painting.
        fields["weather"] = _choose(rng, {Weather.CLEAR: 1, Weather.CLOUDY: 1})
    sides = {Time.DAWN: 0.55, Time.SUNSET: 0.75, Time.NIGHT: 0.7, Time.DUSK: 0.3, Time.DAY: 0.12}
    fields["facing"] = bool(rng.random() < sides[fields["time"]])
    if fields["time"] in {Time.DAWN, Time.SUNSET}:
        x, height = fields["sun"]
        fields["sun"] = (x, height * 0.45)
    return _agreed(Scene(**fields), frozenset())


_FINISHES = {
    Finish.PHOTOGRAPH: 34,
    Finish.OIL: 20,
    Finish.IMPRESSION: 10,
    Finish.WATERCOLOUR: 15,
    Finish.PASTEL: 10,
    Finish.POSTER: 11,
}
_TIMES = {Time.DAWN: 13, Time.DAY: 42, Time.SUNSET: 20, Time.DUSK: 10, Time.NIGHT: 15}
_WEATHERS = {
    Weather.CLEAR: 34,
    Weather.CLOUDY: 32,
    Weather.OVERCAST: 8,
    Weather.STORM: 7,
    Weather.FOG: 9,
    Weather.RAIN: 4,
    Weather.SNOWFALL: 5,
}
_GREY = {Weather.OVERCAST, Weather.RAIN, Weather.SNOWFALL, Weather.STORM, Weather.FOG}
_SEASONS = {Season.SPRING: 20, Season.SUMMER: 36, Season.AUTUMN: 22, Season.WINTER: 22}


def _choose(rng: np.random.Generator, weights: Mapping[_T, float]) -> _T:
    values = list(weights)
    shares = np.array(list(weights.values()), float)
    return values[int(rng.choice(len(values), p=shares / shares.sum()))]


def _leafy(rng: np.random.Generator) -> Tree:
    return _choose(rng, {Tree.BROADLEAF: 5, Tree.BIRCH: 2, Tree.POPLAR: 2, Tree.PINE: 2})


def _mountain_lake(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "water": Water.LAKE,
        "backdrop": Backdrop.MOUNTAINS,
        "trees": _choose(rng, {Tree.PINE: 6, Tree.BIRCH: 1, Tree.BROADLEAF: 2}),
        "amount": _choose(rng, {Amount.NONE: 1, Amount.FEW: 2, Amount.MANY: 3, Amount.FOREST: 2}),
        "building": _choose(rng, {Building.NONE: 6, Building.COTTAGE: 2}),
        "boat": bool(rng.random() < 0.15),
    }


def _mountains(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "backdrop": Backdrop.MOUNTAINS,
        "relief": _choose(rng, {Relief.PLAIN: 2, Relief.HILLS: 2, Relief.VALLEY: 2}),
        "cover": _choose(rng, {Cover.GRASS: 3, Cover.FLOWERS: 2}),
        "trees": _choose(rng, {Tree.PINE: 5, Tree.BROADLEAF: 2}),
        "amount": _choose(rng, {Amount.NONE: 2, Amount.FEW: 2, Amount.MANY: 2, Amount.FOREST: 2}),
        "building": _choose(
            rng, {Building.NONE: 7, Building.COTTAGE: 2, Building.CHURCH: 1, Building.VILLAGE: 1}
        ),
        "path": bool(rng.random() < 0.3),
    }


def _river(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "water": Water.RIVER,
        "relief": _choose(
            rng, {Relief.PLAIN: 2, Relief.HILLS: 2, Relief.VALLEY: 3, Relief.KNOLL: 2}
        ),
        "backdrop": _choose(rng, {Backdrop.MOUNTAINS: 3, Backdrop.HILLS: 3, Backdrop.NONE: 1}),
        "cover": _choose(rng, {Cover.GRASS: 3, Cover.FLOWERS: 1}),
        "trees": _leafy(rng),
        "amount": _choose(rng, {Amount.FEW: 2, Amount.MANY: 3, Amount.FOREST: 2}),
        "lone": bool(rng.random() < 0.3),
        "building": _choose(rng, {Building.NONE: 6, Building.COTTAGE: 2, Building.CHURCH: 1}),
    }


def _hills(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "relief": _choose(rng, {Relief.HILLS: 3, Relief.KNOLL: 2}),
        "backdrop": _choose(rng, {Backdrop.HILLS: 3, Backdrop.NONE: 2, Backdrop.MOUNTAINS: 1}),
        "cover": _choose(
            rng, {Cover.GRASS: 5, Cover.FLOWERS: 2, Cover.WHEAT: 2, Cover.LAVENDER: 1}
        ),
        "trees": _leafy(rng),
        "amount": _choose(rng, {Amount.NONE: 1, Amount.FEW: 3, Amount.MANY: 2}),
        "lone": bool(rng.random() < 0.45),
        "building": _choose(
            rng,
            {
                Building.NONE: 5,
                Building.COTTAGE: 3,
                Building.BARN: 1,
                Building.CHURCH: 1,
                Building.VILLAGE: 2,
            },
        ),
        "path": bool(rng.random() < 0.5),
    }


def _fields(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "relief": _choose(rng, {Relief.PLAIN: 3, Relief.HILLS: 1}),
        "backdrop": _choose(rng, {Backdrop.HILLS: 3, Backdrop.NONE: 2, Backdrop.MOUNTAINS: 1}),
        "cover": _choose(
            rng, {Cover.FLOWERS: 4, Cover.WHEAT: 2, Cover.LAVENDER: 2, Cover.GRASS: 1}
        ),
        "trees": _leafy(rng),
        "amount": _choose(rng, {Amount.NONE: 2, Amount.FEW: 3, Amount.MANY: 2, Amount.FOREST: 2}),
        "lone": bool(rng.random() < 0.5),
        "building": _choose(rng, {Building.NONE: 5, Building.COTTAGE: 2, Building.BARN: 2}),
        "path": bool(rng.random() < 0.35),
    }


def _forest(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "relief": _choose(rng, {Relief.PLAIN: 3, Relief.VALLEY: 1, Relief.HILLS: 1}),
        "backdrop": _choose(rng, {Backdrop.NONE: 2, Backdrop.HILLS: 1, Backdrop.MOUNTAINS: 2}),
        "water": _choose(rng, {Water.NONE: 4, Water.RIVER: 2, Water.LAKE: 1}),
        "trees": _choose(rng, {Tree.PINE: 4, Tree.BROADLEAF: 3, Tree.BIRCH: 2}),
        "amount": Amount.FOREST,
        "building": _choose(rng, {Building.NONE: 5, Building.COTTAGE: 2}),
        "path": bool(rng.random() < 0.55),
    }


def _coast(rng: np.random.Generator) -> dict[str, Any]:
    warm = rng.random() < 0.3
    return {
        "water": Water.SEA,
        "relief": _choose(rng, {Relief.PLAIN: 1, Relief.HILLS: 1}),
        "cover": Cover.GRASS,
        "trees": Tree.PALM if warm else _choose(rng, {Tree.PINE: 1, Tree.BROADLEAF: 1}),
        "amount": _choose(rng, {Amount.NONE: 3, Amount.FEW: 2}),
        "lone": bool(rng.random() < (0.6 if warm else 0.1)),
        "season": Season.SUMMER if warm else _choose(rng, _SEASONS),
        "building": Building.NONE
        if warm
        else _choose(rng, {Building.NONE: 3, Building.LIGHTHOUSE: 4, Building.COTTAGE: 1}),
        "boat": bool(rng.random() < 0.4),
    }


def _desert(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "cover": Cover.SAND,
        "relief": _choose(rng, {Relief.HILLS: 3, Relief.PLAIN: 1}),
        "backdrop": _choose(rng, {Backdrop.NONE: 2, Backdrop.MESAS: 3, Backdrop.MOUNTAINS: 1}),
        "trees": Tree.CACTUS,
        "amount": _choose(rng, {Amount.NONE: 1, Amount.FEW: 1}),
        "lone": bool(rng.random() < 0.25),
        "season": Season.SUMMER,
        "weather": _choose(
            rng, {Weather.CLEAR: 6, Weather.CLOUDY: 3, Weather.STORM: 1, Weather.FOG: 0.5}
        ),
    }


_SUBJECTS = {
    "mountain lake": _mountain_lake,
    "mountains": _mountains,
    "river": _river,
    "hills": _hills,
    "fields": _fields,
    "forest": _forest,
    "coast": _coast,
    "desert": _desert,
}


_CLOSED = {Weather.OVERCAST, Weather.STORM, Weather.RAIN, Weather.SNOWFALL}
_STILL_OR_SEA = {Water.LAKE, Water.SEA}

# What cannot be together, and what to change then; earlier rules may call for later ones.
_RULES: tuple[tuple[Callable[[Scene], bool], dict[str, Any]], ...] = (
    (lambda s: s.weather is Weather.SNOWFALL, {"season": Season.WINTER}),
    (lambda s: s.season is Season.WINTER, {"cover": Cover.GRASS}),
    (
        lambda s: s.season is Season.AUTUMN and s.cover in {Cover.LAVENDER, Cover.FLOWERS},
        {"cover": Cover.GRASS},
    ),
    (
        lambda s: s.cover is Cover.SAND,
        {"season": Season.SUMMER, "trees": Tree.CACTUS, "building": Building.NONE},
    ),
    (
        lambda s: s.cover is Cover.SAND and s.amount in {Amount.MANY, Amount.FOREST},
        {"amount": Amount.FEW},
    ),
    (
        lambda s: s.cover is Cover.SAND and s.weather in {Weather.RAIN, Weather.SNOWFALL},
        {"weather": Weather.CLEAR},
    ),
    (
        lambda s: s.cover is not Cover.SAND and s.trees is Tree.CACTUS,
        {"trees": Tree.BROADLEAF},
    ),
    (lambda s: s.season is Season.WINTER and s.trees is Tree.PALM, {"trees": Tree.PINE}),
    (
        lambda s: s.cover is not Cover.SAND and s.backdrop is Backdrop.MESAS,
        {"backdrop": Backdrop.MOUNTAINS},
    ),
    (lambda s: s.boat and s.water not in _STILL_OR_SEA, {"boat": False}),
    (
        lambda s: s.building is Building.LIGHTHOUSE and s.water not in _STILL_OR_SEA,
        {"building": Building.COTTAGE},
    ),
    (lambda s: s.weather in _CLOSED, {"facing": False}),
)


def _agreed(scene: _S, fixed: frozenset[str]) -> _S:
    """Change what cannot be together, but nothing that is fixed."""
    for applies, changes in _RULES:
        if applies(scene):
            free = {name: value for name, value in changes.items() if name not in fixed}
            scene = replace(scene, **free)
    return scene
