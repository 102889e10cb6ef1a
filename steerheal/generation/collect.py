"""One round's training data: find the dose, generate with it, keep what is coherent ("walk-C").

The whole ladder of kappas (geometric, from 1 down to kappa_min) is one batch; the largest kappa whose probe survival
reaches the target is taken, and collection goes on with it until `n_keep` survivors or `max_batches` batches.
Survivors of passing rungs count. Jobs are procedures that ask for completions and are resumed with them, so those of
several trials share every batch.
"""

import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from random import Random
from typing import Any

from steerheal.generation.engine import Completion, Engine, Request
from steerheal.generation.filter import Measured, Thresholds, judge
from steerheal.generation.sampling import Sampling
from steerheal.generation.score import score_under_base
from steerheal.generation.streams import stream_key
from steerheal.jobs import Collect, Prompt
from steerheal.students.chat import prompt_ids
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
    passing = {rung["kappa"] for rung in rungs if rung["passed"]}
    for record in records:
        record["used"] = record["kept"] and record["kappa"] in passing
    batches = 0
    while _used(records) < job.dose.n_keep and batches < job.dose.max_batches:
        batch = [_wanted(order, number) for number in islice(turn, job.dose.n_keep)]
        made = yield [Wanted(prompt, kappa, sample) for prompt, sample in batch]
        for record in made:
            record["used"] = record["kept"] and _used(records) < job.dose.n_keep
            records.append(record)
        batches += 1
    return {"records": records, "summary": _summary(job, records, rungs, kappa, batches)}


def _wanted(order: list[Prompt], turn: int) -> tuple[Prompt, int]:
    """Prompts in turn; a prompt that comes up again gets its next sample."""
    return order[turn % len(order)], turn // len(order)


def _used(records: list[dict]) -> int:
    return sum(record.get("used", False) for record in records)


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
    stops = stop_ids(engine.base)
    requests = []
    for (job, student, vector), wants in batch:
        for want in wants:
            dose = job.steering.dose * want.kappa
            requests.append(
                Request(
                    prompt=tuple(prompt_ids(engine.base.tokenizer, job.system, want.prompt.text)),
                    row=Row(student, vector, dose, job.steering.apply),
                    max_new_tokens=job.sample.max_new_tokens,
                    stream=stream_key(job.seed, want.prompt.id, dose, want.sample),
                    sampling=sampling_of(job.sample),
                    steer_prompt=job.steering.steer_prompt,
                    stops=stops,
                )
            )
    records = _judged(engine, requests, engine.run(requests, on_tokens), batch)
    made, start = [], 0
    for _, wants in batch:
        made.append(records[start : start + len(wants)])
        start += len(wants)
    return made


def _judged(engine: Engine, requests: list[Request], completions: list[Completion], batch) -> list[dict]:
    trained = [completion.with_stop for completion in completions]
    scores = score_under_base(engine.base, [request.prompt for request in requests], trained)
    flat = [(job, want) for (job, _, _), wants in batch for want in wants]
    records = []
    for (job, want), request, completion, ids, (logp, entropy) in zip(flat, requests, completions, trained, scores):
        text = engine.base.tokenizer.decode(completion.ids, skip_special_tokens=True)
        measured = Measured(text, logp.numpy(), entropy.numpy(), completion.hit_limit, want.prompt.text)
        limits = Thresholds(job.filter.max_perplexity, job.filter.max_repetition)
        verdict = judge(measured, limits)
        records.append({
            "prompt_id": want.prompt.id, "prompt": want.prompt.text, "text": text, "kappa": want.kappa,
            "dose": request.row.dose, "sample": want.sample, "kept": verdict.kept, "gate": verdict.gate,
            "reasons": verdict.reasons, "measures": verdict.measures, "hit_limit": completion.hit_limit,
            "prompt_ids": list(request.prompt), "ids": list(ids),
        })
    return records


def sampling_of(sample: Any) -> Sampling:
    """The settings section `sample` as the engine takes it: temperature 0 is greedy, top_k 0 the whole vocabulary."""
    if sample.temperature == 0:
        return Sampling(top_k=1)
    return Sampling(sample.temperature, sample.top_p, sample.top_k or sys.maxsize)


def stop_ids(base) -> tuple[int, ...]:
    """Every id that ends an answer: the tokenizer's and those of the model's generation settings."""
    stops = base.model.generation_config.eos_token_id
    stops = [] if stops is None else [stops] if isinstance(stops, int) else stops
    return tuple(dict.fromkeys([*stops, base.tokenizer.eos_token_id]))
