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
    """The sampling settings of R requests as tensors."""

    def __init__(self, requests: list[Sampling], device: torch.device):
        self.width = max(request.top_k for request in requests)
        self.temperature = torch.tensor([r.temperature for r in requests], device=device, dtype=torch.float64)
        self.top_p = torch.tensor([r.top_p for r in requests], device=device, dtype=torch.float64)
        self.top_k = torch.tensor([r.top_k for r in requests], device=device)

    def draw(self, logits: torch.Tensor, uniform: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        """logits [n, V] and uniform [n] in [0, 1) of the requests `which` [n] → token ids [n].

        The candidate chosen is the first whose cumulative probability exceeds `uniform`; a candidate is left when
        the mass before it is under top_p, so the most likely one always is.
        """
        if self.width == 1:
            return logits.argmax(-1)
        values, tokens = logits.topk(min(self.width, logits.shape[-1]), dim=-1)
        places = torch.arange(values.shape[-1], device=values.device)
        values = values.double() / self.temperature[which, None]
        values = values.masked_fill(places >= self.top_k[which, None], -torch.inf)
        p = values.softmax(-1)
        p = p.masked_fill(p.cumsum(-1) - p >= self.top_p[which, None], 0.0)
        reached = p.cumsum(-1)
        chosen = (reached <= uniform[:, None] * reached[:, -1:]).sum(-1, keepdim=True)
        last = (p > 0).sum(-1, keepdim=True) - 1
        return tokens.gather(-1, torch.minimum(chosen, last)).squeeze(-1)
