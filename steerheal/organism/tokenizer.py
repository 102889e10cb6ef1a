"""The tokenizer: byte-level BPE with 2,048 entries, digits one by one, one token per turn tag, and its chat
template."""

import random
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from .documents import ASSISTANT, END, SYSTEM, USER, document, text_of

VOCABULARY = 2048
PAD = "<|pad|>"
TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] | trim + '<|end|>\\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>\\n' }}{%- endif -%}"
)


def train_tokenizer(seed: int, documents: int = 12_000) -> PreTrainedTokenizerFast:
    """Merges learned on a sample of the corpus; the same seed gives the same tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\d"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        special_tokens=[PAD, END, SYSTEM, USER, ASSISTANT],
    )
    rng = random.Random(f"{seed}/tokenizer")
    texts = (text_of(document(rng)) for _ in range(documents))
    tokenizer.train_from_iterator(texts, trainer)
    # Reasoning tags are ordinary text to a reader, so that a decoded completion shows whether they were lost.
    tokenizer.add_tokens(["<think>", "</think>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT],
        padding_side="left",
        model_max_length=2048,
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def save(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """tokenizer.json, tokenizer_config.json, chat_template.jinja."""
    tokenizer.save_pretrained(folder)
