"""Evaluation of many students at once: vignettes × orders × students are rows of the same slots."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from steerheal.evaluation.profile import Read, report
from steerheal.evaluation.protocol import ORDERS, Protocol
from steerheal.generation.context import check_context
from steerheal.generation.engine import Engine
from steerheal.generation.request import Completion, Request
from steerheal.generation.sampling import GREEDY
from steerheal.students.rows import Row


@dataclass(frozen=True)
class EvaluationTask:
    """One student (in `row`, perhaps steered) to profile on `vignettes` with `instrument`."""

    row: Row
    vignettes: tuple[Any, ...]
    instrument: Any
    think_tokens: int
    system: str | None = None
    steer_prompt: bool = True


def evaluate(
    engine: Engine, tasks: Sequence[EvaluationTask], on_tokens: Callable[[int], None] = lambda count: None
) -> list[dict]:
    """One report (see `profile.report`) per task, all tasks decoded together.

    Raises UserError when a vignette, the thought and the answer exceed the model's context.
    """
    tokenizer = engine.base.tokenizer
    protocols = [Protocol.of(tokenizer, task.instrument) for task in tasks]
    requests = [
        _request(task, protocol, vignette, order)
        for task, protocol in zip(tasks, protocols)
        for vignette in task.vignettes
        for order in ORDERS
    ]
    check_context(engine.base, "vignettes", requests, "think_tokens")
    completions = engine.run(requests, on_tokens)
    _reread_early_answers(engine, requests, completions, [p for t, p in zip(tasks, protocols) for _ in t.vignettes])
    reports, start = [], 0
    for task, protocol in zip(tasks, protocols):
        end = start + len(task.vignettes) * len(ORDERS)
        reports.append(report(_reads(task, protocol, completions[start:end])))
        start = end
    return reports


def _request(task: EvaluationTask, protocol: Protocol, vignette: Any, order: str) -> Request:
    return Request(
        prompt=protocol.prompt(vignette.text, order, task.system),
        row=task.row,
        max_new_tokens=task.think_tokens,
        sampling=GREEDY,
        steer_prompt=task.steer_prompt,
        suppress=protocol.suppress,
        suffix=protocol.suffix_ids,
        read=protocol.answers,
        scored=protocol.prefill_count,
    )


def _reread_early_answers(
    engine: Engine, requests: list[Request], completions: list[Completion], protocols: list[Protocol]
) -> None:
    """Where the thought itself holds the prefill and goes on, the distribution after it is the answer."""
    early = {}
    for place, completion in enumerate(completions):
        count = protocols[place // len(ORDERS)].answered_early(completion.ids)
        if count is not None:
            early[place] = replace(requests[place], suffix=tuple(completion.ids[:count]), max_new_tokens=0, scored=0)
    for place, completion in zip(early, engine.run(list(early.values()))):
        completions[place].read = completion.read


def _reads(task: EvaluationTask, protocol: Protocol, completions: list[Completion]) -> list[Read]:
    reads = []
    for number, vignette in enumerate(task.vignettes):
        pair = completions[2 * number : 2 * number + 2]
        logp = {order: protocol.by_foundation(c.read, order) for order, c in zip(ORDERS, pair)}
        reads.append(Read(vignette.id, vignette.foundation, logp, sum(c.nll for c in pair) / len(pair)))
    return reads
