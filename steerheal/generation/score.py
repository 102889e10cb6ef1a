"""How base reads a completion: per-token log-probabilities and the entropies of its predictions."""

from collections.abc import Sequence

import torch

from steerheal.students.base import Base, Plan
from steerheal.students.batching import batches, pad, sight_of


@torch.inference_mode()
def score_under_base(
    base: Base, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """For each pair (log-probabilities [n], entropies [n] in nats) at the n completion tokens, float64 on the CPU."""
    scores: list = [None] * len(prompts)
    lengths = [len(p) + len(c) for p, c in zip(prompts, completions)]
    for group in batches(lengths, base.device):
        ids = pad([[*prompts[place], *completions[place]] for place in group], base.device)
        states = base.hidden(ids, Plan(), sight_of(ids))
        for row, place in enumerate(group):
            start, count = len(prompts[place]), len(completions[place])
            logp = base.logits(states[row, start - 1 : start - 1 + count]).log_softmax(-1)
            targets = torch.tensor(completions[place], device=logp.device, dtype=torch.long)[:, None]
            entropies = -(logp.exp() * logp).sum(-1)
            scores[place] = (logp.gather(-1, targets)[:, 0].double().cpu(), entropies.double().cpu())
    return scores
