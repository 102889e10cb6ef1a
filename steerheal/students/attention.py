"""Attention for right-padded rows, each with its own number of cached tokens.

Registered with transformers under the name `steerheal`; as that name has no mask function there, models build no
mask of their own and this module alone decides what each query sees: its own row's past, through the sliding window
where the layer has one. Rows are padded on the right, so causality already hides the padding.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import AttentionInterface

NAME = "steerheal"
# What other attention functions of transformers do with scores, and this one does not.
FOREIGN = ("softcap", "s_aux", "position_bias")


@dataclass
class Sight:
    """Which cached positions each query may see.

    positions: [B, S] absolute position of every query; keys: number of key positions that follow from the cache,
    or None when the keys are the queries' own sequence (start at 0, plain causal attention).
    """

    positions: torch.Tensor
    keys: int | None = None
    _masks: dict[int | None, torch.Tensor | None] = field(default_factory=dict)
    _packed: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None

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

    def packed(self, stride: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Rows as parts of one packed sequence, int32: where queries start [B + 1] (one each), where keys do
        [B + 1] (every `stride`), and how many keys each row has [B]."""
        if self._packed is None:
            starts = torch.arange(len(self.positions) + 1, device=self.positions.device, dtype=torch.int32)
            self._packed = starts, starts * stride, (self.positions[:, -1] + 1).int()
        return self._packed


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
    **others: object,
) -> tuple[torch.Tensor, None]:
    """transformers' attention interface: query [B, H, S, D], key and value [B, Hkv, T, D] → [B, S, H, D].

    Raises NotImplementedError where the model wants more of its scores than a scale and a window.
    """
    if wanted := [name for name in FOREIGN if others.get(name) is not None]:
        raise NotImplementedError(f"its attention needs {', '.join(wanted)}, which steerheal does not have")
    batch, heads, length, width = query.shape
    if length == 1 and _sight[-1].keys is not None and _flash(query.device, query.dtype, width):
        return _decode(query, key, value, scaling, sliding_window), None
    mask = _sight[-1].mask(sliding_window)
    grouped = heads // key.shape[1]
    share = grouped > 1 and mask is None and query.is_cuda
    if length == 1 and grouped > 1:
        # One query a row: the heads that share keys become queries of one head, so no key is copied.
        query = query.reshape(batch, key.shape[1], grouped, width)
        share = False
    elif grouped > 1 and not share:
        key = key.repeat_interleave(grouped, dim=1)
        value = value.repeat_interleave(grouped, dim=1)
    out = torch.nn.functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        scale=scaling,
        is_causal=mask is None and length > 1,
        enable_gqa=share,
    )
    return out.reshape(batch, heads, length, value.shape[-1]).transpose(1, 2).contiguous(), None


def reads_own_length(base: Any) -> bool:
    """Whether decoding reads only the keys that each row has, so that its time does not grow with the cache's.

    The flash kernel takes half precision on a GPU; elsewhere rows are masked. `base` is a `students.base.Base`.
    """
    width = getattr(base.config, "head_dim", None) or base.config.hidden_size // base.config.num_attention_heads
    return _flash(base.device, base.dtype, width)


def _flash(device: torch.device, dtype: torch.dtype, width: int) -> bool:
    return device.type == "cuda" and dtype in (torch.bfloat16, torch.float16) and width <= 256 and width % 8 == 0


def _decode(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None, window: int | None
) -> torch.Tensor:
    """One query a row, [B, H, 1, D], against its own first `lengths` keys of [B, Hkv, T, D] → [B, 1, H, D].

    The whole cache is one packed sequence in which every row starts at a multiple of T and uses part of its own.
    """
    batch, heads, _, width = query.shape
    kv_heads, keys = key.shape[1:3]
    queries, starts, lengths = _sight[-1].packed(keys)
    packed = [side.transpose(1, 2).reshape(batch * keys, kv_heads, width) for side in (key, value)]
    near = {} if window is None or keys <= window else {"window_size_left": window - 1, "window_size_right": 0}
    out = torch.ops.aten._flash_attention_forward(
        query.reshape(batch, heads, width),
        *packed,
        queries,
        starts,
        1,
        keys,
        0.0,
        False,
        False,
        scale=scaling,
        seqused_k=lengths,
        **near,
    )[0]
    return out.reshape(batch, 1, heads, width)


AttentionInterface.register(NAME, attend)
