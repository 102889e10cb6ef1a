"""Scores of single texts: every text, on every dimension, in every pass."""

from collections.abc import Callable, Sequence

from steerheal.judging import prompt
from steerheal.judging.agreement import agreement
from steerheal.judging.answers import Answer
from steerheal.judging.judge import Judge, Outcome, Pass
from steerheal.judging.outcome import Judgement
from steerheal.judging.rubric import Rubric
from steerheal.statistics.means import mean


def score_answers(
    judge: Judge, rubric: Rubric, answers: Sequence[Answer], passes: int, on_done: Callable[[], None]
) -> dict:
    """The judge's scores as plain JSON data, 0 to 10.

    {"scores": {dimension: {"mean", "se", "n", "failed"}} over answers, "agreement": {dimension: as
    `agreement.agreement`}, "answers": [{"line", .., "scores": {dimension: mean over passes} or None, "passes":
    [one outcome each]}]}. An answer has scores only if every pass succeeded: a mean over fewer passes would be
    noisier than its neighbours without saying so.
    """
    questions = [prompt.score(rubric, answer.prompt, answer.text) for answer in answers]
    asked = [Pass(question, number) for question in questions for number in range(passes)]
    outcomes = judge.ask(asked, on_done)
    rows, given = [], {name: [] for name in rubric.dimensions}
    for position, answer in enumerate(answers):
        own = outcomes[position * passes : (position + 1) * passes]
        judged = [outcome.given for outcome in own if isinstance(outcome, Judgement)]
        for name in given:
            given[name].append([found[name] for found in judged])
        scores = None
        if len(judged) == passes:
            scores = {name: sum(found[name] for found in judged) / passes for name in given}
        rows.append({"line": answer.line, **dict(answer.about), "scores": scores, "passes": list(map(told, own))})
    means = {name: vars(mean([row["scores"] and row["scores"][name] for row in rows])) for name in given}
    agreed = {name: agreement(values) for name, values in given.items()} if passes > 1 else None
    return {"scores": means, "agreement": agreed, "answers": rows}


def told(outcome: Outcome) -> dict:
    """One outcome as plain JSON data."""
    if isinstance(outcome, Judgement):
        return {"outcome": "ok", "given": outcome.given, "reason": outcome.reason, "cached": outcome.cached}
    return {"outcome": "failed", "kind": outcome.kind, "detail": outcome.detail}
