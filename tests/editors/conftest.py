"""Real editors; where they are not installed, their tests are skipped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from real_editors import Found, Gimp, Krita, find_gimp, find_krita, without_errors

KRITA = (
    "contract",
    "nothing_there",
    "looks",
    "shortcuts",
    "ctrl_enter",
    "typed",
    "weighed",
    "completed",
    "nested",
    "failed",
    "controlled",
    "control_made",
    "referenced",
    "regional",
    "painted_at_once",
    "eraser",
    "over_painting",
    "hidden_colour",
    "batch",
    "soft_selection",
    "whole_layer",
    "empty_selected",
    "deleted_group",
    "documents_keep_their_forms",
    "fitted",
    "styled",
    "cleared",
    "transparency_mask",
    "filter_mask",
    "two_masks",
    "colorize_mask",
    "local_selection",
    "off_canvas",
    "noted",
    "removed",
    "undone",
    "group_layer",
    "vector_layer",
    "empty_layer",
    "eight_bit",
    "sixteen_bit",
    "floating",
    "grey",
    "cmyk",
    "cancelled",
    "overlaid",
    "two_documents",
    "hidden_and_locked",
    "deleted_layer",
    "varied",
    "kept_one",
    "more_of_these",
    "result_keys",
    "kept_with_locks",
    "compared",
    "compared_and_saved",
    "carded",
    "sketched",
    "duplicated",
    "newest",
    "queued",
    "closed_document",
    "save_and_reopen",
    "large",
    "wrong_input",
)
GIMP = (
    "contract",
    "looks",
    "eraser",
    "over_painting",
    "meanwhile",
    "again",
    "controlled",
    "control_made",
    "referenced",
    "regional",
    "entered",
    "typed",
    "weighed",
    "completed",
    "queued",
    "varied",
    "kept_one",
    "more_of_these",
    "result_keys",
    "kept_with_locks",
    "compared",
    "carded",
    "fitted",
    "styled",
    "duplicated",
    "sketched",
    "cancelled",
    "previewed",
    "previewed_beside",
    "two_images",
    "unseen_front",
    "cautioned",
    "closed_image",
    "deleted_and_resized",
    "changed_meanwhile",
    "closed_deep_image",
    "save_and_reopen",
    "wrong_input",
    "large",
)
GIMP_HEADLESS = (
    "patch",
    "batch",
    "exact",
    "exact_with_mask",
    "colour_managed",
    "looks_right",
    "poorer",
    "emptied",
    "masked",
    "offset",
    "kinds_of_layers",
    "locked",
    "refused",
    "selected_channel",
    "sourced",
    "odd_calls",
    "misused",
    "scripted",
    "timed",
)


@pytest.fixture(scope="session")
def krita() -> Iterator[Krita]:
    """A Krita with the plug-in and the tests' agent installed."""
    krita = Krita(*find_krita())
    yield krita
    krita.close()


@pytest.fixture(scope="session")
def in_krita(krita: Krita) -> Found:
    """What the scenarios that leave the daemon alone found out, by name; Krita runs once."""
    krita.serve()
    return without_errors(krita.run(*KRITA))


@pytest.fixture(scope="session")
def gimp() -> Iterator[Gimp]:
    """A GIMP with the plug-in installed."""
    gimp = Gimp(*find_gimp())
    yield gimp
    gimp.close()


@pytest.fixture(scope="session")
def in_gimp(gimp: Gimp) -> Found:
    """What the scenarios on the screen found out, by name; GIMP runs once."""
    gimp.serve()
    return without_errors(gimp.run(*GIMP))


@pytest.fixture(scope="session")
def scripted(gimp: Gimp) -> Found:
    """What the scenarios without a screen found out, by name; GIMP runs once."""
    gimp.serve()
    return without_errors(gimp.run_headless(*GIMP_HEADLESS))
