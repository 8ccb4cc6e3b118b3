"""Real editors in folders of their own, with the plug-in installed as an artist would."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from controlnet_files import write_controlnet
from daemons import RUN, until
from editor import style_steps
from editor.typed_numbers import TYPED
from hub import Hub, folder_files, serve_hub
from ip_adapter_files import save_vision_model, write_ip_adapter
from tiny_models import build_model
from underpaint_editor.launch import write_start_command
from weight_files import write_lora

HERE = Path(__file__).parent / "editors"

OUTSIDE = "/mnt"
"""Where `enter.sh` puts this system into the folder that it enters."""

Said = dict[str, Any]
Found = Callable[[str], Said]


@contextmanager
def screen(scale: int = 1) -> Iterator[str]:
    """A screen of its own, whose number Xvfb finds itself: editors may start at the same moment.

    Parameters
    ----------
    scale : int
        How many pixels each of 1600 x 1000 points has, across and down.
    """
    told, tells = os.pipe()
    size = f"{1600 * scale}x{1000 * scale}x24"
    xvfb = subprocess.Popen(
        [
            "Xvfb", "-displayfd", str(tells), "-screen", "0", size, "-nolisten", "tcp",
            "-noreset",  # or it would turn clients away just after the last one has left
        ],
        pass_fds=(tells,), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(tells)
    try:
        with os.fdopen(told) as number:
            yield f":{number.readline().strip()}"
    finally:
        xvfb.terminate()
        xvfb.wait()


FEW = {"steps": 6, "guidance_scale": 1.0, "sampler": "k_euler_a", "licence": "for tests"}
"""What the side-car of the model of few steps says."""


def _desktop_environment() -> dict[str, str]:
    """Return the environment of this process as a desktop would have it: without Python's.

    The Python inside Krita takes its prefix from the first `python3` in PATH. With one of a virtual
    environment there, it finds neither its own library nor PyQt5, and no plug-in is loaded.
    """
    mine = {"VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH"}  # the last is OpenCV's
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    system = [one for one in folders if one.startswith(("/usr", "/bin", "/sbin", "/opt"))]
    return {
        **{name: value for name, value in os.environ.items() if name not in mine},
        "PATH": os.pathsep.join(system),
    }


@dataclass
class Editor:
    """An editor's folder, and a home of Underpaint's with tiny models in it.

    `sd` is the default, `sd-few` one of few steps, and `sd-torn` cannot be opened.

    Parameters
    ----------
    name : str
        Of the folder with its scenarios, and of `underpaint install`'s argument.
    home : Path, optional
        Of Underpaint's, where another editor has one already.
    system : tuple of str
        Before each command: what enters the folder that the editor is in; nothing where it is
        installed.
    """

    name: str
    home: Path | None = None
    system: tuple[str, ...] = ()
    folder: Path = field(init=False)
    variables: dict[str, str] = field(init=False, default_factory=lambda: {"LC_ALL": "C.UTF-8"})
    scale: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ue-"))  # short, for the socket's path
        for folder in ("data", "config", "cache", "run", "found"):
            (self.folder / folder).mkdir(mode=0o700)
        if self.home is None:
            self.home = self.folder / "up"
            sd = build_model(self.home / "models" / "sd")
            few = shutil.copytree(sd, self.home / "models" / "sd-few")
            (few / "underpaint.json").write_text(json.dumps(FEW), encoding="utf-8")
            picture = Image.new("RGB", (300, 200), (200, 90, 40))
            picture.save(self.home / "models" / "sd-few.preview.png")
            write_lora(self.home / "loras" / "ink.safetensors", words="ink wash, black")
            write_lora(self.home / "loras" / "gold.safetensors", "sdxl")
            write_controlnet(self.home / "controlnets" / "canny.safetensors", sd)
            write_ip_adapter(self.home / "ip_adapters" / "plain.safetensors", sd)
            save_vision_model(self.home / "clip_vision" / "small")
            (self.home / "wildcards").mkdir()
            (self.home / "wildcards" / "birds.txt").write_text("owl\n", encoding="utf-8")
            (self.home / "models" / "sd-torn").mkdir()
            (self.home / "models" / "sd-torn" / "model_index.json").write_text("{", "utf-8")
        # Where an editor in a folder of its own sees them, too.
        shutil.copytree(HERE, self.folder / "tests")
        shutil.copytree(HERE.parent / "editor", self.folder / "editor")
        shutil.copy(HERE.parent / "example_recipe.py", self.folder)

    @property
    def found(self) -> Path:
        """Where scenarios leave what they found, and pictures of the screen."""
        return self.folder / "found"

    @property
    def model(self) -> Path:
        """The tiny model in the editor's own home."""
        return self.folder / "up" / "models" / "sd"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **_desktop_environment(),
            "HOME": str(self.folder),
            "XDG_DATA_HOME": str(self.folder / "data"),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            **self.variables,
            "UNDERPAINT_HOME": str(self.home),
            "UNDERPAINT_AGENT": str(self.found),
            "UNDERPAINT_SCENARIOS": str(self.folder / "tests" / self.name),
            "UNDERPAINT_COMMAND": shlex.join(self.command),
            # Beside a busy editor two threads wait for each other, ten times as long as they work.
            "OMP_NUM_THREADS": "1",
        }

    @property
    def _died(self) -> str:
        """How the error of a scenario begins in which the editor ended."""
        return f"{self.name} ended with"

    @property
    def command(self) -> list[str]:
        """What starts `underpaint` out of the editor, which may be in a folder of its own."""
        out = ["chroot", OUTSIDE] if self.system else []
        return [*out, sys.executable, "-m", "underpaint"]

    @contextmanager
    def set_up(self, language: str, scale: int = 1, **variables: str) -> Iterator[None]:
        """Start otherwise meanwhile; skip the test where the language cannot be made.

        Parameters
        ----------
        language : str
            Whose numbers and dates there are, as `de_DE.UTF-8`.
        scale : int
            How many pixels of the screen each of the toolkit's has, across and down.
        **variables : str
            More of the environment.
        """
        before = self.variables
        scales = {"QT_SCALE_FACTOR": str(scale), "GDK_SCALE": str(scale)} if scale > 1 else {}
        self.variables, self.scale = {"LC_ALL": language, **scales, **variables}, scale
        if language != "C.UTF-8":
            self.variables["LOCPATH"] = str(self._make_language(language))
        try:
            yield
        finally:
            self.variables, self.scale = before, 1

    def _make_language(self, language: str) -> Path:
        name, _, letters = language.partition(".")
        made = self.folder / "locales"
        made.mkdir(exist_ok=True)
        command = ["localedef", "-i", name, "-f", letters, str(made / language)]
        if not shutil.which("localedef") or subprocess.run(
            command, capture_output=True, check=False
        ).returncode not in (0, 1):  # 1: with warnings
            pytest.skip(f"the language {language} cannot be made here: localedef, or its data")
        return made

    def underpaint(self, *words: str) -> str:
        done = self._run_underpaint(*words)
        done.check_returncode()
        return done.stdout

    def _run_underpaint(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*RUN, *words], env=self.environment, check=False, capture_output=True, text=True
        )

    def serve(self, *, fresh: bool = False) -> None:
        """Have a daemon; one that runs goes on, as its worker takes seconds to start.

        Parameters
        ----------
        fresh : bool
            Whether to start another one, which has the environment as it is now.
        """
        if fresh:
            self.underpaint("stop")
        elif not self._run_underpaint("status").returncode:
            return
        self.underpaint("serve", "--background")

    def carry_out(
        self,
        command: list[str],
        scenarios: tuple[str, ...],
        file: str = "results.json",
        display: str = "",
    ) -> dict[str, Said]:
        """Run scenarios; what each found out, and `error`, empty where all is well."""
        (self.found / file).unlink(missing_ok=True)
        process = subprocess.run(
            command,
            env={**self.environment, "DISPLAY": display, "UNDERPAINT_RUN": ",".join(scenarios)},
            capture_output=True, text=True, errors="replace", check=False,
            timeout=60 + 60 * len(scenarios),
        )  # fmt: skip
        try:
            results: dict[str, Said] = json.loads((self.found / file).read_text("utf-8"))
        except OSError:
            results = {}
        died = f"{self._died} {process.returncode}: {process.stderr[-2000:]}"
        return {name: results.get(name, {"error": died}) for name in scenarios}

    @contextmanager
    def carry_on(self, command: list[str], scenario: str, display: str) -> Iterator[int]:
        """Have a scenario in an editor that goes on, until it has written `running.json`.

        Yields
        ------
        int
            The process that the plug-in is in. The editor must still be there at the end, and is
            killed then.
        """
        running, results = self.found / "running.json", self.found / "results.json"
        for file in (running, results):
            file.unlink(missing_ok=True)
        output = self.found / f"{scenario}.log"
        with output.open("wb") as log:
            process = subprocess.Popen(
                command,
                env={**self.environment, "DISPLAY": display, "UNDERPAINT_RUN": scenario},
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            until(lambda: running.exists() or results.exists() or process.poll() is not None, 180)
            yield json.loads(running.read_text("utf-8"))["plugin"]
            assert process.poll() is None, process.returncode
        except (AssertionError, OSError) as error:
            told = results.read_text("utf-8") if results.exists() else "no results"
            shown = output.read_text("utf-8", "replace")[-2000:]
            raise AssertionError(f"{error}; {process.poll()}; {told}; {shown}") from error
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def close(self) -> None:
        self.underpaint("stop")
        kept = os.environ.get("UNDERPAINT_SCREENSHOTS")
        if kept:
            shutil.copytree(self.found, Path(kept, self.name), dirs_exist_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)


class Krita(Editor):
    """A Krita that has not been started yet.

    Parameters
    ----------
    system : tuple of str
        As in `Editor`.
    root : Path
        The folder that Krita is in.
    """

    def __init__(self, system: tuple[str, ...], root: Path) -> None:
        super().__init__("krita", system=system)
        self._tries = 2 if read_version(root) >= (5, 3) else 1  # they crash now and then
        self.underpaint("install", "krita")
        plugins = self.folder / "data" / "krita" / "pykrita"
        if system:
            write_start_command(
                plugins / "underpaint_editor", [*self.command, "serve", "--background"]
            )
        shutil.copytree(HERE / "krita" / "underpaint_agent", plugins / "underpaint_agent")
        shutil.copy(HERE / "krita" / "underpaint_agent.desktop", plugins)
        settings = self.folder / "config" / "kritarc"
        text = settings.read_text(encoding="utf-8")
        settings.write_text(text.replace("[python]", "[python]\nenable_underpaint_agent=true"))
        settings.with_name("kritashortcutsrc").write_text(
            "[Shortcuts]\nunderpaint_generate=Ctrl+Shift+F9\nunderpaint_cancel=Ctrl+Shift+F8\n"
            "underpaint_previous=Ctrl+Shift+F7\nunderpaint_next=Ctrl+Shift+F6\n"
            "underpaint_keep=Ctrl+Shift+F5\nunderpaint_vary=Ctrl+Shift+F4\n"
        )

    def run(self, *scenarios: str, last: str = "") -> dict[str, Said]:
        """Run scenarios in one Krita; in another one those that a crash has kept from running.

        Parameters
        ----------
        *scenarios : str
        last : str
            One more, which ends Krita.
        """
        results: dict[str, Said] = {}
        todo = scenarios
        for _ in range(self._tries):
            names = (*todo, last) if last else todo
            with screen(self.scale) as display:
                command = [*self.system, "krita", "--nosplash"]
                results.update(self.carry_out(command, names, display=display))
            todo = tuple(name for name in todo if results[name]["error"].startswith(self._died))
            if not todo:
                break
        return results


class Gimp(Editor):
    """A GIMP with few plug-ins beside ours, so that it starts in two seconds.

    Parameters
    ----------
    system : tuple of str
        As in `Editor`.
    root : Path
        The folder that GIMP is in.
    home : Path, optional
        As in `Editor`.
    """

    def __init__(self, system: tuple[str, ...], root: Path, home: Path | None = None) -> None:
        super().__init__("gimp", home, system)
        told = subprocess.run(
            [*system, "gimp-console-3", "--version"], capture_output=True, text=True, check=True
        ).stdout
        version, series = re.findall(r"((\d+\.\d+)\.\d+)", told)[0]
        self.settings = self.folder / "config" / "GIMP" / series
        self.plugin = self.settings / "plug-ins" / "underpaint_gimp"
        self.settings.mkdir(parents=True)
        others = self.folder / "needed"
        others.mkdir()
        (folder,) = root.glob("usr/lib/*/gimp/3.0/plug-ins")  # 3.0 is the API's version, in 3.2 too
        for name in ("python-eval", "script-fu", "file-png"):
            (others / name).symlink_to(Path("/", folder.relative_to(root), name))
        (self.settings / "gimprc").write_text(
            f'(config-version "{version}")\n(show-welcome-dialog no)\n(check-updates no)\n'
            f'(plug-in-path "{others}:{self.settings / "plug-ins"}")\n'
        )
        (self.settings / "shortcutsrc").write_text(
            '(file-version 1)\n(action "underpaint-again" "<Primary><Alt>9")\n'
            '(action "underpaint-generate" "<Primary><Alt>8")\n'
            '(action "underpaint-previous-result" "<Primary><Alt>7")\n'
            '(action "underpaint-next-result" "<Primary><Alt>6")\n'
            '(action "underpaint-keep-result" "<Primary><Alt>5")\n'
            '(action "underpaint-vary-result" "<Primary><Alt>4")\n'
            '(action "underpaint-cancel" "<Primary><Alt>3")\n'
        )
        self.underpaint("install", "gimp")
        shutil.copy(self.plugin / "underpaint_gimp.py", self.plugin / "start.py")

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "NO_AT_BRIDGE": "1"}

    def run_headless(self, *scenarios: str) -> dict[str, Said]:
        """Run scenarios as a script does, with the plug-in as it was installed."""
        shutil.copy(self.plugin / "start.py", self.plugin / "underpaint_gimp.py")
        script = self.folder / "tests" / "gimp" / "headless.py"
        command = [
            *self.system, "gimp-console-3", "-i",
            "--batch-interpreter=python-fu-eval", "-b", f"exec(open('{script}').read())", "--quit",
        ]  # fmt: skip
        return self.carry_out(command, scenarios, "headless.json")

    @property
    def on_screen(self) -> list[str]:
        """What starts GIMP with its windows, and the scenarios' driver in the plug-in."""
        shutil.copy(HERE / "gimp" / "agent.py", self.plugin / "underpaint_gimp.py")
        (self.plugin / "underpaint_gimp.py").chmod(0o755)
        begin = "openbox >/dev/null 2>&1 & exec gimp-3 --no-splash"
        return [*self.system, "sh", "-c", begin]

    def run(self, *scenarios: str) -> dict[str, Said]:
        """Run scenarios in one GIMP."""
        with screen(self.scale) as display:
            return self.carry_out(self.on_screen, scenarios, display=display)


def check_controlled(said: Said) -> None:
    """Check what the scenario `controlled` found, in any editor."""
    assert said["details"] == [False, True, False]  # of the painting, the lines, the painting again
    assert said["refused"].startswith("The selected layer is used as 'Canny edges'; select the")
    (used,) = said["used"]
    assert (used["kind"], used["strength"], used["model"]) == ("canny", 1.5, "canny")
    assert said["again"] == []  # with the lines hidden
    assert said["differs"]
    assert said["below"] == [True, False]  # a control layer is no part of the picture below


def check_control_made(said: Said) -> None:
    """Check what the scenario `control_made` found, in any editor."""
    assert said["offered"][0] == "Canny edges"
    assert "Depth (no model yet)" in said["offered"]
    assert said["refused"].startswith("No model here computes depth; put the folder of a depth")
    assert said["before"] == ["Painting"]
    assert said["told"].startswith("Control layer added in ")
    assert said["layers"] == ["Painting", "Canny edges"]
    assert (said["role"], said["active"]) == ("canny", "Painting")
    assert said["opacity"] == pytest.approx(0.5, abs=0.01)
    assert said["colours"] == ["000000", "ffffff"]  # light lines on black
    assert said["undone"] == ["Painting"]
    (used,) = said["used"]
    assert (used["kind"], used["model"]) == ("canny", "canny")
    assert (said["order"][0], said["order"][-1]) == ("Painting", "Canny edges")
    lit, why = said["not_painted_on"]
    assert not lit
    assert why.startswith("The selected layer is used as 'Canny edges'")
    assert said["copy"] == ["canny", "canny"]
    assert said["chosen"] == "canny"
    assert said["painted_on"]


def check_referenced(said: Said) -> None:
    """Check what the scenario `referenced` found, in any editor."""
    assert said["details"]
    assert said["refused"].startswith("The selected layer is used as 'Style reference'; select the")
    (asked,) = said["asked"]
    assert (asked["kind"], asked["strength"], asked["name"]) == ("style", 0.75, "Photo")
    (used,) = said["used"]
    assert (used["model"], used["encoder"]) == ("plain", "small/model")
    assert used["picture_hash"]
    assert said["again"] == []  # with the reference hidden
    assert said["differs"]


def check_regional(said: Said) -> None:
    """Check what the scenario `regional` found, in any editor."""
    assert said["shown"] == [False, True]  # of the strength, the prompt
    assert "The region 'Sky' has no prompt; write what is there" in said["without"]
    assert "1 region is used" in said["plan"]
    (used,) = said["used"]
    assert (used["name"], used["prompt"]) == ("Sky", "red sunset")
    assert used["mask_hash"]
    assert "region" not in said["hidden"]


def skip_without(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed here: {', '.join(missing)} (install/editors.sh does, as root)")


def find_krita() -> tuple[tuple[str, ...], Path]:
    """Find the Krita of UNDERPAINT_KRITA, such as 5.2; without it, the one of this system."""
    wanted = os.environ.get("UNDERPAINT_KRITA", "")
    if wanted:
        skip_without("Xvfb")
        return _enter(_find_folder("krita", wanted))
    skip_without("krita", "Xvfb", "xdotool")
    return (), Path("/")


def find_gimp() -> tuple[tuple[str, ...], Path]:
    """Find the GIMP of UNDERPAINT_GIMP, such as 3.2; without it, one of this system, or 3.0."""
    skip_without("Xvfb")
    wanted = os.environ.get("UNDERPAINT_GIMP", "")
    if wanted:
        return _enter(_find_folder("gimp", wanted))
    if shutil.which("gimp-3") and shutil.which("openbox") and shutil.which("xdotool"):
        return (), Path("/")
    return _enter(_folders() / "gimp")


def read_version(root: Path) -> tuple[int, ...]:
    """Return the version of the editor in a folder that install/editors.sh made; () if unknown."""
    try:
        text = (root / "version").read_text(encoding="utf-8")
    except OSError:
        return ()
    return tuple(map(int, re.findall(r"\d+", text)))


def _folders() -> Path:
    """Return where install/editors.sh makes folders with editors."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "underpaint"


def _find_folder(editor: str, wanted: str) -> Path:
    """Return the folder with a version of an editor; skip the test if there is none."""
    numbers = tuple(map(int, re.findall(r"\d+", wanted)))
    for root in sorted(_folders().glob(f"{editor}-*")):
        if read_version(root)[: len(numbers)] == numbers:
            return root
    return _folders() / f"{editor}-{wanted}"


def _enter(root: Path) -> tuple[tuple[str, ...], Path]:
    """Return what enters a folder, and the folder; skip the test if that cannot be done."""
    if not (root / "complete").exists():
        reason = root.with_name(f"{root.name}.failed")
        why = f": {reason.read_text(encoding='utf-8')}" if reason.exists() else ""
        pytest.skip(f"not installed here: {root} (install/test --editors makes it, as root){why}")
    enter = (str(HERE / "enter.sh"), str(root))
    tried = subprocess.run([*enter, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"{root} cannot be entered here: {tried.stderr.strip()}")
    return enter, root


def without_errors(results: dict[str, Said]) -> Found:
    """Return results by name, each only where its scenario ran through."""

    def look_up(name: str) -> Said:
        said = results[name]
        assert not said["error"], said["error"]
        return said

    return look_up


def run_download(editor: Krita | Gimp, patch: pytest.MonkeyPatch) -> Said:
    """Run the scenario `downloaded` against a hub on the loopback; check what it found out."""
    name = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    files = folder_files(editor.model)
    patch.setenv("HF_HUB_DISABLE_XET", "1")
    with serve_hub(Hub(files, repository=name)) as hub:
        patch.setenv("HF_ENDPOINT", hub.endpoint)
        editor.serve(fresh=True)
        said = editor.run("downloaded")["downloaded"]
    assert not said["error"], said["error"]
    assert said["choice_stays"]
    assert said["heading"].startswith("The daemon's machine has")
    assert said["offers"][0] == name
    assert said["button"] == ["Download", True]
    assert said["row"] == "Downloaded: choose stable-diffusion-v1-5 as the model"
    assert said["status"].startswith("stable-diffusion-v1-5 is downloaded.")
    assert said["done"].startswith("Done")
    return said


def check_styled(said: Said) -> None:
    """Check what the scenario `styled` of either editor found out."""
    assert said["torn_can_be_chosen"] == [True, False]
    steps, plan, facts = said["own"]
    assert steps == 5
    assert "runs 3 of 5 steps" in plan
    assert facts.startswith("Stable Diffusion 1, 6 steps.")
    request, kept = said["recipe"]["request"], said["recipe"]["facts"]
    assert (request["style"], kept["style"]) == ("", "Few")
    assert request["prompt"] == {"positive": "a lake, ink", "negative": "fog"}
    assert (request["sampling"]["model"], request["sampling"]["steps"]) == ("sd-few", 5)
    assert said["used"] == style_steps.USED
    assert said["status"] == (
        "The settings of a picture made with Stable Diffusion WebUI were copied. Eta (0.5) is not"
        " used. There is no field for its size."
    )


def check_result_keys(said: Said) -> None:
    """Check what the scenario `result_keys` of either editor found out."""
    assert said["visible"] == [[True, False, False], [False, False, True]]
    assert said["varied"] == 4
    assert said["kept"][0].startswith("Kept seed 9")
    assert said["kept"][1] == 1
    assert said["refused"] == "No result is selected; select one, or its group."


def check_more_of_these(said: Said) -> None:
    """Check what the scenario `more_of_these` of either editor found out."""
    plan, offer = said["plan"]
    told = "The layer that the selected result was made from is painted on again"
    assert plan == f"Fills the erased 14 % of the layer, runs 2 of 4 steps. {told}"
    assert offer == "Paint on this result instead"
    assert said["same_source"]
    assert said["same_picture"]
    plan, offer = said["itself"]
    assert "runs 2 of 4 steps" in plan
    assert told not in plan
    assert offer in ("New image instead", "Repaint it instead")


def check_typed(said: Said, sign: str) -> None:
    """Check what the scenario `typed` of either editor found out, with its decimal sign."""
    for (name, text), wanted in TYPED.items():
        value, shown = said[f"{name} {text}"]
        assert value == wanted, (name, text, value)
        assert float(shown.replace(sign, ".")) == value, (name, text, shown)


def check_completed(said: Said) -> None:
    """Check what the scenario `completed` of either editor found out."""
    loras = ["ink", "gold  (for SDXL)"]
    text = "a <lora:ink:1>, ink wash, black"
    words = ["ink wash, black", "ink wash", "black"]
    named = f"{text}, <layer:Painting>"
    tagged = f"{named}, __birds__, blu"
    accepted = f"{named}, __birds__, blue eyes \\(cat\\), "
    gold = f"{accepted}<lora:gold:1>"
    steps = said["steps"]
    assert all(has_focus for *_, has_focus in steps)
    shown = [[prompt, rows, chosen if rows else -1] for prompt, rows, chosen, _ in steps]
    assert shown[6][0] == f"{named}, __birds__, bl"
    del shown[6]  # the list of tags may have been read by then
    assert shown == [
        ["a <lora:", loras, 0],
        ["a <lora:", loras, 1],
        ["a <lora:ink:1>", words, -1],
        [text, [], -1],
        [named, [], -1],
        [f"{named}, __birds__", [], -1],
        [tagged, ["blue sky", "blue eyes (cat)"], -1],
        [f"{tagged}\n", [], -1],
        [accepted, [], -1],
        [f"{accepted}<lora:", [], -1],
        [f"{accepted}<lora:g", loras[1:], 0],
        [gold, [], -1],
        [f"{gold}<lora:", loras, 0],
        ["a pond __bi", ["birds"], 0],
        ["a pond ", [], -1],
    ]
    told = "The prompt's character 18, '<lora:ink:much>': its strength 'much' is "
    assert said["plan"].startswith(told)
    assert said["status"].startswith(told)


def check_over_painting(said: Said) -> None:
    """Check what the scenario `over_painting` of either editor found out."""
    new = "Paints a new picture, runs 4 of 4 steps"
    fills = "Fills the selection to fit what is below, runs 2 of 4 steps"
    repaints = "Repaints 100 % of the layer, runs 2 of 4 steps"
    assert said["alone"] == [new, "Paint over what is below instead"]
    assert said["plan"] == [fills, "New image instead"]
    assert said["below_alone"]
    assert said["no_trace"] == [True] * 4
    first, second = said["facts"]
    assert first == second  # though the first result lies above by then
    assert first[:2] == ["inpaint", "below"]
    assert first[2]
    assert said["patch"] == [80, 80, 96, 96]
    assert said["source_untouched"]
    assert said["clicked"] == ["txt2img", new, "Choose automatically"]
    assert said["clicked_again"] == ["auto", fills, "New image instead"]
    assert said["row"] == "This layer"
    assert said["paper"] == [new, "Repaint it instead"]
    assert said["repainted"] == ["img2img", repaints, "Choose automatically"]


def check_fitted(said: Said) -> None:
    """Check what the scenario `fitted` of either editor found out."""
    plan = "Fills the erased 14 % of the layer, runs {} of {} steps".format
    more = ". 15 steps are more than this model is made for; 6 suit it"
    usual = [7.5, True, "Automatic (dpmpp_2m)"]
    few = [1.0, True, "Automatic (k_euler_a)"]
    assert said["usual"] == [20, True, *usual, plan(10, 20)]
    assert said["few"] == [6, True, *few, plan(3, 6)]
    assert said["stepped"] == [7, False, *few, plan(4, 7)]
    assert said["typed"] == [15, False, *few, plan(8, 15) + more]
    assert said["kept"] == [15, False, *usual, plan(8, 15)]
    assert said["let_go"] == [20, True, *usual, plan(10, 20)]
    assert said["made"] == [6, 1.0, "k_euler_a"]
    assert said["copied"] == [6, False, 1.0, False]
    assert re.fullmatch(
        r"Stable Diffusion 1, 6 steps\. 64 pixels, fp32, .* on disk, needs .* of memory\."
        r" Licence: for tests\.",
        said["facts"],
    )
    assert said["picture"] == [96, 64, [200, 90, 40]]
    assert said["no_picture"]
    assert said["torn_can_be_chosen"] == [True, False]
    assert said["torn"].startswith("Cannot be used: ")
