"""Count what models of full size need, without their weights and without a GPU.

By hand, from the repository: `python tests/benchmarks/working_memory.py`. Each class is made from
the configs that come with Underpaint, on torch's `meta` device, where tensors have sizes and no
values. Attention counts as fused, and what kernels take for themselves is not seen. The constants
in `models/memory_needs.py`, and the sizes in `models/known_sizes.py`, are from here.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from typing import Any

import diffusers
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from underpaint.models.architectures import CONFIGS

SIDE = 1024
TOKENS = (SIDE // 16) ** 2
WORDS = 512


class Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that are alive, but for those of a module."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._own = [one.untyped_storage() for one in (*module.parameters(), *module.buffers())]
        self._known = {one._cdata for one in self._own}
        self.now = self.most = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        found = function(*args, **(kwargs or {}))
        for one in torch.utils._pytree.tree_leaves(found):
            if isinstance(one, torch.Tensor) and one.untyped_storage()._cdata not in self._known:
                storage = one.untyped_storage()
                self._known.add(storage._cdata)
                self.now += storage.nbytes()
                self.most = max(self.most, self.now)
                weakref.finalize(storage, self._free, storage._cdata, storage.nbytes())
        return found

    def _free(self, name: int, size: int) -> None:
        self._known.discard(name)
        self.now -= size


def fused(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> Any:
    """Stand for an attention that never holds its scores."""
    del key
    return query.new_empty((*query.shape[:-1], value.shape[-1]))


def make(kind: str, part: str, dtype: torch.dtype) -> Any:
    config = CONFIGS / kind / part
    name = json.loads((config / "config.json").read_text(encoding="utf-8"))["_class_name"]
    part_class: Any = getattr(diffusers, name)
    with torch.device("meta"):
        return part_class.from_config(part_class.load_config(config)).to(dtype).eval()


def show(title: str, module: torch.nn.Module, call: Callable[[], Any], side: int = SIDE) -> None:
    """Print what a call of a module takes."""
    sizes = [one.numel() * one.element_size() for one in module.parameters()]
    live = Live(module)
    with live, torch.no_grad():
        call()
    print(
        f"{title:28} weights {sum(sizes) / 1e6:8.0f} MB, largest {max(sizes) / 1e6:4.0f} MB,"
        f" working {live.most / side / side:5.0f} bytes a pixel",
        flush=True,
    )


def tensor(*shape: int, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def show_unet(kind: str, side: int) -> None:
    """Print what a UNet takes that is guided: two pictures at once."""
    unet = make(kind, "unet", torch.bfloat16)
    more = {"text_embeds": tensor(2, 1280), "time_ids": tensor(2, 6)} if kind == "sdxl" else None
    given = tensor(2, unet.config.in_channels, side // 8, side // 8)
    words = tensor(2, 77, unet.config.cross_attention_dim)
    show(kind, unet, lambda: unet(given, tensor(), words, added_cond_kwargs=more), side)


def arguments(kind: str, network: Any) -> dict[str, Any]:
    """Return what a transformer is called with."""
    config, cells = network.config, SIDE // 8
    packed = {"hidden_states": tensor(1, TOKENS, config.in_channels), "timestep": tensor(1)}
    if kind.startswith("sd3"):
        return {
            "hidden_states": tensor(2, 16, cells, cells),
            "encoder_hidden_states": tensor(2, 333, config.joint_attention_dim),
            "pooled_projections": tensor(2, config.pooled_projection_dim),
            "timestep": tensor(2),
        }
    if kind == "z-image":
        return {
            "x": [tensor(16, 1, cells, cells)],
            "t": tensor(1),
            "cap_feats": [tensor(200, 2560)],
        }
    width = config.get("joint_attention_dim") or config.context_in_dim
    packed["encoder_hidden_states"] = tensor(1, WORDS, width)
    if kind == "qwen-image-2.1":
        shapes = [[(1, SIDE // 16, SIDE // 16)]]
        slots = torch.tensor([[False] * WORDS + [True] * (TOKENS // 4)])
        return {**packed, "img_mask": slots, "img_shapes": shapes}
    if kind == "qwen-image":
        shapes = [[(1, SIDE // 16, SIDE // 16)]]
        mask = tensor(1, WORDS, dtype=torch.bool)
        return {**packed, "encoder_hidden_states_mask": mask, "img_shapes": shapes}
    if kind.startswith("flux2"):
        return {**packed, "img_ids": tensor(1, TOKENS, 4), "txt_ids": tensor(1, WORDS, 4)}
    if kind != "chroma":
        packed |= {"pooled_projections": tensor(1, 768), "guidance": tensor(1)}
    return {**packed, "img_ids": tensor(TOKENS, 3), "txt_ids": tensor(WORDS, 3)}


def show_autoencoder(kind: str, dtype: torch.dtype) -> None:
    """Print what an autoencoder takes."""
    vae = make(kind, "vae", dtype)
    frames = (1,) if "Qwen" in type(vae).__name__ else ()
    channels = vae.config.get("z_dim") or vae.config.latent_channels
    title = f"{kind}, {str(dtype).removeprefix('torch.')}"
    cells = SIDE // vae.config.get("scale_factor_spatial", 8)
    latents = tensor(1, channels, *frames, cells, cells, dtype=dtype)
    colours = vae.config.get("in_channels", 3)
    picture = tensor(1, colours, *frames, SIDE, SIDE, dtype=dtype)
    show(f"{title}, decodes", vae, lambda: vae.decode(latents).sample)
    show(f"{title}, encodes", vae, lambda: vae.encode(picture, return_dict=False))


def main() -> None:
    """Count all of them."""
    diffusers.utils.logging.set_verbosity_error()
    torch.nn.functional.scaled_dot_product_attention = fused
    for kind, side in (("sd1", 512), ("sd2", 768), ("sdxl", 1024)):
        show_unet(kind, side)
    for kind in ("sd3.5-large", "flux-dev", "chroma", "z-image", "flux2-klein-4b", "qwen-image"):
        network = make(kind, "transformer", torch.bfloat16)
        given = arguments(kind, network)
        show(kind, network, lambda network=network, given=given: network(**given))  # type: ignore[misc]
    for kind, dtype in (
        ("sdxl", torch.float32),
        ("sd1", torch.bfloat16),
        ("flux-dev", torch.bfloat16),
        ("flux2-klein-4b", torch.bfloat16),
        ("qwen-image", torch.bfloat16),
        ("qwen-image-2.1", torch.bfloat16),
    ):
        show_autoencoder(kind, dtype)


if __name__ == "__main__":
    main()
