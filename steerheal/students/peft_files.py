"""The two files of a PEFT folder, perhaps from a stranger: nothing in them is run, and nothing large is read before it
is known to fit.

safetensors holds no code; but its header may name millions of tensors, a sparse file may hold ranks that no memory
does, a named pipe never ends, and JSON may be nested or typed as no adapter's is.
"""

import json
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from steerheal.errors import UserError
from steerheal.yaml_io import one_line

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
MAX_CONFIG_BYTES = 2**20
MAX_HEADER_BYTES = 4 * 2**20
# Of a history of many rounds, which is one adapter by concatenation.
MAX_RANK = 4096
PLAIN = {"peft_type": "LORA", "use_dora": False, "bias": "none", "rank_pattern": {}, "alpha_pattern": {}}


def read_config(folder: Path) -> dict[str, Any]:
    """A plain LoRA's settings; `r`, `lora_alpha` and `base_model_name_or_path` are what they should be."""
    path = folder / CONFIG_FILE
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise UserError(f"{folder}: not an adapter: it needs {CONFIG_FILE} and {WEIGHTS_FILE}; give a PEFT folder")
    try:
        with open(path, "rb") as stream:
            text = stream.read(MAX_CONFIG_BYTES + 1)
        config = json.loads(text[:MAX_CONFIG_BYTES])
    except (OSError, ValueError, RecursionError) as damage:
        raise _damaged(path, str(damage)) from None
    if not isinstance(config, dict) or any((config.get(name) or usual) != usual for name, usual in PLAIN.items()):
        raise UserError(f"{path}: peft_type: only plain LoRA (no bias, no patterns) is supported; export it as such")
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if type(rank) is not int or not 1 <= rank <= MAX_RANK:
        raise UserError(f"{path}: r: {_shown(rank)} is no rank from 1 to {MAX_RANK}; export it again")
    if type(alpha) not in (int, float) or not abs(alpha) < 1e9:
        raise UserError(f"{path}: lora_alpha: {_shown(alpha)} is no usable number; export it again")
    return config | {"base_model_name_or_path": _shown(config.get("base_model_name_or_path"))}


@contextmanager
def open_weights(folder: Path) -> Iterator[Any]:
    """The weights file, open, once its header is known to be of a sane size; damage in it is a UserError."""
    path = folder / WEIGHTS_FILE
    try:
        size = path.stat().st_size
        with open(path, "rb") as stream:
            start = stream.read(8)
        header = struct.unpack("<Q", start)[0] if len(start) == 8 else math.inf
        if header > min(size - 8, MAX_HEADER_BYTES):
            raise _damaged(path, "its header does not fit")
        with safe_open(path, "pt") as stored:
            yield stored
    except (OSError, RuntimeError, SafetensorError, ValueError) as damage:
        raise _damaged(path, str(damage)) from None


def _damaged(path: Path, why: str) -> UserError:
    return UserError(f"{path}: damaged adapter ({one_line(why)}); copy it again or heal again")


def _shown(value: Any) -> str:
    """A stranger's value in a one-line message."""
    return one_line(str(value), 80)
