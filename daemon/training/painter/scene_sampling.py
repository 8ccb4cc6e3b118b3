"""Draw scenes: which subjects there are, and how often each thing is in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

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
    agree,
)

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
    return agree(Scene(**fields), frozenset())


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
