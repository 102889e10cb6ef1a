"""Trials per hour of a sweep on several GPUs of one host, against one of them.

Both sweeps are the real one, Ray's start and loading included, with one process a GPU and as many trials a GPU. A short
sweep before them fills the caches that a machine keeps (compiled kernels, files in memory), which would otherwise fall
to whichever came first. The model is the built-in one, widened with zeros to a real model's size, so that what is
filtered, healed and scored means something.
"""

import argparse
import json
import tempfile
from functools import partial
from pathlib import Path

import torch

from steerheal import yaml_io
from steerheal.bench.report import provenance
from steerheal.bench.sweep import as_sweep
from steerheal.bench.widen import widen
from steerheal.config.sources import BUILTIN_SETTINGS
from steerheal.config.space import load_space
from steerheal.errors import UserError
from steerheal.files import write_text
from steerheal.trial_data import load_data

# Heals in a pass.
PACK = 16


def main(words: list[str]) -> None:
    """Run both and print both."""
    parser = argparse.ArgumentParser(prog="python -m steerheal.bench gpus", description=__doc__.split("\n\n")[0])
    parser.add_argument("--space", type=Path, default=Path("search_spaces/barrier.yaml"), help="default: %(default)s")
    parser.add_argument("--gpus", type=int, default=torch.cuda.device_count(), help="default: all")
    parser.add_argument("--trials", type=int, default=16, help="a GPU, all at once (default: %(default)s)")
    parser.add_argument("--hidden", type=int, default=2560, help="the model's width (default: %(default)s)")
    parser.add_argument("--intermediate", type=int, default=40960, help="the MLP's width (default: %(default)s)")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    asked = parser.parse_args(words)
    if asked.gpus < 2 or asked.gpus > torch.cuda.device_count():
        raise UserError(f"--gpus: there are {torch.cuda.device_count()} GPUs; two or more of them are needed")
    with tempfile.TemporaryDirectory(prefix="steerheal-bench-") as scratch:
        model = model_file(Path(scratch), asked.hidden, asked.intermediate)
        sweep = partial(run, asked, model, Path(scratch))
        cold = sweep(PACK, 1, "first of all")
        figures = {str(count): sweep(asked.trials * count, count) for count in (asked.gpus, 1)}
    one, several = figures["1"], figures[str(asked.gpus)]
    ratio = several["trials_per_hour"] / one["trials_per_hour"]
    print(f"{asked.gpus} GPUs against one: {ratio:.2f} times the trials an hour")
    if asked.json:
        told = {"gpu": torch.cuda.get_device_name(), "hidden": asked.hidden, "intermediate": asked.intermediate}
        told |= {"space": asked.space.stem, "set": asked.overrides} | provenance()
        write_text(asked.json, json.dumps(told | {"first": cold, "gpus": figures, "ratio": ratio}, indent=1) + "\n")


def model_file(scratch: Path, hidden: int, intermediate: int) -> str:
    """A widened model with the built-in one's settings; what a space's `model:` says to mean it."""
    widen(scratch / "wide", hidden, intermediate)
    settings = yaml_io.load(BUILTIN_SETTINGS) | {"model": str(scratch / "wide"), "dtype": "bfloat16"}
    (scratch / "models").mkdir()
    write_text(scratch / "models" / "wide.yaml", yaml_io.dump(settings))
    return "wide"


def run(asked: argparse.Namespace, model: str, scratch: Path, trials: int, gpus: int, said: str = "") -> dict:
    """One sweep of so many trials on so many GPUs, in a store of its own."""
    space_file = scratch / asked.space.name
    write_text(space_file, asked.space.read_text(encoding="utf-8"))
    own = [
        f"model={model}",
        f"trials={trials}",
        f"pack={PACK}",
        "slots=256",
        f"concurrent={trials}",
        f"processes={gpus}",
    ]
    space = load_space(space_file, [*own, *asked.overrides])
    seconds, params = as_sweep(space, load_data(space), Path(tempfile.mkdtemp(dir=scratch)))
    rate = 3600 * len(params) / seconds
    print(
        f"{gpus} GPU{'s' if gpus > 1 else ' '}{len(params):>6} trials in {seconds:6.1f} s{rate:10,.0f} trials an hour {said}",
        flush=True,
    )
    return {"trials": len(params), "seconds": seconds, "trials_per_hour": rate}
