"""Training examples: prompt and completion are token ids of their own, so no merge crosses the boundary.

Only completion tokens are trained on.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """One prompt with the completion to learn; the completion ends with its stop token when it had one."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]

    @property
    def ids(self) -> tuple[int, ...]:
        """The whole sequence."""
        return self.prompt + self.completion


def split(examples: Sequence[Example], held_out: float, seed: int) -> tuple[list[Example], list[Example]]:
    """(training, held-out): a share `held_out` is drawn by `seed`, at least one if any is asked for."""
    order = list(examples)
    random.Random(f"split {seed}").shuffle(order)
    count = min(len(order) - 1, max(1, round(len(order) * held_out))) if held_out else 0
    return order[count:], order[:count]


def steps(examples: Sequence[Example], batch: int, epochs: int, seed: int) -> Iterator[list[Example]]:
    """Every epoch in an order of its own, `batch` completions a step; an epoch's last step may have fewer."""
    for epoch in range(epochs):
        order = list(examples)
        random.Random(f"order {seed} {epoch}").shuffle(order)
        for start in range(0, len(order), batch):
            yield order[start : start + batch]
