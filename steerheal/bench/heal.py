"""Seconds of a trial-step of healing: forward, backward and update for one completion of one adapter.

K adapters in one pass, against the same code one adapter at a time: at batch 1, and at the same tokens a step
(K completions of one adapter). The original's path is the first of these with eager attention and PEFT.
"""

import argparse
import random
from types import SimpleNamespace

import torch

from steerheal.bench.machine import seconds
from steerheal.bench.plain import plain_heal, plain_model
from steerheal.bench.report import Report
from steerheal.bench.shapes import load
from steerheal.healing.examples import Example
from steerheal.healing.train import HealTask, Training
from steerheal.students.base import Base
from steerheal.students.rows import Student

STEPS, WARM = 6, 2
PROMPT_SHARE = 0.2


def main(words: list[str]) -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m steerheal.bench heal", description=__doc__.split("\n\n")[0])
    Report.add_arguments(parser)
    parser.add_argument("--packed", type=int, default=16, metavar="K", help="adapters in a pass (default: %(default)s)")
    parser.add_argument("--length", type=int, default=400, metavar="L", help="tokens, a fifth of them prompt")
    parser.add_argument("--rank", type=int, default=32)
    parser.add_argument("--reg", choices=("nll", "kl_rev", "kl_fwd"), default="kl_rev")
    parser.add_argument("--curves", action="store_true", help="also over K")
    asked = parser.parse_args(words)
    report = Report("heal", asked)
    original = plain_heal(plain_model(asked.model, asked.dtype, report.device), asked.length, asked.rank, report.device)
    report.line("PEFT, eager, batch 1, with a reference pass", 1e3 * original, "ms a trial-step")
    base = load(asked.model, asked.dtype, asked.device)
    if report.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    packed = trial_step(base, asked, asked.packed, 1)
    report.line(f"packed, K = {asked.packed}", 1e3 * packed, "ms a trial-step")
    if report.device.type == "cuda":
        report.line("  peak memory", torch.cuda.max_memory_allocated() / 1e9, "GB")
    report.line("  against the original", original / packed, "times")
    report.line("  one adapter, batch 1, against packed", trial_step(base, asked, 1, 1) / packed, "times")
    equal = trial_step(base, asked, 1, asked.packed)
    report.line("  one adapter, equal tokens a step, against packed", equal / packed, "times")
    report.line("  share of the matrix rate", floor(base, asked) / report.machine.matrix_rate / packed, "")
    for count in (1, 2, 4, 8, 16) if asked.curves else ():
        report.line(f"  K {count}", 1e3 * trial_step(base, asked, count, 1), "ms a trial-step")
    report.end()


def trial_step(base: Base, asked: argparse.Namespace, adapters: int, batch: int) -> float:
    """Median seconds of a step, by completion."""
    drawn = random.Random(0)
    ids = range(5, base.head.weight.shape[0])
    prompt = int(asked.length * PROMPT_SHARE)
    draw = lambda count: tuple(drawn.choices(ids, k=count))  # noqa: E731
    examples = tuple(Example(draw(prompt), draw(asked.length - prompt)) for _ in range(batch * STEPS))
    settings = SimpleNamespace(
        depth=(0.2, 0.8),
        batch=batch,
        epochs=1,
        held_out=0.0,
        r=asked.rank,
        lora_alpha=2 * asked.rank,
        lr=1e-4,
        warmup=0.1,
        wd=0.0,
        clip=1.0,
        spectral_lam=0.0,
        reg=asked.reg,
        lam=0.3,
        tau=0.0,
        kl_agg="mean",
    )
    base_student = Student(())
    training = Training(base, [HealTask(examples, base_student, base_student, settings, k) for k in range(adapters)])
    for slot in training.slots:
        # The curve of gradient pressure needs a second backward pass at 20 of a heal's hundreds of steps.
        slot.pressure_at.clear()
    took = [seconds(lambda step=step: training._step(step), base.device) for step in range(STEPS)][WARM:]
    return sorted(took)[len(took) // 2] / (adapters * batch)


def floor(base: Base, asked: argparse.Namespace) -> float:
    """FLOP that a trial-step cannot avoid: the blocks from the first adapted one on, there and back, and the output
    head for student and reference there and student back."""
    blocks = sum(w.numel() for w in base.blocks.parameters()) / len(base.blocks)
    first, count = base.depth_blocks(0.2, 0.8)[0], len(base.blocks)
    completion = asked.length - int(asked.length * PROMPT_SHARE)
    head = base.head.weight.numel() * completion * (3 if asked.reg != "nll" else 2)
    return 2 * (2 * blocks * (count - first) * asked.length + head)
