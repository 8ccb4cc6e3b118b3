"""What a LoRA is for is told from its header, and a name means one LoRA."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from underpaint.cli import main
from underpaint.models import list_models, scanning
from underpaint.models.lora_list import find_lora, list_loras
from underpaint.models.loras import LONGEST_NAME, LONGEST_WORD, MOST_RANK, MOST_WORDS, LoraFacts
from underpaint.models.probes import probe_header
from underpaint.models.roots import choose_root
from underpaint.models.tensors import Header, Tensor
from underpaint_client.errors import ModelUnavailableError
from weight_files import SD1, SDXL, write_safetensors

Shapes = dict[str, tuple[int, ...]]

KOHYA = (".lora_down.weight", ".lora_up.weight")
PEFT = (".lora_A.weight", ".lora_B.weight")
NAMED_PEFT = (".lora_A.default.weight", ".lora_B.default.weight")
OLD_DIFFUSERS = ("_lora.down.weight", "_lora.up.weight")
XLABS = ("_lora1.down.weight", "_lora1.up.weight")


def lora(
    layer: str, width_in: int, width_out: int, ends: tuple[str, str] = KOHYA, rank: int = 8
) -> Shapes:
    return {layer + ends[0]: (rank, width_in), layer + ends[1]: (width_out, rank)}


def loha(layer: str, width_in: int, width_out: int, rank: int = 8) -> Shapes:
    sides = {"a": (width_out, rank), "b": (rank, width_in)}
    return {f"{layer}.hada_w{n}_{half}": side for n in "12" for half, side in sides.items()}


def header(shapes: Shapes, metadata: dict[str, str] | None = None) -> Header:
    tensors = {name: Tensor("F16", shape) for name, shape in shapes.items()}
    return Header("safetensors", tensors, metadata or {})


def told(shapes: Shapes, metadata: dict[str, str] | None = None) -> LoraFacts:
    found = probe_header(header(shapes, metadata)).lora
    assert found is not None
    return found


_ATTENTION = "attentions_0_transformer_blocks_0_attn2_to_k"
_DOTTED = "attentions.0.transformer_blocks.0.attn2"
_CLIP = "text_model_encoder_layers_0_self_attn_q_proj"

BASES: dict[str, tuple[Shapes, tuple[str, ...]]] = {
    "kohya, sd 1": (lora(f"lora_unet_down_blocks_0_{_ATTENTION}", 768, 320), ("sd 1",)),
    "kohya, sd 2": (lora(f"lora_unet_down_blocks_0_{_ATTENTION}", 1024, 320), ("sd 2",)),
    "kohya, sdxl": (lora(f"lora_unet_down_blocks_1_{_ATTENTION}", 2048, 640), ("sdxl",)),
    "kohya, sdxl as its authors name it": (
        lora("lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k", 2048, 640), ("sdxl",)
    ),
    "kohya, sdxl, self-attention alone": (
        lora("lora_unet_middle_block_1_transformer_blocks_9_attn1_to_q", 1280, 1280), ("sdxl",)
    ),
    "kohya, self-attention alone": (
        lora("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q", 640, 640),
        ("sd", "sdxl"),
    ),
    "kohya, self-attention and a second encoder": (
        {
            **lora("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q", 640, 640),
            **lora(f"lora_te2_{_CLIP}", 1280, 1280),
        },
        ("sdxl",),
    ),
    "kohya, text encoder alone": (lora(f"lora_te_{_CLIP}", 768, 768), ("sd 1",)),
    "peft, sd 1": (lora(f"unet.down_blocks.0.{_DOTTED}.to_k", 768, 320, PEFT), ("sd 1",)),
    "peft with a name, sdxl": (
        lora(f"base_model.model.down_blocks.1.{_DOTTED}.to_k", 2048, 640, NAMED_PEFT), ("sdxl",)
    ),
    "old diffusers, sd 1": (
        lora(f"unet.down_blocks.0.{_DOTTED}.processor.to_k", 768, 320, OLD_DIFFUSERS), ("sd 1",)
    ),
    "LoHa, sdxl": (loha(f"lora_unet_down_blocks_1_{_ATTENTION}", 2048, 640), ("sdxl",)),
    "LoKr, sd 1": (
        {
            f"lycoris_down_blocks_0_{_ATTENTION}.lokr_w1": (16, 16),
            f"lycoris_down_blocks_0_{_ATTENTION}.lokr_w2_a": (20, 4),
            f"lycoris_down_blocks_0_{_ATTENTION}.lokr_w2_b": (4, 48),
        },
        ("sd 1",),
    ),
    "kohya, flux": (
        lora("lora_unet_double_blocks_18_img_attn_proj", 3072, 3072), ("flux", "chroma")
    ),
    "kohya, flux, modulation": (
        lora("lora_unet_double_blocks_0_img_mod_lin", 3072, 18432), ("flux",)
    ),
    "peft, flux": (
        lora("transformer.single_transformer_blocks.0.attn.to_q", 3072, 3072, PEFT),
        ("flux", "chroma"),
    ),
    "XLabs, flux": (lora("double_blocks.0.processor.qkv", 3072, 9216, XLABS), ("flux", "chroma")),
    "chroma": (
        lora("diffusion_model.distilled_guidance_layer.layers.0.in_layer", 5120, 5120, PEFT),
        ("chroma",),
    ),
    "a first double block": (
        lora("lora_unet_double_blocks_0_img_attn_proj", 3072, 3072),
        ("flux", "chroma", "flux2-klein 4b"),
    ),
    "hunyuan-video": (
        lora("lora_unet_double_blocks_0_img_mlp_fc1", 3072, 12288), ("hunyuan-video",)
    ),
    "klein 4b": (
        lora("diffusion_model.single_blocks.0.linear1", 3072, 27648, PEFT), ("flux2-klein 4b",)
    ),
    "klein 9b": (
        lora("diffusion_model.double_blocks.0.img_attn.qkv", 4096, 12288, PEFT),
        ("flux2-klein 9b",),
    ),
    "FLUX.2 dev": (
        lora("transformer.transformer_blocks.0.attn.add_q_proj", 6144, 6144, PEFT), ("flux2",)
    ),
    "sd3 medium": (
        lora("transformer.transformer_blocks.0.attn.to_q", 1536, 1536, PEFT),
        ("sd3 3", "sd3 3.5-medium"),
    ),
    "sd3.5 large": (
        lora("lora_unet_joint_blocks_0_x_block_attn_qkv", 2432, 7296), ("sd3 3.5-large",)
    ),
    "qwen-image": (
        lora("transformer.transformer_blocks.0.img_mlp.net.0.proj", 3072, 12288, PEFT),
        ("qwen-image",),
    ),
    "qwen-image 2.1": (
        lora("transformer.transformer_blocks.0.img_mlp.gate_layer", 4096, 12288, PEFT),
        ("qwen-image-2.1",),
    ),
    "qwen-image, a late block": (
        lora("diffusion_model.transformer_blocks.59.attn.to_q", 3072, 3072, PEFT), ("qwen-image",)
    ),
    "z-image": (
        lora("diffusion_model.layers.0.attention.to_q", 3840, 3840, PEFT), ("z-image",)
    ),
    "lumina2": (lora("diffusion_model.layers.0.attention.qkv", 2304, 3840, PEFT), ("lumina2",)),
    "krea2": (lora("diffusion_model.blocks.0.attn.wq", 6144, 6144, PEFT), ("krea2",)),
    "wan": (lora("diffusion_model.blocks.0.self_attn.q", 5120, 5120, PEFT), ("wan",)),
    "ltx-video, as wide as sdxl": (
        lora("transformer.transformer_blocks.0.attn2.to_k", 2048, 2048, PEFT), ("ltx-video",)
    ),
    "nothing that is known": (lora("lora_unet_x", 320, 320), ()),
}  # fmt: skip


@pytest.mark.parametrize("what", BASES)
def test_the_base_model_is_told_by_layers(what: str) -> None:
    shapes, wanted = BASES[what]
    found = told(shapes)
    assert (found.bases, found.problem) == (wanted, "")


@pytest.mark.parametrize(
    ("what", "said", "wanted"),
    [
        ("a first double block", "flux-1-dev/lora", ("flux",)),
        ("a first double block", "chroma", ("chroma",)),
        ("a first double block", "Flux.2-klein-4b", ("flux2-klein 4b",)),
        ("sd3 medium", "stable-diffusion-3.5-medium/lora", ("sd3 3.5-medium",)),
        ("sd3 medium", "stable-diffusion-v3/lora", ("sd3 3", "sd3 3.5-medium")),
        ("kohya, self-attention alone", "stable-diffusion-xl-v1-base/lora", ("sdxl",)),
        ("kohya, self-attention alone", "stable-diffusion-v1/lora", ("sd 1",)),
        ("nothing that is known", "z-image/lora", ("z-image",)),
        ("nothing that is known", "something new", ()),
        ("kohya, sd 1", "stable-diffusion-xl-v1-base/lora", ("sd 1",)),
    ],
)
def test_its_maker_is_believed_only_where_layers_leave_it_open(
    what: str, said: str, wanted: tuple[str, ...]
) -> None:
    assert told(BASES[what][0], {"modelspec.architecture": said}).bases == wanted


def test_a_lora_fits_the_models_it_was_made_for() -> None:
    first = LoraFacts(bases=("sd 1", "sdxl"))
    assert first.fits("sd", "1")
    assert first.fits("sdxl")
    assert not first.fits("sd", "2")
    assert not first.fits("flux", "dev")
    assert first.fits("sd")  # a model whose variant is not known
    assert LoraFacts(bases=("flux",)).fits("flux", "schnell")
    assert LoraFacts().fits("krea2")  # nothing speaks against it


def test_layers_ranks_and_text_encoders_are_counted() -> None:
    shapes = {
        **lora("lora_unet_input_blocks_4_1_proj_in", 640, 640, rank=4),
        **lora(f"lora_te_{_CLIP}", 768, 768, rank=32),
        "lora_unet_input_blocks_4_1_proj_in.alpha": (),
    }
    found = told(shapes)
    assert (found.layers, found.rank, found.text_encoder) == (2, 32, True)
    assert not told(BASES["kohya, flux"][0]).text_encoder


_FREQUENT = {"1_cats": {"sks cat": 40, "grass": 25, "sky": 3}, "2_more": {"sks cat": 10, "tree": 1}}
WORDS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "none": ({}, ()),
    "a phrase": ({"modelspec.trigger_phrase": "sks cat"}, ("sks cat",)),
    "several": ({"modelspec.trigger_phrase": "sks, ink wash\nSKS,"}, ("sks", "ink wash")),
    "tags": ({"ss_tag_frequency": json.dumps(_FREQUENT)}, ("sks cat", "grass")),
    "a phrase before tags": (
        {"modelspec.trigger_phrase": "cat", "ss_tag_frequency": json.dumps(_FREQUENT)}, ("cat",)
    ),
    "control characters": ({"modelspec.trigger_phrase": "a\x1b[31mb"}, (r"a\x1b[31mb",)),
    "no JSON": ({"ss_tag_frequency": "{"}, ()),
    "a list": ({"ss_tag_frequency": "[1]"}, ()),
    "folders that are none": ({"ss_tag_frequency": '{"a": 1, "b": {"c": "d", "e": true}}'}, ()),
    "counts that are none": ({"ss_tag_frequency": '{"a": {"b": -1, "c": 1e999}}'}, ()),
    "deep": ({"ss_tag_frequency": "[" * 100_000}, ()),
}  # fmt: skip


@pytest.mark.parametrize("what", WORDS)
def test_trigger_words_come_from_the_metadata(what: str) -> None:
    said, wanted = WORDS[what]
    assert told(BASES["kohya, sd 1"][0], said).trigger_words == wanted


def test_metadata_of_strangers_are_shortened() -> None:
    said = {
        "modelspec.trigger_phrase": ",".join(f"{n}" + "x" * 1000 for n in range(1000)),
        "ss_sd_model_name": "m\n" * 1000,
    }
    found = told(BASES["kohya, sd 1"][0], said)
    assert 0 < len(found.trigger_words) <= MOST_WORDS
    assert all(len(word) <= LONGEST_WORD for word in found.trigger_words)
    assert "\n" not in found.base_model
    assert len(found.base_model) <= LONGEST_WORD


DAMAGED: dict[str, tuple[Shapes, str]] = {
    "half of a pair": ({"lora_unet_x.lora_down.weight": (4, 320)}, "one of its two matrices"),
    "two ranks": (
        {"lora_unet_x.lora_down.weight": (4, 320), "lora_unet_x.lora_up.weight": (320, 8)},
        r"do not fit each other \(4 x 320 and 320 x 8\)",
    ),
    "no rank": (lora("lora_unet_x", 320, 320, rank=0), "do not fit each other"),
    "numbers for matrices": (
        {"lora_unet_x.lora_down.weight": (), "lora_unet_x.lora_up.weight": ()}, "a number"
    ),
    "a rank that is absurd": (
        lora("lora_unet_x", 320, 320, rank=MOST_RANK + 1), f"has rank {MOST_RANK + 1}"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGED)
def test_shapes_that_do_not_fit_are_told_before_the_run(what: str, home: Path) -> None:
    shapes, wanted = DAMAGED[what]
    layout = {name: ("F16", shape) for name, shape in shapes.items()}
    write_safetensors(home / "loras" / "bad.safetensors", layout)
    with pytest.raises(ModelUnavailableError, match=f"bad.safetensors.*{wanted}") as error:
        find_lora("bad")
    assert "\n" not in str(error.value)


def test_names_that_no_layer_has_are_passed_over() -> None:
    long = lora("lora_unet_joint_blocks_0_" + "attn" * LONGEST_NAME, 1536, 1536)
    found = told({**long, **BASES["kohya, sd 1"][0]})
    assert (found.layers, found.bases) == (1, ("sd 1",))


# ---- lists and names ------------------------------------------------------------------------


def put(file: Path, what: str = "kohya, sd 1") -> Path:
    return write_safetensors(file, {n: ("F16", shape) for n, shape in BASES[what][0].items()})


def test_loras_are_found_in_their_folder_and_beside_models(home: Path) -> None:
    put(home / "loras" / "style" / "ink.safetensors", "kohya, sdxl")
    put(home / "models" / "Lora" / "old.safetensors")
    write_safetensors(home / "models" / "m.safetensors", SD1)
    found = {one.name: one for one in list_loras()}
    assert list(found) == ["Lora/old", "style/ink"]
    assert found["style/ink"].bases == "SDXL"
    assert found["style/ink"].size == (home / "loras/style/ink.safetensors").stat().st_size
    assert "style/ink" not in list_models()
    assert find_lora("old").name == "Lora/old"


def test_what_is_remembered_of_a_lora_is_the_same(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put(home / "loras" / "a.safetensors")
    before = list_loras()
    scanning._kept.clear()
    monkeypatch.setattr(scanning, "read_contents", lambda _: pytest.fail("it is read again"))
    assert list_loras() == before
    file.unlink()
    assert list_loras() == ()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Ink", "Ink"),
        ("ink", "Ink"),
        ("INK.SAFETENSORS", "Ink"),
        ("style/Wash", "style/Wash"),
        ("style\\wash", "style/Wash"),
        ("wash", "style/Wash"),
        ("wash.safetensors", "style/Wash"),
        ("b/x", "b/x"),
    ],
)
def test_a_name_is_a_path_or_its_last_part_in_any_case(home: Path, name: str, wanted: str) -> None:
    for file in ("Ink", "style/Wash", "a/x", "b/x", "more/ink"):
        put(home / "loras" / f"{file}.safetensors")
    assert find_lora(name).name == wanted


def test_a_name_that_means_none_or_several_says_so(home: Path) -> None:
    for file in ("a/x", "b/X"):
        put(home / "loras" / f"{file}.safetensors")
    with pytest.raises(ModelUnavailableError, match=r"'x' may be any of 'a/x', 'b/X'; name one"):
        find_lora("x")
    with pytest.raises(ModelUnavailableError, match=r"'y' is unknown; LoRAs found: a/x, b/X"):
        find_lora("y")
    with pytest.raises(ModelUnavailableError, match="is unknown"):
        find_lora("../loras/a/x")


PLACES = {
    "stable-diffusion-webui/models/Lora": "a1111",
    "stable-diffusion-webui-forge/models/LyCORIS": "forge",
    "ComfyUI/models/loras": "comfyui",
    ".local/share/krita/ai_diffusion/server/ComfyUI/models/loras": "krita-ai-diffusion",
    "invokeai/models": "invokeai",
}


@pytest.mark.parametrize("place", PLACES)
def test_loras_of_other_tools_are_used_when_asked_for(home: Path, user: Path, place: str) -> None:
    put(user / place / "sub" / "a.safetensors")
    assert list_loras() == ()
    assert len(choose_root(PLACES[place], use=True)) == 1
    assert [(one.name, one.root) for one in list_loras()] == [("sub/a", PLACES[place])]
    choose_root(PLACES[place], use=False)
    assert list_loras() == ()


def test_comfyui_s_extra_paths_hold_loras_too(home: Path, user: Path) -> None:
    (user / "ComfyUI").mkdir()
    put(user / "far" / "Lora" / "a.safetensors")
    put(user / "far" / "LyCORIS" / "b.safetensors")
    text = f"x:\n  base_path: {user}/far\n  loras: |\n    Lora\n    LyCORIS\n"
    (user / "ComfyUI" / "extra_model_paths.yaml").write_text(text)
    choose_root("comfyui", use=True)
    assert [one.name for one in list_loras()] == ["a", "b"]


def test_loras_in_the_hub_s_cache_are_named_by_its_repositories(home: Path, user: Path) -> None:
    snapshot = user / ".cache/huggingface/hub/models--some--style/snapshots" / ("a" * 40)
    put(snapshot / "ink.safetensors")
    choose_root("huggingface", use=True)
    assert [one.name for one in list_loras()] == ["some/style/ink"]


def test_kinds_that_cannot_be_used_say_so(home: Path) -> None:
    write_safetensors(home / "loras" / "o.safetensors", {"lora_unet_x.oft_blocks": ("F16", (4, 8))})
    with pytest.raises(ModelUnavailableError, match=r"a LyCORIS \(OFT\) cannot be used"):
        find_lora("o")


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"not safetensors"])
def test_a_file_that_cannot_be_read_is_listed_with_its_problem(home: Path, content: bytes) -> None:
    put(home / "loras" / "ink.safetensors")
    (home / "models").mkdir(exist_ok=True)
    for folder in ("loras", "models"):
        (home / folder / f"{folder}.safetensors").write_bytes(content)
    ink, torn = list_loras()
    assert (ink.name, torn.name, torn.kind) == ("ink", "loras", "LoRA")
    assert str(torn.problem).startswith(f"weights {home / 'loras' / 'loras.safetensors'}")
    assert str(home) not in str(torn.reason)
    assert find_lora("ink") == ink
    with pytest.raises(ModelUnavailableError, match=r"loras\.safetensors"):
        find_lora("loras")


def test_the_command_lists_loras(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["loras"]) == 0
    assert f"put them into {home / 'loras'}" in capsys.readouterr().err
    put(home / "loras" / "ink.safetensors")
    put(home / "loras" / "xl.safetensors", "kohya, sdxl")
    write_safetensors(home / "loras" / "bad.safetensors", {"x.lora_A.weight": ("F16", (4, 8))})
    write_safetensors(home / "models" / "m.safetensors", SDXL)
    assert main(["loras"]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["name", "ink", "xl"]
    assert "Stable Diffusion 1" in out
    assert "bad.safetensors: x has one of its two matrices only" in err
    assert main(["loras", "--json", "--model", "m"]) == 0
    found = {one["name"]: one for one in map(json.loads, capsys.readouterr().out.splitlines())}
    assert set(found) == {"bad", "xl"}
    assert found["xl"]["bases"] == ["sdxl"]
    assert found["bad"]["problem"]
