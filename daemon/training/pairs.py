"""What the denoiser learns from: pictures encoded beforehand, whole and with holes blanked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from .config import Config, UnetStage
from .data import HELD_OUT, list_shards, open_shard, paint_shard, read_captions, whole_file
from .holes import CELL, draw_holes
from .vae import encode

BLANK = 127
"""The grey that lies in a hole when a picture is encoded to be shown."""

_HELD_OUT = 256  # pictures that the error is measured on


@dataclass(frozen=True)
class Batch:
    """Samples to learn from: tensors on the CPU, (n, C, h, w), and a caption each.

    Parameters
    ----------
    clean : float32 tensor (n, C, h, w)
        The pictures' latents.
    shown : float32 tensor (n, C, h, w)
        The latents of the pictures with their holes blanked.
    erased : bool tensor (n, 1, h, w)
        The cells of the holes.
    captions : tuple of str
    """

    clean: torch.Tensor
    shown: torch.Tensor
    erased: torch.Tensor
    captions: tuple[str, ...]

    def part(self, part: slice) -> Batch:
        """Take some of the samples."""
        return Batch(self.clean[part], self.shown[part], self.erased[part], self.captions[part])

    @classmethod
    def of(cls, samples: Sequence[tuple[Any, Any, Any, str]]) -> Batch:
        """Stack samples of `Encoded.pick`."""
        clean, shown, erased, captions = zip(*samples, strict=True)
        return cls(
            torch.from_numpy(np.stack(clean)).float(),
            torch.from_numpy(np.stack(shown)).float(),
            torch.from_numpy(np.stack(erased)),
            captions,
        )


@dataclass(frozen=True)
class Encoded:
    """The latents of some pictures.

    Parameters
    ----------
    clean : float16, (n, C, h, w)
    shown : float16, (n, holes a picture, C, h, w)
        Of the pictures with each of their holes blanked.
    erased : bool, (n, holes a picture, 1, h, w)
    captions : tuple of tuple of str
    """

    clean: NDArray[np.float16]
    shown: NDArray[np.float16]
    erased: NDArray[np.bool_]
    captions: tuple[tuple[str, ...], ...] = ()

    def pick(self, rng: np.random.Generator, index: int) -> tuple[Any, Any, Any, str]:
        """Draw one of a picture's holes and one of its captions."""
        hole = int(rng.integers(self.erased.shape[1]))
        told = self.captions[index]
        caption = told[int(rng.integers(len(told)))]
        return self.clean[index], self.shown[index, hole], self.erased[index, hole], caption

    def save(self, file: Path) -> None:
        """Write all but the captions, which lie beside the pictures."""
        with whole_file(file) as draft, draft.open("wb") as stream:
            np.savez(stream, clean=self.clean, shown=self.shown, erased=self.erased)

    @classmethod
    def load(cls, file: Path, captions: tuple[tuple[str, ...], ...]) -> Encoded:
        """Read what `save` wrote."""
        with np.load(file) as found:
            return cls(found["clean"], found["shown"], found["erased"], captions)


class Pairs:
    """Painted pictures, encoded whole and with holes, with their captions.

    An inpainting model is shown the encoding of the picture with the hole blanked *before* it is
    encoded, so each picture is encoded once as it is and once for each of its holes. All of that is
    kept on disk in half precision, in a file a shard.

    Parameters
    ----------
    folder : Path
        Of the training run.
    vae : AutoencoderKL
        Encodes them.
    shrink : int
        How many times smaller the pictures are made first.
    config : Config
        Tells the number of holes a picture has, how often all is erased, and the precision.
    """

    def __init__(self, folder: Path, vae: Any, shrink: int, config: Config) -> None:
        self._pictures = folder / "data"
        self._store = folder / f"pairs-{shrink}"
        self._vae = vae
        self._shrink = shrink
        self._config = config
        self._encoded: dict[int, Encoded] = {}
        self._store.mkdir(exist_ok=True)

    def __len__(self) -> int:
        return sum(len(one.captions) for one in self._encoded.values())

    def refresh(self, most: int | None = None) -> bool:
        """Take in what was painted since, encoding so many shards at most.

        Returns
        -------
        bool
            Whether a shard had to be encoded.
        """
        encoded = 0
        for number in list_shards(self._pictures):
            if number in self._encoded:
                continue
            file = self._store / f"{number:05}.npz"
            if not file.exists():
                if encoded == most:
                    continue
                encoded += 1
                shard = open_shard(self._pictures, number)
                rng = np.random.default_rng([self._config.seed, 5, number])
                self._encode(shard.pictures, rng).save(file)
            captions = read_captions(self._pictures, number)
            self._encoded[number] = Encoded.load(file, captions)
        return encoded > 0

    def _encode(self, pictures: NDArray[np.uint8], rng: np.random.Generator) -> Encoded:
        stage = self._config.unet
        return encode_pairs(
            self._vae, _shrunk(pictures, self._shrink), rng, stage, half=self._config.half
        )

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """Draw pictures, for each one of its holes and one of its captions."""
        shards = rng.choice(list(self._encoded), count)
        chosen = [
            self._encoded[shard].pick(rng, int(rng.integers(len(self._encoded[shard].captions))))
            for shard in shards
        ]
        return Batch.of(chosen)


def encode_pairs(
    vae: Any,
    pictures: NDArray[np.uint8],
    rng: np.random.Generator,
    stage: UnetStage,
    *,
    half: bool,
) -> Encoded:
    """Encode pictures as they are and with holes, blanked before encoding as the engine does.

    Parameters
    ----------
    pictures : uint8, (n, H, W, 3)
    """
    count, height, width = pictures.shape[:3]
    cells = (height // CELL, width // CELL)
    clean = encode(vae, pictures, half=half).half().numpy()
    shown, erased = [], []
    for _ in range(stage.holes):
        holes = draw_holes(rng, count, cells, stage.whole)
        hidden = holes[:, 0].repeat(CELL, 1).repeat(CELL, 2)[..., np.newaxis]
        blanked = np.where(hidden, np.uint8(BLANK), pictures)
        shown.append(encode(vae, blanked, half=half).half().numpy())
        erased.append(holes)
    return Encoded(clean, np.stack(shown, 1), np.stack(erased, 1))


def _shrunk(pictures: NDArray[np.uint8], shrink: int) -> NDArray[np.uint8]:
    if shrink == 1:
        return pictures
    size = (pictures.shape[2] // shrink, pictures.shape[1] // shrink)
    area = [cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in pictures]
    return np.stack(area).astype(np.uint8)


def open_held_out(folder: Path, vae: Any, config: Config) -> Batch:
    """Open the pictures that are never learned from, encoded; paint them the first time."""
    pictures = config.pictures
    count = min(_HELD_OUT, pictures.shards * pictures.count)
    store = folder / "held-out"
    paint_shard(store, 0, HELD_OUT, count, config.native)
    captions = read_captions(store, 0)
    if not (store / "pairs.npz").exists():
        rng = np.random.default_rng(0)
        stage = replace(config.unet, holes=1, whole=0.1)
        encode_pairs(vae, open_shard(store, 0).pictures, rng, stage, half=False).save(
            store / "pairs.npz"
        )
    encoded = Encoded.load(store / "pairs.npz", captions)
    rng = np.random.default_rng(0)
    return Batch.of([encoded.pick(rng, index) for index in range(count)])
