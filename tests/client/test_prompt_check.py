"""What is wrong in a prompt is found where the artist wrote it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpaint_client.errors import BadInputError
from underpaint_client.prompt_check import find_prompt_error
from underpaint_client.prompt_choices import expand_prompt
from underpaint_client.prompt_language import parse_prompt


@pytest.mark.parametrize(
    ("prompt", "marked"),
    [
        ("a lake", None),
        ("", None),
        ("a <lora:> lake", "<lora:>"),
        ("a <lora:ink:much> lake", "<lora:ink:much>"),
        ("# <lora:>\na <layer: >", "<layer: >"),
        ("  # a comment\n# another\n<lora:>", "<lora:>"),
        ("{day|night} <lora:>", "<lora:>"),
        ("__birds__ and {a|{b|c}} <lora:x:y>", "<lora:x:y>"),
        ("(a:1.3) \U0001f600 <lora:>", "<lora:>"),
        ("{<lora:>|b}", None),
        ("<lora:ink:{0.5|1}>", None),
        ("<lora:{a|b}:much>", None),
        ("<lora:__name__>", None),
        ("<layer:{a|b}>", None),
        (r"\{<lora:>", "<lora:>"),
        ("<lora:", None),
        ("((a", None),
    ],
)
def test_errors_are_found_where_they_were_written(prompt: str, marked: str | None) -> None:
    error = find_prompt_error(prompt)
    if error is None:
        assert marked is None
    else:
        assert prompt[error.position : error.position + len(error.excerpt)] == marked
        assert f"character {error.position + 1}" in str(error)


@given(st.text(st.sampled_from("<>lora:a1_{}|#\n\\ ")) | st.text())
def test_nothing_is_called_wrong_that_the_daemon_can_read(prompt: str) -> None:
    error = find_prompt_error(prompt)
    if error is not None:
        assert prompt[error.position :].startswith(error.excerpt)
        with pytest.raises(BadInputError):
            parse_prompt(expand_prompt(prompt, 1, lambda _name: ("x",)))
