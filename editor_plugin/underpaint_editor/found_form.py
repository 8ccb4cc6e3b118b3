"""What the settings of a picture are in the form. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underpaint_client.conditioning import add_loras
from underpaint_client.found_settings import match_model
from underpaint_client.sentences import Listing, Sentence, join_sentences, sentence

from .form import BY_MODEL, FIELDS, Form

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from underpaint_client.found_settings import FoundSettings

PICTURES = ("*.png", "*.jpg", "*.jpeg", "*.webp")
"""The files that may have settings in them."""


def fill_form(
    form: Form, found: FoundSettings, models: Iterable[str]
) -> tuple[Form, list[Sentence]]:
    """Return a form with the settings of a picture, its seed locked.

    LoRAs stand in the prompt, as the form has no field for them. What the picture does not tell of
    sampling is left to the model, and all else stays.

    Parameters
    ----------
    form : Form
    found : FoundSettings
    models : iterable of str
        The names of the daemon's models.

    Returns
    -------
    Form
    list of Sentence
        What is not used, each without its capital and stop.
    """
    model, notes = match_model(found, dict.fromkeys(models, ""))
    values = dict(found.values)
    loras = values.pop("loras", ())
    values["prompt"] = add_loras(values.get("prompt", ""), loras)
    left = form.left_to_model()
    values = {**{name: left.value(name) for name in BY_MODEL}, **values}
    values.update(style="", seed_locked="seed" in values or form.seed_locked)
    if model:
        values["model"] = model
    shown = {field.name for field in FIELDS} | {"seed_locked"}
    words = (
        "size" if name in ("width", "height") else name for name in values if name not in shown
    )
    unshown = [word.replace("_", " ") for word in dict.fromkeys(words)]
    if unshown:
        told = sentence("there is no field for its {settings}", settings=Listing(unshown))
        notes = [*notes, told]
    return form.with_usable(values), [*found.notes, *notes]


def describe_used(program: str, unused: Sequence[Sentence]) -> Sentence:
    """Return the message that the settings of a program's picture are shown now."""
    copied = sentence("the settings of a picture made with {program} were copied", program=program)
    return join_sentences(copied, *unused)
