"""Find models, and describe them without opening them. Nothing here imports torch.

`underpaint.engine.model` opens them.
"""

from .describe import ModelInfo, describe_model
from .entries import list_entries
from .files import Inside, ModelFile, Part, read_config, read_weight_map
from .find import default_model, find_model, list_models, model_folders
from .hashes import BackgroundHash, first_hash, hash_model, note_use
from .headers import read_header
from .model_index import INDEX
from .reading import read_json, read_text
from .scanning import scan
from .stamps import stamp_files

__all__ = [
    "INDEX",
    "BackgroundHash",
    "Inside",
    "ModelFile",
    "ModelInfo",
    "Part",
    "default_model",
    "describe_model",
    "find_model",
    "first_hash",
    "hash_model",
    "list_entries",
    "list_models",
    "model_folders",
    "note_use",
    "read_config",
    "read_header",
    "read_json",
    "read_text",
    "read_weight_map",
    "scan",
    "stamp_files",
]
