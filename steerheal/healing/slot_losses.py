"""The losses of K slots from the losses of their completions.

loss of a slot = mean over the step's completions of (nll + lam · relu(divergence − tau)) + spectral_lam · σ(ΔW);
nll is a completion's mean over its tokens, divergence its aggregated KL.
"""

from collections.abc import Sequence
from typing import Any

import torch

from steerheal.healing.divergence import AGGREGATIONS, barrier


class Losses:
    """nll, penalty (barrier and spectral) and their sum, each [K]; rows: nll, divergence and loss, detached [K, 3].

    A step's completions may be shared out over several passes, each of which adds its part of the means.
    """

    def __init__(self) -> None:
        self._nll: list[torch.Tensor] = []
        self._divergence: list[torch.Tensor] = []
        self._penalty: list[torch.Tensor] = []

    def add(
        self,
        nll: Sequence[torch.Tensor],
        divergence: Sequence[torch.Tensor],
        count: int,
        settings: Any,
        spectral: torch.Tensor,
    ) -> None:
        """One slot: nll and divergence at the positions of each completion of this pass, of `count` in the step."""
        none = spectral.new_zeros(())
        aggregate = AGGREGATIONS[settings.kl_agg]
        aggregated = torch.stack([aggregate(positions) for positions in divergence]) if divergence else none
        self._nll.append(sum((positions.mean() for positions in nll), none) / count)
        self._divergence.append(aggregated.sum() / count)
        held = settings.reg != "nll" and settings.lam > 0 and len(divergence) > 0
        over = barrier(aggregated, settings.lam, settings.tau).sum() / count if held else none
        self._penalty.append(spectral + over)

    def stacked(self) -> "Losses":
        """Turn the lists into tensors [K]."""
        self.nll, self.penalty = torch.stack(self._nll), torch.stack(self._penalty)
        self.loss = self.nll + self.penalty
        self.rows = torch.stack([self.nll, torch.stack(self._divergence), self.loss]).detach().T
        return self


def logged(row: torch.Tensor) -> dict[str, float]:
    """One slot's line of `Losses.rows`, by name."""
    return dict(zip(("nll", "divergence", "loss"), row.tolist()))
