"""What is in a picture: everything that the painter and the captions need to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self, TypeVar


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
        return agree(replace(self, **changes), frozenset(changes))

    @property
    def snowy(self) -> bool:
        """Whether snow lies on the ground."""
        return self.season is Season.WINTER and self.cover is not Cover.SAND

    @property
    def low_light(self) -> bool:
        """Whether windows are lit."""
        return self.time in {Time.DUSK, Time.NIGHT}


_S = TypeVar("_S", bound=Scene)


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


def agree(scene: _S, fixed: frozenset[str]) -> _S:
    """Change what cannot be together, but nothing that is fixed."""
    for applies, changes in _RULES:
        if applies(scene):
            free = {name: value for name, value in changes.items() if name not in fixed}
            scene = replace(scene, **free)
    return scene
