"""The plug-in in the real Krita: real eraser, real button, real daemon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Found = Callable[[str], dict[str, Any]]


@pytest.fixture
def found(ordinary: Found) -> Found:
    def without_error(name: str) -> dict[str, Any]:
        said = ordinary(name)
        assert not said["error"], said["error"]
        return said

    return without_error


def test_the_docker_has_all_controls_and_fits(found: Found) -> None:
    said = found("looks")
    assert said["missing"] == []
    assert said["mute"] == []
    assert said["too_wide"] <= 250
    assert said["cut_off"] == []
    assert said["plan"] == "Fills the erased 14 % of the layer, runs 2 of 4 steps"
    assert said["actions"] == ["underpaint_generate", "underpaint_cancel"]


def test_erase_press_generate_and_the_hole_is_filled(found: Found) -> None:
    said = found("eraser")
    assert said["erased"] > 1000
    assert said["colour_kept"]
    assert said["plan"].startswith("Fills the erased 6 % of the layer")
    assert said["kept"]
    assert said["filled"] == 1
    assert said["changed"] > 0.9
    assert said["source_untouched"]
    assert (said["group"], said["name"]) == ("a lake (seed 7)", "seed 7")
    assert said["active"] == "Painting"
    assert said["after_undo"] == ["Background", "Painting"]
    assert said["undone"]


@pytest.mark.parametrize("name", ["hidden_colour", "transparency_mask"])
def test_the_colour_under_a_hole_arrives_at_the_daemon(found: Found, name: str) -> None:
    assert found(name)["same"]


def test_a_transparency_mask_counts_as_erasure(found: Found) -> None:
    said = found("transparency_mask")
    assert said["active"] == "transparencymask"
    assert said["plan"].startswith("Fills the erased 14 % of the layer")


def test_a_batch_is_one_group_and_one_undo_step(found: Found) -> None:
    said = found("batch")
    assert said["group"] == "a lake (seeds 41 to 43)"
    assert said["layers"] == ["seed 41", "seed 42", "seed 43"]
    assert said["visible"] == [False, False, True]
    assert said["distinct"] == 3
    assert said["after_undo"] == ["Background", "Painting"]


def test_a_soft_selection(found: Found) -> None:
    said = found("soft_selection")
    assert said["kept"]
    assert said["changed"] > 0.9
    assert said["selection_kept"]
    assert said["active"] == "Painting"


def test_the_whole_layer_is_whole_with_a_selection_too(found: Found) -> None:
    said = found("whole_layer")
    assert said["kept"]
    assert said["changed"]


def test_a_selection_in_an_empty_layer(found: Found) -> None:
    said = found("empty_selected")
    assert said["plan"] == "Paints a new picture, runs 4 of 4 steps"
    assert said["status"].startswith("Done")
    assert said["name"] == "a lake (seed 7)"


def test_documents_keep_their_settings_apart(found: Found) -> None:
    said = found("documents_keep_their_forms")
    assert said["prompt"] == "one and a half"
    assert said["seeds"][0] == said["seeds"][1] != 7


def test_clear_loses_the_colour_and_the_status_says_so(found: Found) -> None:
    said = found("cleared")
    assert said["lost"]
    assert "9216 pixels had no colour left and were filled from their neighbours" in said["status"]
    assert said["kept"]


@pytest.mark.parametrize("name", ["group_layer", "vector_layer"])
def test_layers_without_pixels_of_their_own(found: Found, name: str) -> None:
    said = found(name)
    assert said["status"].startswith("Done")
    assert said["name"] == "a lake (seed 7)"


def test_an_empty_layer_is_painted_anew(found: Found) -> None:
    said = found("empty_layer")
    assert said["plan"] == "Paints a new picture, runs 4 of 4 steps"
    assert said["opaque"] == 256 * 256


@pytest.mark.parametrize("name", ["sixteen_bit", "floating", "grey", "cmyk"])
def test_other_colour_spaces(found: Found, name: str) -> None:
    said = found(name)
    assert said["space"] == ["RGBA", "U8"]
    assert said["same"]
    assert said["hidden"]
    assert said["plan"].startswith("Fills the erased 14 % of the layer")
    assert said["status_again"].startswith("Done")


def test_cancel(found: Found) -> None:
    said = found("cancelled")
    assert said["progress"] == 1000
    assert said["while"].startswith("Step ")
    assert said["status"] == "Cancelled."
    assert said["seconds"] < 5
    assert said["layers"] == ["Background", "Painting"]
    assert not said["enabled"]


def test_each_document_gets_its_own(found: Found) -> None:
    said = found("two_documents")
    assert said["first"] == ["Background", "Painting", "a lake (seeds 7 to 8)"]
    assert said["second"] == ["Background", "Painting", "a lake (seed 7)"]


def test_what_is_odd_about_a_layer_is_said(found: Found) -> None:
    said = found("hidden_and_locked")
    assert "Its layer is hidden, the result is shown above it." in said["status"]
    assert "The document's size was changed meanwhile" in said["status"]
    assert said["layers"] == ["Background", "Painting", "a lake (seed 7)"]
    assert said["same"]


def test_a_deleted_layer_and_a_closed_document_lose_nothing(found: Found) -> None:
    said = found("deleted_layer")
    assert "deleted meanwhile" in said["status"]
    assert said["layers"] == ["Background", "a lake (seed 7)"]
    said = found("deleted_group")
    assert "deleted meanwhile" in said["status"]
    assert said["layers"] == ["Background", "Painting", "a lake (seed 7)"]
    said = found("closed_document")
    assert said["status"] == "The document was closed; its result is kept here."
    assert said["remedy"] == "Open as a new document"
    assert said["layers"][-1] == "a lake (seed 7)"
    assert said["hidden"]


def test_a_document_remembers_its_settings(found: Found) -> None:
    said = found("save_and_reopen")
    assert said["saved"]
    assert (said["prompt"], said["strength"]) == ("a château in the mist", 0.35)
    assert said["same"]
    assert said["layers"] == ["Background", "Painting", "a château in the mist (seed 7)"]


def test_what_is_wrong_is_said(found: Found) -> None:
    said = found("wrong_input")
    assert "'no-such-model' is unknown" in said["model"]
    assert said["no_document"] == "No document is open; open or make one first."


def test_a_large_layer(found: Found) -> None:
    said = found("large")
    assert said["plan"] == "Fills the erased less than 1 % of the layer, runs 2 of 4 steps"
    assert said["status"].startswith("Done")
    print({name: value for name, value in said.items() if name.endswith("_ms")})


def test_the_daemon_is_started_from_the_docker(krita: Any) -> None:
    krita.underpaint("stop")
    said = krita.run("no_daemon")["no_daemon"]
    assert not said["error"], said["error"]
    assert said["status"].startswith("No Underpaint daemon runs")
    assert said["remedy"] == "Start the daemon"
    assert said["after"].startswith("Ready")
    assert said["done"].startswith("Done")


def test_what_is_killed_is_told_and_can_be_gone_on_from(krita: Any) -> None:
    krita.underpaint("stop")
    krita.underpaint("serve", "--background")
    results = krita.run("worker_killed", "daemon_killed")
    for said in results.values():
        assert not said["error"], said["error"]
        assert said["layers"] == ["Background", "Painting"]
        assert said["done"].startswith("Done")
    assert "was killed" in results["worker_killed"]["status"]
    assert results["daemon_killed"]["status"].startswith("The Underpaint daemon has ended")
    assert results["daemon_killed"]["remedy"] == "Start the daemon"
