"""How far the student's next-token distribution p is from the reference's q.

kl_rev = Σ p (log p − log q) is KL(student‖ref), kl_fwd = Σ q (log q − log p) is KL(ref‖student), in nats per
position; an aggregation turns a completion's positions into one number. `mean` dilutes: a loop of four tokens in
sixty hardly moves it, while rmse, p95 and max see it.
"""

import torch

AGGREGATIONS = {
    "mean": lambda kl: kl.mean(),
    # The norm's subgradient at 0 is 0; a square root's would be NaN, and training starts exactly there (B = 0).
    "rmse": lambda kl: torch.linalg.vector_norm(kl) / len(kl) ** 0.5,
    "p95": lambda kl: kl.quantile(0.95),
    "max": lambda kl: kl.max(),
}


def kl_rev(student: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Log-probabilities [N, V] of both → KL(student‖ref) [N]."""
    return (student.exp() * (student - reference)).sum(-1)


def kl_fwd(student: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Log-probabilities [N, V] of both → KL(ref‖student) [N]."""
    return (reference.exp() * (reference - student)).sum(-1)


def barrier(divergence: torch.Tensor, lam: float, tau: float) -> torch.Tensor:
    """lam · relu(divergence − tau), for one completion's aggregated divergence."""
    return lam * torch.relu(divergence - tau)
