"""Embeddings on the command line: named in the prompt, kept in the recipe, replayed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch

from underpaint.cli import main
from underpaint.cli.pictures import read_recipe


def test_a_replay_is_identical_and_says_what_has_changed(
    daemon: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    folder = models.parent / "embeddings"
    folder.mkdir()
    file = folder / "ink.safetensors"
    safetensors.torch.save_file({"emb_params": torch.randn(2, 32)}, file)
    usual = ("-W", "64", "-H", "64", "-S", "7", "-m", "sd", "-s", "3", "-o")
    assert main(["generate", "a lake, ink", *usual, "a.png"]) == 0
    assert [one.name for one in read_recipe(Path("a.png")).facts.embeddings] == ["ink"]
    for change, told in {
        "nothing": "the picture is identical",
        "other": "the embedding 'ink' has changed since then",
        "gone": "the embedding 'ink' is gone",
    }.items():
        if change == "other":
            safetensors.torch.save_file({"emb_params": torch.randn(2, 32)}, file)
        elif change == "gone":
            file.unlink()
        capsys.readouterr()
        assert main(["replay", "a.png", "-o", f"{change}.png"]) == 0
        assert told in capsys.readouterr().err
    shutil.rmtree(folder)
