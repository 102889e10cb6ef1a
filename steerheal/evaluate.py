"""python -m steerheal.evaluate: the moral profile of a model, an adapter or a steered model, as JSON."""

import argparse
import json
from pathlib import Path

from steerheal import cli
from steerheal.data_files import choose_vignettes, load_instrument, load_vignettes
from steerheal.errors import UserError
from steerheal.files import write_text

EXAMPLES = """examples:
  python -m steerheal.evaluate --think-tokens 16
  python -m steerheal.evaluate --adapter tune_runs/barrier/adapters/best --out healed.json
  python -m steerheal.evaluate --adapter tune_runs/barrier/adapters/best --band 20-40
  python -m steerheal.evaluate --vector care.safetensors --dose 0.75 --first 32
"""


def main() -> None:
    """Read the command line, evaluate, print or write the report."""
    args = _parser().parse_args()
    if (args.vector is None) != (args.dose is None):
        raise UserError("--dose: give --vector and --dose together, or neither")
    band = cli.band_of(args)
    if args.out:
        cli.check_writable(args.out)
    vignettes = choose_vignettes(load_vignettes(args.vignettes), args.first)
    instrument = load_instrument(args.instrument)

    from tqdm import tqdm

    from steerheal.evaluation.tinymfv import EvaluationTask, evaluate
    from steerheal.generation.engine import Engine
    from steerheal.students.bands import banded
    from steerheal.students.reading import read_student, read_vector
    from steerheal.students.rows import Row

    base = cli.load_model(args)
    vector = read_vector(base, args.vector) if args.vector else None
    row = Row(banded(base, read_student(base, args.adapter), band), vector, args.dose or 0.0, args.apply)
    task = EvaluationTask(row, vignettes, instrument, args.think_tokens, args.system)
    with tqdm(total=2 * len(vignettes) * args.think_tokens, unit="tok", desc="evaluate") as bar:
        (report,) = evaluate(Engine(base), [task], bar.update)
    report = {
        "model_path": args.model,
        "dtype": str(base.dtype).removeprefix("torch."),
        "adapters": [str(a) for a in args.adapter],
        "band": None if band.whole else band.band,
        "vector": str(args.vector) if args.vector else None,
        "dose": args.dose,
        "think_tokens": args.think_tokens,
    } | report
    text = json.dumps(report, indent=1, allow_nan=False) + "\n"
    if args.out:
        write_text(args.out, text)
    else:
        print(text, end="")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m steerheal.evaluate",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cli.model_options(parser)
    student = parser.add_argument_group("student")
    cli.student_options(student)
    student.add_argument("--vector", type=Path, help="a vector file, as steerheal.generate --save-vector writes it")
    student.add_argument("--dose", type=cli.finite, help="multiple of the vector")
    student.add_argument("--apply", choices=("add", "ablate"), default="add", help="default: add")
    student.add_argument("--system", help="a system prompt, such as a persona")
    data = parser.add_argument_group("instrument")
    data.add_argument("--vignettes", default="builtin", help="a JSONL file, hub:owner/repo/file, or builtin")
    data.add_argument("--instrument", default="builtin", help="a JSON file, or builtin")
    data.add_argument("--first", type=cli.at_least(1), help="at most so many vignettes, the same ones each time")
    data.add_argument("--think-tokens", type=cli.at_least(0), default=16, help="length of the thought (default: 16)")
    parser.add_argument("--out", type=Path, help="write the report here instead of printing it")
    return parser


if __name__ == "__main__":
    cli.run(main)
