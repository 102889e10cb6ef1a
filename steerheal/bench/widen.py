"""The built-in model at a real model's size: the same function, in wider layers.

Every hidden state gets zeros appended, every MLP units that are never on. RMSNorm divides by the root of the mean over
the width, so widening from d to D multiplies what it puts out by √(D/d); its weights take that back, and are −1 (a
factor of 0) on the new places. What a sweep computes stays meaningful, and costs what a model of that size costs.
"""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from steerheal.students.base import BUILTIN


def widen(folder: Path, hidden: int, intermediate: int, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write the widened model to `folder`. hidden, intermediate: the new widths, at least the old ones."""
    small = AutoModelForCausalLM.from_pretrained(BUILTIN, dtype=torch.float32)
    width = small.config.hidden_size
    config = AutoModelForCausalLM.from_pretrained(BUILTIN).config
    config.hidden_size, config.intermediate_size = hidden, intermediate
    wide = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    old = small.state_dict()
    state = {name: _widened(name, old[name], like, (width / hidden) ** 0.5) for name, like in wide.state_dict().items()}
    wide.load_state_dict(state)
    wide.to(dtype).save_pretrained(folder)
    AutoTokenizer.from_pretrained(BUILTIN).save_pretrained(folder)


def _widened(name: str, old: torch.Tensor, like: torch.Tensor, share: float) -> torch.Tensor:
    """A weight at its new shape. share: √(d/D)."""
    new = torch.zeros_like(like)
    corner = tuple(slice(0, size) for size in old.shape)
    if name.endswith("norm.weight") and old.shape != like.shape:
        new.fill_(-1.0)
    # Gemma multiplies embeddings by √width; the head shares their weights, so the norm before it keeps its own.
    scaled = "embed_tokens" in name or name == "lm_head.weight"
    new[corner] = (1 + old) * share - 1 if name.endswith("layernorm.weight") else old * share if scaled else old
    return new
