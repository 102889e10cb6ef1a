"""Right-padded batches of about the same length."""

from collections.abc import Iterator, Sequence

import torch

from steerheal.students.attention import Sight

# Padded tokens in one forward pass: large enough to fill two cores or a GPU, small enough for its activations.
TOKEN_BUDGET = {"cpu": 4096, "cuda": 65536}


def batches(lengths: Sequence[int], device: torch.device) -> Iterator[list[int]]:
    """Places of `lengths` grouped, longest first, so that each group's padded size stays within the budget."""
    budget = TOKEN_BUDGET.get(device.type, TOKEN_BUDGET["cpu"])
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    start = 0
    while start < len(order):
        fits = max(1, budget // max(1, lengths[order[start]]))
        yield order[start : start + fits]
        start += fits


def pad(rows: Sequence[Sequence[int]], device: torch.device) -> torch.Tensor:
    """ids [B, S], zeros on the right."""
    width = max(len(row) for row in rows)
    return torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=device)


def sight_of(ids: torch.Tensor) -> Sight:
    """Plain causal attention over whole sequences ids [B, S] that start at position 0."""
    return Sight(torch.arange(ids.shape[1], device=ids.device).expand(ids.shape))
