"""The words of captions: what each thing in a scene is called."""

from __future__ import annotations

from dataclasses import dataclass

from .scene import Amount, Building, Cover, Finish, Relief, Scene, Season, Time, Tree, Weather

MEDIA = {
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
OF = ("photograph", "photo", "painting", "watercolour", "watercolor", "drawing", "illustration")
TIMES = {
    Time.DAWN: ("at dawn", "at sunrise", "in the early morning", "in morning light"),
    Time.DAY: ("by day", "in daylight", "during the day"),
    Time.SUNSET: ("at sunset", "in evening light", "in the evening", "at golden hour"),
    Time.DUSK: ("at dusk", "at twilight", "in the blue hour", "after sunset"),
    Time.NIGHT: ("at night", "by night", "in the dark night"),
}
HOURS = {
    Time.DAWN: ("dawn", "sunrise", "morning"),
    Time.DAY: ("day",),
    Time.SUNSET: ("sunset", "evening"),
    Time.DUSK: ("dusk", "twilight"),
    Time.NIGHT: ("night",),
}
SKIES = {
    Weather.CLEAR: ("under a clear sky",),
    Weather.CLOUDY: ("under a cloudy sky", "under clouds", "beneath a cloudy sky"),
    Weather.OVERCAST: ("under an overcast sky", "under a grey sky", "beneath grey clouds"),
    Weather.STORM: ("under a stormy sky", "under dark clouds", "before the storm"),
    Weather.FOG: ("in fog", "in the mist", "in thick fog", "in mist"),
    Weather.RAIN: ("in the rain", "in rain", "with rain"),
    Weather.SNOWFALL: ("in falling snow", "in a snowfall", "while it snows"),
}
AIRS = {
    Weather.CLEAR: ("clear sky",),
    Weather.CLOUDY: ("clouds", "cloudy"),
    Weather.OVERCAST: ("overcast", "grey sky"),
    Weather.STORM: ("storm", "stormy sky", "dark clouds"),
    Weather.FOG: ("fog", "mist", "foggy", "misty"),
    Weather.RAIN: ("rain", "rainy"),
    Weather.SNOWFALL: ("snowfall", "falling snow", "snow"),
}
MOODS = {
    Weather.STORM: ("stormy",),
    Weather.FOG: ("foggy", "misty"),
    Weather.RAIN: ("rainy",),
}
SEASONS = {
    Season.SPRING: ("in spring", "in springtime"),
    Season.SUMMER: ("in summer",),
    Season.AUTUMN: ("in autumn", "in the fall"),
    Season.WINTER: ("in winter", "in the snow", "covered in snow"),
}
TREES = {
    Tree.PINE: ("pine", "fir"),
    Tree.BROADLEAF: ("",),
    Tree.BIRCH: ("birch",),
    Tree.POPLAR: ("poplar",),
    Tree.PALM: ("palm",),
    Tree.CACTUS: ("",),
}
BUILDINGS = {
    Building.COTTAGE: ("a cottage", "a small house", "a house", "a little house"),
    Building.BARN: ("a red barn", "a barn", "a farm"),
    Building.CHURCH: ("a church", "a small church", "a church with a steeple"),
    Building.VILLAGE: ("a village", "a small village", "houses and a church"),
    Building.LIGHTHOUSE: ("a lighthouse", "a tall lighthouse"),
}
FAIR = {Weather.CLEAR, Weather.CLOUDY}
BARE = {Tree.BROADLEAF, Tree.BIRCH, Tree.POPLAR}


@dataclass(frozen=True)
class Place:
    """A place's name, and where something in it is."""

    name: str
    where: str


def name_places(preposition: str, *names: str) -> list[Place]:
    """Return places by their names, with where something in each of them is."""
    return [Place(name, f"{preposition} {name}") for name in names]


def name_fields(scene: Scene) -> list[Place]:
    """Name open land."""
    sown = {
        Cover.FLOWERS: ("a flower meadow", "a meadow with flowers", "a field of wildflowers"),
        Cover.LAVENDER: ("a lavender field", "a field of lavender"),
        Cover.WHEAT: ("a wheat field", "a golden wheat field"),
    }
    names = name_places("in", *sown.get(scene.cover, ()))
    if scene.relief is Relief.HILLS:
        names += name_places("among", "hills", "rolling hills")
        names += name_places("in", "a hilly landscape")
    elif scene.relief is Relief.KNOLL:
        names += name_places("on", "a hill", "a round hill")
    elif scene.relief is Relief.VALLEY:
        names += name_places("in", "a valley", "a wide valley")
    elif scene.snowy:
        names += name_places("in", "a snowy field", "a field of snow")
    elif scene.cover is Cover.GRASS:
        names += name_places("in", "a meadow", "a green meadow" if _green(scene) else "a meadow")
    return names


def name_tree(scene: Scene) -> tuple[str, ...]:
    """Name the single tree in front."""
    if scene.trees is Tree.CACTUS:
        return ("a cactus", "a tall cactus")
    names = ("a tree", "a large tree", *(f"a {kind}tree" for kind in _kinds(scene)))
    return (*names, "a lone tree", "a single tree") if scene.amount is Amount.NONE else names


def name_trees(scene: Scene) -> tuple[str, ...]:
    """Name trees that do not make a forest."""
    if scene.trees is Tree.CACTUS:
        return ("cacti", "cactuses")
    names = ("trees", *(f"{kind}trees" for kind in _kinds(scene)))
    if scene.season is Season.AUTUMN and scene.trees in BARE:
        return (*names, "autumn trees", "colourful autumn trees")
    if scene.season is Season.WINTER:
        return (*names, "bare trees" if scene.trees in BARE else "snowy trees")
    return names


def _kinds(scene: Scene) -> tuple[str, ...]:
    return tuple(f"{kind} " if kind else "" for kind in TREES[scene.trees])


def _green(scene: Scene) -> bool:
    return scene.season in {Season.SPRING, Season.SUMMER} and scene.time is Time.DAY


def without_article(phrase: str) -> str:
    """Take the article away."""
    return phrase.removeprefix("a ").removeprefix("an ").removeprefix("the ")


def with_article(phrase: str) -> str:
    """Put an article before what is one of many."""
    return f"{'an' if phrase[0] in 'aeio' else 'a'} {phrase}"


def share_noun(first: str, second: str) -> bool:
    """Return whether two phrases would say a noun twice."""
    one, other = ({word.rstrip("s") for word in text.split()} for text in (first, second))
    return bool({word for word in one & other if len(word) > 3})
