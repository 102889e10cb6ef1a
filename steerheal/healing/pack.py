"""K adapters in one pass: rows of slot k lie together and meet slot k's own A and B in one batched product.

y[k] += scale[k] · (x[k] A[k]ᵀ) B[k]ᵀ with x [K, rows·S, d_in], A [K, r, d_in], B [K, d_out, r]. Lower ranks are
padded with zeros, which get no gradient and stay zero. Histories are frozen and take the same road.
"""

from collections.abc import Sequence

import torch

from steerheal.students.adapter import Adapter


class PackedAdapters:
    """Trainable adapters of K slots, each on top of its own frozen history.

    master: all weights, [K, P], at full precision, which the optimiser moves as one tensor. a, b: site → [K, r, d_in]
    and [K, d_out, r], what the passes use and gradients are taken of: views of master, or of its copy in the base's
    half precision.
    """

    def __init__(self, fresh: Sequence[Adapter], histories: Sequence[Adapter | None], dtype: torch.dtype):
        self.sites = set(fresh[0].a)
        self.ranks = [adapter.rank for adapter in fresh]
        self.scales = [adapter.scale for adapter in fresh]
        self.dtype = dtype
        stacked = [_stack([adapter.a[site] for adapter in fresh], 0) for site in sorted(self.sites)]
        stacked += [_stack([adapter.b[site] for adapter in fresh], 1) for site in sorted(self.sites)]
        self.shapes = [tensor.shape[1:] for tensor in stacked]
        self.master = flat(stacked)
        self.history_a, self.history_b = _stack_histories(histories, fresh[0], dtype)
        self.refresh()

    @property
    def parameters(self) -> list[torch.Tensor]:
        """All of a, then all of b, in a fixed order; the first dimension is the slot."""
        sites = sorted(self.sites)
        return [self.a[site] for site in sites] + [self.b[site] for site in sites]

    @property
    def scale(self) -> torch.Tensor:
        """lora_alpha / r of every slot, [K, 1, 1]."""
        return self.master.new_tensor(self.scales)[:, None, None]

    def refresh(self) -> None:
        """Take a and b from master, after it has moved."""
        copy = self.master.to(self.dtype) if self.dtype.itemsize < self.master.itemsize else self.master
        views = [view.requires_grad_() for view in self._views(copy.detach())]
        sites = sorted(self.sites)
        self.a, self.b = dict(zip(sites, views)), dict(zip(sites, views[len(sites) :]))

    def _views(self, weights: torch.Tensor) -> list[torch.Tensor]:
        parts = weights.split([shape.numel() for shape in self.shapes], dim=1)
        return [part.unflatten(1, shape) for part, shape in zip(parts, self.shapes)]

    def delta(self, site: str, x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """out [K·rows, S, d_out] plus each slot's products of x [K·rows, S, d_in]; `out` itself is changed."""
        slots = len(self.scales)
        rows = x.reshape(slots, -1, x.shape[-1])
        view = out.view(slots, -1, out.shape[-1])
        b, factor = self.b[site], self.scales[0]
        if any(scale != factor for scale in self.scales):
            # The scale goes into the small B, not over the large product.
            b, factor = b * self.scale.to(b.dtype), 1.0
        view.baddbmm_(torch.bmm(rows, self.a[site].to(rows.dtype).mT), b.to(rows.dtype).mT, alpha=factor)
        if self.history_a is not None:
            view.baddbmm_(torch.bmm(rows, self.history_a[site].mT), self.history_b[site].mT)
        return out

    def keep(self, slots: list[int]) -> None:
        """Drop every other slot."""
        self.ranks = [self.ranks[slot] for slot in slots]
        self.scales = [self.scales[slot] for slot in slots]
        self.master = self.master[slots]
        if self.history_a is not None:
            for tensors in (self.history_a, self.history_b):
                for site in self.sites:
                    tensors[site] = tensors[site][slots]
        self.refresh()

    def adapter(self, slot: int) -> Adapter:
        """A copy of one slot's trainable adapter, at its own rank."""
        rank, sites = self.ranks[slot], sorted(self.sites)
        views = [view[slot] for view in self._views(self.master)]
        return Adapter(
            {site: view[:rank].clone() for site, view in zip(sites, views)},
            {site: view[:, :rank].clone() for site, view in zip(sites, views[len(sites) :])},
            self.scales[slot],
        )


def flat(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Tensors [K, …] as one [K, P]."""
    return torch.cat([tensor.flatten(1) for tensor in tensors], dim=1)


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
    histories: Sequence[Adapter | None], like: Adapter, dtype: torch.dtype
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
        a[site] = _stack([side[0] for side in sides], 0).to(dtype)
        b[site] = _stack([side[1] for side in sides], 1).to(dtype)
    return a, b
