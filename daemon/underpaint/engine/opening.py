"""Open a model from exactly the files that were checked and hashed.

diffusers and transformers look into a folder and choose by themselves: an index before a file, a
pickle where there is no safetensors, an adapter in the same folder. So they are given a folder of
their own, which holds the files of `ModelInfo.parts` and nothing else, under the names that are
looked for first: weights as links, the small files as copies. Parts that lie in a file of another
layout are opened by `single_file`, through the same links.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from underpaint.models import (
    INDEX,
    ModelInfo,
    Part,
    read_config,
    read_json,
    read_text,
    read_weight_map,
    stamp_files,
)
from underpaint.models.model_index import DENOISERS, PARTS, is_tokenizer
from underpaint_client.errors import ModelUnavailableError

from .single_file import open_from_file
from .text_processor import TextProcessor

_LIBRARIES = {"diffusers": diffusers, "transformers": transformers}


def open_pipeline(
    info: ModelInfo,
    pipeline_class: Any,
    dtype: torch.dtype,
    *,
    store: Callable[[Any], None] = lambda _denoiser: None,
) -> Any:
    """Open a model's parts, and put them together.

    Parameters
    ----------
    info : ModelInfo
        From `describe_model`.
    pipeline_class : type
        A diffusers pipeline of the model's family.
    dtype : torch.dtype
        Which precision to compute in.
    store : callable
        Stores the denoiser's weights in fewer bits. It is opened first, so that the other parts
        need no memory while it is whole.

    Returns
    -------
    pipeline_class
        Complete: each weight was in the files, and the tokenizers read prompts.

    Raises
    ------
    ModelUnavailableError
        A weight is missing, the tokenizer drops words, or the files changed meanwhile.
    Exception
        What diffusers and transformers raise where they cannot open a part.
    """
    with _folder_of(info) as folder:
        given = {part.name for part in info.parts}
        optional = {*pipeline_class._optional_components, *PARTS[info.family]}
        parts: dict[str, Any] = dict.fromkeys(optional - given)
        for part in sorted(info.parts, key=lambda part: part.name not in DENOISERS):
            if part.has_weights:
                parts[part.name], missing = _open_part(part, folder, dtype)
                _check_weights(info, part.name, parts[part.name], missing)
                if part.name in DENOISERS:
                    store(parts[part.name])
            elif part.class_name == "Qwen3VLProcessor":
                parts[part.name] = TextProcessor.open(folder / part.name)
        pipeline = pipeline_class.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, **parts
        )
    if stamp_files(info.path, info.files) != info.stamps:
        raise ModelUnavailableError(
            "model {path} was changed while it was opened; try again when it is complete",
            path=info.path,
        )
    for name, tokenizer in pipeline.components.items():
        if is_tokenizer(name) and tokenizer is not None:
            if "CLIP" in type(tokenizer).__name__:
                tokenizer.model_max_length = info.prompt_tokens
            _check_tokenizer(info, name, getattr(tokenizer, "tokenizer", tokenizer))
    return pipeline


def _open_part(part: Part, folder: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    """Open one part, and return it with the names of the weights that it lacks.

    Parameters
    ----------
    part : Part
        One with weights.
    folder : Path
        From `_folder_of`.
    dtype : torch.dtype
        Which precision to compute in.
    """
    part_class = getattr(_LIBRARIES[part.library], part.class_name)
    if part.inside is None:
        opened, found = part_class.from_pretrained(
            folder / part.name,
            **{"dtype" if part.library == "transformers" else "torch_dtype": dtype},
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
        return opened, found["missing_keys"]
    file = next(folder / part.name / one.opened_as for one in part.files if one.is_weights)
    return open_from_file(part, part.inside, part_class, file, dtype)


@contextmanager
def _folder_of(info: ModelInfo) -> Iterator[Path]:
    """Yield a folder with the files of a model, and nothing else, and remove it afterwards."""
    with ExitStack() as stack:
        try:
            lent = tempfile.TemporaryDirectory(prefix="underpaint-", ignore_cleanup_errors=True)
            folder = Path(stack.enter_context(lent))
            _fill(folder, info)
        except OSError as error:
            raise ModelUnavailableError(
                "model {path} cannot be opened: {folder} cannot be written to ({reason}); make"
                " room there, or name another folder in TMPDIR",
                path=info.path,
                folder=tempfile.gettempdir(),
                reason=error.strerror or error,
            ) from error
        yield folder


def _fill(folder: Path, info: ModelInfo) -> None:
    index, parts = read_json(info.path, info.index), {part.name for part in info.parts}
    plain = {key: value for key, value in index.items() if key in parts or not _is_class(value)}
    (folder / INDEX).write_text(json.dumps(plain), encoding="utf-8")
    for part in info.parts:
        (folder / part.name).mkdir()
        for file in part.files:
            target = folder / part.name / file.opened_as
            if file.is_weights:
                _link(info.path / file.path, target)
                continue
            if file.is_index:
                shards = {"metadata": {}, "weight_map": read_weight_map(info.path, file.path)}
                text = json.dumps(shards)
            elif file.changes:
                text = json.dumps(read_config(info.path, file))
            else:
                text = read_text(info.path, file.path)
            target.write_text(text, encoding="utf-8")


def _is_class(value: Any) -> bool:
    """Return whether a value of an index names a library and a class, or none, of a part."""
    if isinstance(value, dict):
        return True
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(one is None or isinstance(one, str) for one in value)
    )


def _link(file: Path, target: Path) -> None:
    """Make a file visible under another name: by a link where the system allows it, else a copy."""
    file = Path(os.path.realpath(file))
    for way in (target.symlink_to, target.hardlink_to):
        try:
            way(file)
        except OSError:  # Windows needs a privilege for it; a hard link cannot lead to another disk
            continue
        return
    shutil.copyfile(file, target)


def _check_weights(info: ModelInfo, part: str, module: Any, missing: Any) -> None:
    """Check that every weight was found.

    diffusers leaves those that were not without values, and transformers fills them with noise.
    """
    lacking = sorted(missing) or [name for name, w in module.named_parameters() if w.is_meta]
    if lacking:
        raise ModelUnavailableError(
            "model {path} cannot be opened: its {part} lacks {tensor}; fetch it again",
            path=info.path,
            part=part,
            tensor=lacking[0],
        )


def _check_tokenizer(info: ModelInfo, name: str, tokenizer: Any) -> None:
    """Check that the tokenizer keeps the words of a prompt."""
    empty, word = (tokenizer(text)["input_ids"] for text in ("", "a lake"))
    ends = 2 if "CLIP" in type(tokenizer).__name__ else len(empty)
    words = [token for token in word if token not in empty]
    if len(empty) != ends or len(words) < 2 or tokenizer.unk_token_id in words:
        raise ModelUnavailableError(
            "model {path} cannot be opened: its {name} drops the words of a prompt ('a lake'"
            " becomes {word}); fetch it again",
            path=info.path,
            name=name,
            word=word,
        )
