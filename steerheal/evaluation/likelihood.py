"""How likely given responses are to a student: mean nll per response token, for many students in shared passes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from steerheal.errors import UserError
from steerheal.healing.examples import Example
from steerheal.healing.pairs import example_of, longest
from steerheal.jobs import Conversation
from steerheal.pair_sets import under
from steerheal.students.base import Base, Plan
from steerheal.students.batching import batches, pad, sight_of
from steerheal.students.rows import GroupedAdapters, Student


@dataclass(frozen=True)
class LikelihoodTask:
    """Conversations to score; `system` stands before whatever system prompt they have. Longer ones are left out."""

    student: Student
    conversations: tuple[Conversation, ...]
    system: str | None
    max_tokens: int


def likelihood(
    base: Base, tasks: Sequence[LikelihoodTask], on_pairs: Callable[[int], None] = lambda count: None
) -> list[tuple[list[dict], dict]]:
    """Per task (rows, summary): a row's `nll` is its mean over response tokens, the end included, in nats; the
    summary's the mean over rows, as in training.

    Raises UserError when every conversation of a task is too long.
    """
    rows = [_rows(base, task) for task in tasks]
    flat = [(task.student, example, row) for task, made in zip(tasks, rows) for row, example in made]
    for group in batches([len(example.ids) for _, example, _ in flat], base.device):
        _score(base, [flat[place] for place in group])
        on_pairs(len(group))
    return [_summary([row for row, _ in made]) for made in rows]


def _rows(base: Base, task: LikelihoodTask) -> list[tuple[dict, Example]]:
    made = []
    for conversation in task.conversations:
        example = example_of(base, under(task.system, conversation))
        # Whether a response counts must not depend on the system prompt that it is scored under.
        if len(example_of(base, conversation).ids) <= longest(base, task.max_tokens):
            made.append(({"id": conversation.id, "tokens": len(example.completion)}, example))
    if not made:
        raise UserError(f"all {len(task.conversations)} pairs are longer than {task.max_tokens} tokens; shorten them")
    return made


@torch.inference_mode()
def _score(base: Base, group: list) -> None:
    """Put `nll` into the rows of one pass."""
    students = [student for student, _, _ in group]
    ids = pad([example.ids for _, example, _ in group], base.device)
    adapters = GroupedAdapters(students, base.device) if any(student.adapter for student in students) else None
    states = base.hidden(ids, Plan(adapters=adapters), sight_of(ids))
    for place, (_, example, row) in enumerate(group):
        start, count = len(example.prompt) - 1, len(example.completion)
        logp = base.logits(states[place, start : start + count]).log_softmax(-1)
        targets = torch.tensor(example.completion, device=logp.device)[:, None]
        row["nll"] = -logp.gather(-1, targets).double().mean().item()


def _summary(rows: list[dict]) -> tuple[list[dict], dict]:
    nll = sum(row["nll"] for row in rows) / len(rows)
    return rows, {"nll": nll, "pairs": len(rows), "tokens": sum(row["tokens"] for row in rows)}
