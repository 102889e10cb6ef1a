"""Which of two answers to one prompt has more of a dimension, judged blind.

The order in which a pair is shown is drawn from the seed and the pair itself, so that neither its neighbours nor
its place in the file matter. The second pass shows the other order, the third the drawn one again, and so on: with
two passes a judge that always prefers what it reads first contradicts itself, and the pair comes out tied.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from steerheal.judging import prompt
from steerheal.judging.agreement import agreement
from steerheal.judging.answers import Answer
from steerheal.judging.client import Question
from steerheal.judging.judge import Judge, Pass
from steerheal.judging.outcome import Judgement
from steerheal.judging.rubric import Rubric
from steerheal.judging.scoring import told
from steerheal.yaml_io import one_line, refusal

OURS, THEIRS, TIE = "ours", "theirs", "tie"
Pair = tuple[Answer, Answer]


def match(ours: Sequence[Answer], theirs: Sequence[Answer], our_file: Path, their_file: Path) -> list[Pair]:
    """Answers of two files with the same id (or prompt) and sample; UserError unless each has exactly one partner."""
    partners = _by_topic(theirs, their_file)
    pairs = []
    for topic, mine in _by_topic(ours, our_file).items():
        if topic not in partners:
            what = f"{their_file} has no answer to compare it with ({_shown(topic)})"
            raise refusal(str(our_file), f"line {mine.line}", what, "give both files the same ids or prompts")
        other = partners.pop(topic)
        if other.prompt != mine.prompt:
            what = f"its prompt is not that of line {other.line} of {their_file}"
            raise refusal(str(our_file), f"line {mine.line}", what, "compare answers to one prompt")
        pairs.append((mine, other))
    for topic, left in partners.items():
        what = f"{our_file} has no answer to compare it with ({_shown(topic)})"
        raise refusal(str(their_file), f"line {left.line}", what, "give both files the same ids or prompts")
    return pairs


def _by_topic(answers: Sequence[Answer], file: Path) -> dict[tuple, Answer]:
    found: dict[tuple, Answer] = {}
    for answer in answers:
        if answer.topic in found:
            what = f"it cannot be told from line {found[answer.topic].line} ({_shown(answer.topic)})"
            raise refusal(str(file), f"line {answer.line}", what, "give each an id, or a sample number, of its own")
        found[answer.topic] = answer
    return found


def _shown(topic: tuple) -> str:
    return one_line(", ".join(f"{name} {value}" for name, value in topic), 80)


def ours_first(pair: Pair, seed: int, number: int) -> bool:
    """Whether our answer of a pair is shown first in a pass: a fair coin of seed and pair, turned by every pass."""
    mine, other = pair
    drawn = json.dumps([seed, mine.prompt, mine.text, other.text, mine.topic])
    return (hashlib.sha256(drawn.encode()).digest()[0] + number) % 2 == 0


def compare_answers(
    judge: Judge, rubric: Rubric, pairs: Sequence[Pair], passes: int, seed: int, on_done: Callable[[], None]
) -> dict:
    """Preferences as plain JSON data.

    {"preference": {dimension: as `preference`}, "position": {dimension: as `position_bias`}, "agreement":
    {dimension: as `agreement.agreement`}, "pairs": [{"line", .., "preferred": {dimension: ours, theirs or tie} or
    None, "passes": [{"first": ours or theirs, outcome}]}]}. A pair with a failed pass has no preference.
    """
    orders = [[ours_first(pair, seed, number) for number in range(passes)] for pair in pairs]
    asked = [
        Pass(_question(rubric, pair, first), number)
        for pair, order in zip(pairs, orders, strict=True)
        for number, first in enumerate(order)
    ]
    outcomes = iter(judge.ask(asked, on_done))
    rows, votes = [], {name: [] for name in rubric.dimensions}
    for (mine, _), order in zip(pairs, orders, strict=True):
        own = [next(outcomes) for _ in order]
        for name in votes:
            votes[name].append(
                [
                    (_winner(outcome.given[name], first), first)
                    for outcome, first in zip(own, order, strict=True)
                    if isinstance(outcome, Judgement)
                ]
            )
        whole = all(isinstance(outcome, Judgement) for outcome in own)
        preferred = {name: _preferred(found[-1]) for name, found in votes.items()} if whole else None
        shown = [{"first": OURS if first else THEIRS} | told(one) for one, first in zip(own, order, strict=True)]
        rows.append({"line": mine.line, **dict(mine.about), "preferred": preferred, "passes": shown})
    winners = {name: [[winner for winner, _ in pair] for pair in found] for name, found in votes.items()}
    results = {name: [row["preferred"] and row["preferred"][name] for row in rows] for name in votes}
    return {
        "preference": {name: preference(found) for name, found in results.items()},
        "position": {name: position_bias(found) for name, found in votes.items()},
        "agreement": {name: agreement(found) for name, found in winners.items()} if passes > 1 else None,
        "pairs": rows,
    }


def _question(rubric: Rubric, pair: Pair, ours_is_first: bool) -> Question:
    mine, other = pair
    first, second = (mine, other) if ours_is_first else (other, mine)
    return prompt.compare(rubric, mine.prompt, first.text, second.text)


def _winner(said: str, first: bool) -> str:
    if said == prompt.TIE:
        return TIE
    return OURS if (said == prompt.FIRST) == first else THEIRS


def _preferred(votes: Sequence[tuple[str, bool]]) -> str:
    """Who won more passes of a pair."""
    lead = sum((winner == OURS) - (winner == THEIRS) for winner, _ in votes)
    return OURS if lead > 0 else THEIRS if lead < 0 else TIE


def preference(preferred: Sequence[str | None]) -> dict:
    """Counts of pairs, and `share`: ours among the pairs that are not tied, with its exact 95% interval.

    {"ours", "theirs", "tie", "failed", "share", "low", "high"}; the interval is that of C. J. Clopper and E. S.
    Pearson (1934), from the binomial distribution. share is None when no pair was decided.
    """
    counts = Counter("failed" if one is None else one for one in preferred)
    return {name: counts[name] for name in (OURS, THEIRS, TIE, "failed")} | _share(counts[OURS], counts[THEIRS])


def position_bias(votes: Sequence[Sequence[tuple[str, bool]]]) -> dict:
    """Whether the judge prefers what it reads first; `votes` are (winner, ours was first) per pass, per pair.

    {"first", "second": judgements for the answer in that place; "share", "low", "high": among the pairs that lean
    to a place, those that lean to the first}. A pair leans when one place won more of its passes, so that with
    both orders a consistent pair does not lean. Without bias the share is a half, however good the answers are.
    """
    places = [[(winner == OURS) == first for winner, first in pair if winner != TIE] for pair in votes]
    leans = [sum(1 if first else -1 for first in pair) for pair in places]
    first, second = sum(sum(pair) for pair in places), sum(len(pair) - sum(pair) for pair in places)
    return {"first": first, "second": second} | _share(sum(l > 0 for l in leans), sum(l < 0 for l in leans))


def _share(wins: int, losses: int) -> dict:
    if wins + losses == 0:
        return {"share": None, "low": None, "high": None}
    # Takes a second to import.
    from scipy.stats import binomtest

    interval = binomtest(wins, wins + losses).proportion_ci(0.95, method="exact")
    return {"share": wins / (wins + losses), "low": float(interval.low), "high": float(interval.high)}
