"""Temperature, top-k, then top-p on what is left (Holtzman et al. 2020), drawn by inverse distribution function.

Only the top-k candidates are ordered; the vocabulary is never sorted.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Sampling:
    """How one row draws its tokens; `top_k` 1 is greedy."""

    temperature: float = 1.0
    top_p: float = 0.95
    top_k: int = 64


GREEDY = Sampling(top_k=1)


class Sampler:
    """The sampling settings of n rows as tensors."""

    def __init__(self, rows: list[Sampling], device: torch.device):
        self.width = max(row.top_k for row in rows)
        self.temperature = torch.tensor([row.temperature for row in rows], device=device, dtype=torch.float64)
        self.top_p = torch.tensor([row.top_p for row in rows], device=device, dtype=torch.float64)
        self.top_k = torch.tensor([row.top_k for row in rows], device=device)

    def draw(self, logits: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        """logits [n, V], uniform [n] in [0, 1) → token ids [n].

        The candidate chosen is the first whose cumulative probability exceeds `uniform`; a candidate is left when
        the mass before it is under top_p, so the most likely one always is.
        """
        if self.width == 1:
            return logits.argmax(-1)
        values, tokens = logits.topk(min(self.width, logits.shape[-1]), dim=-1)
        places = torch.arange(values.shape[-1], device=values.device)
        values = values.double() / self.temperature[:, None]
        values = values.masked_fill(places >= self.top_k[:, None], -torch.inf)
        p = values.softmax(-1)
        p = p.masked_fill(p.cumsum(-1) - p >= self.top_p[:, None], 0.0)
        reached = p.cumsum(-1)
        chosen = (reached <= uniform[:, None] * reached[:, -1:]).sum(-1, keepdim=True)
        last = (p > 0).sum(-1, keepdim=True) - 1
        return tokens.gather(-1, torch.minimum(chosen, last)).squeeze(-1)
