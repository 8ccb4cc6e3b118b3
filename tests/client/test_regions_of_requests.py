"""Regions in requests: how they are typed, checked, chosen by seed, styled and kept."""

from __future__ import annotations

import pytest

from example_recipe import make_recipe
from underpaint_client.errors import BadInputError
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.inputs import InputFrames
from underpaint_client.picture_settings import settings_of_recipe
from underpaint_client.regions import Region, TypedRegion, read_region
from underpaint_client.request import Request
from underpaint_client.rules import check_rasters
from underpaint_client.seeds import expand_chain, image_prompt, request_of_image
from underpaint_client.styles import Style, apply_style


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.png=snow", TypedRegion(Region("snow", "a"), "a.png")),
        (" m/a.b.png = x=1, {y|z} ", TypedRegion(Region("x=1, {y|z}", "a.b"), "m/a.b.png")),
        (r"C:\masks\sky.png=clouds", TypedRegion(Region("clouds", "sky"), r"C:\masks\sky.png")),
        ("sky=clouds", TypedRegion(Region("clouds", "sky"), "sky")),
    ],
)
def test_a_region_is_typed_as_a_file_and_a_prompt(text: str, expected: TypedRegion) -> None:
    assert read_region(text) == expected


def test_the_seed_chooses_in_regions_as_in_the_prompt() -> None:
    choice = "{" + "|".join("abcdefgh") + "} __sky__"
    request = Request.of(prompt=choice, regions=(Region(choice, "x"),), seed=3, images=4)
    prompts = [image_prompt(request, n, lambda _: ["red", "blue"]) for n in range(4)]
    assert all(one.regions == (one.positive,) for one in prompts)
    assert len({one.positive for one in prompts}) > 1
    again = request_of_image(request, 2, prompts[2])
    assert again.conditioning.regions == (Region(prompts[2].positive, "x"),)
    assert image_prompt(again, 0) == prompts[2]
    chain = expand_chain(request.with_values(chain=True), lambda _: ["red", "blue"])
    assert "__sky__" not in chain.conditioning.regions[0].prompt


def test_a_style_is_put_around_the_prompts_of_regions_too() -> None:
    request = Request.of(prompt="a lake", regions=(Region("snow", "x"),))
    styled = apply_style(request, Style("ink", "{prompt}, ink"))
    assert styled.conditioning.regions == (Region("snow, ink", "x"),)


def test_settings_of_a_picture_leave_regions_out_and_say_so() -> None:
    found = settings_of_recipe(make_recipe(regions=(Region("snow"),)))
    assert "regions" not in found.values
    assert "its regions are not used: the picture does not hold their masks" in map(
        str, found.notes
    )


def test_a_mask_lies_on_the_layers_box_and_belongs_to_a_region() -> None:
    def frame(name: str, side: int, channels: str) -> Frame:
        size = side * side * len(channels)
        return Frame(name, Box(0, 0, side, side), "u1", channels, bytes(size))

    layer = frame("layer", 4, "RGBA")
    for channels in ("RGBA", "BGRA", "Y"):
        inputs = InputFrames.of([layer, frame("region_8", 4, channels)])
        assert list(inputs.rasters) == ["region_8"]
    with pytest.raises(BadInputError, match="the region_1 has 2 x 2 pixels"):
        InputFrames.of([layer, frame("region_1", 2, "Y")])
    with pytest.raises(BadInputError, match="raster 'region_9' is unknown"):
        InputFrames.of([layer, frame("region_9", 4, "Y")])
    InputFrames.of([frame("region_1", 2, "Y")])
    regions = (Region("snow", "Sky"), Region("sea"))
    check_rasters(Request.of(regions=regions), ["region_1", "region_2"])
    with pytest.raises(BadInputError, match="region 2 came without its mask"):
        check_rasters(Request.of(regions=regions), ["region_1"])
    with pytest.raises(BadInputError, match="region_3 came, and the request has 2 regions"):
        check_rasters(Request.of(regions=regions), ["region_1", "region_2", "region_3"])
