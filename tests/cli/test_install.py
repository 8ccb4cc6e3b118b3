from __future__ import annotations

import os
from pathlib import Path

import pytest

from underpaint.cli.gimp import find_gimps, install_gimp, uninstall_gimp
from underpaint.cli.install import run_install
from underpaint.cli.krita import KritaFolders, install_krita, set_enabled, uninstall_krita
from underpaint_client.errors import BadInputError, DaemonUnavailableError

LINE = "enable_underpaint_krita"


@pytest.mark.parametrize(
    ("before", "enabled", "after"),
    [
        ("[a]\r\nB=1\u2028\r\n", True, f"[a]\r\nB=1\u2028\r\n\n[python]\n{LINE}=true\n"),
        (None, True, f"[python]\n{LINE}=true\n"),
        ("", True, f"[python]\n{LINE}=true\n"),
        ("[a]\nB=1\n", True, f"[a]\nB=1\n\n[python]\n{LINE}=true\n"),
        ("[python]\nX=1\n[b]\n", True, f"[python]\n{LINE}=true\nX=1\n[b]\n"),
        (f"[python]\n{LINE}=false\nX=1\n", True, f"[python]\n{LINE}=true\nX=1\n"),
        (f"[python]\n{LINE}=true\nX=1\n", None, "[python]\nX=1\n"),
        ("Ä=ö\n[python]\n", None, "Ä=ö\n[python]\n"),
    ],
)
def test_kritarc(tmp_path: Path, before: str | None, enabled: bool | None, after: str) -> None:
    file = tmp_path / "config" / "kritarc"
    if before is not None:
        file.parent.mkdir()
        file.write_bytes(before.encode())
    set_enabled(file, enabled=enabled)
    assert file.read_bytes().decode() == after
    assert [path.name for path in file.parent.iterdir()] == ["kritarc"]


def test_without_pyzmq_nothing_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    folders = KritaFolders(tmp_path / "krita", tmp_path / "kritarc")
    with pytest.raises(DaemonUnavailableError, match="pyzmq, which the plug-in needs"):
        install_krita(folders)
    assert list(folders.plugins.iterdir()) == []
    assert not folders.settings.exists()


def test_install_and_uninstall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(folder: Path) -> None:
        (folder / "pyzmq-cp311" / "zmq").mkdir(parents=True)

    monkeypatch.setattr("underpaint.cli.krita.fetch_pyzmq", fetch)
    folders = KritaFolders(tmp_path / "krita", tmp_path / "kritarc")
    stale = folders.plugins / "underpaint_krita" / "stale.py"
    stale.parent.mkdir(parents=True)
    stale.touch()
    for _ in range(2):
        install_krita(folders)
    assert not stale.exists()
    assert (folders.plugins / "underpaint_krita" / "docker.py").exists()
    assert (folders.plugins / "underpaint_krita" / "vendor" / "pyzmq-cp311").exists()
    assert (folders.plugins / "underpaint_editor" / "daemon.json").exists()
    assert (folders.plugins / "underpaint_krita.desktop").exists()
    assert f"{LINE}=true" in folders.settings.read_text()
    other = folders.plugins / "other_plugin"
    other.mkdir()
    assert uninstall_krita(folders)
    assert [path.name for path in folders.plugins.iterdir()] == ["other_plugin"]
    assert LINE not in folders.settings.read_text()
    assert not uninstall_krita(folders)


def test_a_folder_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "krita").write_text("a file where a folder should be")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(BadInputError, match="the plug-in cannot be written"):
        run_install(["krita"])


def test_install_and_uninstall_in_every_gimp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(folder: Path) -> None:
        (folder / "pyzmq-cp312" / "zmq").mkdir(parents=True)

    monkeypatch.setattr("underpaint.cli.gimp.fetch_pyzmq", fetch)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert find_gimps() == [tmp_path / "GIMP" / "3.0"]
    for version in ("2.10", "3.0", "3.2"):
        (tmp_path / "GIMP" / version).mkdir(parents=True)
    gimps = find_gimps()
    assert gimps == [tmp_path / "GIMP" / "3.0", tmp_path / "GIMP" / "3.2"]
    stale = gimps[1] / "plug-ins" / "underpaint_gimp" / "stale.py"
    stale.parent.mkdir(parents=True)
    stale.touch()
    for _ in range(2):
        plugins = install_gimp(gimps)
    assert not stale.exists()
    for plugin in plugins:
        assert (plugin / "underpaint_gimp.py").stat().st_mode & 0o111 == 0o111
        assert (plugin / "lib" / "underpaint_gimp" / "plugin.py").exists()
        assert (plugin / "lib" / "underpaint_editor" / "daemon.json").exists()
        assert (plugin / "lib" / "vendor" / "pyzmq-cp312").exists()
        assert [path.name for path in plugin.parent.iterdir()] == ["underpaint_gimp"]
    assert uninstall_gimp(gimps)
    assert not uninstall_gimp(gimps)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_what_an_editor_runs_is_written_by_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("underpaint.cli.krita.fetch_pyzmq", lambda folder: folder.mkdir())
    folders = KritaFolders(tmp_path / "krita", tmp_path / "kritarc")
    monkeypatch.setattr(KritaFolders, "find", lambda: folders)
    before = os.umask(0)
    try:
        run_install(["krita"])
    finally:
        os.umask(before)
    written = [folders.settings, *folders.plugins.rglob("*")]
    assert len(written) > 10
    assert [path for path in written if path.lstat().st_mode & 0o022] == []
