"""Canaries: sampled answers to fixed prompts, each with its damage and beliefs, for many students at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from steerheal.evaluation import damage
from steerheal.evaluation.canary_suite import CanaryPrompt, Suite, tally
from steerheal.generation.answers import Answer, Ask, answer
from steerheal.generation.engine import Engine
from steerheal.generation.gates import perplexity
from steerheal.generation.measured import Measured, Thresholds
from steerheal.jobs import Prompt
from steerheal.students.rows import Row

THINK = "<think>"


@dataclass(frozen=True)
class CanaryTask:
    """`samples` answers of one student (in `row`) to every prompt of `suite`; `settings` is the section `sample`."""

    row: Row
    system: str
    suite: Suite
    samples: int
    settings: Any
    seed: int
    exempt: tuple[str, ...] = ()
    steer_prompt: bool = True
    thresholds: Thresholds = Thresholds()


def run_canaries(
    engine: Engine, tasks: Sequence[CanaryTask], on_tokens: Callable[[int], None] = lambda count: None
) -> list[tuple[list[dict], dict]]:
    """Per task (answers, summary): the summary is the suite's tally and `undamaged`, the share without damage."""
    asks = [
        Ask(
            Prompt(canary.id, canary.prompt), task.row, task.system, task.settings, task.seed, sample, task.steer_prompt
        )
        for task in tasks
        for canary in task.suite.prompts
        for sample in range(task.samples)
    ]
    found = iter(answer(engine, asks, on_tokens))
    results = []
    for task in tasks:
        rows, damages = [], []
        for canary in task.suite.prompts:
            for _ in range(task.samples):
                given = next(found)
                hurt = _assess(given, canary, _opened(engine, given), task.thresholds).without(task.exempt)
                damages.append((canary.id, hurt))
                rows.append(
                    {
                        "id": canary.id,
                        "prompt": canary.prompt,
                        "sample": given.ask.sample,
                        "text": given.text,
                        "damage": list(hurt.kinds),
                        "beliefs": list(hurt.beliefs),
                        "measures": hurt.measures,
                    }
                )
        counts = tally(task.suite, damages)
        results.append((rows, counts | {"undamaged": counts["all"]["undamaged"] / counts["all"]["answers"]}))
    return results


def _opened(engine: Engine, given: Answer) -> str:
    """The reasoning tag, where the chat template has already opened it for the answer."""
    ending = engine.base.tokenizer.decode(given.prompt_ids[-8:]).rstrip()
    return THINK if ending.endswith(THINK) else ""


def _assess(given: Answer, canary: CanaryPrompt, opened: str, thresholds: Thresholds) -> damage.Damage:
    read = Measured(given.text, given.logprobs.numpy(), None, given.hit_limit, given.ask.prompt.text)
    measured = perplexity.measure(read).get("perplexity", float("nan")) if canary.perplexity else None
    made = damage.Answer(given.text, len(given.ids), given.hit_limit, measured, opened, given.ask.prompt.text)
    return damage.assess(made, canary.beliefs, thresholds)
