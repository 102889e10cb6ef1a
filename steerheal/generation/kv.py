"""Keys and values of B slots, each with its own position."""

import torch
from transformers.cache_utils import Cache

from steerheal.students.base import Base


def slot_bytes(base: Base, length: int) -> int:
    """Bytes that one slot of `length` positions takes."""
    heads, width = _shape(base)
    return 2 * len(base.blocks) * length * heads * width * base.dtype.itemsize


def _shape(base: Base) -> tuple[int, int]:
    config = base.config
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return config.num_key_value_heads, width


class SlotCache(Cache):
    """Per block k, v [B, T, Hkv, D]. The kind of pass decides what `update` writes and returns ([n, Hkv, T, D]).

    prefill: listed slots from position 0, whose keys are their own sequence; decode: one token for each of the
    first n slots; extend: several tokens for listed slots.
    """

    def __init__(self, base: Base, slots: int, length: int):
        self.length = length
        make = lambda: [  # noqa: E731
            torch.zeros(slots, length, *_shape(base), device=base.device, dtype=base.dtype) for _ in base.blocks
        ]
        self.k, self.v = make(), make()
        self.layers = []
        # A bound method would be a cycle, and its gigabytes would wait for the garbage collector.
        self._write = SlotCache._prefill
        self._slots = torch.empty(0)
        self._positions = torch.empty(0)
        self._keys = 0

    def prefill(self, slots: torch.Tensor) -> "SlotCache":
        """The next pass fills `slots` [m] from position 0."""
        self._write, self._slots = SlotCache._prefill, slots
        return self

    def decode(self, positions: torch.Tensor, keys: int) -> "SlotCache":
        """The next pass adds one token at positions [n] to the first n slots and reads `keys` positions."""
        self._write, self._slots = SlotCache._decode, torch.arange(len(positions), device=positions.device)
        self._positions, self._keys = positions, keys
        return self

    def extend(self, slots: torch.Tensor, positions: torch.Tensor, keys: int) -> "SlotCache":
        """The next pass adds tokens at positions [m, S] to `slots` [m] and reads `keys` positions."""
        self._write, self._slots, self._positions, self._keys = SlotCache._extend, slots, positions, keys
        return self

    def move(self, sources: torch.Tensor, targets: torch.Tensor) -> None:
        """Copy slots `sources` [m] over slots `targets` [m]; the two do not overlap."""
        for buffer in (*self.k, *self.v):
            buffer[targets] = buffer[sources]

    def get_seq_length(self, *_: object) -> int:
        return 0

    def update(self, key, value, layer_idx, *_: object, **__: object):
        return self._write(self, self.k[layer_idx], key), self._write(self, self.v[layer_idx], value)

    def _prefill(self, buffer: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        buffer[self._slots, : new.shape[2]] = new.transpose(1, 2)
        return new

    def _decode(self, buffer: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        buffer[self._slots, self._positions] = new[:, :, 0]
        return buffer[: len(self._slots), : self._keys].transpose(1, 2)

    def _extend(self, buffer: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        buffer[self._slots[:, None], self._positions] = new.transpose(1, 2)
        return buffer[self._slots, : self._keys].transpose(1, 2)
