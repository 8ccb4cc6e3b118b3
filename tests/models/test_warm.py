"""A warm model is told by its files: replaced ones are opened, and that is said."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tiny_models import build_model
from underpaint.engine import Engine
from underpaint.engine.reports import Progress
from underpaint.models import ModelInfo, describe_model, hash_model, hashes
from underpaint_client.errors import ModelUnavailableError
from underpaint_client.request import Request

UNET = Path("unet") / "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two models whose files differ in their weights alone."""
    base = tmp_path_factory.mktemp("two")
    return build_model(base / "one", seed=1), build_model(base / "two", seed=2)


def paint(engine: Engine, folder: Path) -> Any:
    request = Request.of(prompt="a lake", model=str(folder), seed=1, steps=2, width=64, height=64)
    (picture,) = engine.generate(request)
    return picture


def copied_over(new: Path, old: Path) -> None:
    old.write_bytes(new.read_bytes())


def moved_over(new: Path, old: Path) -> None:
    shutil.copyfile(new, old.with_name("new"))
    old.with_name("new").replace(old)


def moved_over_with_its_time(new: Path, old: Path) -> None:
    """As an archive unpacks it: of two fine-tunes size and time are the same."""
    found = old.stat()
    shutil.copyfile(new, old.with_name("new"))
    os.utime(old.with_name("new"), ns=(found.st_atime_ns, found.st_mtime_ns))
    old.with_name("new").replace(old)


def linked_elsewhere(new: Path, old: Path) -> None:
    old.unlink()
    old.symlink_to(new)


WAYS = [copied_over, moved_over, moved_over_with_its_time, linked_elsewhere]


@pytest.mark.parametrize("replace", WAYS)
def test_replaced_weights_paint_the_next_picture(
    home: Path, tmp_path: Path, others: tuple[Path, Path], replace: Callable[[Path, Path], None]
) -> None:
    one, two = others
    folder = Path(shutil.copytree(one, tmp_path / "model"))
    engine = Engine("cpu")
    first = paint(engine, folder)
    assert engine.load(str(folder)) is engine.load(str(folder)), "the same files stay warm"
    replace(two / UNET, folder / UNET)
    second = paint(engine, folder)
    assert (second.pixels != first.pixels).any()
    assert second.recipe.facts.model_hash != first.recipe.facts.model_hash
    assert second.recipe.facts.model_hash == hash_model(describe_model(folder))
    assert any("other weights than when it was last used" in n for n in second.recipe.facts.notes)
    fresh = paint(Engine("cpu"), folder)
    np.testing.assert_array_equal(fresh.pixels, second.pixels)


def test_a_hash_is_of_one_state_of_the_files(
    home: Path, tmp_path: Path, others: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written to while it is read is not remembered under the new or the old state."""
    folder = Path(shutil.copytree(others[0], tmp_path / "model"))
    info = describe_model(folder)
    real = hashlib.file_digest

    def digest_and_write(stream: Any, name: Any) -> Any:
        found = real(stream, name)
        copied_over(others[1] / UNET, folder / UNET)
        return found

    monkeypatch.setattr(hashlib, "file_digest", digest_and_write)
    with pytest.raises(ModelUnavailableError, match="was changed while it was read; try again"):
        hash_model(info)
    monkeypatch.undo()
    monkeypatch.setenv("UNDERPAINT_HOME", str(home))
    again = hash_model(describe_model(folder))
    assert again == hash_model(describe_model(folder), again=True)


class HeldHash:
    """Hashing that goes on only when it is let."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.let = threading.Event()
        real = hashes._hash_files

        def wait(info: ModelInfo) -> str:
            assert self.let.wait(60), "nothing went on before the hash was there"
            return real(info)

        monkeypatch.setattr(hashes, "_hash_files", wait)


def test_the_first_picture_is_painted_while_its_model_is_hashed(
    home: Path, others: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = HeldHash(monkeypatch)

    def let_at_last_step(progress: Progress) -> None:
        if progress.phase == "Denoising" and progress.step == progress.steps:
            held.let.set()

    request = Request.of(
        prompt="a lake", model=str(others[0]), seed=1, steps=2, width=64, height=64
    )
    (picture,) = Engine("cpu").generate(request, progress=let_at_last_step)
    assert picture.recipe.facts.model_hash == hash_model(describe_model(others[0]))
    assert picture.recipe.facts.notes == ()


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_hash_is_of_the_files_that_were_opened(
    home: Path,
    tmp_path: Path,
    others: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    """A hash of files that took their place would tell a lie of the picture."""
    folder = Path(shutil.copytree(others[0], tmp_path / "model"))
    opened = hash_model(describe_model(others[0]))
    held = HeldHash(monkeypatch)
    engine = Engine("cpu")

    def change(progress: Progress) -> None:
        if progress.phase == "Denoising" and progress.step == 1:
            if when == "after":
                held.let.set()
                assert engine.load(str(folder)).hash == opened
            moved_over(others[1] / UNET, folder / UNET)
            held.let.set()

    request = Request.of(prompt="a lake", model=str(folder), seed=1, steps=2, width=64, height=64)
    (picture,) = engine.generate(request, progress=change)
    if when == "after":
        assert (picture.recipe.facts.model_hash, picture.recipe.facts.notes) == (opened, ())
    else:
        assert picture.recipe.facts.model_hash == ""
        assert any("was changed while it was read" in note for note in picture.recipe.facts.notes)
    after = paint(engine, folder)
    assert (after.pixels != picture.pixels).any()
    assert after.recipe.facts.model_hash == hash_model(describe_model(folder))


def test_a_picture_is_not_given_up_for_a_hash(
    home: Path, others: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: ModelInfo) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(hashes, "_hash_files", fail)
    picture = paint(Engine("cpu"), others[0])
    assert picture.recipe.facts.model_hash == ""
    assert any("Input/output error" in note for note in picture.recipe.facts.notes)


def test_a_replaced_variant_or_config_is_another_model_too(
    home: Path, tmp_path: Path, others: tuple[Path, Path]
) -> None:
    folder = Path(shutil.copytree(others[0], tmp_path / "model"))
    before = describe_model(folder)
    (folder / "notes.txt").write_text("not opened")
    (folder / "unet" / "diffusion_pytorch_model.fp16.safetensors").write_bytes(b"not chosen")
    assert describe_model(folder) == before
    os.utime(folder / "scheduler" / "scheduler_config.json")
    assert describe_model(folder) != before
