"""The plug-in in the real Krita: real eraser, real button, real daemon."""

from __future__ import annotations

import pytest

from editor.contract_checks import CHECKS, Check
from real_editors import (
    Found,
    Krita,
    Said,
    check_completed,
    check_control_made,
    check_controlled,
    check_fitted,
    check_more_of_these,
    check_over_painting,
    check_referenced,
    check_regional,
    check_result_keys,
    check_styled,
    check_typed,
    run_download,
    without_errors,
)
from underpaint_krita.redo import names_command


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_adapter_keeps_the_contract(in_krita: Found, check: Check) -> None:
    assert not in_krita("contract")["checks"][check.__name__]


def test_what_krita_does_not_have_is_told_and_breaks_nothing(in_krita: Found) -> None:
    said = in_krita("nothing_there")
    assert said["no_action"].startswith("Krita offers no way to delete the other results")
    assert said["still_there"] == [["Painting", "seed 0", "seed 1"], False]
    assert said["closed"] == "the document was closed"
    assert said["unknown"] == ["the document is not open; open it first", False, None]
    assert said["empty_list"] == ""


def test_the_docker_has_all_controls_and_fits(in_krita: Found) -> None:
    check_looks(in_krita("looks"))


def check_looks(said: Said) -> None:
    """Check what the scenario `looks` found out."""
    assert said["missing"] == []
    assert said["mute"] == []
    assert said["arrows"] == []
    assert said["too_wide"] <= 250
    assert said["cut_off"] == []
    assert said["plan"] == "Fills the erased 14 % of the layer, runs 2 of 4 steps"
    assert len(said["actions"]) == 6


def test_a_style_is_chosen_and_a_pictures_settings_are_used(in_krita: Found) -> None:
    check_styled(in_krita("styled"))


def test_steps_and_guidance_follow_the_model_until_they_are_changed(in_krita: Found) -> None:
    check_fitted(in_krita("fitted"))


def test_a_layer_with_a_role_holds_what_is_painted(in_krita: Found) -> None:
    check_controlled(in_krita("controlled"))


def test_a_control_layer_is_made_of_a_layer(in_krita: Found) -> None:
    check_control_made(in_krita("control_made"))


def test_a_layer_can_be_a_reference(in_krita: Found) -> None:
    check_referenced(in_krita("referenced"))


def test_a_region_paints_its_part_from_its_prompt(in_krita: Found) -> None:
    said = in_krita("regional")
    check_regional(said)
    assert said["typed"] == ["red sunset", len("red sunset")]


def test_the_actions_are_carried_out_by_their_shortcuts(in_krita: Found) -> None:
    said = in_krita("shortcuts")
    assert said["given"] == [f"Ctrl+Shift+F{number}" for number in (9, 8, 7, 6, 5, 4)]
    assert said["groups"] == [3, 4]  # with the docker, and without


def test_ctrl_enter_generates_and_opens_nothing_of_kritas(in_krita: Found) -> None:
    said = in_krita("ctrl_enter")
    assert said["krita_has_it"]
    assert said["popups"] == [[], [], []]
    assert said["bars"] == []
    assert said["groups"] == [3, 4, 5]
    assert said["prompt"] == "a lake"


def test_ctrl_and_arrows_change_the_weight_at_the_caret(in_krita: Found) -> None:
    said = in_krita("weighed")
    for texts in said["texts"].values():
        assert texts == WEIGHED
    assert said["form"] == WEIGHED[-1][0]
    assert said["groups"] == 3


WEIGHED = [
    ["\U0001f600 a red (lake:1.05)", "lake"],
    ["\U0001f600 a red (lake:1.1)", "lake"],
    ["\U0001f600 a red lake", "lake"],
    ["\U0001f600 a red (lake:0.95)", "lake"],
    ["\U0001f600 a red lake", ""],  # undone
    ["\U0001f600 a (red lake:1.05)", "red lake"],
]
"""What is in the text after each of the keys of the scenario, and what of it is selected."""


def test_names_are_completed_at_the_caret(in_krita: Found) -> None:
    said = in_krita("completed")
    check_completed(said)
    assert said["canvas_clicked"] == [False, False]
    assert said["marked"] == ["<lora:ink:much>"]
    assert said["unmarked"] == 0
    assert said["groups"] == 3


def test_what_ends_inside_a_call_of_kritas_is_seen(in_krita: Found) -> None:
    said = in_krita("nested")
    assert not said["running"]
    assert not said["cancel"]
    assert said["depth"] == 1
    assert said["layers"] == ["Background", "Painting", "a lake (seed 7)"]


def test_a_failing_slot_opens_no_dialog(in_krita: Found) -> None:
    said = in_krita("failed")
    assert said["status"].startswith("Underpaint failed (AttributeError: ")
    assert said["passed_on"] == ["division by zero"]
    assert not said["dialog"]
    assert said["logged"]


def test_progress_is_not_painted_within_the_call_that_tells_it(in_krita: Found) -> None:
    said = in_krita("painted_at_once")
    assert said["within"] == 0
    assert said["later"] > 0


def test_erase_press_generate_and_the_hole_is_filled(in_krita: Found) -> None:
    check_eraser(in_krita("eraser"))


def check_eraser(said: Said, percent: int = 6) -> None:
    """Check what the scenario `eraser` found out."""
    assert said["erased"] > 1000
    assert said["colour_kept"]
    assert said["plan"].startswith(f"Fills the erased {percent} % of the layer")
    assert said["kept"]
    assert said["filled"] == 1
    assert said["changed"] > 0.9
    assert said["source_untouched"]
    assert (said["group"], said["name"]) == ("a lake (seed 7)", "seed 7")
    assert said["active"] == "Painting"
    assert said["after_undo"] == ["Background", "Painting"]
    assert said["undone"]


@pytest.mark.parametrize("name", ["hidden_colour", "transparency_mask"])
def test_the_colour_under_a_hole_arrives_at_the_daemon(in_krita: Found, name: str) -> None:
    assert in_krita(name)["same"]


def test_a_transparency_mask_counts_as_erasure(in_krita: Found) -> None:
    said = in_krita("transparency_mask")
    assert said["active"] == "transparencymask"
    assert said["plan"].startswith("Fills the erased 14 % of the layer")


@pytest.mark.parametrize("name", ["filter_mask", "two_masks", "colorize_mask"])
def test_the_colour_that_masks_hide_arrives_at_the_daemon(in_krita: Found, name: str) -> None:
    said = in_krita(name)
    assert said["masks"]
    assert said["lost_by_krita"] > 8000
    assert said["kept"] == 96 * 96
    assert said["looks_the_same"]
    assert said["still_a_hole"]
    assert "no colour" not in said["status"]
    note = "Erased pixels have the layer's own colour, without its masks"
    assert (note in said["plan"]) == (name != "two_masks")


def test_a_local_selection_counts_instead_of_the_documents(in_krita: Found) -> None:
    said = in_krita("local_selection")
    assert said["type"] == "selectionmask"
    assert said["plan"].startswith("Repaints 50 % of the layer")
    assert said["beside_another"].startswith("Repaints 50 % of the layer")
    assert said["kept"]
    assert said["changed"] > 0.9
    assert said["hidden"].startswith("Repaints 25 % of the layer")
    assert said["colour_under_it"]


def test_what_lies_off_the_canvas_does_not_count(in_krita: Found) -> None:
    said = in_krita("off_canvas")
    assert said["around_the_canvas"]
    paints = "Paints a new picture, runs 4 of 4 steps"
    assert said["plan"] == f"{paints}. The layer's content lies outside the canvas"
    assert said["status"].startswith("Done")
    assert said["opaque"] == 256 * 256


def test_what_krita_cannot_do_is_said_before_the_run(in_krita: Found) -> None:
    said = in_krita("noted")
    fills = "Fills the erased 14 % of the layer, runs 2 of 4 steps"
    assert said["plain"] == fills
    assert said["hidden"] == f"{fills}. The layer is hidden, but the result above it is visible"
    assert said["undone"] == f"{fills}. Inserting the result clears your redo history"
    assert "Where no colour is left, it is filled from the surrounding colours" in said["cleared"]
    assert said["nothing_runs"] == "Keeps the picture as it is: nothing may change"


def test_a_layer_that_lies_nowhere_breaks_nothing(in_krita: Found) -> None:
    said = in_krita("removed")
    assert said["nowhere"] == [True, True]
    assert said["batch"] == ["seed 7"]
    assert said["selected"] == [1, 0]
    assert said["copy"]
    assert said["groups"] == []
    assert said["active"]


def test_what_was_undone_meanwhile_can_still_be_redone(in_krita: Found) -> None:
    said = in_krita("undone")
    for told, remedy, shown in said["held"]:
        assert "clear your redo history" in told
        assert remedy == "Insert the result"
        assert shown
    first, second = said["layers"]
    batch = "a lake (seed 7)"
    assert first == ["Background", "Painting", batch, "redo this"]
    assert second == ["Background", "Painting", batch, batch, "redo this"]
    assert said["remedy_gone"]


@pytest.mark.parametrize(
    ("text", "bare", "told"),
    [
        ("Redo ", "Redo", False),
        ("Redo Add Layer", "Redo", True),
        ("&Redo Add Layer", "&Redo", True),
        ("Redo: ", "Redo", False),
        ("Ebene hinzufügen wiederherstellen", "Wiederherstellen", True),
        (" wiederherstellen", "Wiederherstellen", False),
        ("重做 添加图层", "重做", True),
        ("重做 ", "重做", False),
        ("Refaire", "Rétablir", None),
        ("Redo", "", None),
    ],
)
def test_what_can_be_redone_is_read_from_the_menu(text: str, bare: str, told: object) -> None:
    assert names_command(text, bare) is told


def test_a_batch_is_one_group_and_one_undo_step(in_krita: Found) -> None:
    said = in_krita("batch")
    assert said["group"] == "a lake (seeds 41 to 43)"
    assert said["layers"] == ["seed 41", "seed 42", "seed 43"]
    assert said["visible"] == [False, False, True]
    assert said["distinct"] == 3
    assert said["drawn"]
    assert said["after_undo"] == ["Background", "Painting"]
    assert said["after_two"] == ["Background"]  # the painting's layer, and nothing between


def test_a_soft_selection(in_krita: Found) -> None:
    said = in_krita("soft_selection")
    assert said["kept"]
    assert said["changed"] > 0.9
    assert said["selection_kept"]
    assert said["active"] == "Painting"


def test_the_whole_layer_is_whole_with_a_selection_too(in_krita: Found) -> None:
    said = in_krita("whole_layer")
    assert said["kept"]
    assert said["changed"]


def test_a_selection_in_an_empty_layer(in_krita: Found) -> None:
    said = in_krita("empty_selected")
    assert said["plan"] == "Paints a new picture, runs 4 of 4 steps"
    assert said["status"].startswith("Done")
    assert said["name"] == "a lake (seed 7)"


def test_documents_keep_their_settings_apart(in_krita: Found) -> None:
    said = in_krita("documents_keep_their_forms")
    assert said["prompt"] == "one and a half"
    assert said["seeds"][0] == said["seeds"][1] != 7


def test_clear_loses_the_colour_and_the_status_says_so(in_krita: Found) -> None:
    said = in_krita("cleared")
    assert said["lost"]
    assert "9216 pixels had no colour left and were filled from their neighbours" in said["status"]
    assert said["kept"]


@pytest.mark.parametrize("name", ["group_layer", "vector_layer"])
def test_layers_without_pixels_of_their_own(in_krita: Found, name: str) -> None:
    said = in_krita(name)
    assert said["status"].startswith("Done")
    assert said["name"] == "a lake (seed 7)"


def test_text_and_vectors_are_repainted_and_keep_their_transparency(in_krita: Found) -> None:
    said = in_krita("vector_layer")
    assert said["plan"] == "Repaints 100 % of the layer, runs 2 of 4 steps"


def test_an_empty_layer_over_a_painting_is_filled_to_fit_it(in_krita: Found) -> None:
    said = in_krita("over_painting")
    check_over_painting(said)
    assert said["kept"]


def test_an_empty_layer_is_painted_anew(in_krita: Found) -> None:
    said = in_krita("empty_layer")
    assert said["plan"] == "Paints a new picture, runs 4 of 4 steps"
    assert said["opaque"] == 256 * 256


@pytest.mark.parametrize("name", ["sixteen_bit", "floating", "grey", "cmyk"])
def test_other_colour_spaces(in_krita: Found, name: str) -> None:
    said = in_krita(name)
    assert said["space"] == said["own"]
    assert said["same"]
    assert said["hidden"]
    assert said["kept"]
    assert said["changed"]
    if name in ("sixteen_bit", "floating"):  # what has no such colours shows others
        of_srgb = in_krita("eight_bit")["painted"]
        off = [abs(a - b) for a, b in zip(said["painted"], of_srgb, strict=True)]
        assert max(off) <= 3
    assert said["plan"].startswith("Fills the erased 14 % of the layer")
    assert said["status_again"].startswith("Done")


def test_cancel(in_krita: Found) -> None:
    said = in_krita("cancelled")
    assert said["progress"] == 1000
    assert said["while"].startswith("Step ")
    assert said["status"] == "Cancelled."
    assert said["seconds"] < 5
    assert said["layers"] == ["Background", "Painting"]
    assert not said["enabled"]
    assert said["preview"] == [160, 160]
    assert said["on_canvas"] == [[pytest.approx(said["canvas"] * 96 / 256, abs=2)] * 2]
    assert said["layers_meanwhile"] == ["Background", "Painting"]
    assert said["preview_gone"]


def test_the_picture_so_far_lies_where_the_picture_does(in_krita: Found) -> None:
    check_overlaid(in_krita("overlaid"))


def check_overlaid(said: Said) -> None:
    """Check what the scenario `overlaid` found out."""
    views = said["views"]
    assert len(views) == 8
    assert said["veiled"] == 0
    assert said["others"] == said["unveiled"] > 1000
    for layer, differs, nothing in views.values():
        assert layer > 1000
        assert differs < 0.03 * layer  # edges are softer
        assert nothing == 0


def test_several_jobs_are_listed_hurried_and_dropped(in_krita: Found) -> None:
    said = in_krita("queued")
    waiting = ["two: 1 ahead", "three: 2 ahead", "four: 3 ahead"]
    assert said["lines"] == ["one: running", *waiting]
    assert said["layers"] == ["Background", "Painting", "four (seed 7)", "three (seed 7)"]
    assert said["left"] == 0


def test_each_document_gets_its_own(in_krita: Found) -> None:
    said = in_krita("two_documents")
    assert said["first"] == ["Background", "Painting", "a lake (seeds 7 to 8)"]
    assert said["second"] == ["Background", "Painting", "a lake (seed 7)"]


def test_what_is_odd_about_a_layer_is_said(in_krita: Found) -> None:
    said = in_krita("hidden_and_locked")
    assert "The layer is hidden, but the result above it is visible." in said["status"]
    assert "The document was resized" in said["status"]
    assert said["layers"] == ["Background", "Painting", "a lake (seed 7)"]
    assert said["same"]


def test_a_deleted_layer_and_a_closed_document_lose_nothing(in_krita: Found) -> None:
    said = in_krita("deleted_layer")
    assert "layer was deleted" in said["status"]
    assert said["layers"] == ["Background", "a lake (seed 7)"]
    said = in_krita("deleted_group")
    assert "layer was deleted" in said["status"]
    assert said["layers"] == ["Background", "Painting", "a lake (seed 7)"]
    said = in_krita("closed_document")
    assert (
        said["status"] == "The document was closed. Its result is kept: open it as a new document."
    )
    assert said["remedy"] == "Open as a new document"
    assert said["layers"][-1] == "a lake (seed 7)"
    assert said["told"] == "Opened as a new document: a lake (seed 7)."
    assert said["hidden"]


def test_variations_of_a_result(in_krita: Found) -> None:
    said = in_krita("varied")
    assert said["hidden_without"]
    assert said["shown"]
    assert said["status"].startswith("Done: 2 images")
    assert said["names"][0] == "seed 7"
    assert all(name.startswith("seed 7 with ") for name in said["names"][1:])
    assert all(name.endswith(":0.3") for name in said["names"][1:])
    assert said["visible"] == [False, False, True]
    assert said["distinct"] == 3
    assert said["first_stays"]
    assert said["groups"] == ["Background", "Painting", "a pond (seed 7)"]
    assert said["after_next"] == [True, False, False]
    assert said["active"] == "seed 7"
    assert said["after_previous"] == [False, False, True]
    assert said["settings"] == ["a pond", 7, True]
    assert said["after_reopening"]
    assert said["one_more"] == 1
    assert not said["broken"]


def test_one_result_is_kept_and_one_undo_brings_the_others_back(in_krita: Found) -> None:
    said = in_krita("kept_one")
    assert said["before"] == [
        ["seed 7", False, False], ["seed 8", False, False], ["seed 9", True, False],
    ]  # fmt: skip
    assert said["recipes"]
    assert said["status"] == "Kept seed 8. Undo restores the other 2 results."
    assert said["after"] == [["seed 8", True, False]]
    assert said["active"] == "seed 8"
    assert said["recipe_stays"]
    assert said["others_locks"] == [True, False, False]
    assert said["groups"] == ["Background", "Painting", "a pond (seeds 7 to 9)"]
    assert said["alone"] == [False, True]
    assert said["after_undo"] == [
        ["seed 7", False, False], ["seed 8", True, False], ["seed 9", False, False],
    ]  # fmt: skip
    assert said["the_same"]
    assert said["recipes_are_back"]
    assert said["after_two"] == ["Background", "Painting"]


def test_what_can_be_done_with_a_result_has_shortcuts(in_krita: Found) -> None:
    check_result_keys(in_krita("result_keys"))


def test_with_a_result_selected_generate_goes_to_its_layer(in_krita: Found) -> None:
    said = in_krita("more_of_these")
    check_more_of_these(said)
    assert said["groups"] == ["Background", "Painting", *["a pond (seeds 7 to 8)"] * 2]
    assert said["active"] == "seed 8"


def test_locked_results_are_not_removed(in_krita: Found) -> None:
    said = in_krita("kept_with_locks")
    assert said["after"] == [["seed 7", True, False], ["seed 8", False, True]]
    assert said["status"] == "The results are in a locked group; unlock it first."
    assert said["in_locked_group"] == [["seed 7", True, False], ["seed 8", False, False]]


def test_compare_shows_the_layer_as_it_was_and_leaves_no_trace(in_krita: Found) -> None:
    said = in_krita("compared")
    assert said["hidden"] == [False, False, False]
    assert said["source_shown"]
    assert said["differs"]
    assert said["after"] == said["before"]
    assert said["source_hidden_again"]
    assert said["as_before"]
    assert said["all_back"]
    assert said["after_undo"] == ["Background", "Painting"]


def test_what_compare_hides_is_not_saved_as_hidden(in_krita: Found) -> None:
    said = in_krita("compared_and_saved")
    assert said["hidden"] == [False, False, False]
    assert said["after"] == said["before"]
    assert said["released"] == said["before"]
    assert said["same"]
    assert said["saved"] == said["before"]


def test_thumbnails_of_a_batch(in_krita: Found) -> None:
    said = in_krita("carded")
    assert said["captions"][:2] == [["7", ""], ["8", ""]]
    assert [amount for _, amount in said["captions"][2:]] == ["varied 0.3"] * 3
    assert said["checked"] == [False, False, False, False, True]
    assert said["different"] == 5
    assert min(said["opaque"]) > 200
    assert said["visible"] == [False, False, True, False, False]
    assert said["active_is_it"]
    assert said["checked_after"] == said["visible"]
    assert said["too_wide"] <= 250
    assert said["page"] == ["1 to 6 of 8", 6]
    assert said["page_of_last"] == ["7 to 8 of 8", 2]


def test_what_a_cancelled_job_had_come_to_is_kept_if_asked(in_krita: Found) -> None:
    said = in_krita("sketched")
    assert not said["offered_while"]
    assert said["offer"] == "Keep the preview"
    assert said["status"].startswith("Kept: preview of seed 7, step ")
    assert not said["offer_after"]
    assert said["group"] == "a lake (seed 7)"
    assert said["name"].endswith(" of 1000")
    left, top, width, height = said["covers"]
    assert left <= 80 and top <= 80  # noqa: PT018 - one corner
    assert left + width >= 176 and top + height >= 176  # noqa: PT018
    assert said["opaque"] > 0.7  # all but the soft edge
    assert said["colours"] > 20
    assert [name for name, can in said["can"].items() if can] == ["compare"]
    assert said["order"] == [0, 0, said["name"], "seed 7"]
    assert said["offer_gone"]
    assert said["after_undo"] == ["Background", "Painting"]


def test_a_copy_of_a_result_has_its_recipe(in_krita: Found) -> None:
    said = in_krita("duplicated")
    assert said["name"] == "Copy of seed 7"
    assert said["bare"]
    assert said["same"]
    assert said["can_vary"]
    assert said["after_moving"]
    assert not said["mine"]
    assert said["settings"].startswith("Settings copied, except its variation")


def test_the_newest_batch_lies_on_top(in_krita: Found) -> None:
    names = [f"batch {number} (seed 7)" for number in range(3)]
    said = in_krita("newest")
    assert said["order"] == ["Background", "Painting", *names]
    assert said["prompts"] == ["batch 1", "batch 0", "batch 1"]  # by the arrow keys


def test_a_document_remembers_its_settings(in_krita: Found) -> None:
    said = in_krita("save_and_reopen")
    assert said["saved"]
    assert (said["prompt"], said["strength"]) == ("a château in the mist", 0.35)
    assert said["same"]
    assert said["layers"] == ["Background", "Painting", "a château in the mist (seed 7)"]


def test_what_is_wrong_is_said(in_krita: Found) -> None:
    said = in_krita("wrong_input")
    assert "'no-such-model' is unknown" in said["model"]
    assert said["no_document"] == "No document is open; open or create one first."


def test_a_large_layer(in_krita: Found) -> None:
    said = in_krita("large")
    assert said["plan"] == "Fills the erased less than 1 % of the layer, runs 2 of 4 steps"
    assert said["status"].startswith("Done")
    print({name: value for name, value in said.items() if name.endswith("_ms")})


@pytest.fixture(scope="module")
def in_the_end(krita: Krita) -> Found:
    """What the scenarios found out that start and kill what runs, one of them Krita itself."""
    krita.underpaint("stop")
    names = ("no_daemon", "worker_killed", "daemon_killed")
    found = krita.run(*names, last="left_behind")
    assert "krita ended with" in found.pop("left_behind")["error"]
    return without_errors(found)


def test_generate_starts_the_daemon(in_the_end: Found) -> None:
    said = in_the_end("no_daemon")
    assert said["before"][0].startswith("No Underpaint daemon is running")
    assert said["before"][1] == "Start the daemon"
    assert said["status"] == ["Starting the daemon...", True]
    assert said["after"] == ["Background", "Painting", "a lake (seed 7)"]
    assert said["remedy"]


def test_what_is_killed_comes_back_and_the_job_with_it(in_the_end: Found) -> None:
    for name in ("worker_killed", "daemon_killed"):
        said = in_the_end(name)
        assert said["layers"] == ["Background", "Painting"]
        assert said["after"] == ["Background", "Painting", "a lake (seed 7)"]
    assert "was killed by SIGKILL. Starting again" in in_the_end("worker_killed")["status"]
    assert in_the_end("daemon_killed")["remedy"]


@pytest.mark.usefixtures("in_the_end")
def test_the_next_krita_fetches_what_a_dead_one_asked_for(krita: Krita) -> None:
    said = krita.run("fetched")["fetched"]
    assert not said["error"], said["error"]
    assert said["status"].startswith("A result is waiting from an earlier session (left.kra).")
    assert said["names"] == ["Background", "Painting", "a lake (seeds 7 to 8)"]
    assert said["results"] == ["seed 7", "seed 8"]
    assert said["after"] == [0, 0, 2]  # once each, though they were fetched twice
    assert said["nothing_more"]


def test_a_model_is_downloaded_from_the_docker(
    krita: Krita, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_download(krita, monkeypatch)


def test_typed_numbers_are_read(in_krita: Found) -> None:
    said = in_krita("typed")
    assert said["made"] == [0.35, 7]
    check_typed(said, ".")


@pytest.fixture(scope="module")
def in_german(krita: Krita) -> Found:
    """What scenarios found out with German numbers, 72 dpi, and twice as many pixels to a point."""
    krita.serve()
    with krita.set_up("de_DE.UTF-8", scale=2, UNDERPAINT_DPI="72"):
        return without_errors(krita.run("typed", "looks", "eraser", "overlaid"))


def test_typed_numbers_are_read_in_german(in_german: Found) -> None:
    said = in_german("typed")
    assert said["made"] == [0.35, 7]
    check_typed(said, ",")


def test_it_is_the_same_at_72_dpi_on_a_screen_of_twice_as_many_pixels(in_german: Found) -> None:
    check_looks(in_german("looks"))
    check_eraser(in_german("eraser"), percent=10)  # of the same way in points, on more pixels
    check_overlaid(in_german("overlaid"))
