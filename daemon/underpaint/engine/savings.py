"""Ways to save memory, in which order, and which of them a picture needs, decided in advance.

They form a list of rungs, ordered by their cost. Those that keep the picture's bits come first,
from fast to slow; then those that change its colours slightly; then those that change the weights.
A rung is chosen from what a model needs and what is free, before anything fails. The estimate may
be wrong: if a stage fails all the same, the next rung that needs less is tried.

Pure functions on sizes; `engine.fitting` applies them, `engine.placing` moves the parts.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

from underpaint.models.memory_needs import MemoryNeeds
from underpaint_client.geometry import Extent

Stage = Literal["load", "prompt", "encode", "denoise", "decode"]
"""The stages that can run out of memory; each is tried again by itself."""

STAGES: tuple[Stage, ...] = get_args(Stage)

Placement = Literal["gpu", "offload", "encoders_on_cpu", "group_offload"]
"""Where a model's parts are, from fast to slow; on any device, `gpu` means on that device.

- `gpu`: all parts stay there.
- `offload`: they wait in the computer's memory, and each comes to the GPU for its turn.
- `encoders_on_cpu`: text encoders stay and run on the CPU, the others stay on the GPU.
- `group_offload`: of denoiser and text encoders, only the layer that runs is on the GPU, and the
  next one on its way.
"""

PLACEMENTS: tuple[Placement, ...] = get_args(Placement)

Quantised = Literal["", "half", "fp8", "int8", "nf4"]
"""How the denoiser's weights are stored, if not as they are computed with; with ever fewer bits.

`half` is for a CPU, which computes in 32 bits: the 16 bits that most files hold are widened layer
by layer, which changes no bit of the picture. The others change it.
"""

QUANTISED: tuple[Quantised, ...] = get_args(Quantised)

GPU_QUANTISED: tuple[Quantised, ...] = ("fp8", "int8", "nf4")
"""Those that a GPU uses, and that can be chosen in `config.toml`."""

_SHARES: dict[Quantised, float] = {"": 1.0, "half": 0.5, "fp8": 0.55, "int8": 0.55, "nf4": 0.32}
"""The size as a share of what weights take that are stored as they are computed with: in 16 bits on
a GPU, in 32 on a CPU. Norms and embeddings stay as they are."""


@dataclass(frozen=True)
class Saving:
    """How memory is saved.

    Parameters
    ----------
    together : int
        So many images at once, at most; 0 for as many as the plan says.
    encode_tile, decode_tile : int
        Side of the tiles, in pixels, in which the autoencoder works; 0 for all at once.
    sliced : bool
        Attention is computed head by head.
    placement : Placement
        Where the model's parts are.
    quantised : Quantised
        How the denoiser's weights are stored; empty for as they are computed with.
    """

    together: int = 0
    encode_tile: int = 0
    decode_tile: int = 0
    sliced: bool = False
    placement: Placement = "gpu"
    quantised: Quantised = ""


@dataclass(frozen=True)
class Abilities:
    """How a model on its device can save memory.

    Parameters
    ----------
    tiles : tuple of int
        Sides of tiles its autoencoder can work in, in pixels, the largest first.
    slices : bool
        Whether attention takes less memory in slices.
    placements : tuple of Placement
        Where its parts can be, in the order of `PLACEMENTS`.
    quantised : tuple of Quantised
        How its weights may be stored, in the order of `QUANTISED`. The first is taken where memory
        is not short.
    """

    tiles: tuple[int, ...] = ()
    slices: bool = False
    placements: tuple[Placement, ...] = ("gpu",)
    quantised: tuple[Quantised, ...] = ("",)


class Bytes(NamedTuple):
    """Bytes of two memories.

    Parameters
    ----------
    device, host : float
        Of the GPU, and of the computer.
    """

    device: float
    host: float


UNLIMITED = Bytes(float("inf"), float("inf"))
"""The free memory where it is not known."""


@dataclass(frozen=True)
class Task:
    """What has to fit.

    Parameters
    ----------
    needs : MemoryNeeds
        The model's.
    size : Extent
        What it works at, in pixels.
    """

    needs: MemoryNeeds
    size: Extent

    def most(self, stage: Stage, saving: Saving, together: int = 1) -> Bytes:
        """Return the peak memory of a stage.

        Parameters
        ----------
        stage : Stage
        saving : Saving
            What is saved meanwhile.
        together : int
            How many images run at once.
        """
        return Bytes(
            self._weights(stage, saving) + self._working(stage, saving, together),
            self._host(saving),
        )

    def fits(self, saving: Saving, free: Bytes) -> bool:
        """Return whether every stage fits, one image at a time."""
        return all(
            most.device <= free.device and most.host <= free.host
            for most in (self.most(stage, saving) for stage in STAGES)
        )

    def _denoiser(self, saving: Saving) -> float:
        part = self.needs.denoiser
        # A layer is computed with as it was before.
        layer = part.largest if saving.quantised else 0
        return part.weights * _SHARES[saving.quantised] + layer

    def _weights(self, stage: Stage, saving: Saving) -> float:
        """Return the bytes of weights that are on the device in a stage."""
        needs = self.needs
        kept = self._denoiser(saving) + needs.vae.weights
        if saving.placement == "encoders_on_cpu":
            return kept
        if saving.placement == "gpu":
            return kept + sum(one.weights for one in needs.encoders)
        if stage in ("encode", "decode"):
            return needs.vae.weights
        if saving.placement == "group_offload":  # one layer runs, and the next is being moved
            layers = {"prompt": needs.encoders, "denoise": (needs.denoiser,)}.get(stage, ())
            return 2 * max((one.largest for one in layers), default=0)
        if stage == "prompt":
            return max((one.weights for one in needs.encoders), default=0)
        return self._denoiser(saving) if stage == "denoise" else 0

    def _working(self, stage: Stage, saving: Saving, together: int) -> float:
        """Return the bytes that a stage takes beside the weights."""
        needs, pixels = self.needs, self.size.pixels
        if stage == "denoise":
            return needs.denoising * pixels * together
        if stage == "encode":
            return needs.encoding * _at_once(pixels, saving.encode_tile)
        if stage == "decode":
            return needs.decoding * _at_once(pixels, saving.decode_tile)
        return 0

    def _host(self, saving: Saving) -> float:
        """Return the bytes of weights that wait in the computer's memory."""
        encoders = sum(one.weights for one in self.needs.encoders)
        if saving.placement == "gpu":  # files are read as they are needed
            return 0
        if saving.placement == "encoders_on_cpu":
            return encoders
        return encoders + self._denoiser(saving) + self.needs.vae.weights


def _at_once(pixels: int, tile: int) -> float:
    """Return how many pixels an autoencoder works on at once, those of its other tiles included.

    A finished tile takes 24 bytes a pixel: about a hundredth of what is worked on.
    """
    return min(pixels, tile * tile + pixels / 100) if tile else pixels


def choose_tiles(native: int, cell: int) -> tuple[int, ...]:
    """Choose sides of tiles: the size a model was trained at, and half of it.

    Smaller ones show. Multiples of four cells, so that the quarter by which diffusers lets them
    overlap is whole cells: else the tiles do not add up to the picture.
    """
    grid = 4 * cell
    sides = (native // grid * grid, native // 2 // grid * grid)
    return tuple(side for side in sides if side)


# ---- the ladder --------------------------------------------------------------------------------


@functools.lru_cache(maxsize=64)
def list_rungs(able: Abilities, longer: int) -> tuple[Saving, ...]:
    """List what can be saved for a picture, from what costs least to what costs most.

    1. Placements: the same picture, bit for bit (on the CPU, text encoders round differently).
    2. Tiles, for what of the autoencoder does not fit: half as much time again for it, and some
       levels of colour, since each tile is normalised by itself (with the starter model at 512
       pixels 3 of 255 in the mean, 22 at most, at either size). The larger tiles come first.
    3. Quantised weights: another picture, much alike. On a CPU, weights in 16 bits: the same
       picture for most files, but the model is opened again.

    Pictures are encoded and decoded one by one, so the autoencoder's own slicing is no rung.

    Parameters
    ----------
    able : Abilities
        What the model can save.
    longer : int
        The picture's longer side, as the model works at it, in pixels.
    """
    return tuple(sorted(_all_rungs(able, longer), key=functools.partial(_order, able=able)))


def _all_rungs(able: Abilities, longer: int) -> Iterator[Saving]:
    tiles = (0, *(tile for tile in able.tiles if tile < longer))
    for quantised in able.quantised:
        for encode in tiles:
            for decode in tiles:
                for placement in able.placements:
                    # The tables that 4 bits are looked up in do not move with a group of layers.
                    if (quantised, placement) != ("nf4", "group_offload"):
                        yield Saving(0, encode, decode, False, placement, quantised)


def _levels(saving: Saving, able: Abilities) -> tuple[int, int, int, int]:
    """Return how much is saved in each way."""
    tiles = (0, *able.tiles)
    encode, decode = (
        tiles.index(tile) if tile in tiles else 0
        for tile in (saving.encode_tile, saving.decode_tile)
    )
    quantised, placement = QUANTISED.index(saving.quantised), PLACEMENTS.index(saving.placement)
    return quantised, encode, decode, placement


def _order(saving: Saving, able: Abilities) -> tuple[int, ...]:
    """Return the position of a saving in the list of rungs."""
    quantised, encode, decode, placement = _levels(saving, able)
    return quantised, encode + decode, encode, placement


def _covers(saving: Saving, least: Saving, able: Abilities) -> bool:
    """Return whether a saving saves as much as another, or more, in every way."""
    pairs = zip(_levels(saving, able), _levels(least, able), strict=True)
    return all(given >= wanted for given, wanted in pairs)


def choose_saving(
    task: Task, free: Bytes, able: Abilities, *, planned: int = 1, learned: Saving | None = None
) -> Saving:
    """Choose what to save from the start: the least that fits.

    Parameters
    ----------
    task : Task
        What has to fit.
    free : Bytes
        What is free, nothing of the model being loaded.
    able : Abilities
        What the model can save.
    planned : int
        How many images would run at once.
    learned : Saving, optional
        What was needed before at this size or a smaller one: no less is given up.

    Returns
    -------
    Saving
        Where nothing fits by this estimate, what needs least, since the estimate may be wrong.
    """
    least = learned or Saving()
    rungs = [rung for rung in list_rungs(able, task.size.longer) if _covers(rung, least, able)]
    chosen = next((rung for rung in rungs if task.fits(rung, free)), None)
    if chosen is None:
        chosen = min(rungs or [least], key=lambda rung: _most_of_all(task, rung, free))
    at_most = min(planned, least.together or planned)
    together = at_most
    while together > 1 and task.most("denoise", chosen, together).device > free.device:
        together //= 2
    kept = together if together < at_most else least.together
    return replace(chosen, together=kept, sliced=least.sliced)


def _most_of_all(task: Task, saving: Saving, free: Bytes) -> tuple[float, float]:
    """Return by how much the worst stage of a saving exceeds the free memory of either."""
    most = [task.most(stage, saving) for stage in STAGES]
    over = max(max(one.device - free.device, one.host - free.host, 0) for one in most)
    return over, max(one.device for one in most)


def next_saving(
    stage: Stage,
    saving: Saving,
    able: Abilities,
    task: Task,
    *,
    free: Bytes = UNLIMITED,
    together: int = 1,
) -> Saving | None:
    """Choose what to save next, where a stage did not fit.

    Half as many images at once come first: they are the same pictures, and the first of them comes
    sooner. Then attention in slices: the same picture but for rounding, in two to three times the
    time, and only where attention is not fused. (A fused one never holds all its scores, and slices
    then cost memory: on a CPU at 4096 tokens of SD 1.5, 173 MB in slices, 51 MB fused.) Then the
    rungs of `list_rungs`, those left out that do not help this stage, or would take back what was
    saved before.

    Parameters
    ----------
    stage : str
        What failed.
    saving : Saving
        What was saved when it failed.
    able : Abilities
        What can be.
    task : Task
        What has to fit.
    free : Bytes
        As `choose_saving` has it: rungs that do not fit by the estimate are tried last.
    together : int
        How many images ran at once.

    Returns
    -------
    Saving or None
        None where nothing is left that would help this stage.
    """
    if stage == "denoise" and together > 1:
        return replace(saving, together=together // 2)
    if stage == "denoise" and able.slices and not saving.sliced:
        return replace(saving, sliced=True)
    failed = task.most(stage, saving)
    helpful = [
        rung
        for rung in list_rungs(able, task.size.longer)
        if _covers(rung, saving, able) and _helps(stage, task.most(stage, rung), failed)
    ]
    chosen = next((rung for rung in helpful if task.fits(rung, free)), None)
    chosen = chosen or next(iter(helpful), None)
    return chosen and replace(chosen, together=saving.together, sliced=saving.sliced)


def _helps(stage: Stage, most: Bytes, failed: Bytes) -> bool:
    """Return whether a stage takes less than when it failed."""
    if most.device < failed.device:
        return True
    # What waits in the computer's memory is brought there when the model is opened.
    return stage == "load" and most.device <= failed.device and most.host < failed.host
