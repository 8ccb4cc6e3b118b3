"""The plug-in in the real GIMP: real eraser, real button, real daemon; and as scripts call it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from daemons import until
from editor.contract_checks import CHECKS, Check
from real_editors import (
    Found,
    Gimp,
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
    screen,
    without_errors,
)
from underpaint_editor.launch import write_start_command

PLAN = "Fills the erased 14 % of the layer, runs 2 of 4 steps"
HOLE = [80, 80, 96, 96]
EXACT = (
    "8 bits",
    "8 bits, perceptual",
    "8 bits, linear",
    "16 bits",
    "16 bits, linear",
    "32 bits",
    "half",
    "float",
    "float, linear",
    "double",
    "grey",
    "grey, 16 bits",
    "AdobeRGB",
    "AdobeRGB, float",
    "indexed",
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_adapter_keeps_the_contract(in_gimp: Found, check: Check) -> None:
    assert not in_gimp("contract")["checks"][check.__name__]


def test_a_layer_with_a_role_holds_what_is_painted(in_gimp: Found) -> None:
    check_controlled(in_gimp("controlled"))


def test_a_control_layer_is_made_of_a_layer(in_gimp: Found) -> None:
    check_control_made(in_gimp("control_made"))


def test_a_layer_can_be_a_reference(in_gimp: Found) -> None:
    check_referenced(in_gimp("referenced"))


def test_a_region_paints_its_part_from_its_prompt(in_gimp: Found) -> None:
    said = in_gimp("regional")
    check_regional(said)
    assert said["typed"] == ["red sunset", True]


# ---- as scripts call it --------------------------------------------------------------------


def test_a_hole_is_filled_in_place(scripted: Found) -> None:
    said = scripted("patch")
    assert (said["group"], said["name"], said["box"]) == ("a lake (seed 7)", "seed 7", HOLE)
    assert said["layers"] == ["a lake (seed 7)", "Painting"]
    assert said["selected"] == ["Painting"]
    assert said["source_untouched"]
    assert said["opaque"] == 1
    assert said["changed"] > 0.9


def test_a_batch_is_one_group(scripted: Found) -> None:
    said = scripted("batch")
    assert said["group"] == "a lake (seeds 41 to 43)"
    assert said["names"] == ["seed 43", "seed 42", "seed 41"]
    assert said["visible"] == [True, False, False]
    assert said["distinct"] == 3


@pytest.mark.parametrize("kind", EXACT)
def test_kept_pixels_are_the_same_to_the_bit(scripted: Found, kind: str) -> None:
    said = scripted("exact")[kind]
    assert said["kept"]
    assert said["same"]  # strength 0, the colour in the hole too
    assert said["opaque"] == 1
    assert said["changed"] > 0.9
    assert 1.2 < said["brightness"] < 2.1  # alike in all, or an encoding was mistaken


def test_other_colour_spaces_are_painted_as_srgb(scripted: Found) -> None:
    said = scripted("colour_managed")
    off = {name: found for name, found in said.items() if name != "error"}
    assert len(off) == 6
    assert max(off.values()) <= 1, off


def test_a_soft_patch_looks_as_the_whole_layer_does(scripted: Found) -> None:
    said = scripted("looks_right")
    assert said["pixels"] > 50_000
    assert said["off"] <= 1


def test_an_image_that_cannot_hold_it_gets_what_it_can(scripted: Found) -> None:
    said = scripted("poorer")
    assert len(said["grey"]) > 10
    assert all(r == g == b for r, g, b in said["grey"])
    assert 1 < len(said["indexed"]) <= 17  # the palette, and black where nothing is


def test_kept_pixels_under_a_mask(scripted: Found) -> None:
    said = scripted("exact_with_mask")
    assert said["kept"]
    assert said["opaque"] == 96 * 96


def test_a_selected_channel_stays_selected(scripted: Found) -> None:
    said = scripted("selected_channel")
    assert said["group"] == "a lake (seed 7)"
    assert said["channels"] == ["mine"]
    assert said["layers"] == []


def test_a_result_knows_its_layer_whatever_was_copied(scripted: Found) -> None:
    said = scripted("sourced")
    for case in ("here", "duplicate", "reopened", "duplicate_of_it", "beside_a_copy", "still"):
        assert said[case] == "B", case
    assert said["by_address"] == ["B"] * 5 + [None] * 3
    assert said["other_document"] == "B copy"  # as GIMP calls it there
    assert said["gone"].startswith("the layer this result was made from was deleted")
    assert said["of_the_copy"] == "B copy"
    assert said["both_doubled"] == ["B", "B copy"]
    assert said["again"] == "B"
    assert said["instead"] == "B copy"  # which stands in for what was deleted
    assert said["untold"].startswith(
        "this result was made from 'B copy #1' or 'B copy', and Underpaint"
    )


def test_odd_calls_are_answered(scripted: Found) -> None:
    said = scripted("odd_calls")
    assert said["foreign"].startswith("'Painting' is in another image")
    assert said["empty_group"] == [0, 0, 256, 256]
    assert said["fine"].startswith("seed 7")
    assert said["no_screen"] == "There is no display to show Underpaint's window on."
    assert said["alive"]


def test_an_argument_that_is_none_is_refused_by_name_and_value(scripted: Found) -> None:
    said = scripted("misused")
    answers = {case: told for case, told in said.items() if " in " in case}
    assert len(answers) == 29
    for case, told in answers.items():
        name, value, *_ = case.split(" ")
        assert name.replace("-", "_") in told.lower(), (case, told)
        assert value in told, (case, told)
    assert said["layers"] == ["Painting"]
    assert said["told"]["mode"].endswith("One of: auto, inpaint, img2img, txt2img, edit.")
    assert "k_euler_a" in said["told"]["sampler"]
    assert said["told"]["images"].endswith("From 1 to 64.")
    assert said["made"] == ["img2img", "k_euler_a", "auto", "layer"]


@pytest.mark.parametrize("way", ["clear", "cut"])
def test_emptied_pixels_keep_their_colour(scripted: Found, way: str) -> None:
    said = scripted("emptied")[way]
    assert said["erased"] == 96 * 96
    assert said["colour"] > 100
    assert said["box"] == HOLE


def test_a_layer_mask_counts_as_erasure(scripted: Found) -> None:
    said = scripted("masked")
    assert said["box"] == said["through_mask"] == HOLE
    assert said["hidden"] == 96 * 96
    assert said["colour_kept"]
    assert said["not_applied"] == [0, 0, 256, 256]


def test_layers_off_the_corner(scripted: Found) -> None:
    said = scripted("offset")
    assert said["patch"] == [30, 40, 20, 20]
    assert said["above"]
    assert said["whole"] == [-40, -30, 128, 128]
    assert said["kept"]
    assert said["far"].startswith("The layer lies outside the canvas")
    assert said["outpainted"] == [[100, 100, 64, 64]]


def test_layers_of_all_kinds(scripted: Found) -> None:
    said = scripted("kinds_of_layers")
    assert said["group"] == HOLE
    assert said["text"] == "img2img"
    assert said["without_alpha"] == [[0, 0, 256, 256], True]
    assert said["empty"] == 256 * 256


def test_a_lock_is_respected_and_kills_nothing(scripted: Found) -> None:
    said = scripted("locked")
    assert said["layer"] == "inner"
    assert said["group"]
    assert said["order"][1:] == ["G", "Painting"]
    assert said["alive"]


def test_what_is_wrong_is_told_to_scripts(scripted: Found) -> None:
    said = scripted("refused")
    assert said["model"].startswith("Model 'no-such-model' is unknown")
    assert said["two"].startswith("2 layers are selected")
    assert said["floating"].startswith("There is a floating selection")
    assert said["channel"].startswith("'c' is not a layer")


def test_script_fu_by_named_arguments(scripted: Found) -> None:
    assert scripted("scripted")["layers"] == ["a lake (seed 7)", "Painting"]


def test_a_script_leaves_to_the_model_what_it_does_not_pass(scripted: Found) -> None:
    few = "k_euler_a"
    assert scripted("scripted")["own"] == [[4, 1.0, few], [6, 1.0, few], [6, 3.5, few]]


def test_a_large_image_by_script(scripted: Found) -> None:
    said = scripted("timed")
    assert said["box"] == [1800, 1800, 300, 300]


# ---- on the screen -------------------------------------------------------------------------


def test_the_window(in_gimp: Found) -> None:
    said = in_gimp("looks")
    assert said["plan"] == PLAN
    assert said["title"] == "Underpaint: Painting in [Untitled]"
    assert said["width"] < 450
    assert said["narrowest"] <= 345


def test_erase_press_generate_and_the_hole_is_filled(in_gimp: Found) -> None:
    check_eraser(in_gimp("eraser"))


def check_eraser(said: Said) -> None:
    """Check what the scenario `eraser` found out."""
    assert said["erased"] > 500
    assert said["half"] > 500
    assert said["colour_kept"]
    assert said["plan"].startswith("Fills the erased")
    assert said["status"].startswith("Done: 1 image")
    assert said["group"] == "a lake (seed 7)"
    assert said["covers"]  # what was erased, and nothing else
    assert said["source_untouched"]
    assert said["selected"] == ["Painting"]
    assert said["after_undo"] == ["Painting"]
    assert said["erasure_stays"]
    assert said["undone"]


def test_what_is_painted_meanwhile_stays(in_gimp: Found) -> None:
    said = in_gimp("meanwhile")
    assert said["stroked"]
    assert said["running"]
    assert said["layers"] == ["a lake (seed 7)", "Painting"]
    assert said["after_undo"] == ["Painting"]
    assert said["stroke_stays"]
    assert said["undone"]


def test_from_the_menu_and_the_keyboard(in_gimp: Found) -> None:
    said = in_gimp("again")
    assert said["layers"] == ["a lake (seed 7)", "Painting"]
    assert said["window"]
    assert said["focus_stays"]
    assert said["after_enter"] == ["two hills (seed 7)", "a lake (seed 7)", "Painting"]


def test_ctrl_enter_takes_what_is_being_typed_and_counts_once_while_it_is_held(
    in_gimp: Found,
) -> None:
    said = in_gimp("entered")
    assert said["layers"] == ["a lake (seed 7)", "Painting"]
    assert said["strength"] == 0.35
    assert said["again"] == 3
    assert said["closed"] == ["Escape", "ctrl+w"]


def test_ctrl_and_arrows_change_the_weight_at_the_caret(in_gimp: Found) -> None:
    said = in_gimp("weighed")
    for texts in said["texts"].values():
        assert texts == [
            ["\U0001f600 a red (lake:1.05)", "lake"],
            ["\U0001f600 a red (lake:1.1)", "lake"],
            ["\U0001f600 a red lake", "lake"],
            ["\U0001f600 a red (lake:0.95)", "lake"],
            ["\U0001f600 a (red lake:1.05)", "red lake"],
        ]
    assert said["made"] == said["form"] == "\U0001f600 a (red lake:1.05)"


def test_names_are_completed_at_the_caret(in_gimp: Found) -> None:
    said = in_gimp("completed")
    check_completed(said)
    assert not said["elsewhere"]
    assert said["marked"] == "<lora:ink:much>"


def test_variations_of_a_result(in_gimp: Found) -> None:
    said = in_gimp("varied")
    assert said["hidden_without"]
    assert said["shown"]
    assert said["status"].startswith("Done: 2 images")
    assert said["names"][2] == "seed 7"
    assert all(name.startswith("seed 7 with ") for name in said["names"][:2])
    assert said["visible"] == [True, False, False]
    assert said["distinct"] == 3
    assert said["first_stays"]
    assert said["groups"] == ["a pond (seed 7)", "Painting"]
    assert said["after_next"] == [False, False, True]
    assert said["active"] == ["seed 7"]
    assert said["after_previous"] == [True, False, False]
    assert said["settings"] == ["a pond", 7, True]
    assert said["after_reopening"]
    assert said["one_more"] == 1
    assert not said["broken"]


def test_one_result_is_kept_and_one_undo_brings_the_others_back(in_gimp: Found) -> None:
    said = in_gimp("kept_one")
    assert said["before"] == [["seed 7", False], ["seed 8", False], ["seed 9", True]]
    assert said["status"] == "Kept seed 8. Undo restores the other 2 results."
    assert said["after"] == [["seed 8", True]]
    assert said["selected"] == ["seed 8"]
    assert said["recipe_stays"]
    assert said["alone"] == [False, True]
    assert said["after_undo"] == said["before"]
    assert said["the_same"]
    assert said["recipes_are_back"]
    assert said["after_two"] == ["Painting"]


def test_what_can_be_done_with_a_result_has_shortcuts(in_gimp: Found) -> None:
    check_result_keys(in_gimp("result_keys"))


def test_with_a_result_selected_generate_goes_to_its_layer(in_gimp: Found) -> None:
    said = in_gimp("more_of_these")
    check_more_of_these(said)
    assert said["groups"] == ["a pond (seeds 7 to 8) #1", "a pond (seeds 7 to 8)", "Painting"]
    assert said["active"] == ["seed 8"]


def test_locked_results_are_not_removed(in_gimp: Found) -> None:
    said = in_gimp("kept_with_locks")
    assert said["after"] == [["seed 7", True], ["seed 8", False]]
    assert said["status"] == "The results are in a locked group; unlock it first."
    assert said["in_locked_group"] == said["after"]


def test_compare_shows_the_layer_as_it_was_and_leaves_no_trace(in_gimp: Found) -> None:
    said = in_gimp("compared")
    assert said["hidden"] == [False, False, False]
    assert said["source_shown"]
    assert said["after"]
    assert said["source_hidden_again"]
    assert said["source_is_back"]
    assert said["after_undo"] == ["Painting"]


def test_thumbnails_of_a_batch(in_gimp: Found) -> None:
    said = in_gimp("carded")
    assert said["captions"][:2] == [["7", ""], ["8", ""]]
    assert [amount for _, amount in said["captions"][2:]] == ["varied 0.3"] * 3
    assert said["sizes"] == [[60, 60]] * 5
    assert said["different"] == 5
    assert said["visible"] == [False, False, True, False, False]
    assert said["selected_is_it"]
    assert said["width"] < 450
    assert said["page"] == ["1 to 6 of 8", 6]
    assert said["page_of_last"] == ["7 to 8 of 8", 2]
    assert said["settings"].startswith("Settings copied, except its variation")


def test_a_duplicated_image_varies_the_right_layer(in_gimp: Found) -> None:
    said = in_gimp("duplicated")
    assert said["status"].startswith("Done: 1 image")
    assert "another than" not in said["status"]
    assert "weights" not in said["status"]
    assert said["varied"] == 1
    assert said["same_source"]
    assert said["same_name"]
    assert said["layers"] == [2, ["a pond (seed 7)", "Painting"], ["a pond (seed 7)", "Painting"]]
    assert said["after_undo"] == 1


def test_what_a_cancelled_job_had_come_to_is_kept_if_asked(in_gimp: Found) -> None:
    said = in_gimp("sketched")
    assert not said["offered_while"]
    assert said["offer"] == "Keep the preview"
    assert said["status"].startswith("Kept: preview of seed 7, step ")
    assert not said["offer_after"]
    assert said["group"] == "a lake (seed 7)"
    assert said["opaque"] > 0.7  # all but the soft edge
    assert said["colours"] > 20
    assert [name for name, can in said["can"].items() if can] == ["compare"]
    assert said["order"] == ["seed 7", said["name"]]
    assert said["after_undo"] == ["Painting"]


def test_cancel(in_gimp: Found) -> None:
    said = in_gimp("cancelled")
    assert said["while"].startswith("Step ")
    assert said["seconds"] < 5
    assert said["layers"] == ["Painting"]
    assert not said["enabled"]
    width, height, colours = said["preview"]
    assert width == height == 160
    assert colours > 20
    assert said["preview_gone"]


LONG = ("three " * 20).strip()
QUEUE = ["one: running", "two: 1 ahead", f"{LONG}: 2 ahead", "four: 3 ahead"]


def test_several_jobs_are_listed_hurried_and_dropped(in_gimp: Found) -> None:
    said = in_gimp("queued")
    assert said["lines"] == QUEUE
    assert said["can_hurry"] == [False, True, True, True]
    assert said["cut_off"] == [[False, False], [False, False], [True, False], [False, False]]
    assert said["width"] < 450
    assert said["same_line"]
    title = f"{LONG[:39].rstrip()}\u2026 (seed 7)"
    assert said["layers"] == [title, "four (seed 7)", "Painting"]
    assert said["left"] == 0


def test_where_it_cannot_be_seen_which_image_is_in_front_none_is_guessed(in_gimp: Found) -> None:
    said = in_gimp("unseen_front")
    assert said["alone"] == [PLAN, False]
    for case in ("two", "refused", "three"):
        assert said[case].startswith(
            "Several images are open, and Underpaint cannot tell which one is in front"
        ), case
    assert said["named"] == said["titles"]
    assert len(set(said["named"])) == 2
    first = said["titles"][1]
    assert said["chosen"]
    assert said["plan"] == f"In {first}: {PLAN}"
    assert said["title"] == f"Underpaint: Painting in {first}"
    assert said["prompt"] == "written before"
    assert said["layers"] == [["written before (seed 7)", "Painting"], ["Painting"]]
    assert said["by_menu"] == [["Painting"], ["Painting"]]
    assert said["plan_then"].startswith(f"In {said['titles'][0]}: ")


def test_what_gimp_cannot_do_better_is_said_before_the_run(in_gimp: Found) -> None:
    said = in_gimp("cautioned")
    assert said["plain"] == said["filter_off"] == PLAN
    told = {
        "hidden": "The layer is hidden, but the result above it is visible.",
        "inside_hidden": "The layer's group is hidden, and so is the result.",
        "locked": "The layer's group is locked, so the result goes above that group.",
        "filtered": "The layer is used without its filters (Blurred); merge them to include their"
        " effect.",
        "grey": "The image is greyscale, and so is the result.",
        "indexed": "The image is indexed, so the result has only the palette's colours and no"
        " soft edges.",
    }
    for case, caution in told.items():
        assert said[case] == f"{PLAN}. {caution}", case
    caution = "The layer has no transparency: erasing paints the background colour."
    assert said["without_alpha"].endswith(caution)
    assert said["alpha_button"] == ["Add an Alpha Channel", True]
    *added, then = said["alpha_added"]
    assert added == [True, False]
    assert caution not in then
    assert said["alpha_locked"][0].endswith(caution)
    assert not said["alpha_locked"][1]
    for case in ("grey", "indexed"):
        assert "greyscale" not in said[f"{case}_after"]
        assert "indexed" not in said[f"{case}_after"]
    assert "The layer is hidden" in said["meanwhile"]


def test_each_image_gets_its_own_and_the_one_in_front_is_followed(in_gimp: Found) -> None:
    said = in_gimp("two_images")
    assert said["front"]
    assert said["prompt"] == "a lake"
    assert said["first"] == ["the first (seed 1)", "Painting"]
    assert said["second"] == ["the second (seed 2)", "Painting"]
    assert said["kept"] == "the second"


def test_a_deleted_layer_and_a_closed_image_lose_nothing(in_gimp: Found) -> None:
    said = in_gimp("deleted_and_resized")
    assert "layer was deleted" in said["status"]
    assert "document was resized" in said["status"]
    assert said["layers"] == ["a lake (seed 7)"]
    said = in_gimp("closed_image")
    assert (
        said["status"] == "The document was closed. Its result is kept: open it as a new document."
    )
    assert said["remedy"] == "Open as a new document"
    assert not said["open"]
    assert said["layers"][0].startswith("a lake (seed 7)")
    assert said["hidden"]


def test_a_result_fits_the_layer_as_it_was_sent(in_gimp: Found) -> None:
    said = in_gimp("changed_meanwhile")
    assert said["box"] == [0, 0, 256, 256]
    assert said["converted"]
    assert said["off"] <= 2
    said = in_gimp("closed_deep_image")
    assert said["precision"]
    assert said["adobe"]
    assert said["same"]


def test_an_image_remembers_its_settings(in_gimp: Found) -> None:
    said = in_gimp("save_and_reopen")
    assert (said["prompt"], said["strength"]) == ("a château in the mist", 0.35)
    assert said["layers"] == ["a château in the mist (seed 7)", "Painting"]


def test_a_style_is_chosen_and_a_pictures_settings_are_used(in_gimp: Found) -> None:
    check_styled(in_gimp("styled"))


def test_an_empty_layer_over_a_painting_is_filled_to_fit_it(in_gimp: Found) -> None:
    said = in_gimp("over_painting")
    check_over_painting(said)
    assert said["names"] == ["Sky", "a lake (seed 7) #1", "a lake (seed 7)", "New", "Painting"]


def test_steps_and_guidance_follow_the_model_until_they_are_changed(in_gimp: Found) -> None:
    check_fitted(in_gimp("fitted"))


def test_what_is_wrong_is_said(in_gimp: Found) -> None:
    said = in_gimp("wrong_input")
    assert said["no_image"] == "No image is open; open or create one first."
    assert "'no-such-model' is unknown" in said["model"]


def test_a_large_layer(in_gimp: Found) -> None:
    said = in_gimp("large")
    assert said["status"].startswith("Done")
    print({name: value for name, value in said.items() if name.endswith("_ms")})


def test_typed_numbers_are_read(in_gimp: Found) -> None:
    said = in_gimp("typed")
    assert said["made"] == [0.35, 7]
    check_typed(said, ".")


@pytest.fixture(scope="module")
def in_german(gimp: Gimp) -> Found:
    """What scenarios found out with German numbers, on a screen of twice as many pixels."""
    gimp.serve()
    with gimp.set_up("de_DE.UTF-8", scale=2):
        return without_errors(gimp.run("typed", "looks", "eraser", "cancelled"))


def test_typed_numbers_are_read_in_german(in_german: Found) -> None:
    said = in_german("typed")
    assert said["made"] == [0.35, 7]
    check_typed(said, ",")


def test_it_is_the_same_on_a_screen_of_twice_as_many_pixels(in_german: Found) -> None:
    assert in_german("looks")["width"] < 450
    check_eraser(in_german("eraser"))
    assert in_german("cancelled")["preview"][:2] == [160, 160]


# ---- what comes and goes -------------------------------------------------------------------


def test_generate_starts_the_daemon(gimp: Gimp) -> None:
    gimp.underpaint("stop")
    with ThreadPoolExecutor() as pool:
        if gimp.system:  # out of that folder nothing of ours can be started
            pool.submit(start_when_asked, gimp)
        said = gimp.run("no_daemon")["no_daemon"]
    assert not said["error"], said["error"]
    assert said["before"][0].startswith("No Underpaint daemon is running")
    assert said["before"][1] == "Start the daemon"
    assert said["status"] == ["Starting the daemon...", True]
    assert said["after"] == ["a lake (seed 7)", "Painting"]
    assert said["remedy"]


def test_a_script_is_told_that_no_daemon_runs(gimp: Gimp) -> None:
    gimp.underpaint("stop")
    said = gimp.run_headless("no_daemon")["no_daemon"]
    assert not said["error"], said["error"]
    assert said["told"].startswith("No Underpaint daemon is running")
    assert said["again"] == said["told"]


def start_when_asked(gimp: Gimp) -> None:
    """Stand in for the command that starts the daemon."""
    asked, done = gimp.folder / "asked", gimp.folder / "done"
    for file in (asked, done):
        file.unlink(missing_ok=True)
    command = ["sh", "-c", f"touch {asked}; while [ ! -e {done} ]; do sleep 0.1; done"]
    write_start_command(gimp.plugin / "lib" / "underpaint_editor", command)
    until(asked.exists, seconds=60)
    gimp.underpaint("serve", "--background")
    done.touch()


def test_a_killed_daemon_comes_back_and_the_job_with_it(gimp: Gimp) -> None:
    gimp.serve()
    with ThreadPoolExecutor() as pool:
        if gimp.system:
            pool.submit(start_when_asked, gimp)
        said = gimp.run("daemon_killed")["daemon_killed"]
    assert not said["error"], said["error"]
    assert said["layers"] in (["Painting"], ["Live preview", "Painting"])
    assert said["after"] == ["a lake (seed 7)", "Painting"]
    assert not said["remedy"]


def test_the_next_gimp_fetches_what_a_dead_one_asked_for(gimp: Gimp) -> None:
    gimp.serve()
    assert "gimp ended with" in gimp.run("left_behind")["left_behind"]["error"]
    said = gimp.run("fetched")["fetched"]
    assert not said["error"], said["error"]
    assert said["names"] == ["a lake (seeds 7 to 8)", "Painting"]
    assert said["results"] == ["seed 8", "seed 7"]
    assert said["after"] == [2, 2]  # once each, though they were fetched twice
    assert said["nothing_more"]


def jobs(gimp: Gimp) -> list[Any]:
    found: list[Any] = json.loads(gimp.underpaint("status", "--json"))["jobs"]
    return found


def test_the_picture_so_far_lies_over_the_hole_and_leaves_no_trace(in_gimp: Found) -> None:
    said = in_gimp("previewed")
    assert said["seen"] == ["Live preview", "Painting"]
    assert said["box"] == [80, 80, 96, 96]
    assert said["colours"] > 50
    assert said["whole"]  # the stroke during which it came
    assert said["selected"] == ["Painting"]
    assert said["after"] == ["Painting"]
    assert said["undone"]
    assert said["stroke_undone"]


def test_the_picture_so_far_minds_its_place(in_gimp: Found) -> None:
    said = in_gimp("previewed_beside")
    assert said["there"] == ["Live preview", "G"]
    assert "is the live preview" in said["refused"]
    assert said["colour"] == [99, 8, 7, 255]
    assert said["clean"]
    assert said["locked"] == said["colour"]
    assert said["swept"] == 3  # it is in use, and the copy is the artist's
    assert said["left"] == ["Live preview copy", "G"]
    assert said["end"] == ["G"]


def test_gimp_quits_while_a_job_goes_on(gimp: Gimp) -> None:
    gimp.serve()
    said = gimp.run("quits")["quits"]
    assert not said["error"], said["error"]
    assert said["status"].startswith("Step")
    until(lambda: not jobs(gimp))
    pids = subprocess.run(
        ["pgrep", "-f", str(gimp.plugin)], capture_output=True, text=True, check=False
    ).stdout
    assert pids == ""


def test_gimp_outlives_the_plug_in(gimp: Gimp) -> None:
    gimp.serve()
    with screen() as display, gimp.carry_on(gimp.on_screen, "hangs", display) as plugin:
        until(lambda: bool(jobs(gimp)))
        os.kill(plugin, signal.SIGKILL)
        until(lambda: not jobs(gimp))


def test_a_model_is_downloaded_from_the_window(gimp: Gimp, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_download(gimp, monkeypatch)["height"] <= 480
