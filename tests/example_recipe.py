"""A recipe to make results of, in tests."""

from __future__ import annotations

from underpaint_client.recipe import Recipe


def make_recipe() -> Recipe:
    return Recipe(
        mode="inpaint",
        prompt="ein See, 湖, بحيرة",
        negative_prompt="",
        strength=0.75,
        strength_run=0.75,
        steps=20,
        steps_run=15,
        schedule=20,
        compensate=False,
        guidance_scale=7.5,
        seed=1,
        sampler="k_lms",
        model="m",
        model_hash="",
        width=2,
        height=1,
        box=None,
        fit=False,
        work_area=(0, 0, 2, 1),
        work_size=(64, 64),
        fill="auto",
        result="layer",
        notes=("a note",),
        versions={"torch": "2"},
    )
