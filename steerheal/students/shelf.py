"""Students in the device's memory: those used last, up to a share of it. The store has them all."""

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import torch

from steerheal.students.rows import Student

SHARE = 0.05


class Shelf:
    """`shelf(history, bands)`: the student that `make(history, bands)` makes, or made before. Kept are at most `room`
    bytes, but always the last one.
    """

    def __init__(self, make: Callable[[tuple[str, ...], Any], Student], room: int):
        self.make, self.room, self.full = make, room, 0
        self.kept: OrderedDict[Hashable, Student] = OrderedDict()

    def __call__(self, history: tuple[str, ...], bands: Any = None) -> Student:
        key = (history, bands)
        if key in self.kept:
            self.kept.move_to_end(key)
            return self.kept[key]
        student = self.kept[key] = self.make(history, bands)
        self.full += size(student)
        while len(self.kept) > 1 and self.full > self.room:
            self.full -= size(self.kept.popitem(last=False)[1])
        return student


def size(student: Student) -> int:
    """Bytes of a student's adapter."""
    adapter = student.adapter
    tensors = [*adapter.a.values(), *adapter.b.values()] if adapter else []
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def room(device: torch.device) -> int:
    """Bytes for students: a share of the memory that the device, or the machine, has."""
    if device.type == "cuda":
        whole = torch.cuda.get_device_properties(device).total_memory
    else:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(SHARE * whole)
