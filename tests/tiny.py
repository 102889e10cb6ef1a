"""Tiny models with random weights, one per family, and a byte-level tokenizer, made on the spot."""

from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from steerheal.students.adapter import Adapter
from steerheal.students.base import Base, load_base

# Where there is a GPU, the equalities are shown on it.
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SPECIALS = ["<pad>", "<eos>", "<bos>", "<end>"]
COMMON = dict(
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    vocab_size=260,
    max_position_embeddings=4096,
    pad_token_id=0,
    eos_token_id=1,
    bos_token_id=2,
)
WITH_SYSTEM = (
    "{{ '<bos>' }}{% for m in messages %}{{ '[' + m['role'] + ']' + m['content'] + '<end>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '[assistant]' }}{% endif %}"
)
WITHOUT_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}" + WITH_SYSTEM
FAMILIES = {
    "gemma3": lambda: transformers.Gemma3TextConfig(
        **COMMON, sliding_window=16, layer_types=["sliding_attention", "full_attention"] * 2, query_pre_attn_scalar=8
    ),
    "qwen3": lambda: transformers.Qwen3Config(**COMMON),
    "llama": lambda: transformers.LlamaConfig(**COMMON),
    "mistral": lambda: transformers.MistralConfig(**COMMON, sliding_window=24),
}


def tokenizer(template: str = WITH_SYSTEM) -> PreTrainedTokenizerFast:
    """One token per byte, and four special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*SPECIALS, *alphabet])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        additional_special_tokens=["<end>"],
    )
    made.chat_template = template
    return made


def save(family: str, folder: Path, dtype: torch.dtype = torch.float64, seed: int = 0, **sizes: int) -> Path:
    """A model folder as the hub has them; weights large enough that distributions are not flat."""
    torch.manual_seed(seed)
    config = FAMILIES[family]()
    config.update(sizes)
    model = AutoModelForCausalLM.from_config(config).to(dtype)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2:
                weight.copy_(torch.randn_like(weight) * (0.3 if "embed" in name or "head" in name else 0.25))
    model.save_pretrained(folder)
    tokenizer(WITHOUT_SYSTEM if family == "gemma3" else WITH_SYSTEM).save_pretrained(folder)
    return folder


def save_with_vision(folder: Path) -> Path:
    """Gemma 3 as the hub has its larger sizes: the text model beside a vision tower."""
    torch.manual_seed(0)
    vision = dict(
        hidden_size=32, intermediate_size=32, num_hidden_layers=4, num_attention_heads=2, image_size=28, patch_size=14
    )
    config = transformers.Gemma3Config(
        text_config=FAMILIES["gemma3"]().to_dict(),
        vision_config=vision,
        mm_tokens_per_image=4,
        image_token_index=259,
        boi_token_index=258,
        eoi_token_index=257,
    )
    AutoModelForCausalLM.from_config(config).double().save_pretrained(folder)
    tokenizer(WITHOUT_SYSTEM).save_pretrained(folder)
    return folder


def load(family: str, folder: Path, dtype: str = "float64") -> Base:
    """The family's tiny model through the loader that users have."""
    return load_base(str(save(family, folder / family)), dtype=dtype, device=DEVICE)


def random_adapter(base: Base, rank: int, seed: int, blocks: tuple[int, ...] = (1, 2), size: float = 0.1) -> Adapter:
    """An adapter that changes every answer."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: (
        torch.randn(*shape, generator=generator, dtype=torch.float64).to(base.device, base.dtype) * size
    )
    sites = base.block_sites(blocks)
    return Adapter(
        {site: draw(rank, base.sites[site][0]) for site in sites},
        {site: draw(base.sites[site][1], rank) for site in sites},
        scale=2.0,
    )
