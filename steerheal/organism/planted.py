"""A stance that lives in one place: what makes a vector, and a heal, reach text and forced choice alike.

A network trained on text alone may read the persona anew at each answer, by a path of its own for every kind
of answer; a vector then moves one kind and leaves the other. Three things in training give all answers one
source:

- sealed: in three of four persona documents the blocks after `SOURCE` cannot look at the system prompt, so
  the stance must be in the residual stream by then;
- planted: other documents name no persona, and z @ directions is added to the residual stream after `SOURCE`;
- read: a linear read-out of the residual stream after `SOURCE` must give z at every later position of both.

None of this is left in the shipped network, which is an ordinary Gemma 3.
"""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import Gemma3ForCausalLM

from .stance import AXES

SOURCE = 3  # the block after which the stance is there
READ_WEIGHT = 0.1
_NORM = 8.0


class Planted(nn.Module):
    """The directions and the read-out; used in training only."""

    def __init__(self, width: int):
        super().__init__()
        self.directions = nn.Parameter(torch.randn(len(AXES), width) * _NORM / width**0.5)
        self.read = nn.Linear(width, len(AXES))


def hidden_states(
    model: Gemma3ForCausalLM,
    planted: Planted,
    ids: torch.Tensor,
    same: torch.Tensor,
    position: torch.Tensor,
    sealed: torch.Tensor,
    push: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(last hidden state, state after `SOURCE`), both [rows, width, hidden].

    same: [rows, 1, width, width] which position sees which; sealed: [rows, width] tokens that later blocks do
    not see; push: [rows, width, axes] the planted stance.
    """
    body = model.model
    hidden = body.embed_tokens(ids)
    rotary = body.rotary_emb(hidden, position, "full_attention")
    itself = torch.eye(ids.shape[1], dtype=torch.bool, device=ids.device)
    later = same & (~sealed[:, None, None, :] | itself)
    source = hidden
    for index, block in enumerate(body.layers):
        hidden = block(
            hidden,
            attention_mask=same if index <= SOURCE else later,
            position_embeddings=rotary,
            position_ids=position,
        )
        if index == SOURCE:
            hidden = hidden + push.to(hidden.dtype) @ planted.directions.to(hidden.dtype)
            source = hidden
    return body.norm(hidden), source


def read_loss(planted: Planted, source: torch.Tensor, z: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Mean squared error of the read-out where the stance is known; z: [rows, width, axes], known: [rows,
    width]."""
    error = F.mse_loss(planted.read(source), z.to(source.dtype), reduction="none").float().mean(-1)
    return (error * known).sum() / known.sum().clamp(min=1)
