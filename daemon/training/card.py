"""Write the model's card from what was recorded: scores, losses, versions, config.

Run from `daemon/`: ``python -m training.card training/runs/cpu underpaint/starter``.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from .config import Config
from .data import CAPTIONS

_PANEL = (360, 200)  # pixels of a stage's chart
_EDGE = 34
_PAPER, _INK, _LINE = (247, 246, 243), (60, 58, 54), (44, 102, 160)


@dataclass(frozen=True)
class Curve:
    """How a stage's error went down: minutes, and the error at each."""

    stage: str
    minutes: tuple[float, ...]
    errors: tuple[float, ...]


def read_curves(log: Path) -> list[Curve]:
    """Read `losses.jsonl`; of two records of one step, as a resumed run leaves them, the later."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if "error" not in record:  # what was measured on held-out pictures
            continue
        steps = found.setdefault(record["stage"], {})
        for later in [step for step in steps if step >= record["step"]]:
            del steps[later]
        steps[record["step"]] = record
    return [
        Curve(
            stage,
            tuple(record["seconds"] / 60 for record in steps.values()),
            tuple(record["error"] for record in steps.values()),
        )
        for stage, steps in found.items()
    ]


def draw_curves(curves: list[Curve]) -> Image.Image:
    """Draw a chart a stage, side by side; errors on a logarithmic scale."""
    width, height = _PANEL
    sheet = Image.new("RGB", (width * len(curves), height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    for number, curve in enumerate(curves):
        left, right = number * width + _EDGE, (number + 1) * width - 10
        top, bottom = 24, height - 22
        low, high = math.log(min(curve.errors)), math.log(max(curve.errors))
        last = max(curve.minutes)
        points = [
            (
                left + (right - left) * minute / last,
                bottom - (bottom - top) * (math.log(error) - low) / max(high - low, 1e-9),
            )
            for minute, error in zip(curve.minutes, curve.errors, strict=True)
        ]
        draw.line([(left, top), (left, bottom), (right, bottom)], fill=_INK)
        draw.line(points, fill=_LINE, width=2)
        draw.text((left, 6), f"{curve.stage}: mean error of a step", _INK, font)
        draw.text((left - _EDGE + 2, top), f"{max(curve.errors):.2g}", _INK, font)
        draw.text((left - _EDGE + 2, bottom - 10), f"{min(curve.errors):.2g}", _INK, font)
        draw.text((right - 50, bottom + 4), f"{last:.0f} min", _INK, font)
    return sheet


def write_card(run: Path, model: Path) -> str:
    """Return the card's text.

    Parameters
    ----------
    run : Path
        Holds `config.toml`, `losses.jsonl`, `scores.json` and `versions.json`.
    model : Path
        The model's folder, with its `sheets`.
    """
    config = Config.read(run / "config.toml")
    scores = json.loads((run / "scores.json").read_text(encoding="utf-8"))
    versions = json.loads((run / "versions.json").read_text(encoding="utf-8"))
    curves = {curve.stage: curve for curve in read_curves(run / "losses.jsonl")}
    steps = {stage: round(max(curve.minutes)) for stage, curve in curves.items()}
    size = sum(file.stat().st_size for file in model.rglob("*.safetensors")) / 1e6
    sees_holes = config.unet.whole < 1
    return _TEMPLATE.format(
        layout=", laid out for inpainting" if sees_holes else "",
        holes=_HOLES if sees_holes else "",
        blind="" if sees_holes else _BLIND,
        size=size,
        native=config.native,
        latents=config.native // 2 ** (len(config.vae.channels) - 1),
        channels=config.vae.latent_channels,
        pictures=config.pictures.shards * config.pictures.count,
        captions=CAPTIONS,
        seed=config.seed,
        config=run.name,
        text=steps["text"],
        vae=steps["vae"],
        unet=_minutes(steps),
        total=sum(steps.values()),
        first=sum(steps[stage] for stage in ("text", "vae", "unet")),
        device=versions.pop("device"),
        versions=", ".join(f"{name} {number}" for name, number in versions.items()),
        table="\n".join(format_row(score) for score in scores),
    )


def _minutes(steps: dict[str, int]) -> str:
    """Return how long the denoiser was taught, in one go or in several."""
    told = {"unet": "{} min", "more": "gone on for {} min", "holes": "then for {} min with holes"}
    return ", ".join(said.format(steps[stage]) for stage, said in told.items() if stage in steps)


def format_row(score: dict[str, Any]) -> str:
    """Return a row of the table."""
    met = "" if not score["aim"] else ("yes" if score["met"] else "**no**")
    return f"| {score['name']} | {score['value']:.3g} | {score['aim']} | {met} |"


_HOLES = """. It
   learns to fill holes of all shapes and sizes, and is shown what is around them beside the noise,
   as Stable Diffusion's inpainting models are"""

_BLIND = """\
- It knows a hole's surroundings under noise alone. The configs in `daemon/training/configs` show
  them clean to what is trained next, and so does going on from this model; 750 more steps of that
  on this CPU were too few to help.
"""

_TEMPLATE = """\
# The starter model

A small latent diffusion model of painted landscapes, so that Underpaint's first run paints
something without a download. It knows landscapes and nothing else: no people, no animals, no
letters, no interiors. For everything else choose a Stable Diffusion model.

An ordinary diffusers folder (CLIP text encoder and tokenizer, UNet, VAE, scheduler), {size:.0f} MB
in half precision{layout}, native size {native} x {native} pixels, latents of
{latents} x {latents} in {channels} channels.

![Prompts down, strengths across](sheets/prompts-by-strength.jpg)
![Holes](sheets/holes.jpg)
![Seeds](sheets/variations.jpg)

## Data

No photograph and no painting of anybody's was used. A procedural painter
(`daemon/training/painter`) draws a scene at random (time of day, weather, season, ground, water,
mountains, trees, buildings) and paints it in one of six finishes: photograph, oil, impressionist,
watercolour, pastel, poster. {pictures} pictures were painted, a fifth of them pieces of larger
ones, each with {captions} captions in which the order changes, words are replaced by others of the
same meaning and parts are left out.
The weights, like the rest of the repository, are under the Apache-2.0 licence.

## Recipe

1. The text encoder learns to tell from a caption what its scene holds ({text} min).
2. The autoencoder is guided by the principal components of 8 x 8 patches at first, encoder and
   decoder each for itself, then trained as a whole ({vae} min).
3. The denoiser learns to predict velocity under Stable Diffusion's noise schedule, first on
   pictures of half the size, then of the whole, the text encoder along with it; captions are left
   out now and then for classifier-free guidance, and now and then the input is noise alone{holes}
   ({unet}).

AdamW with warm-up and a cosine, averaged weights; the numbers are in
`daemon/training/runs/{config}/config.toml`. Seed {seed}. Compute: {total} minutes in all on
{device}. Versions: {versions}.

![Losses](sheets/losses.png)

To make it again, or to go on, from `daemon/`:

```sh
python -m training training/configs/{config}.toml --minutes {first} --out RUN
python -m training training/configs/{config}-on.toml --minutes 180 --out RUN \\
    --start-from underpaint/starter                                   # to go on with the denoiser
python -m training.export RUN FOLDER                                  # what it has learned so far
python -m training training/configs/gpu.toml --minutes 25 --out RUN   # on a data-centre GPU
```

## Scores

Measured with the engine that painters use, on scenes that were not trained on; holes are roundish
and filled at strength 1, where nothing of the truth is left. From `daemon/`, some minutes on two
cores:

```sh
python -m training.evaluate underpaint/starter --out scores.json [--photographs FOLDER]
python -m training.sheets underpaint/starter underpaint/starter/sheets
```

| what | value | aim | reached |
|---|---|---|---|
{table}

## Limits

- It was trained on {device} for {total} minutes, which is very little: shapes are soft, trees and
  houses are hinted at rather than drawn, and fine texture is lost in the autoencoder.
- At strength 1 a filled hole can be told from what is around it, and smooth fills from the
  neighbours come closer to the truth: texture that is right in kind but not in place counts against
  a picture there. It is at its best between .5 and .75, where the colour underneath guides it, at a
  guidance of 3 to 5. It recommends a sampler that adds noise as it goes (`k_euler_a`), which fits
  holes better to their surroundings than `dpmpp_2m`.
{blind}- It reads up to 75 words or pieces of words. Words that captions do not use mean next to
  nothing to it.
- Far above its native size (more than about 1.5 times) it repeats itself.
"""


def main() -> None:
    """Read the command line and write card and chart."""
    parser = argparse.ArgumentParser(prog="python -m training.card")
    parser.add_argument("run", type=Path, help="what was recorded")
    parser.add_argument("model", type=Path, help="the model's folder")
    options = parser.parse_args()
    chart = options.model / "sheets" / "losses.png"
    chart.parent.mkdir(parents=True, exist_ok=True)
    draw_curves(read_curves(options.run / "losses.jsonl")).save(chart, optimize=True)
    card = write_card(options.run, options.model)
    (options.model / "README.md").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
