"""Settings of other programs' pictures: what they mean here, and what is said to be unused.

The texts are written for these tests, in the layouts that the programs write.
"""

from __future__ import annotations

import dataclasses
import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from example_recipe import make_recipe
from underpaint_client.conditioning import LoraWeight
from underpaint_client.control_layers import ControlLayer
from underpaint_client.errors import BadInputError
from underpaint_client.found_settings import FoundSettings, match_model, match_sampler
from underpaint_client.picture_settings import find_settings, read_picture_settings
from underpaint_client.picture_texts import read_texts
from underpaint_client.request import Request
from underpaint_client.variations import Variation

WEBUI = """a lake, (misty:1.2) <lora:ink:0.8>
second line
Negative prompt: fog, {people}
and more
Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 5.5, Seed: 42, Size: 768x512, \
Model hash: 0a1b2c3d4e, Model: inkland, Denoising strength: 0.6, Clip skip: 2, \
ADetailer model: face_yolov8n.pt, Lora hashes: "ink: 012345678901, oil: 9", Version: v1.10.1"""

GRAPH: dict[str, Any] = {
    "1": {"class_type": "CheckpointLoaderSimple",
          "inputs": {"ckpt_name": "xl\\inkland.safetensors"}},
    "2": {"class_type": "LoraLoader", "inputs": {
        "lora_name": "ink.safetensors", "strength_model": 0.8, "strength_clip": 0.5,
        "model": ["1", 0], "clip": ["1", 1]}},
    "3": {"class_type": "LoraLoaderModelOnly", "inputs": {
        "lora_name": "style/oil.safetensors", "strength_model": 1, "model": ["2", 0]}},
    "4": {"class_type": "CLIPSetLastLayer", "inputs": {"stop_at_clip_layer": -2, "clip": ["2", 1]}},
    "5": {"class_type": "CLIPTextEncode", "inputs": {"text": "a [lake] {x}", "clip": ["4", 0]}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["12", 0], "clip": ["4", 0]}},
    "7": {"class_type": "EmptyLatentImage",
          "inputs": {"width": 768, "height": 512, "batch_size": 1}},
    "8": {"class_type": "KSampler", "inputs": {
        "seed": ["11", 0], "steps": 25, "cfg": 6.5, "sampler_name": "euler_ancestral",
        "scheduler": "normal", "denoise": 1.0, "model": ["3", 0], "positive": ["10", 0],
        "negative": ["10", 1], "latent_image": ["7", 0]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["13", 0]}},
    "10": {"class_type": "ControlNetApplyAdvanced", "inputs": {
        "positive": ["5", 0], "negative": ["6", 0], "strength": 1.0}},
    "11": {"class_type": "PrimitiveInt", "inputs": {"value": 77}},
    "12": {"class_type": "PrimitiveString", "inputs": {"value": "fog"}},
    "13": {"class_type": "VAEDecode", "inputs": {"samples": ["8", 0], "vae": ["1", 2]}},
}  # fmt: skip

CUSTOM: dict[str, Any] = {
    "1": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.safetensors"}},
    "2": {"class_type": "CLIPTextEncodeFlux", "inputs": {"clip_l": "lake", "t5xxl": "a long lake"}},
    "3": {"class_type": "FluxGuidance", "inputs": {"guidance": 3.5, "conditioning": ["2", 0]}},
    "4": {"class_type": "BasicGuider", "inputs": {"model": ["1", 0], "conditioning": ["3", 0]}},
    "5": {"class_type": "RandomNoise", "inputs": {"noise_seed": 5}},
    "6": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
    "7": {"class_type": "BasicScheduler", "inputs": {
        "scheduler": "simple", "steps": 20, "denoise": 0.7, "model": ["1", 0]}},
    "8": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 1024, "height": 768}},
    "9": {"class_type": "SamplerCustomAdvanced", "inputs": {
        "noise": ["5", 0], "guider": ["4", 0], "sampler": ["6", 0], "sigmas": ["7", 0],
        "latent_image": ["8", 0]}},
}  # fmt: skip

INVOKE = {
    "app_version": "5.6.0", "generation_mode": "sdxl_txt2img",
    "positive_prompt": "a (misty lake)1.2, sun++ (x)",
    "negative_prompt": "fog", "width": 1024, "height": 768, "seed": 9, "cfg_scale": 7, "steps": 30,
    "scheduler": "dpmpp_2m_k", "clip_skip": 1,
    "model": {"key": "k", "hash": "sha256:0a1b2c3d4e5f", "name": "Inkland", "base": "sdxl"},
    "loras": [{"model": {"name": "ink"}, "weight": 0.75},
              {"lora": {"model_name": "oil", "base_model": "sd-1"}, "weight": 1}],
    "controlnets": [{"control_model": "canny"}], "rand_device": "cpu",
}  # fmt: skip

OLD_INVOKE = {
    "model": "stable diffusion", "model_weights": "sd-1.5", "model_hash": "cc6cb27103417325",
    "app_version": "2.3.0",
    "image": {"prompt": [{"prompt": "a lake [fog, rain]", "weight": 1}], "steps": 50,
              "cfg_scale": 7.5, "height": 512, "width": 640, "seed": 3, "type": "txt2img",
              "sampler": "k_euler_a", "variations": [{"seed": 1, "weight": 0.1}]},
}  # fmt: skip


def found_in(key: str, text: Any) -> FoundSettings:
    found = find_settings({key: text if isinstance(text, str) else json.dumps(text)})
    assert found is not None
    return found


def told(found: FoundSettings) -> list[str]:
    return [str(one) for one in found.notes]


def test_webui() -> None:
    found = found_in("parameters", WEBUI)
    assert found.values == {
        "prompt": "a lake, (misty:1.2) <lora:ink:0.8>\nsecond line",
        "negative_prompt": "fog, \\{people\\}\nand more",
        "steps": 28, "sampler": "dpmpp_2m_karras", "guidance_scale": 5.5, "seed": 42, "width": 768,
        "height": 512, "strength": 0.6, "clip_skip": 2,
    }  # fmt: skip
    assert (found.program, found.model, found.model_hash) == (
        "Stable Diffusion WebUI", "inkland", "0a1b2c3d4e",
    )  # fmt: skip
    assert told(found) == ["ADetailer model (face_yolov8n.pt) is not used"]


@pytest.mark.parametrize(
    ("pairs", "values", "notes"),
    [
        ("Steps: 9, Sampler: Euler a, Seed: 1", {"steps": 9, "sampler": "k_euler_a", "seed": 1},
         []),
        ("Steps: 9, Sampler: DPM++ 2M Karras, Seed: 1", {"sampler": "dpmpp_2m_karras"}, []),
        ("Steps: 9, Sampler: Restart, Seed: 1", {},
         ["there is no sampler 'Restart' here; the model's own is used"]),
        ("Steps: 9, Sampler: Euler, Schedule type: Beta, Seed: 1", {"sampler": "k_euler"},
         ["the schedule 'Beta' is not used; that of the sampler is"]),
        ("Steps: many, Sampler: Euler, Seed: 99999999999", {"sampler": "k_euler"},
         ["steps (many) is not used", "seed (99999999999) is not used"]),
        ("Steps: 9, Seed: 1, Denoising strength: 0.4, Hires upscale: 2, Hires steps: 5",
         {"steps": 9},
         ["the second pass (Hires. fix) is not used"]),
        ("Steps: 9, Seed: 1, CFG scale: 1, Distilled CFG Scale: 3.5", {"guidance_scale": 3.5}, []),
        ("Steps: 9, Seed: 1, Variation seed: 5, Variation seed strength: 0.2",
         {"variations": (Variation(5, 0.2),)}, []),
        ('Steps: 9, Seed: 1, Style: "a, \\"b\\": c", CFG scale: nan', {"steps": 9},
         ["guidance scale (nan) is not used", 'Style (a, "b": c) is not used']),
    ],
)  # fmt: skip
def test_pairs_of_webui(pairs: str, values: dict[str, Any], notes: list[str]) -> None:
    found = found_in("parameters", f"a lake\n{pairs}")
    assert found.values["prompt"] == "a lake"
    assert found.values["negative_prompt"] == ""
    assert values.items() <= found.values.items()
    assert told(found) == notes
    assert ("strength" in found.values) is ("strength" in values)


def test_our_own_text_is_read_as_webui_writes_it() -> None:
    found = found_in(
        "parameters", 'x\nSteps: 20, Sampler: DPM++ 2M, CFG scale: 7.5, Seed: 7, Model: "a, b"'
    )
    assert (found.model, found.values["sampler"]) == ("a, b", "dpmpp_2m")


def test_comfy() -> None:
    found = found_in("prompt", GRAPH)
    assert found.values == {
        "prompt": "a \\[lake\\] \\{x\\}", "negative_prompt": "fog", "seed": 77, "steps": 25,
        "guidance_scale": 6.5, "sampler": "k_euler_a", "width": 768, "height": 512, "clip_skip": 2,
        "loras": (LoraWeight("ink", 0.8, 0.5), LoraWeight("oil", 1.0)),
    }  # fmt: skip
    assert (found.program, found.model) == ("ComfyUI", "inkland")
    assert told(found) == ["the node ControlNetApplyAdvanced is not used"]


def test_comfys_other_samplers() -> None:
    found = found_in("prompt", CUSTOM)
    assert found.values == {
        "prompt": "a long lake", "negative_prompt": "", "seed": 5, "steps": 20, "width": 1024,
        "guidance_scale": 3.5, "sampler": "k_euler", "strength": 0.7, "height": 768,
    }  # fmt: skip
    assert found.model == "flux1-dev"
    assert told(found) == []


def test_the_first_of_several_samplers_counts() -> None:
    second = {**GRAPH["8"]["inputs"], "latent_image": ["8", 0], "steps": 9, "denoise": 0.4}
    graph = {"0": {"class_type": "KSampler", "inputs": second}, **GRAPH}
    found = found_in("prompt", graph)
    assert found.values["steps"] == 25
    assert "strength" not in found.values
    assert told(found)[0] == "2 samplers follow each other; the first is used"


def test_invoke() -> None:
    found = found_in("invokeai_metadata", INVOKE)
    assert found.values == {
        "prompt": "a (misty lake:1.2), (sun:1.21) \\(x\\)", "negative_prompt": "fog", "seed": 9,
        "width": 1024, "height": 768, "guidance_scale": 7.0, "steps": 30, "clip_skip": 2,
        "sampler": "dpmpp_2m_karras", "loras": (LoraWeight("ink", 0.75), LoraWeight("oil", 1.0)),
    }  # fmt: skip
    assert (found.model, found.model_hash) == ("Inkland", "0a1b2c3d4e5f")
    assert told(found) == ["controlnets ([{'control_model': 'canny'}]) is not used"]


def test_old_invoke() -> None:
    found = found_in("sd-metadata", OLD_INVOKE)
    assert found.values == {
        "prompt": "a lake", "negative_prompt": "fog, rain", "seed": 3, "width": 640, "height": 512,
        "guidance_scale": 7.5, "steps": 50, "sampler": "k_euler_a",
    }  # fmt: skip
    assert found.model == "sd-1.5"
    assert told(found) == ["variations ([{'seed': 1, 'weight': 0.1}]) is not used"]


@pytest.mark.parametrize(
    ("name", "schedule", "sampler", "is_exact"),
    [
        ("Euler a", "", "k_euler_a", True),
        ("euler", "karras", "k_euler_karras", True),
        ("Euler", "Automatic", "k_euler", True),
        ("DPM++ 2M", "Automatic", "dpmpp_2m_karras", True),
        ("DPM++ 2M SDE Karras", "", "dpmpp_2m_sde_karras", True),
        ("dpmpp_2m_sde_gpu", "exponential", "dpmpp_2m_sde", False),
        ("DPM2 a", "Karras", "k_dpm_2_a", False),
        ("dpm_2_ancestral", "normal", "k_dpm_2_a", True),
        ("kdpm_2_k", "", "k_dpm_2", False),
        ("heun", "sgm_uniform", "k_heun", False),
        ("lms_k", "", "k_lms_karras", True),
        ("k_euler_a", "", "k_euler_a", True),
        ("uni_pc_bh2", "simple", "unipc", True),
        ("UniPC", "", "unipc", True),
        ("ddim", "ddim_uniform", "ddim", False),
        ("LCM", "", "lcm", True),
        ("DPM++ 3M SDE", "", "", False),
        ("res_multistep", "", "", False),
        ("auto", "", "", False),
        ("", "", "", False),
    ],
)
def test_samplers(name: str, schedule: str, sampler: str, is_exact: bool) -> None:
    assert match_sampler(name, schedule) == (sampler, is_exact)


HASHES = {"anime/Inkland": "", "plain": "0a1b2c3d4e5f", "twice/a": "", "other/a": "", "a.b": ""}


@pytest.mark.parametrize(
    ("model", "digest", "name"),
    [
        ("inkland", "", "anime/Inkland"),
        ("anime/Inkland", "", "anime/Inkland"),
        ("renamed", "0A1B2C3D4E", "plain"),
        ("inkland", "0a1b2c3d4e", "plain"),
        ("renamed", "0a1b", ""),
        ("a", "", ""),
        ("a.b", "", "a.b"),
        ("gone", "ffffffffff", ""),
    ],
)
def test_models(model: str, digest: str, name: str) -> None:
    found, notes = match_model(FoundSettings("x", {}, (), model, digest), HASHES)
    assert found == name
    assert [str(one) for one in notes] == ([] if name else [f"the model '{model}' is not here"])
    assert match_model(FoundSettings("x", {}), HASHES) == ("", [])


def test_control_layers_of_a_recipe_are_not_used_and_said() -> None:
    recipe = make_recipe(prompt="a lake", seed=7)
    layers = (ControlLayer("canny"),)
    made = dataclasses.replace(recipe, request=recipe.request.with_values(controls=layers))
    found = found_in("underpaint", json.dumps(made.to_dict()))
    assert "controls" not in found.values
    assert told(found) == ["its control layers are not used: the picture does not hold them"]
    assert told(found_in("underpaint", json.dumps(recipe.to_dict()))) == []


# ---- files ---------------------------------------------------------------------------------


def png(**texts: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_text(key.replace("__", "-"), text, zip=len(text) > 1000)
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "PNG", pnginfo=info)
    return stream.getvalue()


def with_exif(kind: str, exif: bytes) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, kind, exif=exif)
    return stream.getvalue()


def comment(text: str, order: str = ">") -> bytes:
    """Return EXIF data with a comment, as WebUI writes it into a JPEG."""
    coded = b"UNICODE\0" + text.encode("utf-16-be")
    mark = b"MM" if order == ">" else b"II"
    first = struct.pack(f"{order}HHHIII", 1, 0x8769, 4, 1, 26, 0)
    second = struct.pack(f"{order}HHHIII", 1, 0x9286, 7, len(coded), 44, 0)
    return mark + struct.pack(f"{order}HI", 42, 8) + first + second + coded


@pytest.mark.parametrize("text", [WEBUI, WEBUI.replace("lake", "lake, " * 400 + "ähre")])
def test_texts_are_found_in_files(text: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = f"prompt:{json.dumps(GRAPH)}"
    files = {
        "PNG": png(parameters=text),
        "JPEG": with_exif("JPEG", b"Exif\0\0" + comment(text)),
        "JPEG ": with_exif("JPEG", b"Exif\0\0" + comment(text, "<")),
        "WEBP": with_exif("WEBP", comment(text)),
    }
    for file in files.values():
        assert read_texts(file) == {"parameters": text}
    assert read_texts(png(other="x", sd__metadata="{}")) == {"sd-metadata": "{}"}
    assert json.loads(read_texts(with_exif("WEBP", exif.tobytes()))["prompt"]) == GRAPH


def test_what_is_damaged_is_passed_over() -> None:
    whole = [png(parameters=WEBUI * 5), with_exif("JPEG", b"Exif\0\0" + comment(WEBUI)),
             with_exif("WEBP", comment(WEBUI))]  # fmt: skip
    for content in whole:
        for end in range(0, len(content), 7):
            read_texts(content[:end])
        for at in range(8, min(len(content), 400)):
            read_texts(content[:at] + b"\xff" * 4 + content[at + 4 :])


HOSTILE = [
    "", "{", "null", "[]", "{}", "3", '{"1": 3}', "[" * 200_000, '{"a":' * 200_000, "NaN",
    '{"image": 3}', '{"image": {"prompt": {}}}', '{"steps": ' + "9" * 100_000 + "}",
    '{"positive_prompt": ["x"], "model": ["x"], "loras": [3, {"lora": {"name": []}}]}',
    '{"positive_prompt": "' + "(" * 10_000 + "x" + ")" * 10_000 + '++", "seed": true}',
    json.dumps({"positive_prompt": "word+" * 20_000, "steps": [], "scheduler": {}, "width": "x"}),
    "Steps: 1, " * 50_000, "x\nSteps: " + ":" * 50_000, 'a\nSteps: 3, b: "c, d: "e, f: "g',
    "\n".join(["Negative prompt: x"] * 5000) + "\nSteps: 1, Seed: -5, Size: 3x, Clip skip: 99",
]  # fmt: skip


@pytest.mark.parametrize(
    "key", ["underpaint", "parameters", "prompt", "invokeai_metadata", "sd-metadata"]
)
@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_texts_end_in_settings_that_can_be_used_or_in_none(key: str, number: int) -> None:
    found = find_settings({key: HOSTILE[number]})
    if found is not None:
        Request.of(**found.values)
        assert len(found.notes) <= 12
        assert all(len(str(one)) < 400 for one in found.notes)


def sampler(**inputs: Any) -> dict[str, Any]:
    return {"class_type": "KSampler", "inputs": {"latent_image": ["1", 0], "steps": 4, **inputs}}


@pytest.mark.parametrize(
    "graph",
    [
        {"1": sampler(model=["1", 0], positive=["1", 0], negative=["2", 0], seed=["1", 0])},
        {"1": sampler(model=["2", 0], positive=["2", 0], seed=["2", 0]),
         "2": {"class_type": "Reroute", "inputs": {"model": ["2", 0], "value": ["2", 0],
                                                   "conditioning": ["2", 0], "text": ["2", 0]}}},
        {"1": sampler(seed=2**80, steps=-3, cfg="x", sampler_name=3, scheduler=[], denoise={})},
        {"1": sampler(), "2": {"class_type": None, "inputs": {"a": [None, 0]}}, "3": {"inputs": 3}},
        {str(n): sampler(latent_image=[str(n + 1), 0]) for n in range(2000)},
        {"0": sampler(positive=["1", 0]),
         **{str(n): {"class_type": f"Node{n}", "inputs": {"conditioning": [str(n + 1), 0],
                                                          "conditioning_2": [str(n // 2), 0]}}
            for n in range(1, 2000)}},
    ],
)  # fmt: skip
def test_graphs_may_lead_in_circles_and_hold_anything(graph: dict[str, Any]) -> None:
    found = found_in("prompt", graph)
    Request.of(**found.values)
    assert found.program == "ComfyUI"


def test_a_graph_that_is_too_large_is_not_read() -> None:
    assert find_settings({"prompt": json.dumps({str(n): sampler() for n in range(5001)})}) is None


def test_the_first_text_that_can_be_read_counts() -> None:
    found = find_settings({"prompt": json.dumps(GRAPH), "parameters": "made with love"})
    assert found is not None
    assert found.program == "ComfyUI"


def test_bad_files(tmp_path: Path) -> None:
    plain = tmp_path / "plain.png"
    plain.write_bytes(png())
    bomb = tmp_path / "bomb.png"
    data = b"parameters\0\0" + zlib.compress(b"Steps: 1, " * 10_000_000)
    chunk = (
        struct.pack(">I", len(data))
        + b"zTXt"
        + data
        + struct.pack(">I", zlib.crc32(b"zTXt" + data))
    )
    bomb.write_bytes(png()[:33] + chunk + png()[33:])
    for file, why in {
        plain: "plain.png has no settings of Underpaint, Stable Diffusion WebUI, ComfyUI or",
        bomb: "bomb.png has no settings",
        tmp_path: "there is no picture",
        tmp_path / "gone.png": "there is no picture .*gone.png",
    }.items():
        with pytest.raises(BadInputError, match=why):
            read_picture_settings(file)
