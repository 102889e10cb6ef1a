"""Seconds to evaluate several students by the tinymfv protocol: vignettes × two orders, each with a thought of its own.

Against the original's path, one student after another in batches of 8 with eager attention, and against the same
with sdpa. Those are measured on a slice and extrapolated to the whole.
"""

import argparse
import random
from collections.abc import Sequence

from steerheal.bench.generate import students
from steerheal.bench.machine import seconds
from steerheal.bench.plain import plain_evaluate, plain_model
from steerheal.bench.report import Report
from steerheal.bench.shapes import load
from steerheal.generation.engine import Engine
from steerheal.generation.request import Request
from steerheal.generation.sampling import GREEDY
from steerheal.students.base import Base
from steerheal.students.rows import Row, Student

ORDERS = 2
BATCH = 8
SUFFIX, ANSWERS = 24, 7


def main(words: list[str]) -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m steerheal.bench evaluate", description=__doc__.split("\n\n")[0])
    Report.add_arguments(parser)
    parser.add_argument("--students", type=int, default=8)
    parser.add_argument("--vignettes", type=int, default=132)
    parser.add_argument("--think", type=int, default=128, metavar="N", help="think tokens (default: %(default)s)")
    parser.add_argument("--prompt", type=int, default=512, metavar="N", help="prompt tokens (default: %(default)s)")
    parser.add_argument("--rank", type=int, default=32)
    parser.add_argument("--slots", type=int, default=512)
    parser.add_argument("--curves", action="store_true", help="also over students")
    asked = parser.parse_args(words)
    report = Report("evaluate", asked)
    model = plain_model(asked.model, asked.dtype, report.device)
    batches = asked.students * -(-asked.vignettes * ORDERS // BATCH)
    lengths = asked.prompt, asked.think, SUFFIX
    paths = {name: batches * plain_evaluate(model, BATCH, *lengths, name, report.device) for name in ("eager", "sdpa")}
    del model
    for name, whole in paths.items():
        report.line(f"one student at a time, batch {BATCH}, {name} (extrapolated)", whole, "s")
    base = load(asked.model, asked.dtype, asked.device)
    own = whole_evaluation(base, asked, asked.students)
    report.line(f"this engine, {asked.students} students in the same slots", own, "s")
    for name, whole in paths.items():
        report.line(f"  against {name}", whole / own, "times")
    for count in (1, 2, 4, 8, 16) if asked.curves else ():
        report.line(f"  {count} students", whole_evaluation(base, asked, count), "s")
    report.end()


def whole_evaluation(base: Base, asked: argparse.Namespace, count: int) -> float:
    """Seconds, the capture of graphs included; a small evaluation has warmed up the compiled parts."""
    who = students(base, count, asked.rank)
    evaluation(base, asked, who[:1], asked.prompt, BATCH)
    return seconds(lambda: evaluation(base, asked, who, asked.prompt), base.device)


def evaluation(
    base: Base, asked: argparse.Namespace, who: Sequence[Student], prompt: int, rows: int | None = None
) -> None:
    """Every student's think tokens and answers on synthetic vignettes, the first `rows` of them or all."""
    drawn = random.Random(0)
    ids = range(5, base.head.weight.shape[0])
    prompts = [tuple(drawn.choices(ids, k=prompt)) for _ in range(rows or asked.vignettes * ORDERS)]
    suffix = tuple(drawn.choices(ids, k=SUFFIX))
    requests = [
        Request(
            text,
            Row(student),
            asked.think,
            sampling=GREEDY,
            suppress=(1,),
            suffix=suffix,
            read=tuple(range(5, 5 + ANSWERS)),
            scored=2,
        )
        for student in who
        for text in prompts
    ]
    Engine(base, asked.slots).run(requests)
