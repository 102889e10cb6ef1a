"""How a deck's step is run: plainly on a CPU, as a captured CUDA graph on a GPU.

A graph is captured per number of slots (and of keys, where attention cannot read each row's own length); its buffers
are the deck's tables, so nothing is copied between replays. The first step of each size runs plainly, which warms
up what a capture may not do.
"""

import time
import warnings
from bisect import bisect_left
from collections.abc import Callable

import torch

from steerheal.generation.deck import Deck
from steerheal.students.attention import reads_own_length
from steerheal.students.base import Adapters
from steerheal.students.rows import MaskedAdapters, Student

# A step's time falls slowly with its size, while every size costs a plain step and a capture.
# A size of 1 would be compiled once more, as every shape is.
SIZES = (2, 8, 32, 64, 128, 192, 256, 384, 512)
KEYS = 256


class Plain:
    """Runs the step as it is."""

    def __init__(self, deck: Deck):
        self.deck = deck
        self.capturing = 0.0

    def size(self, slots: int) -> int:
        """How many slots a step decodes when `slots` are wanted."""
        return slots

    def __call__(self, slots: int, keys: int, adapters: Callable[[int], Adapters | None]) -> None:
        """One step of the first `slots` slots; `adapters(slots)` gives theirs."""
        self.deck.step(slots, keys, adapters(slots))

    def done(self) -> list[bool]:
        """Which requests are done."""
        return self.deck.done.tolist()


class Replayed:
    """Replays graphs of the step; what is done is known one step late, so the host never waits for the GPU."""

    def __init__(self, deck: Deck, students: list[Student]):
        self.deck = deck
        self.masked = MaskedAdapters.of([*students, Student(None)], deck.base.device)
        self.graphs: dict[tuple[int, int], torch.cuda.CUDAGraph] = {}
        self.warm: set[tuple[int, int]] = set()
        self.capturable = True
        self.pool = None
        self.capturing = 0.0
        self.late = [_Copy(deck.done), _Copy(deck.done)]

    def size(self, slots: int) -> int:
        """The next size for which graphs are captured."""
        place = bisect_left(SIZES, slots)
        return min(SIZES[place] if place < len(SIZES) else slots, len(self.deck.which))

    def __call__(self, slots: int, keys: int, adapters: Callable[[int], Adapters | None]) -> None:
        """One step of the first `slots` slots; the masked product serves for any `adapters`."""
        length = self.deck.cache.length
        keys = length if reads_own_length(self.deck.base) else min(length, -(-keys // KEYS) * KEYS)
        size = (slots, keys)
        if size in self.warm and size not in self.graphs and self.capturable:
            self._capture(size)
        if size in self.graphs:
            self.graphs[size].replay()
        else:
            self._step(*size)
            self.warm.add(size)

    def done(self) -> list[bool]:
        """Which requests were done a step ago."""
        self.late.reverse()
        self.late[0].take(self.deck.done)
        return self.late[1].read()

    def _step(self, slots: int, keys: int) -> None:
        self.deck.step(slots, keys, self.masked and self.masked.rows(self.deck.which[:slots]))

    def _capture(self, size: tuple[int, int]) -> None:
        began = time.perf_counter()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self.pool):
                self._step(*size)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as refused:
            warnings.warn(f"this model's step cannot be captured, so it runs slower: {str(refused).splitlines()[0]}")
            self.graphs, self.capturable = {}, False
            return
        self.pool = self.pool or graph.pool()
        self.graphs[size] = graph
        self.capturing += time.perf_counter() - began


class _Copy:
    """A copy of a small tensor on the host, made without waiting."""

    def __init__(self, like: torch.Tensor):
        self.host = torch.zeros(like.shape, dtype=like.dtype, pin_memory=True)
        self.made = torch.cuda.Event()

    def take(self, tensor: torch.Tensor) -> None:
        """Begin to copy."""
        self.host.copy_(tensor, non_blocking=True)
        self.made.record()

    def read(self) -> list[bool]:
        """The last copy begun."""
        self.made.synchronize()
        return self.host.tolist()
