"""Embeddings in a prompt: words that are the name of one, and references."""

from __future__ import annotations

import pytest

from underpaint_client.prompt_embeddings import PromptPart, find_references, split_embeddings

KNOWN = {"ink", "bad-hands-5", "ng_v1_75t", "a b", "style/oil"}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a lake", ["a lake"]),
        ("", []),
        ("ink", [("ink", "ink", False)]),
        ("a lake, ink, fog", ["a lake, ", ("ink", "ink", False), ", fog"]),
        ("a lake.ink", ["a lake.ink"]),
        ("a lake, ink.", ["a lake, ", ("ink", "ink", False), "."]),
        ("inky ink-blot _ink", ["inky ink-blot _ink"]),
        ("bad-hands-5 ng_v1_75t",
         [("bad-hands-5", "bad-hands-5", False), " ", ("ng_v1_75t", "ng_v1_75t", False)]),
        ("x embedding:ink, y", ["x ", ("embedding:ink", "ink", True), ", y"]),
        ("Embedding:ink.", [("Embedding:ink", "ink", True), "."]),
        ("embedding:style/oil x", [("embedding:style/oil", "style/oil", True), " x"]),
        ("<embedding:a b> x", [("<embedding:a b>", "a b", True), " x"]),
        ("<embedding:ink:0.8>", [("<embedding:ink:0.8>", "ink", True)]),
        ("embedding:gone <embedding:gone>", ["embedding:gone <embedding:gone>"]),
        ("embedding: ink", ["embedding: ", ("ink", "ink", False)]),
        ("<embedding:> <>", ["<embedding:> <>"]),
    ],
)  # fmt: skip
def test_parts(text: str, parts: list[str | tuple[str, str, bool]]) -> None:
    found = list(split_embeddings(text, KNOWN.__contains__))
    assert found == [PromptPart(one) if isinstance(one, str) else PromptPart(*one) for one in parts]
    assert "".join(one.text for one in found) == text


def test_references_are_found_whether_they_are_known_or_not() -> None:
    found = list(find_references("ink, embedding:gone, <embedding:a b:1> embedding:"))
    assert found == [("embedding:gone", "gone"), ("<embedding:a b:1>", "a b")]


@pytest.mark.parametrize(
    "text", ["<embedding:" * 20_000, "embedding:" * 20_000, "a" * 200_000, "<" * 200_000]
)
def test_long_texts_are_split_in_time_that_grows_with_them(text: str) -> None:
    assert "".join(one.text for one in split_embeddings(text, KNOWN.__contains__)) == text
