"""AdamW (Loshchilov & Hutter 2019) over stacked parameters [K, …]: every slot has its own learning rate, weight
decay, clip and step count, and sees only its own gradient.
"""

import math
from collections.abc import Sequence
from functools import partial

import torch

from steerheal.students.fuse import compiled, compiles

BETAS = (0.9, 0.95)
EPSILON = 1e-8


def schedule(step: int, steps: int, warmup: float) -> float:
    """Factor of the learning rate at `step` (from 0): linear over the first share `warmup`, then cosine to 0."""
    rising = max(1, round(warmup * steps)) if warmup else 0
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


class StackedAdamW:
    """Moments of parameters whose first dimension is the slot."""

    def __init__(self, parameters: Sequence[torch.Tensor]):
        self.mean = [torch.zeros_like(p) for p in parameters]
        self.square = [torch.zeros_like(p) for p in parameters]
        self.steps = 0

    def keep(self, slots: list[int]) -> None:
        """Drop every other slot."""
        self.mean = [m[slots] for m in self.mean]
        self.square = [s[slots] for s in self.square]

    @torch.no_grad()
    def step(
        self,
        parameters: Sequence[torch.Tensor],
        gradients: Sequence[torch.Tensor],
        lr: Sequence[float],
        wd: Sequence[float],
        clip: Sequence[float],
    ) -> None:
        """One update in place; lr, wd and clip hold one number per slot. Decay is decoupled: p shrinks by lr·wd."""
        self.steps += 1
        device, dtype = parameters[0].device, parameters[0].dtype
        numbers = partial(torch.tensor, device=device, dtype=dtype)
        shrink = (numbers(clip) / (slot_norms(gradients) + 1e-6)).clamp_max(1.0)
        rate, decay = numbers(lr), numbers(lr) * numbers(wd)
        correction = numbers([1 - beta**self.steps for beta in BETAS])
        update = compiled(_update) if device.type == "cuda" and dtype == torch.float32 and compiles(device) else _update
        for p, g, mean, square in zip(parameters, gradients, self.mean, self.square):
            update(p.detach(), g, mean, square, shrink, rate, decay, correction)


def _update(p, g, mean, square, shrink, rate, decay, correction) -> None:
    """One parameter [K, …] in place; shrink, rate and decay [K]."""
    shape = (-1, *[1] * (p.ndim - 1))
    g = g.to(p.dtype) * shrink.view(shape)
    mean.lerp_(g, 1 - BETAS[0])
    square.mul_(BETAS[1]).addcmul_(g, g, value=1 - BETAS[1])
    direction = (mean / correction[0]) / ((square / correction[1]).sqrt() + EPSILON)
    p.mul_(1 - decay.view(shape)).sub_(rate.view(shape) * direction)


def slot_norms(gradients: Sequence[torch.Tensor]) -> torch.Tensor:
    """Each slot's gradient norm over all its tensors, [K], float32 at least."""
    dtype = torch.promote_types(gradients[0].dtype, torch.float32)
    return torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1, dtype=dtype) for g in gradients]).norm(dim=0)
