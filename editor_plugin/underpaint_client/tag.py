"""What a result's layer carries: its recipe, and the layer that it was made from.

It travels with the file: Krita keeps it as an annotation, GIMP as a parasite.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .form import Form
from .request import Recipe, escape_braces

if TYPE_CHECKING:
    from .request import Request

_FORMAT = 1


@dataclass(frozen=True)
class Tag:
    """See the module.

    Parameters
    ----------
    recipe : Recipe
        Of this layer's picture.
    source : str
        The editor's own lasting name of the layer that was sent.
    job : str
        What it came of, to know it again; empty in files of older versions.
    index : int
        Which picture of that it is.
    """

    recipe: Recipe
    source: str
    job: str = ""
    index: int = 0

    def to_text(self) -> str:
        """Give the tag as text in ASCII."""
        found = {
            "format": _FORMAT,
            "source": self.source,
            "recipe": self.recipe.to_dict(),
            "job": self.job,
            "index": self.index,
        }
        return json.dumps(found)

    @classmethod
    def from_text(cls, text: str) -> Tag | None:
        """Read what `to_text` wrote; None for what is broken, foreign or of a newer Underpaint."""
        try:
            found = json.loads(text)
            if found["format"] != _FORMAT or not isinstance(found["source"], str):
                return None
            job, index = str(found.get("job", "")), int(found.get("index", 0))
            return cls(Recipe.from_dict(found["recipe"]), found["source"], job, index)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError):
            return None

    def variations(self, amount: float, images: int, seed: int) -> Request:
        """Give the request for variations of this picture.

        Parameters
        ----------
        amount : float
            0..1, how far from it.
        images : int
            How many.
        seed : int
            The own seed of the first; the others count up.
        """
        return replace(
            self.recipe.to_request(),
            images=images,
            chain=False,
            prompt=escape_braces(self.recipe.prompt),
            seed=self.recipe.seed,
            variations=self.recipe.variations,
            variation_amount=amount,
            variation_seed=seed,
        )

    def to_form(self, form: Form) -> Form:
        """Give a form with the settings that made this picture, its seed locked."""
        recipe, text = self.recipe, form.to_text()
        known = {**json.loads(text), **recipe.to_dict(), "seed_locked": True}
        known["images"], known["prompt"] = form.images, escape_braces(recipe.prompt)
        if form.mode == "auto":  # which would settle on the recipe's again
            known["mode"] = form.mode
        return Form.from_text(json.dumps(known), form)
