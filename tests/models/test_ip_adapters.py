"""What IP-Adapters and CLIP vision models are for, told by their headers, and which are chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import ip_adapter_files as files
from tiny_models import build_model
from underpaint.engine.reference_pictures import open_vision_model, read_picture
from underpaint.models import describe_model
from underpaint.models.ip_adapter_list import (
    choose_references,
    list_ip_adapters,
    list_vision_models,
)
from underpaint.models.roots import choose_root, ip_adapter_roots, vision_roots
from underpaint_client.errors import ModelUnavailableError
from underpaint_client.reference_layers import ReferenceLayer


def write(file: Path, *, width: int = 32, plus: bool = False, **more: torch.Tensor) -> Path:
    """Write an IP-Adapter whose tensors have the right names and forms, and little in them."""
    image: dict[str, torch.Tensor] = (
        {"latents": torch.zeros(1, 16, 8), "proj_in.weight": torch.zeros(8, files.WIDTH)}
        if plus
        else {
            "proj.weight": torch.zeros(4 * width, files.PROJECTION),
            "norm.weight": torch.zeros(width),
        }
    )
    tensors = {f"image_proj.{name}": one for name, one in image.items()}
    tensors["ip_adapter.1.to_k_ip.weight"] = torch.zeros(16, width)
    tensors["ip_adapter.1.to_v_ip.weight"] = torch.zeros(16, width)
    return files.save_ip_adapter(file, {**tensors, **more})


@pytest.mark.parametrize(
    ("width", "plus", "bases", "tokens", "reads"),
    [
        (768, False, "Stable Diffusion 1", 4, "projection"),
        (1024, True, "Stable Diffusion 2", 16, "patches"),
        (2048, True, "SDXL", 16, "patches"),
        (32, False, "", 4, "projection"),
    ],
)
def test_a_header_tells_what_an_adapter_is_for(
    home: Path, width: int, plus: bool, bases: str, tokens: int, reads: str
) -> None:
    write(home / "ip_adapters" / "one.safetensors", width=width, plus=plus)
    (found,) = list_ip_adapters()
    assert (found.bases, found.facts.tokens, found.facts.reads) == (bases, tokens, reads)
    assert (found.problem, found.encoder) == ("", None)


FACE_ID = {
    "image_proj.proj.0.weight": torch.zeros(8, 8),
    "image_proj.proj.2.weight": torch.zeros(8, 8),
    "image_proj.norm.weight": torch.zeros(32),
    "ip_adapter.1.to_k_ip.weight": torch.zeros(16, 32),
}
FULL_FACE = {
    **{name: one for name, one in FACE_ID.items() if "norm" not in name},
    "image_proj.proj.3.weight": torch.zeros(32),
}
OTHER_LAYOUT = {"image_proj.x.weight": torch.zeros(4, 4)}


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        (FACE_ID, "a FaceID adapter reads faces by InsightFace and cannot be used"),
        (OTHER_LAYOUT, "only IP-Adapters for Stable Diffusion 1 and XL can be used"),
        (FULL_FACE, ""),
    ],
)
def test_what_cannot_be_used_is_listed_with_the_reason(
    home: Path, tensors: dict[str, torch.Tensor], told: str
) -> None:
    files.save_ip_adapter(home / "ip_adapters" / "one.safetensors", tensors)
    (found,) = list_ip_adapters()
    assert (told in found.problem) if told else not found.problem
    if not told:
        assert (found.facts.tokens, found.facts.reads, found.facts.width) == (257, "patches", 8)


def test_a_damaged_file_in_the_folder_is_listed_and_no_other_kind_is(home: Path) -> None:
    folder = home / "ip_adapters"
    write(folder / "one.safetensors")
    files.save_vision_model(folder / "encoder")
    (folder / "torn.safetensors").write_bytes(b"no header")
    one, torn = list_ip_adapters()
    assert (one.name, torn.name) == ("one", "torn")
    assert "torn.safetensors" in torn.problem
    assert one.encoder is not None
    assert one.encoder.name == "encoder/model"


def model(home: Path) -> Any:
    return describe_model(build_model(home / "models" / "sd"))


def chosen(home: Path, kind: str, name: str = "") -> str:
    (found,) = choose_references((ReferenceLayer(kind, model=name),), model(home))
    return found.name


def test_the_one_that_suits_the_kind_is_chosen(home: Path) -> None:
    folder = home / "ip_adapters"
    files.save_vision_model(home / "clip_vision" / "small")
    write(folder / "a-plus-face.safetensors", plus=True)
    assert chosen(home, "subject") == "a-plus-face"  # better than none
    write(folder / "plain.safetensors")
    assert chosen(home, "subject") == "plain"
    write(folder / "z-plus.safetensors", plus=True)
    assert chosen(home, "subject") == "z-plus"
    assert chosen(home, "style") == chosen(home, "composition") == "plain"
    assert chosen(home, "style", "Z-Plus") == "z-plus"
    write(folder / "other.safetensors", width=768)
    with pytest.raises(ModelUnavailableError, match="IP-Adapter 'none' is unknown"):
        chosen(home, "style", "none")
    sdxl = describe_model(build_model(home / "models" / "sdxl", "sdxl"))
    with pytest.raises(ModelUnavailableError, match="no IP-Adapter fits the model 'sdxl'"):
        choose_references((ReferenceLayer("style"),), sdxl)
    with pytest.raises(ModelUnavailableError, match="'other' is for Stable Diffusion 1, and the"):
        choose_references((ReferenceLayer("style", model="other"),), sdxl)


def test_without_an_encoder_the_message_says_which(home: Path) -> None:
    write(home / "ip_adapters" / "one.safetensors", plus=True)
    with pytest.raises(ModelUnavailableError) as error:
        chosen(home, "style")
    assert str(error.value) == (
        "IP-Adapter 'one' reads pictures by a CLIP vision model with patches of 16 numbers, and"
        f" there is none; put one into {home / 'clip_vision'}"
    )


@pytest.mark.parametrize(
    ("tool", "adapters", "encoders"),
    [
        ("comfyui", "ComfyUI/models/ipadapter", "ComfyUI/models/clip_vision"),
        ("a1111", "stable-diffusion-webui/models/ControlNet", "stable-diffusion-webui/models/x"),
        ("invokeai", "invokeai/models/sd-1/ip_adapter", "invokeai/models/any/clip_vision"),
    ],
)
def test_other_tools_folders_are_looked_into_once_they_are_used(
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tool: str,
    adapters: str,
    encoders: str,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    user = tmp_path / "user"
    for folder in ("ComfyUI/models/checkpoints", "stable-diffusion-webui/models/Stable-diffusion"):
        (user / folder).mkdir(parents=True)
    write(user / adapters / "one.safetensors")
    files.save_vision_model(user / encoders)
    assert list_ip_adapters() == ()
    choose_root(tool, use=True)
    (found,) = list_ip_adapters()
    assert found.name.endswith("one")
    assert found.root == tool
    if tool != "a1111":  # which keeps none that IP-Adapters read with in a folder of its own
        assert found.encoder is not None
    assert tool in {root.name for root in ip_adapter_roots()}
    assert vision_roots()


def test_the_hubs_cache_is_looked_into(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    snapshot = tmp_path / "hub" / "models--h94--IP-Adapter" / "snapshots" / ("a" * 40)
    write(snapshot / "models" / "ip-adapter_sd15.safetensors", width=768)
    files.save_vision_model(snapshot / "models" / "image_encoder")
    choose_root("huggingface", use=True)
    (found,) = list_ip_adapters()
    assert found.name == "h94/IP-Adapter/models/ip-adapter_sd15"
    assert found.encoder is not None
    assert found.encoder.name == "h94/IP-Adapter/models/image_encoder/model"


@torch.no_grad()
def test_one_file_of_a_known_kind_needs_no_config(home: Path) -> None:
    """As ComfyUI's users have it: here of the width of OpenCLIP's ViT-H, with one layer."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(1)
    config = CLIPVisionConfig(
        hidden_size=1280,
        intermediate_size=64,
        projection_dim=1024,
        num_hidden_layers=1,
        num_attention_heads=16,
        hidden_act="gelu",
        image_size=28,
        patch_size=14,
    )
    expected = CLIPVisionModelWithProjection(config).half().float().eval()
    expected.half().save_pretrained(home / "made")
    file = home / "clip_vision" / "CLIP-ViT-H-14.safetensors"
    file.parent.mkdir()
    (home / "made" / "model.safetensors").rename(file)
    (encoder,) = list_vision_models()
    assert (encoder.facts.hidden, encoder.facts.projection, encoder.facts.patch) == (1280, 1024, 14)
    colour = torch.rand(30, 40, 3).numpy()
    found = read_picture(colour, encoder, "projection")
    assert found.shape == (2, 1024)
    opened = open_vision_model(encoder, "projection")
    pixels = torch.rand(1, 3, 28, 28)
    torch.testing.assert_close(
        opened(pixels).image_embeds, expected.float()(pixels).image_embeds, rtol=1e-4, atol=1e-5
    )


def test_one_file_of_an_unknown_kind_says_what_to_do(home: Path) -> None:
    file = files.save_vision_model(home / "made")
    (home / "clip_vision").mkdir()
    file.rename(home / "clip_vision" / "small.safetensors")
    (encoder,) = list_vision_models()
    with pytest.raises(ModelUnavailableError, match="is of no known kind; put it into a folder"):
        open_vision_model(encoder, "projection")


def test_a_damaged_encoder_is_named(home: Path) -> None:
    from safetensors.torch import load_file

    file = files.save_vision_model(home / "clip_vision" / "small")
    tensors = load_file(file)
    name = "vision_model.post_layernorm.weight"
    save_file({one: tensor for one, tensor in tensors.items() if one != name}, file)
    (encoder,) = list_vision_models()
    with pytest.raises(ModelUnavailableError, match=r"CLIP vision model .* lacks .*post_layernorm"):
        open_vision_model(encoder, "projection")
