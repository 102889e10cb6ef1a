"""Tokens per second of steered generation, against `generate` at batch 1 and at the same batch.

New tokens over wall time, prefill included, graph capture apart (it is printed). Every row has a dose of its own.
"""

import argparse
import random
from collections.abc import Sequence

import torch

from steerheal.bench.machine import Machine, seconds
from steerheal.bench.plain import plain_generate, plain_model
from steerheal.bench.report import Report
from steerheal.bench.shapes import load
from steerheal.generation.engine import Engine
from steerheal.generation.request import Request
from steerheal.generation.streams import stream_key
from steerheal.students.adapter import Adapter
from steerheal.students.base import Base
from steerheal.students.rows import Row, Student, Vector


def main(words: list[str]) -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m steerheal.bench generate", description=__doc__.split("\n\n")[0])
    Report.add_arguments(parser)
    parser.add_argument("--slots", type=int, default=256)
    parser.add_argument("--prompt", type=int, default=80, metavar="N", help="prompt tokens (default: %(default)s)")
    parser.add_argument("--new", type=int, default=256, metavar="N", help="new tokens (default: %(default)s)")
    parser.add_argument("--students", type=int, default=4, help="students of the second line (default: %(default)s)")
    parser.add_argument("--rank", type=int, default=32)
    parser.add_argument("--curves", action="store_true", help="also over slots, students and context")
    asked = parser.parse_args(words)
    report = Report("generate", asked)
    model = plain_model(asked.model, asked.dtype, report.device)
    alone = plain_generate(model, 1, asked.prompt, min(asked.new, 64), "eager", report.device)
    report.line("generate, eager, batch 1", alone, "tok/s")
    same = plain_generate(model, asked.slots, asked.prompt, asked.new, "sdpa", report.device)
    report.line(f"generate, sdpa, batch {asked.slots}, a dose per row", same, "tok/s")
    del model
    base = load(asked.model, asked.dtype, asked.device)
    even = [asked.new] * asked.slots
    speed = rate(base, asked.slots, asked.prompt, even, report=report)
    report.line("this engine, a dose per row", speed, "tok/s")
    report.line("  against generate at batch 1, and at the same batch", (speed / alone, speed / same), "times")
    bound = roofline(base, report.machine, asked.slots, asked.prompt, asked.new)
    report.line("  share of what memory and arithmetic allow", speed / bound, "")
    packed = rate(base, asked.slots, asked.prompt, even, students(base, asked.students, asked.rank))
    report.line(f"  with {asked.students} students of rank {asked.rank}", packed, "tok/s")
    drawn = random.Random(0)
    ragged = [drawn.randrange(asked.new // 8, 2 * asked.new + 1) for _ in range(8 * asked.slots)]
    report.line("  ragged lengths, a slot refilled when free", rate(base, asked.slots, asked.prompt, ragged), "tok/s")
    if asked.curves:
        curves(base, asked, report)
    report.end()


def curves(base: Base, asked: argparse.Namespace, report: Report) -> None:
    """How the rate grows with slots and students, and falls with context."""
    for slots in (1, 4, 16, 64, 128, 256, 512):
        report.line(f"  slots {slots}", rate(base, slots, asked.prompt, [64] * slots), "tok/s")
    for count in (1, 2, 4, 8, 16):
        speed = rate(base, asked.slots, asked.prompt, [64] * asked.slots, students(base, count, asked.rank))
        report.line(f"  students {count}", speed, "tok/s")
    for prompt in (128, 512, 1024, 2048):
        report.line(f"  context {prompt}", rate(base, asked.slots, prompt - 64, [64] * asked.slots), "tok/s")


def rate(
    base: Base,
    slots: int,
    prompt: int,
    lengths: Sequence[int],
    who: Sequence[Student] = (),
    report: Report | None = None,
) -> float:
    """New tokens per second; lengths: new tokens of each request; who: students in turn."""
    engine = Engine(base, slots)
    asked = requests(base, prompt, lengths, who or [Student("base")])
    if base.device.type == "cuda":
        engine.run(asked[:slots])
    engine.capturing = 0.0
    took = seconds(lambda: engine.run(asked), base.device)
    if report is not None:
        report.line("  seconds of graph capture, apart", engine.capturing, "s")
    return sum(lengths) / (took - engine.capturing)


def requests(base: Base, prompt: int, lengths: Sequence[int], who: Sequence[Student]) -> list[Request]:
    """Synthetic prompts, each with its own dose and stream, that never stop early."""
    drawn = random.Random(0)
    blocks = base.depth_blocks(0.45, 0.55)
    width = base.config.hidden_size
    vector = Vector(
        "v", {block: torch.randn(width, generator=torch.Generator().manual_seed(block)) for block in blocks}
    )
    ids = range(5, base.head.weight.shape[0])
    return [
        Request(
            tuple(drawn.choices(ids, k=prompt)),
            Row(who[number % len(who)], vector, 0.1 + 0.4 * drawn.random()),
            length,
            stream_key(0, str(number), 0.0, 0),
        )
        for number, length in enumerate(lengths)
    ]


def students(base: Base, count: int, rank: int) -> list[Student]:
    """Random adapters on the linear layers of 60% of the blocks."""
    sites = base.block_sites(base.depth_blocks(0.2, 0.8))
    made = []
    for number in range(count):
        torch.manual_seed(number)
        draw = lambda *shape: torch.randn(*shape, device=base.device, dtype=base.dtype) * 1e-3  # noqa: E731
        a = {site: draw(rank, base.sites[site][0]) for site in sites}
        made.append(Student(number, Adapter(a, {site: draw(base.sites[site][1], rank) for site in sites}, 2.0)))
    return made


def roofline(base: Base, machine: Machine, slots: int, prompt: int, new: int) -> float:
    """Tokens per second if every step took as long as its memory traffic or its arithmetic, whichever is longer.

    Traffic: the blocks' and the head's weights once a step, and the keys and values of the mean context.
    """
    weights = sum(math_size(w) for w in base.blocks.parameters()) + math_size(base.head.weight)
    heads = base.config.num_key_value_heads
    width = getattr(base.config, "head_dim", None) or base.config.hidden_size // base.config.num_attention_heads
    cached = 2 * len(base.blocks) * heads * width * base.dtype.itemsize * (prompt + new / 2)
    parameters = weights / base.dtype.itemsize
    step = max((weights + slots * cached) / machine.bandwidth, 2 * slots * parameters / machine.matrix_rate)
    prefill = 2 * slots * prompt * parameters / machine.matrix_rate
    return slots * new / (new * step + prefill)


def math_size(weight: torch.Tensor) -> int:
    """Bytes of a weight."""
    return weight.numel() * weight.itemsize
