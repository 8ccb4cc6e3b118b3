"""Run the models that read depth, classes, poses or lines out of a picture.

Models of transformers are opened by its own classes, from safetensors alone and without code of
their own. ONNX files are run by OpenCV, on the CPU.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
import transformers

from underpaint.models.preprocessors import ListedPreprocessor, OnnxInput, read_onnx_input
from underpaint.models.stamps import stamp_status
from underpaint_client.errors import ModelUnavailableError
from underpaint_client.geometry import Extent

from .devices import free_memory
from .memory import is_out_of_memory
from .pixels import Floats, Pixels, quantize, resize
from .pose_drawing import Figure

log = logging.getLogger(__name__)

ONNX_SIDE = 512
"""Pixels a side that a file takes that takes no other size, as most exports are made."""

ONNX_MULTIPLE = 32
"""What the sides of a picture are multiples of for a file that takes any size."""

PERSON_SCORE = 0.5
"""The least score of what is taken for a person."""

_METRIC = ("depth_pro", "glpn", "zoedepth")
"""Models that tell distances; the others tell how near something is."""

Result = TypeVar("Result")


class Estimators:
    """The models that were opened last: one of each kind waits in the computer's memory.

    Parameters
    ----------
    device : torch.device
        Where to compute. What does not fit there beside the model that paints is computed on the
        CPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._opened: dict[str, tuple[ListedPreprocessor, Any]] = {}

    def nearness(self, found: ListedPreprocessor, image: Floats) -> Floats:
        """Return how near what a picture shows is.

        Parameters
        ----------
        found : ListedPreprocessor
            A model of depth.
        image : float32, (H, W, 3)
            RGB, 0..1.

        Returns
        -------
        float32, (H, W)
            0 is the farthest, 1 the nearest; 0 everywhere if all is as far.

        Raises
        ------
        ModelUnavailableError
            It cannot be opened.
        """
        processor, model = self._open(found)
        size = image.shape[:2]
        raw = self._run(model, lambda: model(**self._inputs(model, processor, image)))
        sizes = {"target_sizes": [size]}
        if model.config.model_type == "zoedepth":  # which pads, and must know how much
            sizes["source_sizes"] = [size]
        (told,) = processor.post_process_depth_estimation(raw, **sizes)
        depth = told["predicted_depth"].float().cpu().numpy()
        is_metric = getattr(model.config, "depth_estimation_type", "relative") == "metric"
        if is_metric or model.config.model_type in _METRIC:
            depth = 1 / np.maximum(depth, 1e-3)
        low, high = float(depth.min()), float(depth.max())
        scaled: Floats = (depth - low) / (high - low) if high > low else np.zeros_like(depth)
        return scaled.astype(np.float32)

    def classes(self, found: ListedPreprocessor, image: Floats) -> Pixels:
        """Return the class of each pixel, as the model counts them; parameters as `nearness`.

        Returns
        -------
        int64, (H, W)
        """
        processor, model = self._open(found)
        raw = self._run(model, lambda: model(**self._inputs(model, processor, image)))
        (told,) = processor.post_process_semantic_segmentation(raw, target_sizes=[image.shape[:2]])
        classes: Pixels = told.cpu().numpy()
        return classes

    def figures(
        self, found: ListedPreprocessor, detector: ListedPreprocessor | None, image: Floats
    ) -> list[Figure]:
        """Return the points of each figure in a picture, as `pose_drawing.draw_poses` takes them.

        Parameters
        ----------
        found : ListedPreprocessor
            A model of poses.
        detector : ListedPreprocessor or None
            Finds people; without it, the whole picture is taken for one figure.
        image : float32, (H, W, 3)
            RGB, 0..1.
        """
        height, width = image.shape[:2]
        boxes = [[0.0, 0.0, float(width), float(height)]]
        if detector is not None:
            boxes = self._people(detector, image)
        if not boxes:
            return []
        processor, model = self._open(found)

        def call() -> Any:
            inputs = self._inputs(model, processor, image, boxes=[boxes])
            if getattr(model.config.backbone_config, "num_experts", 1) > 1:
                inputs["dataset_index"] = torch.zeros(len(boxes), dtype=torch.long).to(model.device)
            return model(**inputs)

        raw = self._run(model, call)
        (told,) = processor.post_process_pose_estimation(raw, boxes=[boxes])
        return [_with_scores(one["keypoints"], one["scores"]) for one in told]

    def _people(self, detector: ListedPreprocessor, image: Floats) -> list[list[float]]:
        """Return where people are: x, y, width and height in pixels."""
        processor, model = self._open(detector)
        raw = self._run(model, lambda: model(**self._inputs(model, processor, image)))
        (told,) = processor.post_process_object_detection(
            raw, threshold=PERSON_SCORE, target_sizes=[image.shape[:2]]
        )
        names = model.config.id2label
        people = [
            box.tolist()
            for box, label in zip(told["boxes"], told["labels"], strict=True)
            if names.get(int(label)) == "person"
        ]
        return [[left, top, right - left, bottom - top] for left, top, right, bottom in people]

    def lines(self, found: ListedPreprocessor, image: Floats) -> Floats:
        """Return the lines of a picture, light on black; parameters as `nearness`.

        Returns
        -------
        float32, (H, W)
            0..1.
        """
        takes, net = self._open(found)
        height, width = image.shape[:2]
        size = Extent(takes.size, takes.size) if takes.size else _rounded(width, height)
        try:
            drawn = _run_onnx(net, takes, image, size)
        except cv2.error as error:
            if takes.size or (size.width, size.height) == (ONNX_SIDE, ONNX_SIDE):
                raise _not_opened(found, error) from error
            log.info("%s does not take %s pixels; %d tried", found.path, size, ONNX_SIDE)
            try:
                drawn = _run_onnx(net, takes, image, Extent(ONNX_SIDE, ONNX_SIDE))
            except cv2.error as second:
                raise _not_opened(found, second) from second
        lines = np.clip(resize(_in_range(drawn), Extent(width, height)), 0, 1)
        return 1 - lines if lines.mean() > 0.5 else lines  # most of a drawing is its paper

    # ---- opening ---------------------------------------------------------------------------

    def _open(self, found: ListedPreprocessor) -> tuple[Any, Any]:
        """Return a model, and what makes its input: opened, or as it was opened before.

        Raises
        ------
        ModelUnavailableError
            It cannot be read, is damaged, or was changed meanwhile.
        """
        kept = self._opened.get(found.kind)
        if kept is None or kept[0] != found:
            self._opened.pop(found.kind, None)
            path = Path(found.path)
            try:
                opened = _open_folder(found) if found.facts.architecture else _open_onnx(path)
                is_same = stamp_status(path.stat()) == found.stamp
            except ModelUnavailableError:
                raise
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                raise _not_opened(found, error) from error
            if not is_same:
                raise ModelUnavailableError(
                    "preprocessor {path} was changed while it was opened; try again when it is"
                    " complete",
                    path=found.path,
                )
            self._opened[found.kind] = found, opened
        opened_pair: tuple[Any, Any] = self._opened[found.kind][1]
        return opened_pair

    def _run(self, model: Any, call: Callable[[], Result]) -> Result:
        """Call a model where it computes, and leave it in the computer's memory."""
        try:
            model.to(self._device)
            return call()
        except Exception as error:
            if self._device.type == "cpu" or not is_out_of_memory(error):
                raise
            log.info("a preprocessor does not fit on the GPU, and runs on the CPU")
        finally:
            model.to("cpu")
        free_memory(self._device)
        return call()

    @staticmethod
    def _inputs(model: Any, processor: Any, image: Floats, **more: Any) -> Any:
        pixels = quantize(image, np.dtype(np.uint8))
        made = processor(
            images=pixels, return_tensors="pt", input_data_format="channels_last", **more
        )
        return made.to(model.device)


def _open_folder(found: ListedPreprocessor) -> tuple[Any, Any]:
    folder = Path(found.path).parent
    offline = {"local_files_only": True}
    processor = transformers.AutoImageProcessor.from_pretrained(folder, **offline)
    model, told = getattr(transformers, found.facts.architecture).from_pretrained(
        folder, use_safetensors=True, output_loading_info=True, **offline
    )
    missing = sorted(told["missing_keys"])
    if missing:
        raise ModelUnavailableError(
            "preprocessor {path} lacks the weights {name}; fetch it again",
            path=found.path,
            name=missing[0],
        )
    return processor, model.float().eval().requires_grad_(False)


def _open_onnx(path: Path) -> tuple[OnnxInput, Any]:
    return read_onnx_input(path), cv2.dnn.readNetFromONNX(str(path))


def _not_opened(found: ListedPreprocessor, error: Exception) -> ModelUnavailableError:
    return ModelUnavailableError(
        "preprocessor {path} cannot be used ({error}); fetch it again, or name another one",
        path=found.path,
        error=(str(error).strip().splitlines() or [type(error).__name__])[0],
    )


# ---- ONNX -----------------------------------------------------------------------------------


def _rounded(width: int, height: int) -> Extent:
    sides = (max(1, round(side / ONNX_MULTIPLE)) * ONNX_MULTIPLE for side in (width, height))
    return Extent(*sides)


def _run_onnx(net: Any, takes: OnnxInput, image: Floats, size: Extent) -> Floats:
    mean, std = (np.array(each, np.float32) for each in (takes.mean, takes.std))
    given = (resize(image, size) * np.float32(takes.scale) - mean) / std
    if takes.bgr:
        given = given[..., ::-1]
    net.setInput(np.ascontiguousarray(given.transpose(2, 0, 1)[np.newaxis]))
    outputs = net.forward(net.getUnconnectedOutLayersNames())
    drawn = np.asarray(outputs[-1], np.float32)  # of several, the last is what the others add to
    while drawn.ndim > 3:
        drawn = drawn[0]
    if drawn.ndim == 3:
        drawn = drawn.mean(axis=0 if drawn.shape[0] <= 4 else 2)
    if drawn.ndim != 2:
        raise cv2.error(f"its result has the shape {drawn.shape}, which is no picture")
    return drawn


def _in_range(drawn: Floats) -> Floats:
    """Return a drawing in 0..1, whether it is that, 0..255, or to go through a sigmoid."""
    low, high = float(drawn.min()), float(drawn.max())
    if low < -0.05:
        soft: Floats = (1 / (1 + np.exp(-np.clip(drawn, -60, 60)))).astype(np.float32)
        return soft
    return drawn / np.float32(255) if high > 2 else drawn


def _with_scores(points: Any, scores: Any) -> Figure:
    x_y, sure = (np.asarray(torch.as_tensor(each).cpu(), float) for each in (points, scores))
    return np.column_stack([x_y, sure.reshape(-1)])
