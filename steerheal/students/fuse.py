"""One kernel where a model's own code has many: norms, gates and rotary embeddings, compiled for a GPU.

A decoding step of a few hundred rows spends more time launching such kernels than computing, and healing more time
moving their intermediate results than in its matrix products. The modules' own formulas are compiled, so nothing is
defined twice; where the compiler is missing, everything stays as it is.
"""

import sys
import warnings
from collections.abc import Callable
from functools import cache
from types import MethodType

import torch

# Shapes, strides and gradient modes that one formula meets: each is compiled once.
VARIANTS = 64


@cache
def compiles(device: torch.device) -> bool:
    """Whether torch.compile works here; says so once where it does not."""
    try:
        torch.compile(torch.square, dynamic=True)(torch.ones(8, device=device))
    except Exception as failure:  # a missing C compiler, Triton or driver: each raises its own class
        warnings.warn(f"torch.compile does not work here, so this runs slower: {str(failure).strip().splitlines()[0]}")
        return False
    return True


@cache
def compiled(function: Callable) -> Callable:
    """`function` compiled for shapes of any size, when it is first wanted: the compiler takes seconds to import."""
    return torch.compile(function, dynamic=True)


def fuse(decoder: torch.nn.Module) -> None:
    """Replace the forward functions of `decoder`'s norms, gated MLPs and rotary embedding by compiled ones."""
    torch._dynamo.config.recompile_limit = max(VARIANTS, torch._dynamo.config.recompile_limit)
    # Gradient pressure takes two gradients of one pass, which donated buffers forbid.
    torch._functorch.config.donated_buffer = False
    norms = [module for module in decoder.modules() if type(module).__name__.endswith("RMSNorm")]
    if not norms or not compiles(norms[0].weight.device):
        return
    like = norms[0].weight
    forwards = {type(norm): compiled(type(norm).forward) for norm in norms}
    for norm in norms:
        norm.forward = MethodType(forwards[type(norm)], norm)
    for module in decoder.modules():
        if _gated(module, like):
            module.forward = MethodType(_gated_forward, module)
    attentions = [layer.self_attn for layer in decoder.layers if hasattr(layer, "self_attn")]
    for home in {sys.modules[type(attention).__module__] for attention in attentions}:
        rotary = getattr(home, "apply_rotary_pos_emb", None)
        if rotary is not None and not isinstance(rotary, _Rotary):
            home.apply_rotary_pos_emb = _Rotary(rotary)


class _Rotary:
    """The library's rotary embedding: compiled for half precision on a GPU, else as it was."""

    def __init__(self, plain: Callable):
        self.plain, self.compiled = plain, compiled(plain)

    def __call__(self, q: torch.Tensor, k: torch.Tensor, *args, **kwargs):
        fast = q.is_cuda and q.dtype in (torch.bfloat16, torch.float16)
        return (self.compiled if fast else self.plain)(q, k, *args, **kwargs)


def _gate(act: Callable, gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    return act(gate) * up


def _gated_forward(self, x: torch.Tensor) -> torch.Tensor:
    return self.down_proj(compiled(_gate)(self.act_fn, self.gate_proj(x), self.up_proj(x)))


@torch.no_grad()
def _gated(module: torch.nn.Module, like: torch.Tensor) -> bool:
    """Whether `module` computes down(act(gate(x)) · up(x)), found out by trying; x has `like`'s device and dtype."""
    if not all(hasattr(module, name) for name in ("gate_proj", "up_proj", "down_proj", "act_fn")):
        return False
    x = torch.randn(2, 1, module.gate_proj.in_features, device=like.device, dtype=like.dtype)
    try:
        wanted = module(x)
    except (RuntimeError, TypeError):
        return False
    plain = module.down_proj(module.act_fn(module.gate_proj(x)) * module.up_proj(x))
    return torch.equal(wanted, plain)
