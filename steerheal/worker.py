"""Runs batches of one stage's jobs on one base: artefacts in, artefacts out.

The worker is what a notebook uses in its own process and what an actor hosts; it knows nothing of trials.
"""

import io
import json
import math
import time
import traceback
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors

from steerheal.bands import band_blocks
from steerheal.errors import StageError, StoreAway, UserError
from steerheal.evaluation.canaries import CanaryTask, run_canaries
from steerheal.evaluation.likelihood import LikelihoodTask, likelihood
from steerheal.evaluation.tinymfv import EvaluationTask, evaluate
from steerheal.evaluation.voice import compare, group
from steerheal.files import read_jsonl
from steerheal.generation.collect import collect, limits
from steerheal.generation.engine import Engine
from steerheal.healing.examples import Example
from steerheal.healing.pairs import example_of, longest, marked
from steerheal.healing.train import Healed, HealTask, heal
from steerheal.jobs import (
    Canary,
    Collect,
    Conversation,
    Evaluate,
    Extract,
    Heal,
    Job,
    Pairs,
    Result,
    Score,
    Style,
)
from steerheal.steering.extract import extract
from steerheal.store import Store, open_store
from steerheal.students.adapter import Adapter, fold, from_peft, to_peft
from steerheal.students.bands import banded
from steerheal.students.base import Base, load_base
from steerheal.students.rows import Row, Student, Vector
from steerheal.students.shelf import Shelf, room

Artefact = tuple[dict[str, bytes], dict]


class Worker:
    """Stages on one base. `progress` says what is running: stage, jobs, done, total and unit."""

    def __init__(self, base: Base, store: Store, slots: int = 64):
        self.base, self.store = base, store
        self.engine = Engine(base, slots)
        self.progress: dict[str, Any] = {}
        self._student = Shelf(self._fold_student, room(base.device))
        self._vector = lru_cache(maxsize=256)(self._read_vector)
        self._examples = lru_cache(maxsize=64)(self._read_examples)
        self._stages: dict[type[Job], Callable[[list], list[Artefact]]] = {
            Extract: self._extract,
            Collect: self._collect,
            Pairs: self._pairs,
            Heal: self._heal,
            Evaluate: self._evaluate,
            Canary: self._canary,
            Score: self._score,
            Style: self._style,
        }

    @property
    def fingerprint(self) -> str:
        """The base's, by which jobs name it."""
        return self.base.fingerprint

    def export(self, student: tuple[str, ...], bands: Any = None) -> dict[str, bytes]:
        """A history, or what counts of it in a band, as one PEFT adapter: its files by name."""
        return to_peft(self._student(student, bands).adapter, self.base.anatomy)

    def run_batch(self, jobs: Sequence[Job]) -> list[Result | Exception]:
        """Run jobs of one stage together; a job that fails gets its exception, its neighbours their results.

        When a batch fails it is run again in halves: memory may suffice for half, and a bad job is found out.
        """
        started = time.monotonic()
        self.progress = {"stage": jobs[0].stage, "jobs": len(jobs), "done": 0, "total": 0}
        try:
            artefacts = self._stages[type(jobs[0])](list(jobs))
        except StoreAway:
            raise
        except Exception as error:
            # What the failed pass held would take the room of those that follow.
            traceback.clear_frames(error.__traceback__)
            self._free()
            if len(jobs) == 1:
                return [_stage_error(jobs[0], error)]
            middle = len(jobs) // 2
            return [*self.run_batch(jobs[:middle]), *self.run_batch(jobs[middle:])]
        finally:
            self.progress = {}
        seconds = (time.monotonic() - started) / len(jobs)
        return [
            self.store.put(job.key, job.stage, files, summary, seconds)
            for job, (files, summary) in zip(jobs, artefacts)
        ]

    def _free(self) -> None:
        if self.base.device.type == "cuda":
            torch.cuda.empty_cache()

    def _advance(self, tokens: int) -> None:
        self.progress["done"] += tokens

    def _heal_step(self, done: int, total: int) -> None:
        self.progress |= {"done": done, "total": total}

    def _read_adapter(self, key: str) -> Adapter:
        return from_peft(self.store.folder(key), self.base.anatomy).to(self.base.device, self.base.dtype)

    def _fold_student(self, keys: tuple[str, ...], bands: Any) -> Student:
        if bands is not None:
            return banded(self.base, self._student(keys), bands)
        return Student(keys, fold([self._read_adapter(key) for key in keys]) if keys else None)

    def _read_vector(self, key: str) -> Vector:
        tensors = load_file(self.store.folder(key) / "vector.safetensors")
        return Vector(key, {int(block): direction for block, direction in tensors.items()})

    def _row(self, job: Evaluate | Canary) -> Row:
        student, steering = self._student(job.student, job.bands), job.steering
        if steering is None:
            return Row(student)
        return Row(student, self._vector(steering.vector), steering.dose, steering.apply)

    def _extract(self, jobs: list[Extract]) -> list[Artefact]:
        made = []
        for job in jobs:
            vector = extract(
                self.base, self._student(job.student), job.positive, job.negative, job.contexts, job.layers, job.method
            )
            if not all(torch.isfinite(direction).all() for direction in vector.values()):
                raise StageError("the vector is not finite")
            norms = {str(block): direction.norm().item() for block, direction in vector.items()}
            if not any(norms.values()):
                raise StageError("the vector is zero: the model reads both sides of the persona alike")
            payload = save_tensors({str(block): direction.contiguous() for block, direction in vector.items()})
            made.append(({"vector.safetensors": payload}, {"norms": norms}))
        return made

    def _collect(self, jobs: list[Collect]) -> list[Artefact]:
        tasks = [(job, self._student(job.student), self._vector(job.steering.vector)) for job in jobs]
        results = collect(self.engine, tasks, self._advance)
        return [({"completions.jsonl": _jsonl(r["records"])}, r["summary"]) for r in results]

    def _pairs(self, jobs: list[Pairs]) -> list[Artefact]:
        return [self._tokenised(job) for job in jobs]

    def _tokenised(self, job: Pairs) -> Artefact:
        limit, rows, aside, too_long = longest(self.base, job.max_tokens), [], [], []
        for place, conversation in enumerate((*job.held_out, *job.conversations)):
            held_out = place < len(job.held_out)
            example = example_of(self.base, conversation)
            if len(example.ids) > limit:
                too_long.append(conversation.id)
            elif held_out or job.count is None or len(rows) < job.count:
                (aside if held_out else rows).append(_pair(conversation, example, held_out))
        if not rows:
            raise StageError(f"all {len(too_long)} pairs are longer than {limit} tokens; raise max_tokens")
        shown = marked(self.base, Example(rows[0]["prompt_ids"], rows[0]["ids"]))
        summary = {
            "pairs": len(rows),
            "tokens": sum(len(row["ids"]) for row in rows),
            "held_out": len(aside),
            "too_long": too_long,
            "limit": limit,
            "example": shown,
        }
        return {"completions.jsonl": _jsonl([*rows, *aside])}, summary

    def _heal(self, jobs: list[Heal]) -> list[Artefact]:
        tasks = [self._task(job) for job in jobs]
        return [self._healed(result) for result in heal(self.base, tasks, self._heal_step)]

    def _task(self, job: Heal) -> HealTask:
        used, held_out = self._examples(job.data)
        student, reference = self._student(job.student), self._student(job.reference)
        return HealTask(used, student, reference, job.heal, job.seed, held_out or None, len(job.student))

    def _read_examples(self, key: str) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
        """(what is trained on, what was kept aside for validation)."""
        records = read_jsonl(self.store.folder(key) / "completions.jsonl")
        return tuple(
            tuple(Example(tuple(r["prompt_ids"]), tuple(r["ids"])) for r in records if r.get(name))
            for name in ("used", "held_out")
        )

    def _healed(self, healed: Healed) -> Artefact:
        curves = finite({"steps": healed.steps, "validation": healed.validation, "pressure": healed.pressure})
        files = {"curves.json": json.dumps(curves).encode()}
        if healed.adapter is not None:
            files |= to_peft(healed.adapter, self.base.anatomy)
        return files, curves | {"diverged": healed.diverged}

    def _evaluate(self, jobs: list[Evaluate]) -> list[Artefact]:
        tasks = [
            EvaluationTask(
                self._row(job),
                job.vignettes,
                job.instrument,
                job.think_tokens,
                job.system,
                _steers_prompt(job),
            )
            for job in jobs
        ]
        self.progress["total"] = sum(2 * len(job.vignettes) * job.think_tokens for job in jobs)
        reports = evaluate(self.engine, tasks, self._advance)
        made = []
        for job, report in zip(jobs, reports):
            rows = report.pop("rows")
            if job.bands is not None:
                report["blocks"] = list(band_blocks(job.bands.band, len(self.base.blocks)))
            made.append(({"rows.jsonl": _jsonl(rows), "report.json": json.dumps(report).encode()}, report))
        return made

    def _canary(self, jobs: list[Canary]) -> list[Artefact]:
        tasks = [
            CanaryTask(
                self._row(job),
                job.system,
                job.suite,
                job.samples,
                job.sample,
                job.seed,
                job.exempt,
                _steers_prompt(job),
                limits(job.filter),
            )
            for job in jobs
        ]
        return [
            ({"answers.jsonl": _jsonl(answers)}, summary)
            for answers, summary in run_canaries(self.engine, tasks, self._advance)
        ]

    def _score(self, jobs: list[Score]) -> list[Artefact]:
        tasks = [
            LikelihoodTask(self._student(job.student), job.conversations, job.system, job.max_tokens) for job in jobs
        ]
        self.progress |= {"total": sum(len(job.conversations) for job in jobs)}
        found = likelihood(self.base, tasks, self._advance)
        return [({"rows.jsonl": _jsonl(rows)}, finite(summary)) for rows, summary in found]

    def _style(self, jobs: list[Style]) -> list[Artefact]:
        return [({}, self._compared(job)) for job in jobs]

    def _compared(self, job: Style) -> dict:
        groups = {prompt.id: group(prompt.seen, prompt.kind) for prompt in job.suite.prompts}
        answers = {
            who: [
                {"group": groups[line["id"]], "text": line["text"]}
                for line in read_jsonl(self.store.folder(key) / "answers.jsonl")
            ]
            for who, key in job.answers
        }
        pairs = read_jsonl(self.store.folder(job.data) / "completions.jsonl")
        trained, aside = ([pair["text"] for pair in pairs if pair[name]] for name in ("used", "held_out"))
        return finite(compare(answers, trained, aside)) | {"groups": groups}


class LocalStages:
    """`jobs.Stages` in this process: artefacts already in the store are hits, the rest run batched by stage."""

    def __init__(self, worker: Worker):
        self.worker = worker

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """Results in order. Raises the StageError of the first job that failed."""
        found: dict[str, Result | Exception] = {}
        missing: dict[type[Job], dict[str, Job]] = {}
        for job in jobs:
            hit = self.worker.store.get(job.key)
            if hit is not None:
                found[job.key] = hit
            else:
                missing.setdefault(type(job), {})[job.key] = job
        for batch in missing.values():
            found |= dict(zip(batch, self.worker.run_batch(list(batch.values()))))
        results = [found[job.key] for job in jobs]
        for result in results:
            if isinstance(result, Exception):
                raise result
        return results


def load_worker(model: Any, store_root: Path | str, slots: int = 64, device: str = "auto") -> Worker:
    """The worker of a `config.ModelRef`. Raises UserError when the model cannot be loaded."""
    base = load_base(model.path_or_hub, model.dtype, model.load_in_4bit, model.revision, device)
    return Worker(base, open_store(store_root), slots)


def finite(value: Any) -> Any:
    """The same data with every NaN or infinity as None, which JSON can hold."""
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _jsonl(rows: list[dict]) -> bytes:
    stream = io.StringIO()
    for row in rows:
        stream.write(json.dumps(finite(row), ensure_ascii=False) + "\n")
    return stream.getvalue().encode()


def _steers_prompt(job: Evaluate | Canary) -> bool:
    return job.steering is None or job.steering.steer_prompt


def _pair(conversation: Conversation, example: Example, held_out: bool) -> dict:
    """A pair's line in its artefact."""
    return {
        "id": conversation.id,
        "prompt": conversation.messages[-2][1],
        "text": conversation.messages[-1][1],
        "prompt_ids": example.prompt,
        "ids": example.completion,
        "used": not held_out,
        "held_out": held_out,
    }


def _stage_error(job: Job, error: Exception) -> Exception:
    if isinstance(error, StageError | OSError):
        return error
    said = str(error).strip().splitlines()[0] if str(error) else ""
    if not isinstance(error, UserError):
        kind = "out of memory" if isinstance(error, torch.OutOfMemoryError) else type(error).__name__
        said = f"{kind}: {said}"
    failure = StageError(f"{job.stage}: {said}")
    failure.__cause__ = error
    return failure
