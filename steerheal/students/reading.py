"""Students and vectors from files, for the single-step commands."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from steerheal.errors import UserError
from steerheal.files import write_bytes
from steerheal.students.adapter import fold, from_peft
from steerheal.students.base import Base
from steerheal.students.rows import Student, Vector


def read_student(base: Base, folders: Sequence[Path]) -> Student:
    """Base with the PEFT adapters of `folders` on it, oldest first. Raises UserError for a bad one."""
    if not folders:
        return Student("base")
    adapters = [from_peft(folder, base.anatomy) for folder in folders]
    if any(adapter.a.keys() != adapters[0].a.keys() for adapter in adapters):
        raise UserError(f"{folders[-1]}: its layers differ from those of {folders[0]}; give adapters of one history")
    return Student(tuple(map(str, folders)), fold(adapters).to(base.device, base.dtype))


def read_vector(base: Base, file: Path) -> Vector:
    """A vector file: safetensors whose names are block numbers, each a direction [d]."""
    try:
        tensors = load_tensors(file.read_bytes())
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file}: vector: cannot be read ({error}); write one with python -m steerheal.generate")
    layers = {}
    for name, direction in tensors.items():
        if not name.isdecimal() or int(name) >= len(base.blocks) or direction.shape != (base.config.hidden_size,):
            raise UserError(f"{file}: vector: {name} {tuple(direction.shape)} does not fit {base.name}; extract anew")
        if not torch.isfinite(direction).all():
            raise UserError(f"{file}: vector: block {name} is not finite; extract it anew")
        layers[int(name)] = direction
    return Vector(str(file), layers)


def write_vector(vector: Vector, file: Path) -> None:
    """The file that `read_vector` reads."""
    write_bytes(file, save_tensors({str(block): direction.contiguous() for block, direction in vector.layers.items()}))
