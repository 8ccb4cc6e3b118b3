"""What a training run is told, read from a TOML file of `training/configs`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import msgspec


@dataclass(frozen=True)
class Pictures:
    """How many pictures to paint: `shards` of `count`. More are never seen than are painted."""

    shards: int
    count: int


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What all that is trained has.

    Parameters
    ----------
    share : float
        Of the time budget, relative to the other stages.
    batch : int
        Samples a step sees.
    learning_rate : float
        The highest, of AdamW; warmed up, held, then lowered to 0 along a cosine.
    hold : float
        Part of the stage's time before it is lowered.
    """

    share: float
    batch: int
    learning_rate: float
    hold: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TextStage(Stage):
    """The tokenizer and text encoder: `words` in the vocabulary, bytes and pairs of them."""

    words: int
    hidden: int
    layers: int
    heads: int


@dataclass(frozen=True, kw_only=True)
class VaeStage(Stage):
    """The autoencoder.

    Parameters
    ----------
    channels : tuple of int
        One per level; each level after the first halves the picture.
    layers : int
        Residual blocks a level has in the encoder; the decoder has one more.
    latent_channels : int
    groups : int
        Of its group normalisations.
    crop : int
        Pixels of the pieces that it is trained on.
    guided : float
        Part of the time in which encoder and decoder learn a linear code each for itself.
    kl_weight : float
        Of the mean divergence of a latent from the normal distribution, against the mean squared
        error of a pixel in -1..1.
    """

    channels: tuple[int, ...]
    layers: int
    latent_channels: int
    groups: int
    crop: int
    guided: float
    kl_weight: float


@dataclass(frozen=True, kw_only=True)
class UnetStage(Stage):
    """The denoiser.

    Parameters
    ----------
    channels : tuple of int
        One per level; each level after the first halves the latents.
    attention : tuple of bool
        Whether each level looks at the prompt.
    layers : int
        Residual blocks a level has on the way down; one more on the way up.
    head : int
        Channels of an attention head.
    groups : int
        Of its group normalisations.
    caption_dropout : float
        How often the caption is left out, for classifier-free guidance.
    blank : float
        How often the input is noise alone, at the last timestep: as generation from nothing
        starts, which the noise schedule by itself never quite reaches.
    whole : float
        How often nothing is kept; else it learns to fill holes of all shapes and sizes.
    small : float
        Part of the time in which it learns from pictures of half the size: four times as many.
    holes : int
        How many holes each picture is encoded with.
    outside : float
        What the error of the whole picture counts, beside that inside the hole.
    snr : float
        The signal-to-noise ratio up to which a timestep counts more; 0: all count alike.
    text_rate : float
        Of the text encoder's learning rate, the denoiser's being 1.
    """

    channels: tuple[int, ...]
    attention: tuple[bool, ...]
    layers: int
    head: int
    groups: int
    caption_dropout: float
    blank: float
    whole: float
    small: float
    holes: int = 2
    outside: float = 0.0
    snr: float = 0.0
    text_rate: float = 1.0


@dataclass(frozen=True)
class Config:
    """A training run.

    Parameters
    ----------
    seed : int
        Of pictures, weights, batches and noise.
    native : int
        Pixels of a picture's side.
    half : bool
        Whether to multiply in bfloat16, where weights and sums stay in float32.
    compiled : bool
        Whether to compile the networks with `torch.compile`.
    """

    seed: int
    native: int
    half: bool
    compiled: bool
    pictures: Pictures
    text: TextStage
    vae: VaeStage
    unet: UnetStage

    @classmethod
    def read(cls, file: Path) -> Config:
        """Read a file.

        Raises
        ------
        msgspec.ValidationError
            Names the field that is wrong.
        """
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), cls)
