"""Sampled answers to prompts, each with its own student, dose and random stream, and how base reads them."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from steerheal.generation.context import check_context
from steerheal.generation.engine import Engine
from steerheal.generation.request import Request
from steerheal.generation.sampling import Sampling
from steerheal.generation.score import score_under_base
from steerheal.generation.streams import stream_key
from steerheal.jobs import Prompt
from steerheal.students.base import Base
from steerheal.students.chat import prompt_ids
from steerheal.students.rows import Row


@dataclass(frozen=True)
class Ask:
    """One answer to make. `settings` is the section `sample`; (seed, prompt id, dose, sample) key its stream."""

    prompt: Prompt
    row: Row
    system: str
    settings: Any
    seed: int
    sample: int
    steer_prompt: bool = True


@dataclass(frozen=True)
class Answer:
    """ids hold the stop token, if one came; logprobs and entropies [len(ids)] are base's, in nats."""

    ask: Ask
    prompt_ids: tuple[int, ...]
    ids: tuple[int, ...]
    text: str
    hit_limit: bool
    logprobs: torch.Tensor
    entropies: torch.Tensor


def answer(engine: Engine, asks: Sequence[Ask], on_tokens: Callable[[int], None] = lambda count: None) -> list[Answer]:
    """Generate all answers together, then score them under base.

    Raises UserError when a prompt and its new tokens exceed the model's context.
    """
    stops = stop_ids(engine.base)
    requests = [_request(engine.base, ask, stops) for ask in asks]
    check_context(engine.base, "prompts", requests, "max_new_tokens")
    completions = engine.run(requests, on_tokens)
    ids = [completion.with_stop for completion in completions]
    scores = score_under_base(engine.base, [request.prompt for request in requests], ids)
    texts = [engine.base.tokenizer.decode(completion.ids, skip_special_tokens=True) for completion in completions]
    return [
        Answer(ask, request.prompt, made, text, completion.hit_limit, *score)
        for ask, request, completion, made, text, score in zip(asks, requests, completions, ids, texts, scores)
    ]


def _request(base: Base, ask: Ask, stops: tuple[int, ...]) -> Request:
    return Request(
        prompt=tuple(prompt_ids(base.tokenizer, ask.system, ask.prompt.text)),
        row=ask.row,
        max_new_tokens=ask.settings.max_new_tokens,
        stream=stream_key(ask.seed, ask.prompt.id, ask.row.dose, ask.sample),
        sampling=sampling_of(ask.settings),
        steer_prompt=ask.steer_prompt,
        stops=stops,
        stop_loops=ask.settings.stop_loops,
    )


def sampling_of(settings: Any) -> Sampling:
    """The settings section `sample` as the engine takes it: temperature 0 is greedy, top_k 0 the whole vocabulary."""
    if settings.temperature == 0:
        return Sampling(top_k=1)
    return Sampling(settings.temperature, settings.top_p, settings.top_k or sys.maxsize)


def stop_ids(base: Base) -> tuple[int, ...]:
    """Every id that ends an answer: the tokenizer's and those of the model's generation settings."""
    stops = base.model.generation_config.eos_token_id
    stops = [] if stops is None else [stops] if isinstance(stops, int) else stops
    return tuple(dict.fromkeys([*stops, base.tokenizer.eos_token_id]))
