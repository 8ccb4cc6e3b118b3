"""A model's pipeline in memory: opened, stored and placed as memory allows, with its LoRAs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import diffusers
import torch
import transformers

from underpaint.models import ModelInfo
from underpaint.models.lora_choice import ChosenLora
from underpaint_client.errors import ModelUnavailableError
from underpaint_client.recipe import UsedLora

from .adapters import Adapters
from .devices import free_memory
from .families.family import Family
from .memory import is_out_of_memory
from .opening import open_pipeline
from .placing import place, set_tiles
from .quantising import is_exact, quantise
from .savings import Placement, Quantised, Saving
from .textual_inversion import NO_EMBEDDINGS, Embeddings


class PlacedPipeline:
    """A model's pipeline, whose parts are where a saving of memory says.

    What is opened again to be stored in another way keeps the LoRAs and embeddings that it had.

    Parameters
    ----------
    info : ModelInfo
        From `describe_model`.
    family : Family
        The model's.
    device : torch.device
        Where to compute.
    dtype : torch.dtype
        Which precision to compute in.
    saving : Saving
        What to save from the start.

    Attributes
    ----------
    pipeline : diffusers pipeline
        None only after `close`, or if opening it again has failed.

    Raises
    ------
    ModelUnavailableError
        Where diffusers cannot open it.
    """

    def __init__(
        self,
        info: ModelInfo,
        family: Family,
        device: torch.device,
        dtype: torch.dtype,
        saving: Saving,
    ) -> None:
        self.saving = saving
        self._info, self._family, self._dtype = info, family, dtype
        self.device = device
        self._placement: Placement | None = None
        self._loras: tuple[ChosenLora, ...] = ()
        self._embeddings = NO_EMBEDDINGS
        self._adapters: Adapters | None
        self.pipeline: Any
        self._open_as(saving)

    @property
    def denoiser(self) -> Any:
        """The part that denoises."""
        return getattr(self.pipeline, self._family.denoiser)

    @property
    def has_exact_weights(self) -> bool:
        """Whether the weights are stored as they are in the model's files."""
        return is_exact(self.saving.quantised, self._info.precision)

    def close(self) -> None:
        """Free the memory."""
        self.pipeline = self._adapters = None
        free_memory(self.device)

    # ---- opening and placing ---------------------------------------------------------------

    def save(self, saving: Saving) -> None:
        """Save this much memory from now on, no more and no less.

        A move to or from the device that fails halfway is completed by the next one. A model whose
        weights are to be stored in another way is opened again.
        """
        was, self.saving = self.saving, saving
        if self.pipeline is None or saving.quantised != was.quantised:
            self.close()
            self._open_as(saving)
            return
        if saving.sliced != was.sliced:
            self._slice_attention(saving.sliced)
        if saving.placement != self._placement:
            self._place(saving.placement)
        elif saving.placement == "offload":
            self.offload_again()

    def offload_again(self) -> None:
        """Take offloaded parts from the device, where a cancelled or failed run leaves them."""
        if self.pipeline is not None:
            self.pipeline.maybe_free_model_hooks()

    def _open_as(self, saving: Saving) -> None:
        """Open the pipeline with its weights stored and placed as a saving says."""
        self.pipeline = _open(self._info, self._family, self._dtype, saving.quantised)
        if saving.quantised:
            free_memory(self.device)  # what the whole weights took
        self._adapters = Adapters(self.pipeline, self._family.denoiser, self._dtype)
        self.name_embeddings(self._embeddings)
        self._adapters.load(self._loras)  # where it is opened anew in the middle of a run
        self._adapters.activate(self._loras)
        self._attention = dict(getattr(self.denoiser, "attn_processors", {}))
        if saving.sliced:
            self._slice_attention(True)
        self._place(saving.placement)

    def _place(self, placement: Placement) -> None:
        self._placement = None
        place(self.pipeline, placement, self._family.denoiser, self.device)
        self._placement, self.adapters.is_unplaced = placement, False

    def _slice_attention(self, sliced: bool) -> None:
        if sliced:
            self.denoiser.set_attention_slice("max")
        else:
            self.denoiser.set_attn_processor(dict(self._attention))

    @contextmanager
    def autoencoder(self, tile: int) -> Iterator[Any]:
        """Yield the autoencoder, set to work in tiles of so many pixels; 0 for no tiles."""
        vae = self.pipeline.vae
        set_tiles(vae, tile, self._info.cell)
        waits = self.saving.placement in ("offload", "group_offload")
        try:
            if self.saving.placement == "group_offload":
                vae.to(self.device)
            yield vae
        finally:
            if waits:
                vae.to("cpu")  # its hook moves the parts before it away, and not itself

    # ---- what is used with it --------------------------------------------------------------

    def name_embeddings(self, embeddings: Embeddings) -> None:
        """Have prompts name these embeddings from now on."""
        self._embeddings = embeddings
        if self._family.has_embeddings:
            self.pipeline.named_embeddings = embeddings

    def load_loras(self, loras: Sequence[ChosenLora]) -> dict[ChosenLora, UsedLora]:
        """Load LoRAs, and return what a recipe says of each.

        Raises
        ------
        ModelUnavailableError
            A file cannot be read, or does not fit the model.
        """
        adapters = self.adapters
        try:
            adapters.load(loras)
        finally:  # those before one that cannot be used are there
            if adapters.is_unplaced:
                self._place(self.saving.placement)
        return {one: adapters.describe(one) for one in loras}

    @contextmanager
    def using(self, loras: Sequence[ChosenLora]) -> Iterator[None]:
        """Apply these LoRAs for a while; afterwards the model is to the bit what it was."""
        self._loras = tuple(loras)
        try:
            self.load_loras(self._loras)
            self._activate(self._loras)
            yield
        finally:
            self._loras = ()
            if self._adapters is not None:
                self._activate(())

    @property
    def encoder_key(self) -> tuple[object, ...]:
        """What of the LoRAs in use changes how prompts are encoded."""
        return self.adapters.encoder_key(self._loras)

    @property
    def adapters(self) -> Adapters:
        """The LoRAs that are loaded."""
        assert self._adapters is not None, "the model is closed"  # noqa: S101
        return self._adapters

    def _activate(self, loras: Sequence[ChosenLora]) -> None:
        if self.adapters.activate(loras) and self.saving.placement == "group_offload":
            self._place("group_offload")  # it learns anew in which order layers run


def _open(info: ModelInfo, family: Family, dtype: torch.dtype, quantised: Quantised) -> Any:
    """Open a model's pipeline in the computer's memory, its weights stored in a way."""
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    try:
        pipeline = open_pipeline(
            info,
            family.pipeline_class,
            dtype,
            store=lambda one: quantise(one, quantised, dtype, info.precision),
        )
    except ModelUnavailableError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ModelUnavailableError(
            "model {path} cannot be opened: {error}; fetch it again",
            path=info.path,
            error=_first_line(error),
        ) from error
    vae = pipeline.vae
    if family.full_precision_vae and vae.config.force_upcast and vae.dtype != torch.float32:
        vae.to(torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
