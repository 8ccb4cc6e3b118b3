"""The checks of the contract as tests that an adapter's own test module inherits.

Subclass `ContractTests`, and give it a fixture `editor` that returns a `RunnableEditor`: what an
artist does in the editor, and a way to run it. `test_contract.py` does so for the fake editor. An
editor with an event loop of its own runs `contract_checks.CHECKS` inside itself instead, as
`tests/editors` does with Krita and GIMP.
"""

from __future__ import annotations

from typing import Protocol

import pytest

from editor.contract_checks import CHECKS, Check, EditorUnderTest


class RunnableEditor(EditorUnderTest, Protocol):
    """An editor whose events are handled when the test says so."""

    def run(self, milliseconds: int) -> None:
        """Let the editor handle its events."""


class ContractTests:
    """See the module."""

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_contract(self, editor: RunnableEditor, check: Check) -> None:
        for seconds in check(editor):
            editor.run(round(1000 * seconds))
