"""Real editors under a screen of their own, with the plug-in installed as an artist would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemons import RUN

HERE = Path(__file__).parent
NEEDED = ("krita", "xvfb-run", "xdotool")
SCREEN = "-screen 0 1600x1000x24"

ORDINARY = (
    "looks",
    "eraser",
    "hidden_colour",
    "batch",
    "soft_selection",
    "whole_layer",
    "empty_selected",
    "deleted_group",
    "documents_keep_their_forms",
    "cleared",
    "transparency_mask",
    "group_layer",
    "vector_layer",
    "empty_layer",
    "sixteen_bit",
    "floating",
    "grey",
    "cmyk",
    "cancelled",
    "two_documents",
    "hidden_and_locked",
    "deleted_layer",
    "closed_document",
    "save_and_reopen",
    "large",
    "wrong_input",
)

Said = dict[str, Any]


@dataclass(frozen=True)
class Krita:
    """A Krita that has been started once, and a home of Underpaint's with one tiny model."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "HOME": str(self.folder),
            "XDG_DATA_HOME": str(self.folder / "data"),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "LC_ALL": "C.UTF-8",
            "UNDERPAINT_HOME": str(self.folder / "up"),
            "UNDERPAINT_AGENT": str(self.folder / "found"),
            "UNDERPAINT_SCENARIOS": str(HERE / "krita"),
            "UNDERPAINT_PYTHON": sys.executable,
        }

    def underpaint(self, *words: str) -> None:
        subprocess.run([*RUN, *words], env=self.environment, check=True, capture_output=True)

    def run(self, *scenarios: str) -> dict[str, Said]:
        """Run scenarios in one Krita; what each found out, and `error`, empty where all is well."""
        found = self.folder / "found"
        (found / "results.json").unlink(missing_ok=True)
        command = ["xvfb-run", "-a", "-s", SCREEN, "krita", "--nosplash"]
        process = subprocess.run(
            command,
            env={**self.environment, "UNDERPAINT_RUN": ",".join(scenarios)},
            capture_output=True, text=True, errors="replace", check=False,
            timeout=60 + 60 * len(scenarios),
        )  # fmt: skip
        try:
            results: dict[str, Said] = json.loads((found / "results.json").read_text("utf-8"))
        except OSError:
            results = {}
        died = f"Krita ended with {process.returncode}: {process.stderr[-2000:]}"
        return {name: results.get(name, {"error": died}) for name in scenarios}


@pytest.fixture(scope="session")
def krita(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Krita]:
    """A Krita with the plug-in and the tests' agent installed."""
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed here: {', '.join(missing)} (install/editors.sh does, as root)")
    from tiny_models import build_model

    krita = Krita(Path(tempfile.mkdtemp(prefix="uk-")))  # short, for the socket's path
    for folder in ("data", "config", "cache", "run", "found"):
        (krita.folder / folder).mkdir(mode=0o700)
    build_model(krita.folder / "up" / "models" / "sd")
    krita.underpaint("install", "krita")
    plugins = krita.folder / "data" / "krita" / "pykrita"
    shutil.copytree(HERE / "krita" / "underpaint_agent", plugins / "underpaint_agent")
    shutil.copy(HERE / "krita" / "underpaint_agent.desktop", plugins)
    settings = krita.folder / "config" / "kritarc"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("[python]", "[python]\nenable_underpaint_agent=true"))
    yield krita
    krita.underpaint("stop")
    kept = os.environ.get("UNDERPAINT_SCREENSHOTS")
    if kept:
        shutil.copytree(krita.folder / "found", kept, dirs_exist_ok=True)
    shutil.rmtree(krita.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def ordinary(krita: Krita) -> Callable[[str], Said]:
    """What the scenarios that leave the daemon alone found out, by name; Krita runs once."""
    krita.underpaint("serve", "--background")
    results = krita.run(*ORDINARY)
    return lambda name: results[name]
