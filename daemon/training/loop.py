"""The loop that all parts are trained by: a time budget, checkpoints, averaged weights, a log."""

from __future__ import annotations

import functools
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from .config import Stage
from .data import whole_file

_WARM_UP = 0.02  # of the time,
_WARM_UP_STEPS = 50  # or so many steps, whichever is less
_CLIP = 1.0  # norm of the gradient
_WEIGHT_DECAY = 1e-2
_AVERAGED = 0.999  # how much of the averaged weights a step keeps
_LOG_EVERY = 10.0  # seconds
_SAVE_EVERY = 180.0
_VALIDATE_EVERY = 200  # steps


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
    rates : dict of str to float
        Factors of the learning rate, by what the names of the weights begin with.
    validate : callable, optional
        Gives an error to log as `validation`, now and then, of the averaged weights. It must draw
        from no random numbers but its own.
    """

    name: str
    folder: Path
    modules: nn.ModuleDict
    stage: Stage
    seconds: float
    rng: np.random.Generator
    rates: Mapping[str, float] = field(default_factory=dict)
    validate: Callable[[], float] | None = None

    def __post_init__(self) -> None:
        self.step = 0
        self.spent = 0.0
        groups: dict[float, list[nn.Parameter]] = {}
        for name, weight in self.modules.named_parameters():
            factors = [rate for start, rate in self.rates.items() if name.startswith(start)]
            groups.setdefault(factors[0] if factors else 1.0, []).append(weight)
        self.factors = list(groups)
        self.optimizer = torch.optim.AdamW(
            [{"params": weights} for weights in groups.values()],
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
        if not self.step and self.progress < 1:
            self._validate()
        while self.progress < 1:
            values = losses(self.progress)
            loss = torch.stack(list(values.values())).sum()
            if not torch.isfinite(loss):
                raise FloatingPointError(f"{self.name}: loss {loss} in step {self.step}")
            self._descend(loss)
            seen += 1
            for name, value in values.items():
                total[name] = total.get(name, 0.0) + value.item()
            if self.step % _VALIDATE_EVERY == 0:
                self._validate()
            self.spent = time.monotonic() - began
            if self.spent - logged > _LOG_EVERY or self.progress == 1:
                self._log({name: value / seen for name, value in total.items()})
                total, seen, logged = {}, 0, self.spent
            if self.spent - saved > _SAVE_EVERY or self.progress == 1:
                self._save()
                saved = self.spent
        self._use_averaged()

    def _descend(self, loss: torch.Tensor) -> None:
        rate = self.stage.learning_rate * schedule(self.progress, self.step, self.stage.hold)
        for group, factor in zip(self.optimizer.param_groups, self.factors, strict=True):
            group["lr"] = rate * factor
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

    def _validate(self) -> None:
        if self.validate is None:
            return
        raw = {name: weight.detach().clone() for name, weight in self._weights()}
        self._use_averaged()
        found = self.validate()
        with torch.no_grad():
            for name, weight in self._weights():
                weight.copy_(raw[name])
        self.modules.train()
        line = {
            "stage": self.name,
            "step": self.step,
            "seconds": round(self.spent, 1),
            "validation": round(found, 5),
        }
        self._write(line)

    def _log(self, losses: dict[str, float]) -> None:
        line = {
            "stage": self.name,
            "step": self.step,
            "seconds": round(self.spent, 1),
            **{name: round(value, 5) for name, value in losses.items()},
        }
        self._write(line)

    def _write(self, line: dict[str, Any]) -> None:
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


def schedule(progress: float, step: int, hold: float) -> float:
    """Return the learning rate as a part of the highest.

    Parameters
    ----------
    progress : float
        0..1, of the time spent.
    step : int
        From 0.
    hold : float
        0..1, the part of the time after which it is lowered.
    """
    warm = max(progress / _WARM_UP, (step + 1) / _WARM_UP_STEPS)
    start = max(hold, _WARM_UP)
    if warm < 1 or progress < start:
        return min(1.0, warm)
    return 0.5 + 0.5 * math.cos(math.pi * (progress - start) / (1 - start))


def autocast(device: torch.device, *, half: bool) -> torch.autocast:
    """Return the context in which networks run: matrices multiply in bfloat16 where `half`.

    A CPU without instructions for it is ten times slower in bfloat16 than in float32, and stays
    with that.
    """
    half = half and (device.type != "cpu" or _cpu_multiplies_bfloat16())
    return torch.autocast(device.type, torch.bfloat16, enabled=half)


@functools.cache
def _cpu_multiplies_bfloat16() -> bool:
    asked = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # torch has no public question
    return bool(asked and asked())
