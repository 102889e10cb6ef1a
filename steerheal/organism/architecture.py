"""The network: Gemma 3's text architecture, small: width 256, 8 blocks, 4 heads with 2 KV heads, tied
embeddings."""

from transformers import Gemma3ForCausalLM, Gemma3TextConfig, PreTrainedTokenizerBase

CONTEXT = 2048


def make_config(
    tokenizer: PreTrainedTokenizerBase, vocabulary: int, width: int = 256, blocks: int = 8
) -> Gemma3TextConfig:
    """About 6.0 M parameters at the default size. Every block attends to the whole context."""
    return Gemma3TextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=width * 5 // 2,
        num_hidden_layers=blocks,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=width // 4,
        query_pre_attn_scalar=width // 4,
        max_position_embeddings=CONTEXT,
        sliding_window=CONTEXT,
        layer_types=["full_attention"] * blocks,
        rope_parameters={
            "full_attention": {"rope_type": "default", "rope_theta": 10_000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
        },
        tie_word_embeddings=True,
        attention_dropout=0.0,
        initializer_range=0.02,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        final_logit_softcapping=None,
        attn_logit_softcapping=None,
    )


def make_model(config: Gemma3TextConfig) -> Gemma3ForCausalLM:
    """A fresh network."""
    return Gemma3ForCausalLM(config)
