"""One round's training data: find the dose, generate with it, keep what is coherent ("walk-C").

The whole ladder of kappas (geometric, from 1 down to kappa_min) is one batch; the largest kappa whose probe survival
reaches the target is taken, and collection goes on with it until `n_keep` survivors or `max_batches` batches.
Survivors of lower passing rungs fill what is still missing then: used earlier, they would dilute the dose. Jobs are
procedures that ask for completions and are resumed with them, so those of several trials share every batch.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from random import Random
from typing import Any

from steerheal.generation.answers import Answer, Ask, answer
from steerheal.generation.engine import Engine
from steerheal.generation.filter import Measured, Thresholds, judge
from steerheal.jobs import Collect, Prompt
from steerheal.students.rows import Row, Student, Vector


@dataclass(frozen=True)
class Wanted:
    """One steered completion to make: which prompt, at which kappa, and its how-manieth sample there."""

    prompt: Prompt
    kappa: float
    sample: int


Procedure = Generator[list[Wanted], list[dict], dict]


def ladder(kappa_min: float, rungs: int) -> list[float]:
    """Geometric kappas from 1 down to kappa_min."""
    return [1.0] if rungs == 1 else [kappa_min ** (rung / (rungs - 1)) for rung in range(rungs)]


def collection(job: Collect) -> Procedure:
    """Yields what to generate, is sent the judged records, returns {"records", "summary"}."""
    order = list(job.prompts)
    Random(f"prompts {job.seed} {job.round}").shuffle(order)
    turn = count()
    kappas = ladder(job.dose.kappa_min, job.dose.rungs)
    probes = [_wanted(order, number) for number in islice(turn, job.dose.per_rung)]
    records = yield [Wanted(prompt, kappa, sample) for kappa in kappas for prompt, sample in probes]
    rungs = []
    for number, kappa in enumerate(kappas):
        probed = records[number * len(probes) : (number + 1) * len(probes)]
        survival = sum(r["kept"] for r in probed) / len(probed)
        rungs.append({"kappa": kappa, "survival": survival, "passed": survival >= job.dose.survival})
    kappa = next((rung["kappa"] for rung in rungs if rung["passed"]), kappas[-1])
    batches = 0
    _use(records, [kappa], job.dose.n_keep)
    while _used(records) < job.dose.n_keep and batches < job.dose.max_batches:
        batch = [_wanted(order, number) for number in islice(turn, job.dose.n_keep)]
        records += yield [Wanted(prompt, kappa, sample) for prompt, sample in batch]
        _use(records, [kappa], job.dose.n_keep)
        batches += 1
    _use(records, [rung["kappa"] for rung in rungs if rung["passed"]], job.dose.n_keep)
    return {"records": records, "summary": _summary(job, records, rungs, kappa, batches)}


def _wanted(order: list[Prompt], turn: int) -> tuple[Prompt, int]:
    """Prompts in turn; a prompt that comes up again gets its next sample."""
    return order[turn % len(order)], turn // len(order)


def _use(records: list[dict], kappas: list[float], limit: int) -> None:
    """Mark kept records of `kappas`, in that order, as training data, up to `limit` in all."""
    for record in records:
        record.setdefault("used", False)
    for kappa in kappas:
        for record in records:
            if record["kept"] and record["kappa"] == kappa and _used(records) < limit:
                record["used"] = True


def _used(records: list[dict]) -> int:
    return sum(record["used"] for record in records)


def _summary(job: Collect, records: list[dict], rungs: list[dict], kappa: float, batches: int) -> dict:
    """The figures of the round; `drops` counts the completions of the chosen kappa by the gate that dropped them."""
    at_dose = [record for record in records if record["kappa"] == kappa]
    perplexities = [r["measures"]["perplexity"] for r in at_dose if "perplexity" in r["measures"]]
    gates: dict[str, int] = {}
    for record in at_dose:
        if record["gate"]:
            gates[record["gate"]] = gates.get(record["gate"], 0) + 1
    return {
        "kappa": kappa,
        "dose": job.steering.dose * kappa,
        "rungs": rungs,
        "generated": len(records),
        "kept": _used(records),
        "survival": sum(record["kept"] for record in at_dose) / len(at_dose),
        "mean_perplexity": sum(perplexities) / len(perplexities) if perplexities else None,
        "drops": gates,
        "batches": batches,
        "tokens": sum(len(record["ids"]) for record in records),
        "starved": _used(records) < job.dose.min_train,
    }


def collect(
    engine: Engine,
    jobs: Sequence[tuple[Collect, Student, Vector]],
    on_tokens: Callable[[int], None] = lambda count: None,
) -> list[dict]:
    """Run all jobs' procedures side by side; each result is {"records": [...], "summary": {...}}."""
    procedures = [collection(job) for job, _, _ in jobs]
    results: dict[int, dict] = {}
    wanted = {number: next(procedure) for number, procedure in enumerate(procedures)}
    while wanted:
        made = _generate(engine, [(jobs[number], want) for number, want in wanted.items()], on_tokens)
        for number, records in zip(list(wanted), made):
            try:
                wanted[number] = procedures[number].send(records)
            except StopIteration as finished:
                results[number] = finished.value
                del wanted[number]
    return [results[number] for number in range(len(jobs))]


def _generate(engine: Engine, batch: list[tuple[tuple[Collect, Student, Vector], list[Wanted]]], on_tokens) -> list:
    """Generate and judge everything that the procedures want next, in one run of the engine."""
    asks = [_ask(*task, want) for task, wants in batch for want in wants]
    answers = iter(answer(engine, asks, on_tokens))
    return [
        [judged(next(answers), limits(job.filter)) | {"kappa": want.kappa} for want in wants]
        for (job, _, _), wants in batch
    ]


def _ask(job: Collect, student: Student, vector: Vector, want: Wanted) -> Ask:
    steering = job.steering
    row = Row(student, vector, steering.dose * want.kappa, steering.apply)
    return Ask(want.prompt, row, job.system, job.sample, job.seed, want.sample, steering.steer_prompt)


def limits(section: Any) -> Thresholds:
    """The settings section `filter` as the filter takes it."""
    return Thresholds(section.max_perplexity, section.max_repetition, max_blunders=section.max_blunders)


def judged(found: Answer, thresholds: Thresholds) -> dict:
    """One answer as a record: its texts and ids, whether it is kept, and the gates' reasons and measures."""
    prompt = found.ask.prompt
    measured = Measured(found.text, found.logprobs.numpy(), found.entropies.numpy(), found.hit_limit, prompt.text)
    verdict = judge(measured, thresholds)
    return {
        "prompt_id": prompt.id,
        "prompt": prompt.text,
        "text": found.text,
        "dose": found.ask.row.dose,
        "sample": found.ask.sample,
        "kept": verdict.kept,
        "gate": verdict.gate,
        "reasons": verdict.reasons,
        "measures": verdict.measures,
        "hit_limit": found.hit_limit,
        "prompt_ids": list(found.prompt_ids),
        "ids": list(found.ids),
    }
