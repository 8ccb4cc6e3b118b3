"""Settings in a graph of ComfyUI: a JSON object of nodes, whose inputs are values or links.

``{"3": {"class_type": "KSampler", "inputs": {"steps": 20, "model": ["4", 0], ...}}, ...}``

From the node that samples, the links are followed against their direction. What is nearest counts:
so nodes of any kind are understood that name their inputs as ComfyUI's own do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .found_settings import FoundSettings, Settings, parse_object
from .prompt_choices import escape_prompt
from .sentences import sentence

MOST_NODES = 5000
"""Nodes of the largest graph that is read."""

_TEXTS = ("text", "text_g", "t5xxl", "prompt", "clip_l", "text_l", "string", "value")
_VALUES = ("value", "seed", "noise_seed", "int", "float", "number")
_CONDITIONING = ("conditioning", "conditioning_1", "conditioning_to", "cond1")
_LOADERS = ("ckpt_name", "unet_name", "model_name", "gguf_name")

_USED = re.compile(
    r"KSampler|SamplerCustom|RandomNoise|BasicScheduler|KSamplerSelect|Guider|CLIPTextEncode"
    r"|Checkpoint|UNETLoader|Unet|CLIPLoader|VAELoader|VAEEncode|Empty\w*Latent|LoraLoader"
    r"|CLIPSetLastLayer|FluxGuidance|ModelSampling|LoadImage|Primitive|String|Reroute|Seed"
    r"|ConditioningZeroOut|ConditioningCombine|SetLatentNoiseMask|Text|Note"
)
"""The kinds of nodes whose part in the picture is understood, or changes little."""


def parse_comfy(text: str) -> FoundSettings | None:
    """Return the settings in a graph; None if nothing in it samples.

    Raises
    ------
    ValueError
        It is no JSON object, or too large.
    """
    nodes = _read_nodes(parse_object(text))
    graph = _Graph(nodes)
    samplers = [name for name, node in nodes.items() if graph.is_sampler(name)]
    if not samplers:
        return None
    # One that paints on what another has painted comes after it.
    first = next((one for one in samplers if not graph.samples_before(one)), samplers[0])
    settings = Settings("ComfyUI")
    if len(samplers) > 1:
        settings.notes.append(
            sentence("{count} samplers follow each other; the first is used", count=len(samplers))
        )
    graph.fill(settings, first)
    return settings.found()


@dataclass(frozen=True)
class _Node:
    kind: str
    inputs: dict[str, Any] = field(default_factory=dict)


def _read_nodes(found: dict[str, Any]) -> dict[str, _Node]:
    if len(found) > MOST_NODES:
        raise ValueError(f"it has {len(found)} nodes, and at most {MOST_NODES} are read")
    nodes = {}
    for name, one in found.items():
        if isinstance(one, dict) and isinstance(one.get("inputs"), dict):
            nodes[name] = _Node(str(one.get("class_type", "")), one["inputs"])
    return nodes


class _Graph:
    """See the module; links may lead anywhere, and in circles."""

    def __init__(self, nodes: dict[str, _Node]) -> None:
        self._nodes = nodes

    def is_sampler(self, name: str) -> bool:
        """Return whether a node samples: it has a latent, and steps or sigmas."""
        inputs = self._nodes[name].inputs
        return "latent_image" in inputs and bool(inputs.keys() & {"steps", "sigmas"})

    def samples_before(self, name: str) -> bool:
        """Return whether the latent that a sampler is given comes from another one."""
        start = self._linked(self._nodes[name].inputs.get("latent_image"))
        return start is not None and any(
            self.is_sampler(one) for one in self._before(start) if one != name
        )

    def fill(self, settings: Settings, sampler: str) -> None:
        """Collect the settings of a sampler's picture."""
        seed = self._find(sampler, "seed")
        settings.add("seed", self._find(sampler, "noise_seed") if seed is None else seed)
        settings.add("steps", self._find(sampler, "steps"))
        settings.add_sampler(self._find(sampler, "sampler_name"), self._find(sampler, "scheduler"))
        cfg, guidance = self._find(sampler, "cfg"), self._find(sampler, "guidance")
        settings.add("guidance_scale", guidance if cfg in (None, 1) and guidance else cfg)
        denoise = self._find(sampler, "denoise")
        settings.add("strength", None if denoise == 1 else denoise)
        for name in ("width", "height"):
            settings.add(name, self._find_latent(sampler, name))
        self._fill_prompts(settings, sampler)
        self._fill_model(settings, sampler)
        unused = {self._nodes[name].kind for name in self._before(sampler)}
        for kind in sorted(unused):
            if not _USED.search(kind):
                settings.notes.append(sentence("the node {kind} is not used", kind=kind[:60]))

    def _fill_prompts(self, settings: Settings, sampler: str) -> None:
        for name, wanted in (
            ("prompt", ("positive", "conditioning")),
            ("negative_prompt", ("negative",)),
        ):
            settings.values[name] = ""
            holder = next((one for one in self._before(sampler) if self._has(one, wanted)), None)
            if holder is not None:
                texts = list(dict.fromkeys(self._texts(holder, wanted)))
                settings.add(name, _translate(texts[0]) if texts else None)
                for more in texts[1:]:
                    settings.notes.append(sentence("the text {text!r} is not used", text=more[:60]))

    def _fill_model(self, settings: Settings, sampler: str) -> None:
        skip = self._find(sampler, "stop_at_clip_layer")
        if type(skip) is int and skip < 0:
            settings.add("clip_skip", -skip)
        loras = []
        start = next((one for one in self._before(sampler) if self._has(one, ("model",))), None)
        name = None if start is None else self._linked(self._nodes[start].inputs["model"])
        seen = set()
        while name is not None and name not in seen:
            seen.add(name)
            inputs = self._nodes[name].inputs
            if "lora_name" in inputs:
                loras.append([self._value(inputs.get(one)) for one in _OF_LORA])
            loader = next((self._value(inputs[one]) for one in _LOADERS if one in inputs), None)
            if isinstance(loader, str):
                settings.add_model(loader)
                break
            name = self._linked(inputs.get("model"))
        for lora, weight, encoder in reversed(loras):  # as they are applied
            settings.add_lora(lora, 1.0 if weight is None else weight, encoder)

    # ---- following links -------------------------------------------------------------------

    def _linked(self, value: Any) -> str | None:
        """Return the node that an input is linked to; None if it is no link to a node."""
        is_link = isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
        return value[0] if is_link and value[0] in self._nodes else None

    def _before(self, name: str) -> Iterator[str]:
        """Yield a node and all that lead to it, the nearest first."""
        seen, waiting = {name}, [name]
        for one in waiting:
            yield one
            for value in self._nodes[one].inputs.values():
                node = self._linked(value)
                if node is not None and node not in seen:
                    seen.add(node)
                    waiting.append(node)

    def _has(self, name: str, inputs: tuple[str, ...]) -> bool:
        return any(self._linked(self._nodes[name].inputs.get(one)) for one in inputs)

    def _value(self, value: Any) -> Any:
        """Return an input's value; where it is a link, that of the node of a value."""
        for _ in range(20):
            node = self._linked(value)
            if node is None:
                return None if isinstance(value, (list, dict)) else value
            inputs = self._nodes[node].inputs
            value = next((inputs[one] for one in (*_VALUES, *_TEXTS) if one in inputs), None)
        return None

    def _find(self, sampler: str, name: str) -> Any:
        """Return the nearest value of an input of that name."""
        for one in self._before(sampler):
            found = self._value(self._nodes[one].inputs.get(name))
            if found is not None:
                return found
        return None

    def _find_latent(self, sampler: str, name: str) -> Any:
        start = self._linked(self._nodes[sampler].inputs.get("latent_image"))
        return None if start is None else self._find(start, name)

    def _texts(self, holder: str, wanted: tuple[str, ...]) -> Iterator[str]:
        """Yield the texts that become a node's conditioning, the nearest first.

        Nodes that take a positive and a negative one pass each on by its own name.
        """
        inputs = self._nodes[holder].inputs
        start = next((node for one in wanted if (node := self._linked(inputs.get(one)))), None)
        seen: set[str] = set()
        waiting = [] if start is None else [start]
        for name in waiting:
            if name in seen:
                continue
            seen.add(name)
            inputs = self._nodes[name].inputs
            if self._nodes[name].kind == "ConditioningZeroOut":
                continue
            values = (self._value(inputs[one]) for one in _TEXTS if one in inputs)
            text = next((one for one in values if isinstance(one, str)), None)
            if text is not None:
                yield text
                continue
            followed = wanted if self._has(name, wanted) else _CONDITIONING
            for key, value in inputs.items():
                node = self._linked(value)
                if node is not None and (key in followed or key.startswith("conditioning")):
                    waiting.append(node)


_OF_LORA = ("lora_name", "strength_model", "strength_clip")


def _translate(text: str) -> str:
    """Return a prompt in our language: square brackets are text there."""
    return escape_prompt(re.sub(r"(?<!\\)[\[\]]", r"\\\g<0>", text))
