"""Figures are drawn with OpenPose's points, limbs and colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from underpaint.engine.pose_drawing import draw_poses, has_points
from underpaint_client.geometry import Extent

SIZE = Extent(200, 160)
ORDER = ["nose", "left eye", "right eye", "left ear", "right ear", "left shoulder",
         "right shoulder", "left elbow", "right elbow", "left wrist", "right wrist", "left hip",
         "right hip", "left knee", "right knee", "left ankle", "right ankle"]  # fmt: skip
"""COCO's points."""


def figure(**points: tuple[float, float]) -> Any:
    """A figure with these points, and no others that are sure."""
    found = np.zeros((17, 3))
    for name, place in points.items():
        found[ORDER.index(name.replace("_", " "))] = (*place, 0.9)
    return found


@pytest.mark.parametrize(
    ("name", "colour"),
    [
        ("nose", (255, 0, 0)),
        ("right_shoulder", (255, 170, 0)),
        ("right_wrist", (170, 255, 0)),
        ("left_shoulder", (85, 255, 0)),
        ("right_hip", (0, 255, 170)),
        ("left_hip", (0, 85, 255)),
        ("left_ankle", (85, 0, 255)),
        ("right_eye", (170, 0, 255)),
        ("left_eye", (255, 0, 255)),
        ("left_ear", (255, 0, 85)),
    ],
)
def test_points_have_openposes_colours(name: str, colour: tuple[int, int, int]) -> None:
    drawn = np.rint(255 * draw_poses([figure(**{name: (40, 60)})], SIZE))
    assert tuple(drawn[60, 40]) == colour
    rows, columns = np.nonzero(drawn.any(axis=2))
    assert (abs(rows - 60).max(), abs(columns - 40).max()) == (1, 1)


def test_a_neck_joins_the_shoulders_and_limbs_are_darker() -> None:
    shoulders = figure(left_shoulder=(140, 80), right_shoulder=(60, 80))
    drawn = np.rint(255 * draw_poses([shoulders], SIZE))
    assert tuple(drawn[80, 100]) == (255, 85, 0)  # the neck, half way
    assert tuple(drawn[80, 80]) == (153, 0, 0)  # the limb to the right shoulder
    assert tuple(drawn[80, 120]) == (153, 51, 0)
    assert not drawn[100:].any()


def test_what_is_not_sure_is_not_drawn() -> None:
    unsure = figure(nose=(40, 60))
    unsure[:, 2] /= 4
    assert not draw_poses([unsure], SIZE).any()
    assert not has_points(unsure)
    assert has_points(figure(left_hip=(1, 1)))
    assert not draw_poses([], SIZE).any()
    assert draw_poses([unsure, figure(nose=(9, 9))], SIZE)[9, 9, 0] == 1
