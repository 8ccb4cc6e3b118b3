"""Make the pictures that models are given of reference layers, and read them for IP-Adapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModelWithProjection

from underpaint.models.files import WEIGHTS_NAMES
from underpaint.models.ip_adapter_list import VisionModel
from underpaint.models.ip_adapters import VisionFacts
from underpaint.models.stamps import stamp_status
from underpaint_client.errors import BadInputError, ModelUnavailableError, UnderpaintError
from underpaint_client.reference_layers import ReferenceLayer, reference_raster

from .memory import is_out_of_memory
from .pixels import Floats, Pixels, fraction, hash_picture, quantize
from .single_file import read_tensors

PAPER = np.float32(1)
"""The colour that shows where a reference layer is transparent: white."""


@dataclass(frozen=True, eq=False)
class ReferencePicture:
    """What is seen of a reference layer.

    Parameters
    ----------
    index : int
        Of the reference layer in the request.
    layer : ReferenceLayer
        What was asked for.
    colour : float32, (H, W, 3)
        RGB, 0..1.
    hash : str
        Of it.
    """

    index: int
    layer: ReferenceLayer
    colour: Floats
    hash: str


def take_references(
    layers: Sequence[ReferenceLayer], rasters: Mapping[str, Pixels]
) -> tuple[ReferencePicture, ...]:
    """Return what is seen of each reference layer whose strength is above 0.

    Raises
    ------
    BadInputError
        One is empty.
    """
    found = []
    for index, layer in enumerate(layers):
        if not layer.strength:
            continue
        colour = make_reference_picture(rasters[reference_raster(index)])
        if colour is None:
            raise BadInputError(
                "the reference layer {number} ({kind}) is empty; paint something on it, or leave"
                " it out",
                number=index + 1,
                kind=layer.kind,
            )
        found.append(ReferencePicture(index, layer, colour, hash_picture(colour)))
    return tuple(found)


def make_reference_picture(raster: Pixels) -> Floats | None:
    """Return what is seen of a layer, on white, without the empty space around it.

    Parameters
    ----------
    raster : uint8, uint16, float16 or float32, (H, W, 4) or (H, W, 1)
        RGBA with straight alpha, or grey.

    Returns
    -------
    float32, (h, w, 3) or None
        RGB, 0..1; None for a layer on which nothing is seen.
    """
    if raster.shape[2] == 1:
        return np.repeat(fraction(raster), 3, axis=2)
    alpha = fraction(raster[..., 3])
    rows, columns = (np.flatnonzero(alpha.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    seen = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    opacity = alpha[seen][..., np.newaxis]
    picture: Floats = fraction(raster[seen][..., :3]) * opacity + PAPER * (1 - opacity)
    return picture


# ---- CLIP -----------------------------------------------------------------------------------


def read_picture(colour: Floats, encoder: VisionModel, reads: str) -> torch.Tensor:
    """Read a picture as an IP-Adapter was trained to: its middle square, on the CPU.

    Parameters
    ----------
    colour : float32, (H, W, 3)
        RGB, 0..1.
    encoder : VisionModel
        The CLIP vision model.
    reads : str
        As `IpAdapterFacts`.

    Returns
    -------
    float32 tensor (2, D) or (2, N, D)
        Of no picture, which guidance leads away from, and of the picture.

    Raises
    ------
    ModelUnavailableError
        The CLIP vision model cannot be opened.
    """
    model = open_vision_model(encoder, reads)
    side = model.config.image_size
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )
    pixels = processor(
        quantize(colour, np.dtype(np.uint8)), input_data_format="channels_last", return_tensors="pt"
    ).pixel_values
    if reads == "projection":
        found = model(pixels).image_embeds
        return torch.cat([torch.zeros_like(found), found])
    both = torch.cat([torch.zeros_like(pixels), pixels])
    hidden: torch.Tensor = model(both, output_hidden_states=True).hidden_states[-2]
    return hidden


_KNOWN = {
    768: {"hidden_act": "quick_gelu", "num_attention_heads": 12},
    1024: {"hidden_act": "quick_gelu", "num_attention_heads": 16},
    1280: {"hidden_act": "gelu", "num_attention_heads": 16},
    1664: {"hidden_act": "gelu", "num_attention_heads": 16},
}
"""What headers do not tell of OpenAI's ViT-B and ViT-L, and of OpenCLIP's ViT-H and ViT-bigG."""


def open_vision_model(encoder: VisionModel, reads: str) -> Any:
    """Open a CLIP vision model in the computer's memory.

    Raises
    ------
    ModelUnavailableError
        It cannot be read, is damaged, was changed since its header was read, or is of a kind that
        is not known and has no config beside it.
    """
    file = Path(encoder.path)
    try:
        config = _find_config(file, encoder.facts)
        tensors = read_tensors(file, "", torch.float32)
        opened, found = CLIPVisionModelWithProjection.from_pretrained(
            None, config=config, state_dict=tensors, dtype=torch.float32, output_loading_info=True
        )
        unchanged = stamp_status(file.stat()) == encoder.stamp
    except UnderpaintError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ModelUnavailableError(
            "CLIP vision model {path} cannot be opened ({error}); fetch it again",
            path=file,
            error=(str(error).strip().splitlines() or [type(error).__name__])[0],
        ) from error
    missing = sorted(
        name
        for name in found["missing_keys"]
        if reads == "projection" or name != "visual_projection.weight"
    )
    if missing:
        raise ModelUnavailableError(
            "CLIP vision model {path} lacks {tensor}; fetch it again", path=file, tensor=missing[0]
        )
    if not unchanged:
        raise ModelUnavailableError(
            "CLIP vision model {path} was changed while it was opened; try again when it is"
            " complete",
            path=file,
        )
    return opened.eval().requires_grad_(False)


def _find_config(file: Path, facts: VisionFacts) -> CLIPVisionConfig:
    """Return the config beside the weights of a folder, else that of a known model."""
    is_folder = file.stem.partition(".")[0] == WEIGHTS_NAMES["transformers"]
    if is_folder and (file.parent / "config.json").exists():
        return CLIPVisionConfig.from_pretrained(file.parent, local_files_only=True)
    if facts.hidden not in _KNOWN:
        raise ModelUnavailableError(
            "CLIP vision model {path} is of no known kind; put it into a folder of its own, called"
            " model.safetensors, with its config.json",
            path=file,
        )
    return CLIPVisionConfig(
        hidden_size=facts.hidden,
        intermediate_size=facts.intermediate,
        projection_dim=facts.projection or facts.hidden,
        num_hidden_layers=facts.layers,
        patch_size=facts.patch,
        image_size=round((facts.positions - 1) ** 0.5) * facts.patch,
        **_KNOWN[facts.hidden],
    )
