"""What the seed chooses in a prompt, and that a chosen prompt is chosen for good."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import underpaint_client
from underpaint_client.errors import BadInputError
from underpaint_client.prompt_choices import escape_prompt, expand_prompt
from underpaint_client.request import MAX_PROMPT, Request
from underpaint_client.seeds import expand_chain, image_prompt, request_of_image

FILES = {
    "bird": ["owl", "wren", "heron", "swift"],
    "animals/cat_tail": ["long", "short"],
    "nested": ["a __bird__ in {snow|rain}", "two __bird__"],
    "weighted": ["(red:1.3)"],
    "loop": ["and __loop__"],
    "wide": ["__wide__ " * 50],
}


def read(name: str) -> list[str]:
    if name not in FILES:
        raise BadInputError(f"there is no wildcard __{name}__")
    return FILES[name]


def chosen(prompt: str, seeds: int = 40) -> set[str]:
    return {expand_prompt(prompt, seed, read) for seed in range(seeds)}


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a {day|night}", {"a day", "a night"}),
        ("{a|{b|c}}", {"a", "b", "c"}),
        ("{one}", {"one"}),
        ("a {|b}", {"a ", "a b"}),
        ("{a|b", {"{a|b"}),
        ("a|b}", {"a|b}"}),
        (r"\{a|b\}", {"{a|b}"}),
        (r"{a\|b|c}", {"a|b", "c"}),
        ("a __bird__", {"a owl", "a wren", "a heron", "a swift"}),
        ("__animals/cat_tail__ish", {"longish", "shortish"}),
        ("{__bird__|sun}", {"owl", "wren", "heron", "swift", "sun"}),
        ("__weighted__ sky", {"(red:1.3) sky"}),
        (r"a \__bird__", {"a __bird__"}),
        ("_bird_ __ __ ___ a_b __/x__ ____", {"_bird_ __ __ ___ a_b __/x__ ____"}),
        ("# all\na lake\n  # more\nat dusk", {"a lake\nat dusk"}),
        ("# __missing__ {a", {""}),
        ("a lake # 1", {"a lake # 1"}),
        (r"\# a", {"# a"}),
        ("a\n\\#b", {"a\n#b"}),
    ],
)
def test_what_is_chosen(prompt: str, expected: set[str]) -> None:
    assert chosen(prompt) == expected


def test_nested_wildcards() -> None:
    found = chosen("__nested__", 200)
    assert found == {
        *(f"a {bird} in {weather}" for bird in FILES["bird"] for weather in ("snow", "rain")),
        *(f"two {bird}" for bird in FILES["bird"]),
    }


def test_wildcards_choose_each_by_itself() -> None:
    found = chosen("__bird__ __bird____bird__", 400)
    assert len(found) == 4**3


def test_wildcards_leave_the_other_choices_as_they_were() -> None:
    for seed in range(40):
        with_one = expand_prompt("__weighted__ {a|b|c} {d|e}", seed, read)
        assert with_one == "(red:1.3) " + expand_prompt("{a|b|c} {d|e}", seed)


def test_the_seed_chooses_the_same_on_every_machine() -> None:
    found = [expand_prompt("{a|b|c} __bird__", seed, read) for seed in range(6)]
    assert found == ["c wren", "a owl", "c heron", "a owl", "a wren", "b owl"]
    assert [expand_prompt("a {b|c}", f"{seed} negative") for seed in range(4)] == [
        "a b", "a b", "a b", "a c",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("__missing__", "no wildcard __missing__"),
        ("{a|__missing__}", "no wildcard __missing__"),
        ("__loop__", "more than 8 deep, at __loop__; take it out"),
        ("__wide__", f"longer than {MAX_PROMPT} characters, the last of them __wide__"),
        ("x" * (MAX_PROMPT - 5) + "__weighted__", f"longer than {MAX_PROMPT} characters"),
    ],
)
def test_wildcards_that_cannot_be_chosen(prompt: str, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        expand_prompt(prompt, 1, read)


TRICKY = st.text(st.sampled_from("{}|\\_#ab \n/-")) | st.text()


@given(TRICKY, st.integers(0, 2**32 - 1))
def test_a_chosen_prompt_is_chosen_for_good(prompt: str, seed: int) -> None:
    assert expand_prompt(escape_prompt(prompt), seed, read) == prompt


@given(TRICKY, st.integers(0, 2**32 - 1))
def test_any_text_is_chosen_from_or_refused(prompt: str, seed: int) -> None:
    try:
        found = expand_prompt(prompt, seed, read)
    except BadInputError:
        return
    assert found == expand_prompt(prompt, seed, read)
    assert expand_prompt(escape_prompt(found), seed + 1) == found


# ---- requests ------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"variation_amount": 0.3, "variation_seed": 9}])
@pytest.mark.parametrize("chain", [False, True])
def test_a_request_of_an_image_needs_no_files(chain: bool, changes: dict[str, float]) -> None:
    request = expand_chain(
        Request.of(
            prompt="__bird__ {a|b} \\__x__", negative_prompt="no __bird__ {a|b}", images=4, seed=5,
            chain=chain, **changes,
        ),
        read,
    )  # fmt: skip
    prompts = [image_prompt(request, index, read) for index in range(4)]
    for index, expected in enumerate(prompts):
        again = request_of_image(request, index, expected)
        last = again.sampling.images - 1
        assert last == (index if chain else 0)
        found = [image_prompt(again, number) for number in range(last + 1)]
        assert found == (prompts[: index + 1] if chain else [expected])
        assert request_of_image(again, last) == again
    assert all(one.positive.endswith(" __x__") for one in prompts)
    assert {one.negative.split()[1] for one in prompts} <= set(FILES["bird"])


def test_the_images_of_a_chain_share_their_wildcards_and_no_more() -> None:
    request = Request.of(prompt="__bird__ {a|b}", images=12, seed=1)
    made = expand_chain(request.with_values(chain=True), read)
    prompts = [image_prompt(made, index, read).positive.split() for index in range(12)]
    assert len({bird for bird, _ in prompts}) == 1
    assert len({letter for _, letter in prompts}) == 2
    assert expand_chain(request, read) == request
    assert len({image_prompt(request, index, read).positive for index in range(12)}) > 2


HOSTILE = """
import itertools, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
from underpaint_client.errors import BadInputError
from underpaint_client.prompt_choices import escape_prompt, expand_prompt
parts = ["{", "}", "|", "\\\\", "_", "__", "__a", "__a__", "__a/", "#", "\\n#", " ", "\\t",
         "{a|b}", "{|", "\\\\{", "\\\\_", "__w__", "a"]
firsts = ["", "{", "__", "__a", "\\\\", "#", "\\t"]
for first, rest in itertools.product(firsts, parts):
    text = first + rest * (20_000 // len(rest))
    for read in (None, lambda name: ["__w__ __w__", "__a__"] if name == "w" else ["", "b"]):
        try:
            expand_prompt(text, 1, read)
        except BadInputError:
            pass
    escape_prompt(text)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs limits of processes")
def test_no_prompt_takes_long_to_choose_from() -> None:
    """Ends by a limit on the CPU's time, many times what is needed, where one does."""
    folder = Path(underpaint_client.__file__).parents[1]
    subprocess.run([sys.executable, "-c", HOSTILE], check=True, env={"PYTHONPATH": str(folder)})
