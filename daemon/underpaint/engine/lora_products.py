"""What LyCORIS's forms of LoRA add to a weight: products other than that of two matrices.

Each is run from peft's LoRA layer, in the place of its two matrices, so that a layer may have LoRAs
of several forms. The whole change of a weight is made each time that the layer runs, and is kept no
longer: it is as large as the weight, and what it is made of is small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from peft.tuners.loha.layer import make_weight, make_weight_cp
from peft.tuners.lokr.layer import make_kron
from peft.tuners.lokr.layer import make_weight_cp as make_factor_cp

Matrices = Mapping[str, torch.Tensor]
"""Matrices by the names that LyCORIS gives them in files: `hada_w1_a`, `lokr_w2`, ..."""


def _hadamard(found: Matrices) -> torch.Tensor:
    """Return LoHa's change: two products of two matrices, multiplied number by number."""
    one, other = ((found[f"hada_w{n}_a"], found[f"hada_w{n}_b"]) for n in "12")
    scale = torch.ones((), device=one[0].device)
    if "hada_t1" in found:
        return torch.as_tensor(
            make_weight_cp(found["hada_t1"], *one, found["hada_t2"], *other, scale)
        )
    return torch.as_tensor(make_weight(*one, *other, scale))


def _kronecker(found: Matrices) -> torch.Tensor:
    """Return LoKr's change: a Kronecker product, whose factors may be products themselves."""
    first = found.get("lokr_w1")
    if first is None:
        first = found["lokr_w1_a"] @ found["lokr_w1_b"]
    second = found.get("lokr_w2")
    if second is None and "lokr_t2" in found:
        second = make_factor_cp(found["lokr_t2"], found["lokr_w2_a"], found["lokr_w2_b"])
    elif second is None:
        second = found["lokr_w2_a"] @ found["lokr_w2_b"]
    return torch.as_tensor(make_kron(first, second))


_PRODUCTS: dict[str, Callable[[Matrices], torch.Tensor]] = {"hada": _hadamard, "lokr": _kronecker}
"""By how the names of their matrices begin."""


def find_product(matrices: Matrices) -> Callable[[Matrices], torch.Tensor] | None:
    """Return what multiplies matrices of these names; None for a plain LoRA's."""
    starts = {name.partition("_")[0] for name in matrices}
    return _PRODUCTS.get(next(iter(starts))) if len(starts) == 1 else None


def product_size(matrices: Matrices) -> tuple[int, int] | None:
    """Return how many rows and numbers a change has; None where its matrices do not fit.

    Nothing is computed.
    """
    product = find_product(matrices)
    if product is None:
        return None
    try:
        shape = product({name: one.to("meta") for name, one in matrices.items()})
    except (RuntimeError, KeyError, IndexError, ValueError):
        return None
    return (shape.shape[0], shape.numel()) if shape.ndim > 1 else None


def product_rank(matrices: Matrices) -> int:
    """Return the rank that alpha is divided by; 0 where nothing of it is of a lower rank."""
    for name in ("hada_w1_b", "lokr_w1_b", "lokr_w2_b"):
        if name in matrices:
            return matrices[name].shape[0]
    return 0


class Product(torch.nn.Module):
    """Multiplies its input with the change of a layer's weight.

    Parameters
    ----------
    base : Linear or convolution
        The layer: its change is of the same shape.
    matrices : dict of str to tensor
        What the change is made of.
    """

    def __init__(self, base: Any, matrices: Matrices) -> None:
        super().__init__()
        self.matrices = torch.nn.ParameterDict(
            {n: torch.nn.Parameter(one, requires_grad=False) for n, one in matrices.items()}
        )
        found = find_product(matrices)
        assert found is not None, "these are the matrices of a plain LoRA"  # noqa: S101
        self._product = found
        self._convolve: Callable[..., torch.Tensor] | None = None
        if not isinstance(base, torch.nn.Linear):
            self._shape = (base.out_channels, base.in_channels // base.groups, *base.kernel_size)
            self._convolve = base._conv_forward

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """Return what is added to the layer's result, at strength 1."""
        change = self._product(dict(self.matrices.items()))
        if self._convolve is None:
            return torch.nn.functional.linear(given, change.flatten(1))
        return self._convolve(given, change.reshape(self._shape), None)


class Unchanged(torch.nn.Module):
    """Returns its input, in the place of a LoRA's first matrix.

    Parameters
    ----------
    dtype : torch.dtype
        In which peft is to hand it over.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = torch.empty(0, dtype=dtype)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """Return it."""
        return given
