"""Preprocessors that are made on the spot: tiny models of transformers, and ONNX files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

_MEAN = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}


def save(folder: Path, model: Any, processor: str, **settings: Any) -> Path:
    """Write a model as transformers does, and return the file of its weights."""
    torch.manual_seed(0)
    model.save_pretrained(folder)
    config = {"image_processor_type": processor, "do_resize": True, "do_rescale": True,
              "rescale_factor": 1 / 255, "do_normalize": True, **_MEAN, **settings}  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(config))
    return folder / "model.safetensors"


def make_dpt(seed: int = 1, task: str = "DepthEstimation", **more: Any) -> Any:
    torch.manual_seed(seed)
    config = transformers.DPTConfig(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=32,
        image_size=32, patch_size=8, backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8, is_hybrid=False, **more,
    )  # fmt: skip
    return getattr(transformers, f"DPTFor{task}")(config).eval()


def write_dpt(folder: Path, seed: int = 1) -> Path:
    """Write a model of depth that tells how near something is."""
    size = {"height": 32, "width": 32}
    return save(folder, make_dpt(seed), "DPTImageProcessor", size=size, do_pad=False, resample=3)


def write_glpn(folder: Path, seed: int = 1) -> Path:
    """Write a model of depth that tells distances."""
    torch.manual_seed(seed)
    config = transformers.GLPNConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 8, 8], num_attention_heads=[1, 1, 1, 1],
        decoder_hidden_size=8, mlp_ratios=[2, 2, 2, 2],
    )  # fmt: skip
    model = transformers.GLPNForDepthEstimation(config).eval()
    return save(folder, model, "GLPNImageProcessor", size_divisor=32, resample=2)


def write_segformer(folder: Path, shown: int = 7, classes: int = 150) -> Path:
    """Write a model of classes that sees one of them everywhere."""
    torch.manual_seed(1)
    config = transformers.SegformerConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 8, 8], num_attention_heads=[1, 1, 1, 1],
        decoder_hidden_size=8, mlp_ratios=[2, 2, 2, 2], num_labels=classes,
    )  # fmt: skip
    model = transformers.SegformerForSemanticSegmentation(config).eval()
    with torch.no_grad():
        model.decode_head.classifier.weight.zero_()
        model.decode_head.classifier.bias.zero_()[shown] = 1
    size = {"height": 32, "width": 32}
    return save(folder, model, "SegformerImageProcessor", size=size, resample=2)


def write_vitpose(folder: Path, seed: int = 1) -> Path:
    """Write a model of poses, which is sure of the points that it sees."""
    torch.manual_seed(seed)
    backbone = transformers.VitPoseBackboneConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=[64, 48],
        patch_size=[16, 16], out_indices=[2], mlp_ratio=2,
    )  # fmt: skip
    config = transformers.VitPoseConfig(
        backbone_config=backbone, use_simple_decoder=True, num_labels=17
    )
    model = transformers.VitPoseForPoseEstimation(config).eval()
    with torch.no_grad():
        model.head.conv.bias.fill_(1.0)
    size = {"height": 64, "width": 48}
    return save(folder, model, "VitPoseImageProcessor", size=size, do_resize=False)


def write_detector(folder: Path, seen: str = "person", seed: int = 1) -> Path:
    """Write a model that finds things, and takes all of them for one kind."""
    torch.manual_seed(seed)
    backbone = transformers.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"], out_indices=[2, 3, 4],
    )  # fmt: skip
    config = transformers.RTDetrConfig(
        backbone_config=backbone, encoder_hidden_dim=16, encoder_in_channels=[8, 8, 8],
        feat_strides=[8, 16, 32], encoder_ffn_dim=16, encoder_attention_heads=2, d_model=16,
        num_queries=2, decoder_in_channels=[16, 16, 16], decoder_ffn_dim=16, decoder_layers=1,
        decoder_attention_heads=2, num_denoising=0, id2label={0: "person", 1: "cat"},
        label2id={"person": 0, "cat": 1},
    )  # fmt: skip
    model = transformers.RTDetrForObjectDetection(config).eval()
    with torch.no_grad():
        for layer in model.model.decoder.class_embed:
            layer.weight.zero_()
            layer.bias.fill_(-9)[config.label2id[seen]] = 9
    size = {"height": 64, "width": 64}
    return save(folder, model, "RTDetrImageProcessor", size=size, do_pad=False, resample=2)


# ---- ONNX -----------------------------------------------------------------------------------


def _varint(number: int) -> bytes:
    found = b""
    while True:
        number, low = number >> 7, number & 127
        found += bytes([low | (128 if number else 0)])
        if not number:
            return found


def _field(number: int, value: bytes | int | str) -> bytes:
    """Return a field of a protobuf message."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def write_edges(file: Path, *, clipped: bool = True) -> Path:
    """Write an ONNX file with one convolution: how much lighter the right neighbour is.

    Without `clipped`, its numbers go below 0.
    """
    weights = np.zeros((1, 3, 3, 3), "<f4")
    weights[0, :, 1, 1], weights[0, :, 1, 2] = -1 / 3, 1 / 3
    shape = b"".join(_field(1, side) for side in weights.shape)
    tensor = shape + _field(2, 1) + _field(8, "w") + _field(9, weights.tobytes())

    def value(name: str, channels: int) -> bytes:
        sides = [_field(1, 1), _field(1, channels), _field(2, "h"), _field(2, "w")]
        told = _field(1, 1) + _field(2, b"".join(_field(1, one) for one in sides))
        return _field(1, name) + _field(2, _field(1, told))

    def numbers(name: str, given: list[int]) -> bytes:
        return _field(5, _field(1, name) + b"".join(_field(8, n) for n in given) + _field(20, 7))

    def node(kind: str, into: tuple[str, ...], out: str) -> bytes:
        inputs = b"".join(_field(1, one) for one in into)
        return inputs + _field(2, out) + _field(3, kind) + _field(4, kind)

    last = "c" if clipped else "y"
    conv = node("Conv", ("x", "w"), last)
    conv += numbers("kernel_shape", [3, 3]) + numbers("pads", [1, 1, 1, 1])
    graph = _field(1, conv) + (_field(1, node("Relu", ("c",), "y")) if clipped else b"")
    graph += _field(2, "g") + _field(5, tensor)
    graph += _field(11, value("x", 3)) + _field(12, value("y", 1))
    file.parent.mkdir(parents=True, exist_ok=True)
    opset = _field(8, _field(1, "") + _field(2, 13))
    file.write_bytes(_field(1, 8) + _field(7, graph) + opset)
    return file
