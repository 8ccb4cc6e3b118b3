from __future__ import annotations

from typing import Any

import pytest

from example_recipe import make_recipe
from underpaint_client import BadInputError, Variation
from underpaint_client.geometry import Extent
from underpaint_client.variations import MAX_VARIATIONS
from underpaint_editor.form import Form
from underpaint_editor.layers import fit_into
from underpaint_editor.results import (
    common_tag,
    describe_kept,
    describe_page,
    describe_settings,
    is_copy,
    list_thumbnails,
    name_preview,
)
from underpaint_editor.tag import Tag

RECIPE = make_recipe(seed=7)
TAG = Tag(RECIPE, "source")
PREVIEW = Tag(None, "source")


def varied(*steps: tuple[int, float], **more: Any) -> Tag:
    variations = tuple(Variation(seed, weight) for seed, weight in steps)
    return Tag(make_recipe({"variations": variations}, seed=7, **more), "source")


@pytest.mark.parametrize(
    ("tag", "seed", "amount", "tip"),
    [
        (TAG, "7", "", "Seed 7. "),
        (varied((5, 0.5), (6, 0.2)), "6", "varied 0.2", "Seed 7 with 5:0.5,6:0.2. "),
        (varied(chain=True, images=3), "7", "chained, 3", "Seed 7. "),
        (PREVIEW, "preview", "", "A preview, "),
    ],
)
def test_what_stands_beneath_a_thumbnail(tag: Tag, seed: str, amount: str, tip: str) -> None:
    (card,) = list_thumbnails([tag], [True], 0)
    assert (card.index, card.seed, card.amount, card.shown) == (0, seed, amount, True)
    assert card.tip.startswith(tip)


@pytest.mark.parametrize(
    ("count", "at", "indexes", "page"),
    [
        (1, 0, [0], ""),
        (6, 5, [0, 1, 2, 3, 4, 5], ""),
        (7, 5, [0, 1, 2, 3, 4, 5], "1 to 6 of 7"),
        (7, 6, [6], "7 of 7"),
        (14, 7, [6, 7, 8, 9, 10, 11], "7 to 12 of 14"),
    ],
)
def test_the_selected_result_is_among_those_shown(
    count: int, at: int, indexes: list[int], page: str
) -> None:
    cards = list_thumbnails([TAG] * count, [index == at for index in range(count)], at)
    assert [card.index for card in cards] == indexes
    assert [card.index for card in cards if card.shown] == [at]
    assert describe_page(count, at) == page


@pytest.mark.parametrize(
    ("removed", "words"),
    [
        (0, "The other results are locked, so they were kept beside seed 7."),
        (1, "Kept seed 7. Undo restores the other result."),
        (3, "Kept seed 7. Undo restores the other 3 results."),
    ],
)
def test_keeping_is_told(removed: int, words: str) -> None:
    assert describe_kept("seed 7", removed) == words


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        (TAG, "Settings copied. The seed is locked."),
        (
            varied(width=512, height=512),
            "Settings copied, except its processing size: there is no field for it.",
        ),
        (
            varied((5, 0.5), chain=True, images=2),
            "Settings copied, except its variation (use Vary to continue from it) and its position"
            " in a chain: there is no field for them.",
        ),
    ],
)
def test_what_the_form_cannot_hold_is_told(tag: Tag, words: str) -> None:
    assert describe_settings(tag.settings_without_field()) == words


def test_a_kept_preview_is_a_result_without_a_recipe() -> None:
    assert Tag.from_text(PREVIEW.to_text()) == PREVIEW
    assert name_preview("seed 7", 3, 20) == "preview of seed 7, step 3 of 20"
    with pytest.raises(BadInputError, match="select a finished result"):
        PREVIEW.variations(0.1, 1, 1)
    with pytest.raises(BadInputError, match="select a finished result"):
        PREVIEW.to_form(Form())


def test_the_last_generation_tells_the_way_out() -> None:
    most = varied(*[(n, 0.1) for n in range(MAX_VARIATIONS)])
    assert len(most.variations(0.1, 1, 1).variation.base) == MAX_VARIATIONS
    one_more = varied(*[(n, 0.1) for n in range(MAX_VARIATIONS + 1)])
    with pytest.raises(BadInputError, match="vary an earlier result of its group"):
        one_more.variations(0.1, 1, 1)


@pytest.mark.parametrize(
    ("name", "original", "copy"),
    [
        ("Copy of seed 7", "seed 7", True),
        ("Kopie von seed 7", "seed 7", True),
        ("seed 7", "seed 7", True),
        ("Copy of seed 71", "seed 7", False),
        ("Copy of seed 7 with 812:0.3", "seed 7", False),
        ("Copy of seed 7 with 812:0.3", "seed 7 with 812:0.3", True),
        ("mine", "seed 7", False),
        ("my17", "7", False),
    ],
)
def test_a_copy_is_known_by_its_name(name: str, original: str, copy: bool) -> None:
    assert is_copy(name, original) is copy


def test_a_copy_of_one_of_several_is_of_none() -> None:
    assert common_tag([]) is None
    assert common_tag([TAG, TAG]) == TAG
    assert common_tag([TAG, PREVIEW]) is None


@pytest.mark.parametrize(
    ("size", "fitted"),
    [((600, 300), (60, 30)), ((10, 20), (30, 60)), ((1, 900), (1, 60)), ((0, 0), (1, 1))],
)
def test_thumbnails_keep_their_proportions(size: tuple[int, int], fitted: tuple[int, int]) -> None:
    assert fit_into(Extent(*size), Extent(60, 60)) == Extent(*fitted)
