"""One round for sixteen configurations (reg × lam × wd), whole: generate, score, heal, evaluate.

Random weights write nothing that a filter would keep, so every completion is scored and kept. The original runs
each configuration by itself, generation included; its time is put together from its measured parts, also for an
original that had shared one generation.
"""

import argparse
from itertools import product
from types import SimpleNamespace

from steerheal.bench.evaluate import BATCH, ORDERS, SUFFIX, evaluation
from steerheal.bench.generate import requests
from steerheal.bench.machine import seconds
from steerheal.bench.plain import plain_evaluate, plain_generate, plain_heal, plain_model
from steerheal.bench.report import Report
from steerheal.bench.shapes import load
from steerheal.generation.engine import Engine
from steerheal.generation.score import score_under_base
from steerheal.healing.examples import Example
from steerheal.healing.train import HealTask, heal
from steerheal.students.base import Base
from steerheal.students.rows import Student

REGS = [("nll", 0.0), *product(("kl_rev", "kl_fwd"), (0.1, 0.3, 1.0)), ("kl_rev", 3.0)]
CONFIGURATIONS = [(reg, lam, wd) for (reg, lam), wd in product(REGS, (0.0, 100.0))]
PROBES, KEPT, EPOCHS, STEP = 64, 64, 6, 4


def main(words: list[str]) -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m steerheal.bench ablation", description=__doc__.split("\n\n")[0])
    Report.add_arguments(parser)
    parser.add_argument("--prompt", type=int, default=80, metavar="N", help="prompt tokens (default: %(default)s)")
    parser.add_argument("--new", type=int, default=320, metavar="N", help="new tokens (default: %(default)s)")
    parser.add_argument("--vignettes", type=int, default=132)
    parser.add_argument("--question", type=int, default=512, metavar="N", help="tokens of a vignette's prompt")
    parser.add_argument("--think", type=int, default=128, metavar="N", help="think tokens (default: %(default)s)")
    parser.add_argument("--rank", type=int, default=32)
    parser.add_argument("--slots", type=int, default=512)
    asked = parser.parse_args(words)
    report = Report("ablation", asked)
    per_round, shared = original(asked, report)
    base = load(asked.model, asked.dtype, asked.device)
    completions: list[Example] = []
    parts = {
        "generate and score": seconds(lambda: completions.extend(generated(base, asked)), report.device),
        "heal": 0.0,
        "evaluate": 0.0,
    }
    healed: list[Student] = []
    parts["heal"] = seconds(lambda: healed.extend(adapters(base, completions, asked)), report.device)
    who = [Student("base"), *healed]
    parts["evaluate"] = seconds(lambda: evaluation(base, asked, who, asked.question), report.device)
    for name, took in parts.items():
        report.line(f"  {name}, all {len(CONFIGURATIONS)}", took, "s")
    whole = sum(parts.values())
    report.line("this code, whole, compiling included", whole, "s")
    count = len(CONFIGURATIONS)
    report.line(f"the original, {count} rounds (from its parts)", count * per_round / 3600, "h")
    report.line("  against this code", count * per_round / whole, "times")
    report.line("  had it shared one generation", (count * (per_round - shared) + shared) / whole, "times")
    report.end()


def original(asked: argparse.Namespace, report: Report) -> tuple[float, float]:
    """Seconds of the original's round of one configuration, and those of its generation alone."""
    model = plain_model(asked.model, asked.dtype, report.device)
    speed = plain_generate(model, 1, asked.prompt, min(64, asked.new), "eager", report.device)
    generation = (PROBES + KEPT) * asked.new / speed
    read = plain_evaluate(model, BATCH, asked.question, asked.think, SUFFIX, "eager", report.device)
    evaluations = read * -(-asked.vignettes * ORDERS // BATCH)
    step = plain_heal(model, asked.prompt + asked.new, asked.rank, report.device)
    healing = EPOCHS * KEPT * 7 / 8 * step
    for name, took in {"generate": generation, "heal": healing, "evaluate": evaluations}.items():
        report.line(f"  the original: {name}, one configuration (extrapolated)", took, "s")
    return generation + healing + evaluations, generation


def generated(base: Base, asked: argparse.Namespace) -> list[Example]:
    """The ladder's probes and the kept completions, scored under base."""
    wanted = requests(base, asked.prompt, [asked.new] * (PROBES + KEPT), [Student("base")])
    found = Engine(base, asked.slots).run(wanted)
    score_under_base(base, [request.prompt for request in wanted], [completion.ids for completion in found])
    return [Example(request.prompt, tuple(completion.ids)) for request, completion in zip(wanted, found)][:KEPT]


def adapters(base: Base, examples: list[Example], asked: argparse.Namespace) -> list[Student]:
    """All configurations healed in one pack, as students."""
    none = Student(())
    tasks = [
        HealTask(
            tuple(examples),
            none,
            none,
            SimpleNamespace(
                depth=(0.2, 0.8),
                batch=STEP,
                epochs=EPOCHS,
                held_out=0.125,
                r=asked.rank,
                lora_alpha=2 * asked.rank,
                lr=1e-4,
                warmup=0.1,
                wd=wd,
                clip=1.0,
                spectral_lam=0.0,
                reg=reg,
                lam=lam,
                tau=0.0,
                kl_agg="mean",
            ),
            seed=0,
        )
        for reg, lam, wd in CONFIGURATIONS
    ]
    return [
        Student(number, result.adapter.to(base.device, base.dtype))
        for number, result in enumerate(heal(base, tasks))
        if result.adapter is not None
    ]
