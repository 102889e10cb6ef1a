"""Per-position losses of a pack at its completion positions: nll and divergence, in chunks.

Positions are selected before the output head, so [rows, S, V] never exists. Where the logits of all positions are
more than a chunk, each chunk's are recomputed in the backward pass instead of kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch.utils.checkpoint import checkpoint

from steerheal.healing.divergence import kl_fwd, kl_rev
from steerheal.students.base import Base
from steerheal.students.fuse import compiled, compiles

# Logits held at once: 2^26 floats are 256 MiB per copy. Fused on a GPU no float copy is made, and 2^31 are 4 GiB.
CHUNK = {False: 1 << 26, True: 1 << 31}


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
    base: Base, states: torch.Tensor, targets: torch.Tensor, reference: torch.Tensor, forward: Sequence[bool]
) -> tuple[torch.Tensor, torch.Tensor]:
    """(nll [N], divergence [N]) at states [N, d] against the reference's states [N, d].

    forward [N] is True where the divergence is kl_fwd, elsewhere it is kl_rev.
    """
    kinds = frozenset(forward)
    which = torch.tensor(forward, device=states.device)
    half = states.dtype in (torch.bfloat16, torch.float16)
    fast = states.is_cuda and half and compiles(states.device)
    size = max(1, CHUNK[fast] // base.head.weight.shape[0])
    run = partial(_chunk, base, kinds, compiled(_terms) if fast else _terms)
    if len(states) > size:
        run = partial(checkpoint, run, use_reentrant=False)
    parts = [
        run(*(t[start : start + size] for t in (states, targets, reference, which)))
        for start in range(0, len(states), size)
    ]
    nll, divergence = zip(*parts)
    return torch.cat(nll), torch.cat(divergence)


def _chunk(base: Base, kinds: frozenset[bool], terms: Callable, states, targets, reference, forward):
    with torch.no_grad():
        anchor = base.raw_logits(reference)
    return terms(base.raw_logits(states), anchor, targets, forward, False in kinds, True in kinds)


def _terms(student, anchor, targets, forward, some_rev: bool, some_fwd: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """nll and divergence [N] from the logits [N, V] of student and reference."""
    student, anchor = (_log_softmax(logits) for logits in (student, anchor))
    nll = -student.gather(-1, targets[:, None])[:, 0]
    if not some_fwd:
        return nll, kl_rev(student, anchor)
    if not some_rev:
        return nll, kl_fwd(student, anchor)
    return nll, torch.where(forward, kl_fwd(student, anchor), kl_rev(student, anchor))


def _log_softmax(logits: torch.Tensor) -> torch.Tensor:
    return (logits if logits.dtype == torch.float64 else logits.float()).log_softmax(-1)
