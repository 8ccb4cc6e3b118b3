"""What ControlNets are for, told from headers and names; the list; which one is chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from underpaint.models import describe_model
from underpaint.models.controlnet_list import choose_controls, list_controlnets
from underpaint.models.controlnets import CONTROL_LORA, ControlNetFacts, tell_controlnet, tell_kinds
from underpaint.models.probes import probe_header
from underpaint.models.roots import choose_root
from underpaint.models.tensors import Header, Tensor
from underpaint_client.control_layers import ControlLayer
from underpaint_client.errors import ModelUnavailableError
from weight_files import layout, write_safetensors

Shapes = dict[str, tuple[int, ...]]

HINT = {"controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3)}
AUTHORS = {"input_hint_block.0.weight": (16, 3, 3, 3)}
TEXT = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight"
SD = {**HINT, TEXT: (320, 768)}


def told(shapes: Shapes, metadata: dict[str, str] | None = None) -> ControlNetFacts:
    tensors = {name: Tensor("F16", shape) for name, shape in shapes.items()}
    contents = probe_header(Header("safetensors", tensors, metadata or {}))
    assert contents.kind.startswith("ControlNet")
    assert contents.controlnet is not None
    return contents.controlnet


@pytest.mark.parametrize(
    ("shapes", "bases", "width"),
    [
        (SD, ("sd 1",), 768),
        ({**HINT, TEXT: (320, 1024)}, ("sd 2",), 1024),
        ({**HINT, TEXT: (640, 2048)}, ("sdxl",), 2048),
        ({**HINT, "add_embedding.linear_1.weight": (1280, 2816)}, ("sdxl",), 0),
        (
            {
                f"control_model.{name}": shape
                for name, shape in {
                    **AUTHORS,
                    "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768),
                }.items()
            },
            ("sd 1",),
            768,
        ),
    ],
)
def test_the_base_model_is_told_from_the_header(
    shapes: Shapes, bases: tuple[str, ...], width: int
) -> None:
    facts = told(shapes)
    assert (facts.bases, facts.text_width, facts.problem) == (bases, width, "")


@pytest.mark.parametrize(
    ("shapes", "bases", "problem"),
    [
        (
            {"controlnet_x_embedder.weight": (3072, 64), "transformer_blocks.0.attn.a": (1,)},
            ("flux",),
            "only ControlNets for Stable Diffusion 1, 2 and XL can be used",
        ),
        (
            {"controlnet_blocks.0.weight": (1, 1), "pos_embed_input.proj.weight": (1, 1)},
            ("sd3",),
            "only ControlNets",
        ),
        (
            {"controlnet_blocks.0.weight": (1, 1), "transformer_blocks.0.img_mod.1.bias": (1,)},
            ("qwen-image",),
            "only ControlNets",
        ),
        ({"control_layers.0.weight": (1, 1)}, ("z-image",), "only ControlNets"),
        ({"lora_controlnet": (1,)}, (), "a Control-LoRA cannot be used"),
        (
            {**SD, "controlnet_cond_embedding.conv_in.weight": (16, 4, 3, 3)},
            ("sd 1",),
            "it takes pictures of shape 16 x 4 x 3 x 3",
        ),
    ],
)
def test_one_that_cannot_be_used_says_why(
    shapes: Shapes, bases: tuple[str, ...], problem: str
) -> None:
    facts = told(shapes)
    assert facts.bases == bases
    assert problem in facts.problem


def test_gguf_is_refused() -> None:
    header = Header("gguf", {name: Tensor("Q8_0", shape) for name, shape in SD.items()})
    assert "in GGUF cannot be used" in tell_controlnet("ControlNet", header).problem
    assert tell_controlnet(CONTROL_LORA, header).problem.startswith("a Control-LoRA")


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("control_v11p_sd15_canny_fp16", ("canny",)),
        ("diffusers_xl_depth_full", ("depth",)),
        ("control_v11f1p_sd15_depth", ("depth",)),
        ("t2i/thibaud_xl_openpose_256lora", ("pose",)),
        ("control_v11p_sd15_normalbae", ("normal",)),
        ("control_v11p_sd15_seg", ("segmentation",)),
        ("control_v11p_sd15s2_lineart_anime", ("lines",)),
        ("control_v11p_sd15_mlsd", ("lines",)),
        ("control_v11p_sd15_softedge", ("lines",)),
        ("control_v11p_sd15_scribble", ("scribble",)),
        ("kohya_controllllite_xl_blur_anime", ("blur",)),
        ("control_v11f1e_sd15_tile", ("tile", "blur")),
        ("control_v11p_sd15_inpaint", ()),
        ("qrcode_monster", ()),
        ("shed-segue", ()),
        ("Outline/percussive", ()),
    ],
)
def test_a_name_tells_what_is_read(name: str, kinds: tuple[str, ...]) -> None:
    assert tell_kinds(name, ControlNetFacts()) == kinds
    titled = ControlNetFacts(title=name)
    assert tell_kinds("diffusion_pytorch_model", titled) == kinds


def test_a_union_reads_all_that_it_was_trained_on() -> None:
    union = told({**SD, "task_embedding": (6, 320)})
    assert union.union == 6
    assert set(tell_kinds("canny", union)) == {
        "pose", "depth", "scribble", "canny", "lines", "normal", "segmentation",
    }  # fmt: skip
    assert {"tile", "blur"} < set(tell_kinds("x", told({**SD, "task_embedding": (8, 320)})))


# ---- the list -------------------------------------------------------------------------------


def write(file: Path, shapes: Shapes = SD) -> Path:
    return write_safetensors(file, layout("F16", shapes))


def test_they_are_found_where_they_lie(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = home / "controlnets"
    write(own / "sub" / "canny_a.safetensors")
    write(own / "depth" / "diffusion_pytorch_model.safetensors")
    write(own / "depth" / "diffusion_pytorch_model.fp16.safetensors")
    write(home / "models" / "among_models_pose.safetensors")
    user = home / "user"
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.setenv("COMFYUI_PATH", str(home / "comfy"))
    write(home / "comfy" / "models" / "controlnet" / "theirs_tile.safetensors")
    write(user / "stable-diffusion-webui" / "models" / "ControlNet" / "web_seg.safetensors")
    named = {
        "among_models_pose": ("pose",),
        "depth": ("depth",),
        "depth/diffusion_pytorch_model.fp16": ("depth",),
        "sub/canny_a": ("canny",),
    }
    assert {one.name: one.reads for one in list_controlnets()} == named
    choose_root("comfyui", use=True)
    choose_root("a1111", use=True)
    more = {"theirs_tile": ("tile", "blur"), "web_seg": ("segmentation",)}
    assert {one.name: one.reads for one in list_controlnets()} == {**named, **more}


# ---- which is chosen ------------------------------------------------------------------------


def test_the_one_that_reads_a_kind_and_little_else_is_chosen(home: Path, models: Path) -> None:
    info = describe_model(models / "sd")  # which takes 32 numbers a token
    tiny = {**HINT, TEXT: (32, 32)}
    own = home / "controlnets"
    write(own / "a_union.safetensors", {**tiny, "task_embedding": (8, 32)})
    (chosen,) = choose_controls([ControlLayer("canny")], info)
    assert (chosen.name, chosen.number) == ("a_union", 3)
    write(own / "z_canny.safetensors", tiny)
    write(own / "a_canny_sd15.safetensors")  # takes 768
    write(own / "a_canny_xl.safetensors", {**HINT, TEXT: (32, 2048)})
    (chosen,) = choose_controls([ControlLayer("canny")], info)
    assert (chosen.name, chosen.number) == ("z_canny", -1)
    none = ControlLayer("depth", strength=0.0)
    named = ControlLayer("canny", model="A_UNION")
    found = choose_controls([none, named], info)
    assert [(one.index, one.name) for one in found] == [(1, "a_union")]
    write(own / "odd.safetensors", tiny)  # its name tells nothing, so it is used as its user says
    assert choose_controls([ControlLayer("pose", model="odd")], info)[0].name == "odd"


def test_what_does_not_fit_is_said(home: Path, models: Path) -> None:
    info = describe_model(models / "sd")
    own = home / "controlnets"
    write(own / "x" / "canny.safetensors", {**HINT, TEXT: (32, 2048)})
    write(own / "lora.safetensors", {"lora_controlnet": (1,)})
    write(own / "six.safetensors", {**HINT, TEXT: (32, 32), "task_embedding": (6, 32)})
    for name, kind, what in (
        ("x/canny", "canny", "ControlNet 'x/canny' is for SDXL, and the model 'sd' is Stable"),
        ("lora", "canny", "lora.safetensors: a Control-LoRA cannot be used"),
        ("six", "tile", "ControlNet 'six' does not read tile; choose another one"),
        ("none", "tile", "ControlNet 'none' is unknown; ControlNets found: "),
        ("", "tile", "no ControlNet for tile fits the model 'sd' .Stable Diffusion.; put one into"),
    ):
        with pytest.raises(ModelUnavailableError, match=what):
            choose_controls([ControlLayer(kind, model=name)], info)
