"""Read prompts for models whose processor reads pictures too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from transformers import Qwen2Tokenizer, Qwen3VLProcessor


class TextProcessor(Qwen3VLProcessor):  # type: ignore[misc]
    """Qwen3-VL's processor without what reads pictures, which would need torchvision.

    Parameters
    ----------
    tokenizer : Qwen2Tokenizer
        Its tokenizer.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer  # its own would ask for what reads pictures

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the processor in a folder, from a tokenizer's files alone."""
        return cls(Qwen2Tokenizer.from_pretrained(folder, local_files_only=True))

    def __call__(self, text: Any, **settings: Any) -> Any:
        """Return the tokens of texts, as the tokenizer does."""
        return self.tokenizer(text, **settings)

    def apply_chat_template(
        self,
        messages: Sequence[dict[str, Any]],
        **_: Any,
    ) -> list[list[int]]:
        """Return the tokens of a chat's texts in the form that the model was trained on."""
        texts = [
            f"<|im_start|>{message['role']}\n"
            + "".join(part["text"] for part in message["content"])
            + "<|im_end|>\n"
            for message in messages
        ]
        return [self.tokenizer("".join(texts))["input_ids"]]
