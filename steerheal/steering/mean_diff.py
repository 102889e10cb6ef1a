"""mean_diff: vector = mean(positive states) − mean(negative states), raw (Turner et al. 2023; Rimsky et al. 2024)."""

import torch


def direction(positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """positive, negative [n, d] hidden states of paired prompts → [d]."""
    return positive.mean(0) - negative.mean(0)
