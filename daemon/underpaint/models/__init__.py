"""Models: find them, and look at them without opening them. Nothing here imports torch.

`underpaint.engine.model` opens them.
"""

from .describe import ModelInfo, describe_model, first_hash, hash_model, note_use
from .entries import list_entries
from .files import INDEX, read_weight_map, stamp_files
from .find import default_model, find_model, list_models, model_folders
from .reading import read_json, read_text
from .scanning import scan

__all__ = [
    "INDEX",
    "ModelInfo",
    "default_model",
    "describe_model",
    "find_model",
    "first_hash",
    "hash_model",
    "list_entries",
    "list_models",
    "model_folders",
    "note_use",
    "read_json",
    "read_text",
    "read_weight_map",
    "scan",
    "stamp_files",
]
