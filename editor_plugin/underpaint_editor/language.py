"""The language in which an editor shows texts."""

from __future__ import annotations

import gettext
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from underpaint_client.sentences import Catalogue

LOCALES = Path(__file__).parent / "locale"


def find_catalogue(language: str, folder: Path = LOCALES) -> Catalogue:
    """Return the translations into a language, for `sentences.translate`.

    Parameters
    ----------
    language : str
        As the editor names it, such as `de`, `de_DE` or `pt-BR`.
    folder : Path
        Of gettext's catalogues: `de/LC_MESSAGES/underpaint.mo`.

    Returns
    -------
    Catalogue
        That of the language, or of the language without its country; English where there is none.
    """
    return gettext.translation(
        "underpaint", str(folder), [language.replace("-", "_")], fallback=True
    )
