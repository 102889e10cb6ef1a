"""pca: first principal component of the paired differences (Zou et al. 2023, representation engineering).

The component has unit length and no sign of its own: it is given the length of mean_diff's projection on it, and so
its sign, which makes one alpha comparable between the two methods.
"""

import torch


def direction(positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """positive, negative [n, d] hidden states of paired prompts → [d].

    Each pair counts in both orders, so that the differences are centred without losing their mean.
    """
    differences = (positive - negative).double()
    _, _, components = torch.linalg.svd(differences, full_matrices=False)
    component = components[0]
    return ((differences.mean(0) @ component) * component).to(positive.dtype)
