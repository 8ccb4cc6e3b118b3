r"""Make the starter model: paint pictures, train the parts on them, write the model folder.

Run from `daemon/`; stopped and run again, it goes on where it was::

    python -m training training/configs/cpu.toml --minutes 120 --out RUN

From a model that is there already it goes on with the denoiser alone::

    python -m training training/configs/cpu.toml --minutes 120 --out RUN \
        --start-from underpaint/starter
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from .config import Config, TextStage, UnetStage, VaeStage
from .data import list_shards, painters
from .export import export
from .text import build_tokenizer, train_text
from .unet import Parts, build_unet, is_plain, train_unet, widen
from .vae import train_vae

_PACKAGES = ("torch", "diffusers", "transformers", "numpy", "opencv-python-headless", "scipy")


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m training", description="Make a starter model.")
    parser.add_argument("config", type=Path, help="a file of training/configs")
    parser.add_argument("--minutes", type=float, required=True, help="the time to train, in all")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--painters",
        type=int,
        default=os.cpu_count(),
        help="processes that paint; 0: none, the training itself stops now and then to paint some",
    )
    parser.add_argument("--start-from", type=Path, help="a model folder to go on from")
    options = parser.parse_args()
    config = Config.read(options.config)
    options.out.mkdir(parents=True, exist_ok=True)
    shutil.copy(options.config, options.out / "config.toml")
    train(
        config,
        options.out,
        torch.device(options.device),
        60 * options.minutes,
        options.painters,
        options.start_from,
    )


def train(
    config: Config,
    folder: Path,
    device: torch.device,
    seconds: float,
    processes: int,
    start: Path | None = None,
) -> Path:
    """Train all parts within a time budget, and return the model's folder.

    Painting the first shard and encoding pictures comes on top of the budget.

    Parameters
    ----------
    folder : Path
        For pictures, checkpoints, the log `losses.jsonl` and the finished `model`.
    processes : int
        That paint meanwhile; 0 paints some pictures now and then between two steps.
    start : Path, optional
        A model made by the same config: all the time goes to its denoiser and text encoder then,
        at full size from the start unless the denoiser has yet to learn what to make of a hole's
        surroundings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    _write_versions(folder, device)
    stages = (config.unet,) if start else (config.text, config.vae, config.unet)
    total = sum(stage.share for stage in stages)
    times = {type(stage): seconds * stage.share / total for stage in stages}
    with painters(
        folder / "data",
        seed=config.seed,
        shards=config.pictures.shards,
        count=config.pictures.count,
        size=config.native,
        processes=processes,
    ) as paint:
        if start:
            tokenizer = CLIPTokenizer.from_pretrained(start / "tokenizer")
            text_encoder = CLIPTextModel.from_pretrained(
                start / "text_encoder", dtype=torch.float32
            ).to(device)
            shutil.copytree(start / "vae", folder / "vae", dirs_exist_ok=True)
        else:
            tokenizer = build_tokenizer(config)
            text_encoder = train_text(config, folder, tokenizer, device, times[TextStage])
        while not list_shards(folder / "data"):
            if not paint():
                raise RuntimeError(f"nothing was painted into {folder / 'data'}; see above why")
            time.sleep(0.1)
        vae = _trained_vae(config, folder, device, times.get(VaeStage, 0))
        unet, name = build_unet(config), "unet"
        if start:
            unet = UNet2DConditionModel.from_pretrained(start / "unet", torch_dtype=torch.float32)
            if is_plain(unet):
                widen(unet)
                name = "holes"
            else:
                config = replace(config, unet=replace(config.unet, small=0.0))
                name = "more"
        parts = Parts(vae, unet, tokenizer, text_encoder)
        if not (folder / "start" / "model_index.json").exists():
            export(folder / "start", parts)
        train_unet(config, folder, parts, device, times[UnetStage], name, paint)
    model = folder / "model"
    export(model, parts)
    return model


def _trained_vae(config: Config, folder: Path, device: torch.device, seconds: float) -> Any:
    """Train the autoencoder, or open it: latents on disk are good for one alone."""
    done = folder / "vae"
    if not (done / "config.json").exists():
        train_vae(config, folder, device, seconds).save_pretrained(done)
    return AutoencoderKL.from_pretrained(done).to(device).eval()


def _write_versions(folder: Path, device: torch.device) -> None:
    versions = {name: version(name) for name in _PACKAGES}
    versions["python"] = platform.python_version()
    versions["device"] = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{os.cpu_count()} cores of a CPU ({platform.machine()})"
    )
    (folder / "versions.json").write_text(json.dumps(versions, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
