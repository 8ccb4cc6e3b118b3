"""What a result's layer carries: its recipe, and the layer that it was made from.

It travels with the file: Krita keeps it as an annotation, GIMP as a parasite.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from underpaint_client.conditioning import add_loras
from underpaint_client.errors import BadInputError
from underpaint_client.prompt_choices import escape_prompt
from underpaint_client.recipe import Recipe
from underpaint_client.sentences import Sentence, sentence
from underpaint_client.variations import MAX_VARIATIONS

from .form import Form
from .layer_role import role_made

if TYPE_CHECKING:
    from underpaint_client.request import Request

_FORMAT = 1


@dataclass(frozen=True)
class Tag:
    """See the module.

    Parameters
    ----------
    recipe : Recipe or None
        Of this layer's picture; None for a preview that was kept when its job was cancelled.
    source : str
        The lasting name of the layer that was sent: our id of it (`layer_id`), or the editor's own.
    job : str
        The id of the job that it is a result of; empty in files of older versions.
    index : int
        Which picture of that it is.
    """

    recipe: Recipe | None
    source: str
    job: str = ""
    index: int = 0

    @property
    def is_result(self) -> bool:
        """Whether the layer is a result, and no control layer that was made of another layer."""
        return role_made(self.recipe) is None

    def to_text(self) -> str:
        """Return the tag as text in ASCII."""
        found = {
            "format": _FORMAT,
            "source": self.source,
            "recipe": None if self.recipe is None else self.recipe.to_dict(),
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
            recipe = None if found["recipe"] is None else Recipe.from_dict(found["recipe"])
            job, index = str(found.get("job", "")), int(found.get("index", 0))
            return cls(recipe, found["source"], job, index)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError):
            return None

    def variations(self, amount: float, images: int, seed: int) -> Request:
        """Return the request for variations of this picture.

        Parameters
        ----------
        amount : float
            0..1, how far from it.
        images : int
            How many.
        seed : int
            The own seed of the first; the others count up.

        Raises
        ------
        BadInputError
            If this is a kept preview, or already has too many variations.
        """
        recipe = self._finished()
        facts = recipe.facts
        if len(facts.variations) > MAX_VARIATIONS:
            raise BadInputError(
                "this result is {count} variations away from its first seed, and the limit is"
                " {most}; vary an earlier result of its group, or press Settings and generate"
                " again",
                count=len(facts.variations),
                most=MAX_VARIATIONS,
            )
        return recipe.request.with_values(
            images=images,
            chain=False,
            prompt=escape_prompt(facts.prompt),
            seed=facts.seed,
            variations=facts.variations,
            variation_amount=amount,
            variation_seed=seed,
        )

    def to_form(self, form: Form) -> Form:
        """Return a form with the settings that made this picture, its seed locked.

        LoRAs of the request stand in the prompt, as the form has no field for them.

        Raises
        ------
        BadInputError
            If this is a kept preview.
        """
        recipe = self._finished()
        used = recipe.request.with_values(
            images=form.settings.sampling.images,
            prompt=escape_prompt(add_loras(recipe.facts.prompt, recipe.request.conditioning.loras)),
            seed=recipe.facts.seed,
        )
        if form.settings.mode == "auto":  # which would settle on the recipe's again
            used = used.with_values(mode="auto")
        return form.with_usable({**used.values(), "seed_locked": True})

    def settings_without_field(self) -> list[Sentence]:
        """Name what made this picture and has no place in the form."""
        recipe = self._finished()
        there = {
            sentence("its variation (use Vary to continue from it)"): bool(recipe.facts.variations),
            sentence("its position in a chain"): recipe.chained > 0,
            sentence("its processing size"): recipe.request.size.box is not None,
            sentence("its control layers (those that are visible are used)"): bool(
                recipe.facts.controls
            ),
            sentence("its reference layers (those that are visible are used)"): bool(
                recipe.facts.references
            ),
            sentence("its regions (those that are visible are used)"): bool(recipe.facts.regions),
        }
        return [name for name, so in there.items() if so]

    def _finished(self) -> Recipe:
        if self.recipe is None:
            raise BadInputError("a preview has no settings; select a finished result")
        return self.recipe
