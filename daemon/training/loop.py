"""The loop that all parts are trained by: a time budget, checkpoints, averaged weights, a log."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from .config import Stage
from .data import whole_file

_WARM_UP = 0.02  # of the time
_CLIP = 1.0  # norm of the gradient
_WEIGHT_DECAY = 1e-2
_AVERAGED = 0.999  # how much of the averaged weights a step keeps
_LOG_EVERY = 10.0  # seconds
_SAVE_EVERY = 120.0


@dataclass
class Loop:
    """Trains networks until their time is spent; run again, it goes on from the last checkpoint.

    Parameters
    ----------
    name : str
        Of the checkpoint and of the stage in the log.
    folder : Path
        Where checkpoint (`NAME.pt`) and log (`losses.jsonl`) go.
    modules : dict of str to module
        What is trained.
    stage : Stage
        Tells the learning rate.
    seconds : float
        The time budget, over all runs.
    rng : numpy.random.Generator
        What batches are drawn with.
    """

    name: str
    folder: Path
    modules: nn.ModuleDict
    stage: Stage
    seconds: float
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.step = 0
        self.spent = 0.0
        self.optimizer = torch.optim.AdamW(
            self.modules.parameters(),
            lr=self.stage.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=_WEIGHT_DECAY,
            fused=True,
        )
        self.averaged = {name: w.detach().clone() for name, w in self._weights()}

    @property
    def progress(self) -> float:
        """How much of the time is spent, 0..1."""
        return min(1.0, self.spent / self.seconds)

    def run(self, losses: Callable[[float], dict[str, torch.Tensor]]) -> None:
        """Train, then leave the averaged weights in the modules.

        Parameters
        ----------
        losses : callable
            Draws a batch and gives its losses by name, of which the sum is lowered; is told how
            much of the time is spent, 0..1.
        """
        self._resume()
        self.modules.train()
        total: dict[str, float] = {}
        seen, logged, saved, began = 0, 0.0, self.spent, time.monotonic() - self.spent
        while self.progress < 1:
            values = losses(self.progress)
            loss = torch.stack(list(values.values())).sum()
            if not torch.isfinite(loss):
                raise FloatingPointError(f"{self.name}: loss {loss} in step {self.step}")
            self._descend(loss)
            seen += 1
            for name, value in values.items():
                total[name] = total.get(name, 0.0) + value.item()
            self.spent = time.monotonic() - began
            if self.spent - logged > _LOG_EVERY or self.progress == 1:
                self._log({name: value / seen for name, value in total.items()})
                total, seen, logged = {}, 0, self.spent
            if self.spent - saved > _SAVE_EVERY or self.progress == 1:
                self._save()
                saved = self.spent
        self._use_averaged()

    def _descend(self, loss: torch.Tensor) -> None:
        rate = self.stage.learning_rate * _schedule(self.progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.modules.parameters(), _CLIP)
        self.optimizer.step()
        self.step += 1
        keep = min(_AVERAGED, self.step / (self.step + 10))
        with torch.no_grad():
            names, weights = zip(*self._weights(), strict=True)
            averages = [self.averaged[name] for name in names]
            torch._foreach_lerp_(averages, list(weights), 1 - keep)

    def _weights(self) -> list[tuple[str, torch.Tensor]]:
        return list(self.modules.named_parameters())

    def _log(self, losses: dict[str, float]) -> None:
        line = {
            "stage": self.name,
            "step": self.step,
            "seconds": round(self.spent, 1),
            **{name: round(value, 5) for name, value in losses.items()},
        }
        with (self.folder / "losses.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)

    def _save(self) -> None:
        state: dict[str, Any] = {
            "modules": self.modules.state_dict(),
            "averaged": self.averaged,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "spent": self.spent,
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all(),
            "rng": json.dumps(self.rng.bit_generator.state),
        }
        with whole_file(self.folder / f"{self.name}.pt") as draft:
            torch.save(state, draft)

    def _resume(self) -> None:
        file = self.folder / f"{self.name}.pt"
        if not file.exists():
            return
        device = next(self.modules.parameters()).device
        state = torch.load(file, map_location=device, weights_only=True)
        self.modules.load_state_dict(state["modules"])
        self.averaged = state["averaged"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.spent = state["step"], state["spent"]
        torch.set_rng_state(state["torch"].cpu())
        torch.cuda.set_rng_state_all([one.cpu() for one in state.get("cuda", [])])
        self.rng.bit_generator.state = json.loads(state["rng"])

    def _use_averaged(self) -> None:
        with torch.no_grad():
            for name, weight in self._weights():
                weight.copy_(self.averaged[name])
        self.modules.eval()


def _schedule(progress: float) -> float:
    """Give the learning rate as a part of the highest, for 0..1 of the time spent."""
    if progress < _WARM_UP:
        return max(0.01, progress / _WARM_UP)
    return 0.5 + 0.5 * math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP))


def autocast(device: torch.device, *, half: bool) -> torch.autocast:
    """Give the context in which networks run: matrices multiply in bfloat16 where `half`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=half)
