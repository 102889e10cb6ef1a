"""K adapters in one pass: rows of slot k lie together and meet slot k's own A and B in one batched product.

y[k] += scale[k] · (x[k] A[k]ᵀ) B[k]ᵀ with x [K, rows·S, d_in], A [K, r, d_in], B [K, d_out, r]. Lower ranks are
padded with zeros, which get no gradient and stay zero. Histories are frozen and take the same road.
"""

from collections.abc import Sequence

import torch

from steerheal.students.adapter import Adapter


class PackedAdapters:
    """Trainable adapters of K slots, each on top of its own frozen history.

    a, b: site → parameters [K, r, d_in] and [K, d_out, r]; both change in place as slots leave.
    """

    def __init__(self, fresh: Sequence[Adapter], histories: Sequence[Adapter | None]):
        self.sites = set(fresh[0].a)
        self.ranks = [adapter.rank for adapter in fresh]
        self.scale = torch.tensor([adapter.scale for adapter in fresh], device=_device(fresh[0]))[:, None, None]
        self.a = {site: _stack([adapter.a[site] for adapter in fresh], 0).requires_grad_() for site in self.sites}
        self.b = {site: _stack([adapter.b[site] for adapter in fresh], 1).requires_grad_() for site in self.sites}
        self.history_a, self.history_b = _stack_histories(histories, fresh[0])

    @property
    def parameters(self) -> list[torch.Tensor]:
        """All trainable tensors, in a fixed order; the first dimension is the slot."""
        sites = sorted(self.sites)
        return [self.a[site] for site in sites] + [self.b[site] for site in sites]

    def delta(self, site: str, x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """out [K·rows, S, d_out] plus each slot's products of x [K·rows, S, d_in], in out's dtype."""
        slots = self.scale.shape[0]
        rows = x.reshape(slots, -1, x.shape[-1])
        out_rows = out.reshape(slots, -1, out.shape[-1])
        # The scale goes into the small B, not over the large product.
        out_rows = _added(out_rows, rows, self.a[site], self.b[site] * self.scale)
        if self.history_a is not None:
            out_rows = _added(out_rows, rows, self.history_a[site], self.history_b[site])
        return out_rows.reshape(out.shape)

    def keep(self, slots: list[int]) -> None:
        """Drop every other slot."""
        self.scale = self.scale[slots]
        self.ranks = [self.ranks[slot] for slot in slots]
        for tensors in (self.a, self.b):
            for site in self.sites:
                tensors[site] = tensors[site].detach()[slots].requires_grad_()
        if self.history_a is not None:
            for tensors in (self.history_a, self.history_b):
                for site in self.sites:
                    tensors[site] = tensors[site][slots]

    def adapter(self, slot: int) -> Adapter:
        """A copy of one slot's trainable adapter, at its own rank."""
        rank = self.ranks[slot]
        return Adapter(
            {site: self.a[site].detach()[slot, :rank].clone() for site in self.sites},
            {site: self.b[site].detach()[slot, :, :rank].clone() for site in self.sites},
            self.scale[slot].item(),
        )


def fresh_adapter(
    sites: dict[str, tuple[int, int]], rank: int, lora_alpha: float, seed: int, device: torch.device, dtype: torch.dtype
) -> Adapter:
    """A of uniform(−1/√d_in, 1/√d_in), B = 0, scale lora_alpha / rank; sites: name → (d_in, d_out)."""
    generator = torch.Generator().manual_seed(seed)
    a, b = {}, {}
    for site in sorted(sites):
        width, height = sites[site]
        drawn = torch.rand(rank, width, generator=generator) * 2 - 1
        a[site] = (drawn * width**-0.5).to(device, dtype)
        b[site] = torch.zeros(height, rank, device=device, dtype=dtype)
    return Adapter(a, b, lora_alpha / rank)


def _added(out: torch.Tensor, rows: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.baddbmm(out, torch.bmm(rows, a.to(rows.dtype).mT), b.to(rows.dtype).mT)


def _device(adapter: Adapter) -> torch.device:
    return next(iter(adapter.a.values())).device


def _stack(tensors: Sequence[torch.Tensor], dim: int) -> torch.Tensor:
    """Stack along a new first dimension after padding `dim` with zeros to the largest size."""
    widest = max(tensor.shape[dim] for tensor in tensors)
    padded = []
    for tensor in tensors:
        shape = list(tensor.shape)
        shape[dim] = widest - shape[dim]
        padded.append(torch.cat([tensor, tensor.new_zeros(shape)], dim))
    return torch.stack(padded)


def _stack_histories(
    histories: Sequence[Adapter | None], like: Adapter
) -> tuple[dict | None, dict | None]:
    """Histories with their scale multiplied into B, an absent one as rank 0; (None, None) when all are absent."""
    if not any(histories):
        return None, None
    if any(history is not None and history.a.keys() != like.a.keys() for history in histories):
        raise ValueError("a history must cover the sites that are trained")
    a, b = {}, {}
    for site in like.a:
        none = (like.a[site][:0], like.b[site][:, :0])
        sides = [(h.a[site].to(none[0]), h.b[site].to(none[0]) * h.scale) if h else none for h in histories]
        a[site] = _stack([side[0] for side in sides], 0)
        b[site] = _stack([side[1] for side in sides], 1)
    return a, b
