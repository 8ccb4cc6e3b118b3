"""Pictures of control layers made of a layer: what each model's numbers become."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import transformers

import preprocessor_files as files
from runs import texture
from underpaint.engine import Engine, Inputs, Picture
from underpaint.engine.ade20k import COLOURS
from underpaint.engine.estimators import Estimators
from underpaint.engine.preprocessing import MOST_PIXELS, slopes
from underpaint_client.control_layers import CONTROL_PICTURES, ControlPicture
from underpaint_client.errors import (
    BadInputError,
    CancelledError,
    GenerationFailedError,
    ModelUnavailableError,
)
from underpaint_client.request import Request

LAYER = texture(48, 64)


@pytest.fixture
def folder(models: Path) -> Iterator[Path]:
    """The folder of preprocessors; what a test puts there is gone after it."""
    folder = models.parent / "preprocessors"
    folder.mkdir(exist_ok=True)
    yield folder
    shutil.rmtree(folder)


def compute(engine: Engine, kind: str, layer: Any = LAYER, model: str = "", **more: Any) -> Picture:
    request = Request(control_picture=ControlPicture(kind, model))
    (picture,) = engine.generate(request, Inputs(layer, x=3, y=5), **more)
    return picture


def rgb(engine: Engine, kind: str, layer: Any = LAYER, **more: Any) -> Any:
    pixels = compute(engine, kind, layer, **more).pixels
    assert pixels.shape == layer.shape
    assert pixels.dtype == layer.dtype
    full = 1 if layer.dtype.kind == "f" else np.iinfo(layer.dtype).max
    assert (pixels[..., 3] == full).all()
    return pixels[..., :3]


def read_by_transformers(weights: Path, layer: Any = LAYER) -> Any:
    """What a model of depth says, as its library reads it."""
    folder = weights.parent
    model = transformers.AutoModelForDepthEstimation.from_pretrained(folder)
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    inputs = processor(
        images=np.ascontiguousarray(layer[..., :3]),
        return_tensors="pt",
        input_data_format="channels_last",
    )
    with torch.no_grad():
        outputs = model(**inputs)
    (found,) = processor.post_process_depth_estimation(outputs, target_sizes=[layer.shape[:2]])
    return found["predicted_depth"].numpy()


def scaled(values: Any) -> Any:
    return (values - values.min()) / (values.max() - values.min())


# ---- without a model ------------------------------------------------------------------------


def test_canny_and_blur_need_no_model(engine: Engine) -> None:
    edges = rgb(engine, "canny")
    expected = cv2.Canny(np.ascontiguousarray(LAYER[..., :3]), 100, 200)
    assert (edges == expected[..., np.newaxis]).all()
    assert 0 < (edges > 0).mean() < 1
    blurred = rgb(engine, "blur")
    assert 0 < blurred.std() < LAYER[..., :3].std()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_result_has_the_depth_size_and_place_of_the_layer(engine: Engine, dtype: Any) -> None:
    full = 1 if dtype is np.float32 else np.iinfo(dtype).max
    layer = (LAYER.astype(np.float64) / 255 * full).astype(dtype)
    picture = compute(engine, "canny", layer)
    assert (picture.box.x, picture.box.y, picture.kind) == (3, 5, "layer")
    assert set(np.unique(rgb(engine, "canny", layer))) == {0, full}


def test_hidden_colour_counts_and_lost_colour_is_filled(engine: Engine) -> None:
    hidden = LAYER.copy()
    hidden[10:30, 10:30, 3] = 0
    assert (rgb(engine, "blur", hidden) == rgb(engine, "blur")).all()
    flat = np.full((48, 64, 4), 200, np.uint8)
    flat[10:30, 10:30] = 0
    assert not rgb(engine, "canny", flat).any()  # the hole itself has no edge
    with pytest.raises(BadInputError, match="the layer is empty"):
        compute(engine, "canny", np.zeros((48, 64, 4), np.uint8))


def test_a_large_layer_is_looked_at_smaller(engine: Engine) -> None:
    large = texture(1100, 1400)
    picture = compute(engine, "canny", large)
    width, height = picture.recipe.facts.work_size
    assert width * height <= MOST_PIXELS < 1100 * 1400
    assert picture.pixels.shape == large.shape


# ---- depth and normals ----------------------------------------------------------------------


def test_depth_is_as_its_model_says_the_nearest_white(engine: Engine, folder: Path) -> None:
    weights = files.write_dpt(folder / "depth-anything")
    depth = rgb(engine, "depth")
    assert (depth == depth[..., :1]).all()
    assert (depth.min(), depth.max()) == (0, 255)
    expected = 255 * scaled(read_by_transformers(weights))
    assert np.abs(depth[..., 0] - expected).max() <= 1
    recipe = compute(engine, "depth").recipe
    assert recipe.request.control_picture == ControlPicture("depth", "depth-anything")
    assert len(recipe.facts.model_hash) == 64


def test_distances_are_turned_round(engine: Engine, folder: Path) -> None:
    weights = files.write_glpn(folder / "glpn")
    depth = rgb(engine, "depth")[..., 0]
    distance = read_by_transformers(weights)
    assert np.abs(depth - 255 * scaled(1 / distance)).max() <= 1
    assert distance[depth == 255].max() < distance[depth == 0].min()


def test_slopes_face_left_up_and_the_viewer() -> None:
    across = np.linspace(0, 1, 64, dtype=np.float32)
    rising = np.tile(across, (64, 1))  # nearer to the right: it faces left
    left = slopes(rising)[32, 32]
    assert left[0] > 0.55
    assert left[1] == pytest.approx(0.5, abs=0.01)
    up = slopes(rising.T)[32, 32]
    assert up[1] > 0.55
    assert slopes(1 - rising)[32, 32][0] < 0.45
    assert slopes(np.full((64, 64), 0.5, np.float32))[5, 5] == pytest.approx([0.5, 0.5, 1])
    steep = slopes(np.tile(np.minimum(across * 4, 1), (64, 1)))[32, 8]
    assert steep[0] == pytest.approx(0.5 + 0.5**1.5, abs=0.03)  # 45 degrees


def test_normals_come_of_a_model_of_depth(engine: Engine, folder: Path) -> None:
    weights = files.write_dpt(folder / "dpt")
    normal = rgb(engine, "normal") / 255
    expected = slopes(scaled(read_by_transformers(weights)).astype(np.float32))
    assert np.abs(normal - expected).max() < 0.02


# ---- classes, lines, poses ------------------------------------------------------------------


def test_classes_have_the_colours_of_ade20k(engine: Engine, folder: Path) -> None:
    files.write_segformer(folder / "segformer", shown=7)
    assert (rgb(engine, "segmentation") == (204, 5, 255)).all()
    files.write_segformer(folder / "segformer", shown=2)
    assert (rgb(engine, "segmentation") == (6, 230, 230)).all()
    assert len(np.unique(COLOURS, axis=0)) == 149  # the dataset gives two classes one colour


def test_a_model_of_other_classes_is_refused(engine: Engine, folder: Path) -> None:
    files.write_segformer(folder / "cityscapes", classes=19)
    with pytest.raises(ModelUnavailableError, match="tells 19 classes apart.*150 of ADE20K"):
        compute(engine, "segmentation")


def stepped() -> Any:
    """A layer that is black on the left and white on the right."""
    layer = np.full((64, 64, 4), 255, np.uint8)
    layer[:, :32, :3] = 0
    return layer


def test_lines_are_light_on_black(engine: Engine, folder: Path) -> None:
    files.write_edges(folder / "edges.onnx")
    lines = rgb(engine, "lines", stepped())
    assert (lines[:, 31] == 255).all()
    assert not lines[:, :31].any()
    assert not lines[:, 32:].any()
    scribble = rgb(engine, "scribble", stepped())
    assert set(np.unique(scribble)) == {0, 255}
    assert (scribble[:, 30:33] == 255).all()
    assert not scribble[:, :28].any()


def test_numbers_below_0_go_through_a_sigmoid(engine: Engine, folder: Path) -> None:
    files.write_edges(folder / "edges.onnx", clipped=False)
    lines = rgb(engine, "lines", stepped())[:, :, 0] / 255  # 1 on the step, -1 at the edge
    assert lines[5, 31] == pytest.approx(1 / (1 + np.exp(-1)), abs=0.01)
    assert lines[5, 10] == pytest.approx(0.5, abs=0.01)
    assert lines[5, 63] == pytest.approx(1 / (1 + np.exp(1)), abs=0.01)


def test_a_file_beside_it_says_what_a_model_of_lines_takes(engine: Engine, folder: Path) -> None:
    files.write_edges(folder / "edges.onnx")
    beside = folder / "edges.underpaint.json"
    beside.write_text(json.dumps({"scale": 0.5}))
    assert (rgb(engine, "lines", stepped())[:, 31] == 128).all()
    engine._estimators = Estimators(torch.device("cpu"))
    beside.write_text(json.dumps({"std": [1, 0, 1]}))
    with pytest.raises(ModelUnavailableError, match="edges.underpaint.json: mean and std need"):
        compute(engine, "lines")
    beside.write_text(json.dumps({"colour": "bgr"}))
    with pytest.raises(ModelUnavailableError, match="edges.underpaint.json: .*is not an object"):
        compute(engine, "lines")


def test_poses_are_drawn_where_the_model_sees_them(engine: Engine, folder: Path) -> None:
    files.write_vitpose(folder / "vitpose")
    picture = compute(engine, "pose")
    assert picture.pixels[..., :3].any()
    assert picture.recipe.facts.notes == (
        "the layer was taken for one figure: no model finds people",
    )
    files.write_detector(folder / "rt-detr")
    found = compute(engine, "pose")
    assert found.recipe.facts.notes == ()
    assert (found.pixels != picture.pixels).any()
    shutil.rmtree(folder / "rt-detr")
    files.write_detector(folder / "rt-detr", seen="cat")
    with pytest.raises(GenerationFailedError, match="no figure was found in the layer"):
        compute(engine, "pose")


# ---- what goes wrong ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("depth", "no model here computes depth; put the folder of a depth model for transformers"),
        ("normal", "no model here computes normal; put the folder of a depth model"),
        ("pose", "no model here computes pose; put the folder of a ViTPose model"),
        ("segmentation", "no model here computes segmentation; put the folder of a segmentation"),
        ("lines", "no model here computes lines; put an ONNX file that draws lines"),
        ("scribble", "no model here computes scribble; put an ONNX file that draws lines"),
    ],
)
def test_a_kind_without_a_model_is_refused(
    engine: Engine, folder: Path, kind: str, told: str
) -> None:
    with pytest.raises(ModelUnavailableError, match=told) as error:
        compute(engine, kind)
    assert f"into {folder}, or draw the layer yourself" in str(error.value)


def test_a_preprocessor_can_be_named(engine: Engine, folder: Path) -> None:
    files.write_dpt(folder / "a" / "one", seed=1)
    files.write_dpt(folder / "b" / "two", seed=2)
    first, second = rgb(engine, "depth", model="one"), rgb(engine, "depth", model="b/two")
    assert (first != second).any()
    assert (rgb(engine, "depth") == first).all()
    with pytest.raises(ModelUnavailableError, match="preprocessor 'three' is unknown"):
        compute(engine, "depth", model="three")
    with pytest.raises(ModelUnavailableError, match="'a/one' does not compute pose"):
        compute(engine, "pose", model="one")


def test_damaged_files_are_named(engine: Engine, folder: Path) -> None:
    weights = files.write_dpt(folder / "dpt")
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelUnavailableError, match=str(weights)):
        compute(engine, "depth")
    (folder / "lines.onnx").write_bytes(b"no model")
    with pytest.raises(ModelUnavailableError, match=r"lines.onnx cannot be used"):
        compute(engine, "lines")


def test_it_can_be_cancelled_and_needs_a_layer(engine: Engine) -> None:
    with pytest.raises(CancelledError):
        compute(engine, "canny", cancelled=lambda: True)
    with pytest.raises(BadInputError, match="computed from a layer, and none came"):
        list(engine.generate(Request(control_picture=ControlPicture("canny"))))
    with pytest.raises(BadInputError, match="kind 'tile' cannot be computed; choose one of canny"):
        compute(engine, "tile")


def test_every_kind_is_offered_that_can_be_computed() -> None:
    assert list(CONTROL_PICTURES) == [
        "canny", "lines", "scribble", "depth", "normal", "pose", "segmentation", "blur",
    ]  # fmt: skip


def test_what_does_not_fit_on_the_device_runs_on_the_cpu(
    engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write_dpt(folder / "dpt")
    expected = rgb(engine, "depth")
    estimators = Estimators(torch.device("meta"))  # as a GPU that is full
    moves: list[str] = []
    real = torch.nn.Module.to

    def move(module: Any, where: Any) -> Any:
        moves.append(str(where))
        if str(where) == "meta":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return real(module, where)

    monkeypatch.setattr(torch.nn.Module, "to", move)
    monkeypatch.setattr(engine, "_estimators", estimators)
    assert (rgb(engine, "depth") == expected).all()
    assert moves == ["meta", "cpu"]


def test_the_selection_and_the_rest_of_the_request_do_not_count(engine: Engine) -> None:
    wanted = ControlPicture("canny")
    selection = np.zeros((48, 64), np.uint8)
    request = replace(Request.of(images=4, strength=0.0, prompt="("), control_picture=wanted)
    (picture,) = engine.generate(request, Inputs(LAYER, selection))
    assert (picture.pixels[..., :3] == rgb(engine, "canny")).all()
