"""Spectral penalty: the mean over sites of the largest singular value of ΔW = scale · B A (Yoshida & Miyato 2017).

One step of power iteration per training step, from the vector of the step before: u = ΔW v / ‖ΔW v‖,
v = ΔWᵀu / ‖ΔWᵀu‖, σ = uᵀ ΔW v with u and v held fixed. At B = 0 the penalty and its gradient are 0. What is measured
without a gradient is no step, since in a pack others decide when it is.
"""

import torch

from steerheal.healing.pack import PackedAdapters


class SpectralPenalty:
    """Power-iteration vectors of every site of a pack; v: site → [K, d_in]."""

    def __init__(self, pack: PackedAdapters):
        # The rows' mean of A lies in ΔW's row space, needs no random draw and is the same in any pack.
        rows = {site: _exact(pack.a[site]).detach().mean(1) for site in pack.sites}
        self.v = {site: torch.nn.functional.normalize(row, dim=-1) for site, row in rows.items()}

    def keep(self, slots: list[int]) -> None:
        """Drop every other slot."""
        self.v = {site: v[slots] for site, v in self.v.items()}

    def __call__(self, pack: PackedAdapters) -> torch.Tensor:
        """The penalty of every slot, [K]."""
        total = 0.0
        for site in sorted(pack.sites):
            a, b = _exact(pack.a[site]), _exact(pack.b[site])
            with torch.no_grad():
                u = _unit(b @ (a @ self.v[site][..., None]))
                renewed = _unit(a.mT @ (b.mT @ u))
                alive = (renewed.norm(dim=1, keepdim=True) > 0).to(a.dtype)
                v = alive * renewed + (1 - alive) * self.v[site][..., None]
            if torch.is_grad_enabled():
                self.v[site] = v[..., 0]
            total = total + (u.mT @ (b @ (a @ v)))[:, 0, 0]
        return total * pack.scale[:, 0, 0] / len(pack.sites)


def _unit(columns: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(columns, dim=1)


def _exact(weights: torch.Tensor) -> torch.Tensor:
    return weights.to(torch.promote_types(weights.dtype, torch.float32))
