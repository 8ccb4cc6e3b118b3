"""The buttons that every editor shows, and what screen readers call the rest."""

from __future__ import annotations

from dataclasses import dataclass

from underpaint_client.sentences import Label


@dataclass(frozen=True)
class Button:
    """Something to press."""

    name: str
    label: Label
    tip: Label


BUTTONS = {
    button.name: button
    for button in (
        Button(
            "generate", "Generate", "Generate images as described above (Ctrl+Enter in the prompt)"
        ),
        Button(
            "cancel",
            "Cancel",
            "Stop all jobs. Finished images are kept, and the preview if you ask",
        ),
        Button(
            "add_alpha",
            "Add an Alpha Channel",
            "Give the layer transparency, so that what you erase keeps its colour and is filled",
        ),
        Button(
            "picture",
            "Settings of a picture...",
            "Use the settings in a picture that Underpaint, Stable Diffusion WebUI, ComfyUI or"
            " InvokeAI has made",
        ),
        Button(
            "make_control",
            "Make a control layer from this",
            "Add a layer with the edges, the depth or the pose that this layer shows, to hold"
            " images to. You can paint on it",
        ),
        Button("vary", "Vary", "Make variations of the selected result, in its group"),
        Button("settings", "Settings", "Copy the settings of the selected result"),
        Button("previous", "\u25c0", "Show the previous result"),
        Button("next", "\u25b6", "Show the next result"),
        Button(
            "compare",
            "Compare",
            "Hold to see the original layer without its results",
        ),
        Button(
            "keep",
            "Keep",
            "Keep this result and delete the others of its group, except locked ones. Undo restores"
            " them",
        ),
        Button("drop", "\u2715", "Cancel this job. Its finished images are kept"),
        Button("hurry", "\u2191", "Run this job next"),
        Button("seed_dice", "New", "Draw a new seed"),
        Button("seed_locked", "Lock", "Reuse this seed"),
        Button(
            "auto",
            "Auto",
            "Use what suits the model. Pressed until you change the number; press it again to go"
            " back",
        ),
    )
}

RESULT_BUTTONS = ("previous", "next", "compare", "keep", "vary", "settings")
"""Those that are shown while a result is selected; the amount of variation is beside `vary`."""

SPOKEN: dict[str, Label] = {
    "plan": "What Generate will do",
    "status": "Status",
    "progress": "Progress",
    "preview": "Live preview",
    "model_facts": "About the model",
    "model_picture": "What the model paints",
    "page": "Results shown",
}
"""What screen readers call the parts that are not controls."""
