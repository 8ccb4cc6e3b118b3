"""From trained networks to a model folder as diffusers reads it.

A run that still trains, or was stopped, is exported from its newest checkpoint. From `daemon/`::

    python -m training.export RUN FOLDER
"""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path

import diffusers
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionInpaintPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextModel, CLIPTokenizer

from .unet import NOISE_LEVELS, Parts

SAMPLER = "k_euler_a"
"""The sampler the model recommends: it fits holes better to their surroundings than others."""


def export(folder: Path, parts: Parts) -> None:
    """Write a model folder, in half precision."""
    diffusers.utils.logging.set_verbosity_error()
    vae, unet, text_encoder = (
        copy.deepcopy(part).to("cpu", torch.float16, memory_format=torch.contiguous_format)
        for part in (parts.vae, parts.unet, parts.text_encoder)
    )
    StableDiffusionInpaintPipeline(
        vae=vae,
        unet=unet,
        tokenizer=parts.tokenizer,
        text_encoder=text_encoder,
        scheduler=DDIMScheduler(**NOISE_LEVELS),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    for config in folder.glob("*/config.json"):  # where parts lay before is nobody's business
        told = json.loads(config.read_text(encoding="utf-8"))
        told.pop("_name_or_path", None)
        config.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    recommended = json.dumps({"sampler": SAMPLER})
    (folder / "underpaint.json").write_text(recommended + "\n", encoding="utf-8")


def open_parts(folder: Path) -> Parts:
    """Open a model folder to train it or to export it again, in float32."""
    return Parts(
        AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32),
        UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32),
        CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32),
    )


def export_checkpoint(run: Path, folder: Path) -> int:
    """Write a model folder from a run's newest checkpoint of the denoiser, its averaged weights.

    Parameters
    ----------
    run : Path
        The run's folder: `start` holds the model that it went on from.
    folder : Path
        Where the model goes.

    Returns
    -------
    int
        The steps it was trained for.

    Raises
    ------
    FileNotFoundError
        Where there is no checkpoint yet.
    """
    files = [run / f"{name}.pt" for name in ("unet", "holes", "more")]
    there = [file for file in files if file.exists()]
    if not there:
        raise FileNotFoundError(f"{run} holds no checkpoint of a denoiser yet; train it first")
    newest = max(there, key=lambda file: file.stat().st_mtime)
    state = torch.load(newest, map_location="cpu", weights_only=True)
    parts = open_parts(run / "start")
    for name, part in (("unet.", parts.unet), ("text_encoder.", parts.text_encoder)):
        averaged = {
            key.removeprefix(name): weight
            for key, weight in state["averaged"].items()
            if key.startswith(name)
        }
        weights = dict(part.named_parameters())
        assert weights.keys() == averaged.keys()  # noqa: S101
        with torch.no_grad():
            for key, weight in weights.items():
                weight.copy_(averaged[key])
    export(folder, parts)
    steps: int = state["step"]
    return steps


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(prog="python -m training.export")
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("folder", type=Path, help="where the model goes")
    options = parser.parse_args()
    steps = export_checkpoint(options.run, options.folder)
    print(f"{options.folder}: after {steps} steps")


if __name__ == "__main__":
    main()
