"""Models are found wherever their user keeps them, and one odd file hides no other."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from underpaint.models import default_model, find_model, list_entries, list_models, scanning
from underpaint.models.entries import ListedModel, describe_all
from underpaint.models.other_tools import HUB
from underpaint.models.roots import choose_root, list_roots
from underpaint.models.scanning import scan
from underpaint_client.errors import BadInputError, ModelUnavailableError
from weight_files import FLUX, LORA, SD1, SDXL, write_gguf, write_safetensors


@pytest.fixture
def own(home: Path) -> Path:
    """The folder for one's own models."""
    folder = home / "models"
    folder.mkdir()
    return folder


def listed() -> dict[str, ListedModel]:
    return {one.name: one for one in describe_all() if one.name != "starter"}


def test_files_are_found_in_all_folders_below(own: Path) -> None:
    write_safetensors(own / "a.safetensors", SD1)
    write_safetensors(own / "deep" / "er" / "b.v2.safetensors", SDXL)
    write_safetensors(own / "deep" / "C.SAFETENSORS", SDXL)
    write_gguf(own / "d.gguf", {"img_in.weight": ("F16", (32, 64))}, "flux")
    write_safetensors(own / "f.safetensors", FLUX)
    found = listed()
    assert list(found) == ["a", "deep/C", "deep/er/b.v2", "f"]
    assert {one.family for one in found.values()} == {"sd", "sdxl", "flux"}
    assert found["a"].form == "safetensors"
    assert (found["a"].native, found["deep/C"].native) == (512, 1024)
    assert find_model("deep/er/b.v2") == own / "deep/er/b.v2.safetensors"
    for name in ("b.v2", "b.v2.safetensors", "deep/er/b.v2.safetensors"):
        assert find_model(name, allow_paths=False) == find_model("deep/er/b.v2")


def test_what_is_no_model_is_not_listed_and_said_when_asked_for(own: Path) -> None:
    write_safetensors(own / "Lora" / "style.safetensors", LORA)
    write_safetensors(own / "odd.safetensors", {"x": ("F32", (3,))})
    for hidden in ("._mac.safetensors", ".cache/half.safetensors"):
        write_safetensors(own / hidden, SD1)
    write_safetensors(own / "model-00001-of-00002.safetensors", SD1)
    (own / "old.ckpt").write_bytes(b"pickle")
    assert listed() == {}
    assert list(list_models()) == ["starter"]
    with pytest.raises(ModelUnavailableError, match="is not a model but a LoRA"):
        find_model("Lora/style")
    with pytest.raises(ModelUnavailableError, match="is not a model, and nothing else"):
        find_model("odd")


def test_two_of_one_name_are_told_apart(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: Path
) -> None:
    other = tmp_path / "other"
    third = tmp_path / "third"
    monkeypatch.setenv("UNDERPAINT_MODELS", f"{other}{os.pathsep}{third}")
    shutil.copytree(models / "sd", own / "x")
    write_safetensors(own / "x.safetensors", SD1)
    write_safetensors(own / "y.safetensors", SD1)
    write_safetensors(other / "x.safetensors", SDXL)
    write_safetensors(third / "x.safetensors", SDXL)
    write_safetensors(other / "y.safetensors", SDXL)
    found = list_models()
    assert found["x"] == own / "x"
    assert found["x.safetensors"] == own / "x.safetensors"
    assert found["x (UNDERPAINT_MODELS)"] == other / "x.safetensors"
    assert found["x.safetensors (UNDERPAINT_MODELS)"] == third / "x.safetensors"
    assert found["y"] == own / "y.safetensors"
    assert found["y (UNDERPAINT_MODELS)"] == other / "y.safetensors"
    assert len(found) == 7
    assert find_model("x.safetensors") == own / "x.safetensors"


def test_links_are_followed_and_never_in_circles(own: Path, tmp_path: Path) -> None:
    write_safetensors(tmp_path / "far" / "a.safetensors", SD1)
    (own / "link").symlink_to(tmp_path / "far")
    (own / "again").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "back").symlink_to(own)
    (tmp_path / "far" / "self").symlink_to(".")
    (own / "file.safetensors").symlink_to(tmp_path / "far" / "a.safetensors")
    assert list(listed()) == ["again/a", "file"]


def garbage(file: Path) -> None:
    file.write_bytes(b"not a model at all")


def dangling(file: Path) -> None:
    file.symlink_to("gone")


@pytest.mark.parametrize("place", ["", "folder", "parts"])
@pytest.mark.parametrize("target", ["/", "home", "far"])
def test_a_link_to_a_folder_that_it_lies_in_is_said_and_not_followed(
    own: Path, tmp_path: Path, place: str, target: str
) -> None:
    """Above all, a link to the root of the file system does not list all of the disk."""
    (own / place).mkdir(exist_ok=True)
    write_safetensors(own / "own.safetensors", SDXL)
    write_safetensors(own.parent / "other.safetensors", SDXL)  # in the home, beside the folder
    (tmp_path / "far" / "in").mkdir(parents=True)
    write_safetensors(tmp_path / "far" / "in" / "a.safetensors", SDXL)
    link = own / place / "link"
    if target == "far":  # a folder that contains the one that the link lies in, not the root
        link.symlink_to(tmp_path / "far" / "in")
        (tmp_path / "far" / "in" / "up").symlink_to(tmp_path / "far")
        write_safetensors(tmp_path / "far" / "beside.safetensors", SDXL)
    else:
        link.symlink_to({"/": Path("/"), "home": own.parent}[target])
    name = "/".join(filter(None, [place, "link"]))
    found = {entry.name: entry.problem for entry in list_entries() if entry.name != "starter"}
    told = found.pop(f"{name}/up" if target == "far" else name)
    assert "a link to a folder that it lies in" in told
    expected = {"own": ""} | ({f"{name}/a": ""} if target == "far" else {})
    assert found == expected


def test_each_folder_of_models_may_be_large(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (own, tmp_path / "more"):
        folder.mkdir(exist_ok=True)
        for number in range(6):
            (folder / f"{number}.txt").touch()
        write_safetensors(folder / f"{folder.name}.safetensors", SDXL)
    monkeypatch.setenv("UNDERPAINT_MODELS", str(tmp_path / "more"))
    monkeypatch.setattr("underpaint.models.walking.MOST", 8)
    assert {"models", "more"} <= {entry.name for entry in list_entries()}


def loop(file: Path) -> None:
    file.symlink_to(file.name)


def pipe(file: Path) -> None:
    os.mkfifo(file)


def folder(file: Path) -> None:
    file.mkdir()


ODD: dict[Callable[[Path], None], str | None] = {
    garbage: "damaged or cut short",
    dangling: "a link to what is not there",
    loop: "cannot be read",
    pipe: None,
    folder: None,
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("where", ["", "below/"])
def test_an_odd_file_hides_no_other(own: Path, odd: Callable[[Path], None], where: str) -> None:
    write_safetensors(own / "zz.safetensors", SD1)
    write_safetensors(own / f"{where}aa.safetensors", SD1)
    odd(own / f"{where}odd.safetensors")
    found = {one.name: one.problem for one in list_entries()}
    assert found["zz"] == found[f"{where}aa"] == ""
    wanted = ODD[odd]
    problems = [problem for problem in found.values() if problem]
    if wanted is None:
        assert problems == []
    else:
        assert wanted in problems[0]
        assert f"{own}/{where}odd.safetensors" in problems[0]


def test_a_file_is_read_once(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        write_safetensors(own / f"{number}.safetensors", SD1)
    garbage(own / "odd.safetensors")
    first = describe_all()
    scanning._kept.clear()  # as in another process
    monkeypatch.setattr(scanning, "read_contents", lambda _: pytest.fail("it was read again"))
    assert describe_all() == first
    monkeypatch.undo()
    monkeypatch.setenv("UNDERPAINT_HOME", str(own.parent))
    write_safetensors(own / "3.safetensors", SDXL)
    assert listed()["3"].family == "sdxl"
    (own / "4.safetensors").unlink()
    assert "4" not in listed()
    kept = json.loads((own.parent / "model-scan.json").read_text())["files"]
    assert str(own / "3.safetensors") in kept
    assert str(own / "4.safetensors") not in kept


def test_a_disk_that_is_not_there_is_remembered(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERPAINT_MODELS", str(tmp_path / "disk"))
    write_safetensors(tmp_path / "disk" / "a.safetensors", SD1)
    before = listed()
    (tmp_path / "disk").rename(tmp_path / "away")
    (tmp_path / "disk").mkdir()
    assert listed() == {}
    (tmp_path / "disk").rmdir()
    (tmp_path / "away").rename(tmp_path / "disk")
    monkeypatch.setattr(scanning, "read_contents", lambda _: pytest.fail("it was read again"))
    assert listed() == before


@pytest.mark.parametrize(
    "kept",
    ["", "{", "[]", '{"version": 1}', '{"version": [1, "x"], "files": {}}', "wrong values"],
)
def test_a_damaged_memory_costs_only_time(own: Path, kept: str) -> None:
    write_safetensors(own / "a.safetensors", SD1)
    before = describe_all()
    memory = own.parent / "model-scan.json"
    if kept == "wrong values":
        found = json.loads(memory.read_text())
        found["files"] = {name: [one[0], {"kind": 7}, ""] for name, one in found["files"].items()}
        kept = json.dumps(found)
    memory.write_text(kept)
    scanning._kept.clear()
    list_entries()
    assert describe_all() == before


def test_a_scan_that_takes_long_lists_what_it_has(own: Path) -> None:
    for number in range(5):
        write_safetensors(own / f"{number}.safetensors", SD1)
    told: list[tuple[int, int]] = []
    first = scan(seconds=0)
    assert sum(one.is_unknown for one in first) >= 4
    assert not any(one.is_unknown for one in scan(tell=lambda *counts: told.append(counts)))
    assert 4 <= told[-1][0] + 1 == told[-1][1]


def test_a_file_is_found_by_name_before_it_is_looked_into(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("underpaint.models.find._BUDGET", -1)
    write_safetensors(own / "a.safetensors", SD1)
    assert list_models()["a"] == find_model("a") == own / "a.safetensors"
    assert [one.name for one in list_entries(-1)] == ["starter"]


def test_configured_folders_are_looked_into(home: Path, tmp_path: Path) -> None:
    write_safetensors(tmp_path / "disk" / "a.safetensors", SD1)
    (home / "config.toml").write_text(f"[models]\nfolders = ['{tmp_path}/disk', '{tmp_path}/no']\n")
    assert listed()["a"].root == "config.toml"
    assert default_model() == "a"
    (home / "config.toml").write_text("[models\n")
    assert listed() == {}


TOOLS = {
    "stable-diffusion-webui/models/Stable-diffusion": "a1111",
    "stable-diffusion-webui-forge/models/Stable-diffusion": "forge",
    "ComfyUI/models/checkpoints": "comfyui",
    "Documents/ComfyUI/models/diffusion_models": "comfyui",
    "ComfyUI/models/unet": "comfyui",
    ".local/share/krita/ai_diffusion/server/ComfyUI/models/checkpoints": "krita-ai-diffusion",
    "invokeai/models": "invokeai",
}


@pytest.mark.skipif(os.name != "posix", reason="the places are those of Linux and macOS")
@pytest.mark.parametrize("place", TOOLS)
def test_other_tools_are_used_when_asked_for(home: Path, user: Path, place: str) -> None:
    name = TOOLS[place]
    write_safetensors(user / place / "sub" / "a.safetensors", SD1)
    before = sorted(user.rglob("*"))
    assert [root.state for root in list_roots() if root.name == name] == ["new"]
    assert listed() == {}
    choose_root(name, use=True)
    assert listed()["sub/a"].root == name
    assert default_model() == "starter"  # another tool's models are taken when asked for
    choose_root(name, use=False)
    assert listed() == {}
    assert [root.state for root in list_roots() if root.name == name] == ["ignored"]
    assert sorted(user.rglob("*")) == before


def test_a_tool_that_is_not_there_cannot_be_used(home: Path, user: Path) -> None:
    with pytest.raises(BadInputError, match=r"no folder 'comfyui' was found.*config.toml"):
        choose_root("comfyui", use=True)


EXTRA = """
# as ComfyUI's example has it
a111:
    base_path: {base}
    checkpoints: Stable-diffusion
    loras: |
         Lora
         LyCORIS
other:
    diffusion_models: |
        {base}/flux
        missing
    is_default: true
text: 7
"""


def test_comfyui_s_extra_paths_are_followed(home: Path, user: Path) -> None:
    (user / "ComfyUI").mkdir()
    base = user / "somewhere" / "models"
    write_safetensors(base / "Stable-diffusion" / "a.safetensors", SD1)
    write_safetensors(base / "Lora" / "b.safetensors", LORA)
    write_safetensors(base / "flux" / "c.safetensors", FLUX)
    paths = user / "ComfyUI" / "extra_model_paths.yaml"
    paths.write_text(EXTRA.format(base=base))
    found = [root.path for root in list_roots() if root.name == "comfyui"]
    assert found == [base / "Stable-diffusion", base / "flux"]
    choose_root("comfyui", use=True)
    assert list(listed()) == ["a", "c"]
    for damaged in ("{", "a: [", "- 1", "!!python/object:os.system x", "\x00", "a: {b: &x [*x]}"):
        paths.write_text(damaged)
        assert "comfyui" not in {root.name for root in list_roots()}


def test_repositories_of_the_hub_s_cache_are_models(
    home: Path, user: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = user / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(hub))
    old, new = "a" * 40, "b" * 40
    repository = hub / "models--some--thing"
    for version, family in ((old, "sdxl"), (new, "sd")):
        shutil.copytree(models / family, repository / "snapshots" / version)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(old)
    other = hub / "models--one--two" / "snapshots" / new
    write_safetensors(other / "one_fp16.safetensors", SDXL)
    (hub / "models--empty--one" / "snapshots").mkdir(parents=True)
    (hub / "datasets--a--b" / "snapshots" / new).mkdir(parents=True)
    assert listed() == {}
    assert find_model("some/thing") == repository / "snapshots" / old
    with pytest.raises(ModelUnavailableError, match="only requests from this machine"):
        find_model("some/thing", allow_paths=False)
    choose_root(HUB, use=True)
    assert list(listed()) == ["one/two/one_fp16", "some/thing"]
    assert listed()["some/thing"].family == "sdxl"
    assert find_model("some/thing", allow_paths=False) == repository / "snapshots" / old
    (repository / "refs" / "main").unlink()
    os.utime(repository / "snapshots" / new, (2e9, 2e9))
    assert listed()["some/thing"].family == "sd"


def test_a_listing_says_what_a_model_is_for(own: Path, models: Path) -> None:
    shutil.copytree(models / "sd", own / "tiny")
    nine = {**SDXL, "model.diffusion_model.input_blocks.0.0.weight": ("F16", (320, 9, 3, 3))}
    write_safetensors(own / "hole.safetensors", nine)
    write_safetensors(own / "v.safetensors", {**SDXL, "v_pred": ("F32", ()), "ztsnr": ("F32", ())})
    found = listed()
    assert (found["tiny"].family, found["tiny"].form, found["tiny"].purpose) == (
        "sd", "folder", "plain",
    )  # fmt: skip
    assert found["tiny"].precision == "fp32"
    assert 0 < found["tiny"].size < found["tiny"].memory
    assert found["hole"].purpose == "inpainting"
    assert (found["v"].prediction, found["v"].zero_snr) == ("v_prediction", True)
    assert found["v"].size == (own / "v.safetensors").stat().st_size


def test_families_that_are_not_supported_say_so(own: Path) -> None:
    write_safetensors(own / "w.safetensors", {"head.modulation": ("F16", (1, 2, 1536))})
    found = listed()["w"]
    assert found.family == "wan"
    assert "it is a wan model, and Underpaint opens" in found.problem
    assert default_model() == "starter"


SIDECARS: dict[str, tuple[object, dict[str, object]]] = {
    "v-prediction": ({"prediction": "v_prediction", "zero_snr": True},
                     {"prediction": "v_prediction", "zero_snr": True}),
    "numbers": ({"steps": 4, "guidance_scale": 1.5, "native": 768},
                {"steps": 4, "guidance_scale": 1.5, "native": 768}),
    "texts": ({"licence": "mine", "note": "good", "variant": "2", "sampler": "k_euler"},
              {"licence": "mine", "note": "good", "variant": "2", "sampler": "k_euler"}),
}  # fmt: skip


@pytest.mark.parametrize("what", ["v-prediction", "numbers", "texts"])
@pytest.mark.parametrize("kind", ["file", "folder", "beside the folder"])
def test_a_side_car_corrects_what_a_model_is(own: Path, models: Path, what: str, kind: str) -> None:
    said, wanted = SIDECARS[what]
    if kind == "file":
        write_safetensors(own / "a.safetensors", SD1)
    else:
        shutil.copytree(models / "sd", own / "a")
    file = own / "a" / "underpaint.json" if kind == "folder" else own / "a.underpaint.json"
    file.write_text(json.dumps(said))
    found = listed()["a"]
    assert {name: getattr(found, name) for name in wanted} == wanted
    assert not found.problem
    file.unlink()
    assert {name: getattr(listed()["a"], name) for name in wanted} != wanted


def test_a_side_car_may_name_another_family(own: Path) -> None:
    write_safetensors(own / "a.safetensors", SDXL)
    (own / "a.underpaint.json").write_text('{"family": "sd", "variant": "2"}')
    assert (listed()["a"].family, listed()["a"].native) == ("sd", 768)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"step": 4}, "step is unknown; there are family, "),
        ({"steps": 0}, "steps is 0; give a whole number from 1 to 1000"),
        ({"steps": 4.5}, "steps is 4.5; give a whole number"),
        ({"steps": True}, "steps is True; give a whole number"),
        ({"guidance_scale": "high"}, "guidance_scale is high; give a number from 0 to 50"),
        ({"guidance_scale": float("nan")}, "guidance_scale is nan"),
        ({"native": 10**9}, "native is 1000000000; give a whole number from 64 to 4096"),
        ({"prediction": "v"}, "prediction is 'v'; give one of epsilon, v_prediction, flow"),
        ({"zero_snr": 1}, "zero_snr is '1'; give true or false"),
        ({"sampler": "best"}, "'best'"),
        ({"sampler": 3}, "sampler is '3'; give a text"),
        ({"family": []}, "family is '[]'; give a text"),
        ([], "is not a JSON object"),
    ],
)
def test_a_wrong_side_car_says_what_is_wrong(own: Path, said: object, told: str) -> None:
    write_safetensors(own / "a.safetensors", SD1)
    write_safetensors(own / "b.safetensors", SD1)
    (own / "a.underpaint.json").write_text(json.dumps(said))
    found = listed()
    assert told in found["a"].problem
    assert "a.underpaint.json" in found["a"].problem
    assert not found["b"].problem


def test_a_file_that_lacks_a_part_says_which(own: Path) -> None:
    lone = {name: one for name, one in SDXL.items() if not name.startswith("conditioner")}
    write_safetensors(own / "lone.safetensors", lone)
    assert str(own / "lone.safetensors") in listed()["lone"].problem
    assert default_model() == "lone"  # it is the user's own, and says what it lacks
