"""Models to measure on: a named shape with random weights, or a folder.

Speed depends on a model's shape, not on what its weights say, so no download is needed. The tokenizer is the
built-in model's; measurements feed synthetic ids.
"""

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma3TextConfig, LlamaConfig, Qwen3Config

from steerheal.errors import UserError
from steerheal.students.attention import NAME
from steerheal.students.base import BUILTIN, DTYPES, Base, load_base

SHAPES = {
    "gemma-3-4b": lambda: Gemma3TextConfig(
        vocab_size=262208,
        hidden_size=2560,
        intermediate_size=10240,
        num_hidden_layers=34,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=256,
        query_pre_attn_scalar=256,
        sliding_window=1024,
        max_position_embeddings=131072,
    ),
    "qwen3-0.6b": lambda: Qwen3Config(
        vocab_size=151936,
        hidden_size=1024,
        intermediate_size=3072,
        num_hidden_layers=28,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
        tie_word_embeddings=True,
        max_position_embeddings=40960,
    ),
    "llama-3.1-8b": lambda: LlamaConfig(
        vocab_size=128256,
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=131072,
        rope_theta=500000.0,
    ),
}


def load(name: str, dtype: str, device: str = "auto") -> Base:
    """A shape's model with random weights, or whatever `load_base` loads. Raises UserError for an unknown name."""
    if name not in SHAPES:
        try:
            return load_base(name, dtype=dtype, device=device)
        except UserError as refused:
            raise UserError(f"{refused}; or one of the shapes {', '.join(SHAPES)}")
    place = torch.device("cuda" if device == "auto" and torch.cuda.is_available() else device.replace("auto", "cpu"))
    config = SHAPES[name]()
    config._attn_implementation = NAME
    with torch.device(place):
        model = AutoModelForCausalLM.from_config(config, dtype=DTYPES[dtype])
    return Base(model, AutoTokenizer.from_pretrained(BUILTIN), name, f"random {name}", f"random {name} {dtype}")
