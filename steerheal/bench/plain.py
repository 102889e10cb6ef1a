"""The honest alternatives: transformers' own `generate`, with a steering hook as people write it."""

import torch
from transformers import AutoModelForCausalLM

from steerheal.bench.machine import median
from steerheal.bench.shapes import SHAPES
from steerheal.students.base import BUILTIN, DTYPES


def plain_model(name: str, dtype: str, device: torch.device) -> torch.nn.Module:
    """The model as transformers makes it, without anything of ours."""
    if name not in SHAPES:
        path = str(BUILTIN) if name == "builtin" else name
        return AutoModelForCausalLM.from_pretrained(path, dtype=DTYPES[dtype]).to(device).eval()
    with device:
        return AutoModelForCausalLM.from_config(SHAPES[name](), dtype=DTYPES[dtype]).eval()


def plain_generate(
    model: torch.nn.Module, batch: int, prompt: int, new: int, attention: str, device: torch.device
) -> float:
    """New tokens per second of `generate` with a dose per row at a tenth of the blocks."""
    model.set_attn_implementation(attention)
    layers = model.get_decoder().layers
    low = int(0.45 * len(layers))
    width = model.config.get_text_config().hidden_size
    dose = torch.rand(batch, 1, 1, device=device, dtype=model.dtype)
    direction = torch.randn(width, device=device, dtype=model.dtype)

    def steer(_module, _args, output):
        if isinstance(output, tuple):
            return (output[0] + dose * direction, *output[1:])
        return output + dose * direction

    hooks = [layer.register_forward_hook(steer) for layer in layers[low : max(low + 1, int(0.55 * len(layers)))]]
    ids = torch.randint(5, model.config.get_text_config().vocab_size, (batch, prompt), device=device)

    @torch.inference_mode()
    def run() -> None:
        model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, min_new_tokens=new, do_sample=True,
            top_k=64, top_p=0.95, pad_token_id=0,
        )

    took = median(run, device, times=1)
    for hook in hooks:
        hook.remove()
    return batch * new / took
