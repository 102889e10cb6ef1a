"""Per-position losses of a pack at its completion positions: nll and divergence, in chunks.

Positions are selected before the output head, so [rows, S, V] never exists; each chunk's logits are recomputed in
the backward pass instead of kept.
"""

from dataclasses import dataclass

import torch
from torch.utils.checkpoint import checkpoint

from steerheal.healing.divergence import kl_fwd, kl_rev
from steerheal.students.base import Base

# Logits held at once: 2^26 floats are 256 MiB per copy.
CHUNK = 1 << 26


@dataclass(frozen=True)
class Positions:
    """The completion positions of a batch, N in all: row and place of the predicting state, and the target id.

    counts: how many of the N belong to each row, in order.
    """

    rows: torch.Tensor
    places: torch.Tensor
    targets: torch.Tensor
    counts: list[int]

    @classmethod
    def of(cls, examples: list, device: torch.device) -> "Positions":
        """Positions of `examples` (None for a padding row, which has none)."""
        rows, places, targets, counts = [], [], [], []
        for row, example in enumerate(examples):
            count = 0 if example is None else len(example.completion)
            counts.append(count)
            if count:
                start = len(example.prompt) - 1
                rows += [row] * count
                places += range(start, start + count)
                targets += example.completion
        return cls(*(torch.tensor(side, device=device) for side in (rows, places, targets)), counts)


def position_losses(
    base: Base, states: torch.Tensor, targets: torch.Tensor, reference: torch.Tensor, forward: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(nll [N], divergence [N]) at states [N, d] against the reference's states [N, d].

    forward [N] is True where the divergence is kl_fwd, elsewhere it is kl_rev.
    """
    size = max(1, CHUNK // base.head.weight.shape[0])
    run = _chunk if len(states) <= size else lambda *args: checkpoint(_chunk, *args, use_reentrant=False)
    parts = [
        run(base, *(t[start : start + size] for t in (states, targets, reference, forward)))
        for start in range(0, len(states), size)
    ]
    nll, divergence = zip(*parts)
    return torch.cat(nll), torch.cat(divergence)


def _chunk(base: Base, states, targets, reference, forward) -> tuple[torch.Tensor, torch.Tensor]:
    student = base.logits(states).log_softmax(-1)
    with torch.no_grad():
        anchor = base.logits(reference).log_softmax(-1)
    nll = -student.gather(-1, targets[:, None])[:, 0]
    divergence = kl_rev(student, anchor)
    if forward.any():
        divergence = torch.where(forward, kl_fwd(student, anchor), divergence)
    return nll, divergence
