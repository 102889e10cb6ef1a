"""Attention for right-padded rows, each with its own number of cached tokens.

Registered with transformers under the name `steerheal`; as that name has no mask function there, models build no
mask of their own and this module alone decides what each query sees: its own row's past, through the sliding window
where the layer has one. Rows are padded on the right, so causality already hides the padding.
"""

from dataclasses import dataclass, field

import torch
from transformers import AttentionInterface

NAME = "steerheal"


@dataclass
class Sight:
    """Which cached positions each query may see.

    positions: [B, S] absolute position of every query; keys: number of key positions that follow from the cache,
    or None when the keys are the queries' own sequence (start at 0, plain causal attention).
    """

    positions: torch.Tensor
    keys: int | None = None
    _masks: dict[int | None, torch.Tensor | None] = field(default_factory=dict)

    def mask(self, window: int | None) -> torch.Tensor | None:
        """Boolean [B, 1, S, keys], or None where plain causal attention says the same."""
        if window not in self._masks:
            self._masks[window] = self._build(window)
        return self._masks[window]

    def _build(self, window: int | None) -> torch.Tensor | None:
        length = self.positions.shape[1] if self.keys is None else self.keys
        if self.keys is None and (window is None or length <= window):
            return None
        key_positions = torch.arange(length, device=self.positions.device)
        queries = self.positions[:, None, :, None]
        seen = key_positions <= queries
        if window is not None:
            seen &= key_positions > queries - window
        return seen


_sight: list[Sight] = []


class seeing:
    """Context in which forward passes attend by `sight`."""

    def __init__(self, sight: Sight):
        self.sight = sight

    def __enter__(self) -> None:
        _sight.append(self.sight)

    def __exit__(self, *_: object) -> None:
        _sight.pop()


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """transformers' attention interface: query [B, H, S, D], key and value [B, Hkv, T, D] → [B, S, H, D]."""
    batch, heads, length, width = query.shape
    mask = _sight[-1].mask(sliding_window)
    grouped = heads // key.shape[1]
    if length == 1 and grouped > 1:
        # One query a row: the heads that share keys become queries of one head, so no key is copied.
        query = query.reshape(batch, key.shape[1], grouped, width)
    elif grouped > 1:
        key = key.repeat_interleave(grouped, dim=1)
        value = value.repeat_interleave(grouped, dim=1)
    out = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, scale=scaling, is_causal=mask is None and length > 1
    )
    return out.reshape(batch, heads, length, value.shape[-1]).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, attend)
