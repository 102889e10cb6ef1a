"""The honest alternatives: transformers' own `generate`, with a steering hook as people write it."""

import torch
from peft import LoraConfig, get_peft_model
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
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=new,
            min_new_tokens=new,
            do_sample=True,
            top_k=64,
            top_p=0.95,
            pad_token_id=0,
        )

    took = median(run, device, times=1)
    for hook in hooks:
        hook.remove()
    return batch * new / took


def plain_heal(model: torch.nn.Module, length: int, rank: int, device: torch.device) -> float:
    """Seconds of one step at batch 1 as the original has it: PEFT, eager attention, a second pass for the reference."""
    model.set_attn_implementation("eager")
    layers = range(*(int(share * len(model.get_decoder().layers)) for share in (0.2, 0.8)))
    modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=modules, layers_to_transform=list(layers))
    trained = get_peft_model(model, config)
    optimiser = torch.optim.AdamW([p for p in trained.parameters() if p.requires_grad], lr=1e-4)
    ids = torch.randint(5, model.config.get_text_config().vocab_size, (1, length), device=device)
    start = length // 5

    def step() -> None:
        logp = trained(ids).logits[:, start - 1 : -1].float().log_softmax(-1)
        with torch.no_grad(), trained.disable_adapter():
            reference = trained(ids).logits[:, start - 1 : -1].float().log_softmax(-1)
        nll = -logp.gather(-1, ids[:, start:, None]).mean()
        divergence = (logp.exp() * (logp - reference)).sum(-1).mean()
        (nll + 0.3 * torch.relu(divergence)).backward()
        optimiser.step()
        optimiser.zero_grad()

    return median(step, device)


@torch.inference_mode()
def plain_evaluate(
    model: torch.nn.Module, batch: int, prompt: int, think: int, suffix: int, attention: str, device: torch.device
) -> float:
    """Seconds of one batch: `generate` thinks, then one pass over everything reads the answer slot."""
    model.set_attn_implementation(attention)
    ids = torch.randint(5, model.config.get_text_config().vocab_size, (batch, prompt), device=device)
    tail = ids[:, :suffix]

    def run() -> None:
        thought = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=think,
            min_new_tokens=think,
            do_sample=False,
            pad_token_id=0,
        )
        model(torch.cat([thought, tail], 1), logits_to_keep=1).logits.float().log_softmax(-1)

    return median(run, device, times=1)
