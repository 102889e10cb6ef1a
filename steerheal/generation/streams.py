"""A counter-based random stream per row: draw t of a stream is a hash of (key, t).

Nothing is shared between rows, so a completion does not depend on what else was in its batch. The hash is
SplitMix64 (Steele, Lea & Flood 2014), in 64-bit integer tensor arithmetic that wraps around.
"""

import hashlib
import json

import torch

_GOLDEN = 0x9E3779B97F4A7C15
_MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def stream_key(seed: int, prompt: str, dose: float, sample: int) -> int:
    """The signed 64-bit key of the stream of one completion."""
    named = json.dumps([seed, prompt, dose, sample])
    return int.from_bytes(hashlib.sha256(named.encode()).digest()[:8], "big", signed=True)


def _shifted(value: torch.Tensor, bits: int) -> torch.Tensor:
    """Logical right shift (torch's is arithmetic)."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def uniforms(keys: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """keys [n] and draw numbers [n] (int64) → float64 [n] in [0, 1)."""
    state = keys + (draws + 1) * _signed(_GOLDEN)
    state = (state ^ _shifted(state, 30)) * _signed(_MIX[0])
    state = (state ^ _shifted(state, 27)) * _signed(_MIX[1])
    state = state ^ _shifted(state, 31)
    return _shifted(state, 11).double() * 2.0**-53
