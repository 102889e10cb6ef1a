"""python -m steerheal.generate: steered completions of a persona's vector, judged by the filter, as JSON lines."""

import argparse
import json
import sys
from pathlib import Path

from steerheal import cli
from steerheal.config.messages import validate
from steerheal.config.sections import Sample
from steerheal.data_files import load_contexts, load_prompts
from steerheal.files import write_text
from steerheal.jobs import Prompt

EXAMPLES = """examples:
  python -m steerheal.generate --dose 0.5 1 2 --prompt "Should I report my friend?"
  python -m steerheal.generate --dose 0.75 --out pairs.jsonl --save-vector care.safetensors
  python -m steerheal.generate --vector care.safetensors --dose 0 1 --samples 4
"""


def main() -> None:
    """Read the command line, extract or read the vector, generate, judge, print or write."""
    args = _parser().parse_args()
    for option, path in (("--out", args.out), ("--save-vector", args.save_vector)):
        if path:
            cli.check_writable(path, option)
    band = cli.band_of(args)
    persona = cli.persona_of(args.persona)
    prompts = [Prompt(f"p{n}", text) for n, text in enumerate(args.prompt)] or load_prompts(args.prompts)
    contexts = load_contexts(args.contexts)
    sample = validate(Sample, {"temperature": args.temperature, "max_new_tokens": args.max_new_tokens}, "the options")

    from tqdm import tqdm

    from steerheal.generation.answers import Ask, answer
    from steerheal.generation.collect import judged
    from steerheal.generation.engine import Engine
    from steerheal.generation.filter import Thresholds
    from steerheal.steering.extract import extract
    from steerheal.students.bands import banded
    from steerheal.students.reading import read_student, read_vector, write_vector
    from steerheal.students.rows import Row, Vector

    base = cli.load_model(args)
    student = banded(base, read_student(base, args.adapter), band)
    if args.vector:
        vector = read_vector(base, args.vector)
    else:
        layers = args.layers or cli.find_model(args).settings.get("steer", {}).get("layers")
        found = extract(base, student, persona.positive, persona.negative, contexts, layers, args.method)
        vector = Vector("extracted", found)
    if args.save_vector:
        write_vector(vector, args.save_vector)
    asks = [
        Ask(prompt, Row(student, vector, dose, args.apply), persona.neutral, sample, args.seed, number)
        for prompt in prompts
        for dose in args.dose or (0.0, 1.0)
        for number in range(args.samples)
    ]
    with tqdm(total=len(asks) * args.max_new_tokens, unit="tok", desc="generate") as bar:
        records = [judged(found, Thresholds()) for found in answer(Engine(base), asks, bar.update)]
    lines = "".join(json.dumps(_shown(record, persona.neutral), ensure_ascii=False) + "\n" for record in records)
    if args.out:
        write_text(args.out, lines)
        print(f"{sum(r['kept'] for r in records)} of {len(records)} kept; {args.out}", file=sys.stderr)
    else:
        print(lines, end="")


def _shown(record: dict, system: str) -> dict:
    """A record with the names that heal --data reads."""
    names = ("prompt_id", "dose", "sample", "kept", "gate", "reasons", "measures", "hit_limit")
    said = {"system": system, "prompt": record["prompt"], "completion": record["text"]}
    return said | {name: record[name] for name in names}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m steerheal.generate",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cli.model_options(parser)
    cli.student_options(parser)
    parser.add_argument("--persona", default="care_over_authority", help="a pair's name or YAML file")
    parser.add_argument("--vector", type=Path, help="use this vector instead of extracting the persona's")
    parser.add_argument("--save-vector", type=Path, help="write the vector used (safetensors)")
    parser.add_argument("--method", choices=("mean_diff", "pca"), default="mean_diff", help="default: mean_diff")
    parser.add_argument(
        "--layers", type=cli.at_least(0), nargs="+", help="blocks to steer (default: the model's own middle ones)"
    )
    parser.add_argument("--apply", choices=("add", "ablate"), default="add", help="default: add")
    parser.add_argument(
        "--dose", type=cli.finite, nargs="+", action="extend", help="multiples of the vector (default: 0 1)"
    )
    parser.add_argument(
        "--prompt", nargs="*", action="extend", default=[], help="prompts given here; else those of --prompts"
    )
    parser.add_argument("--prompts", default="builtin", help="a JSONL file of {id, text}, or builtin")
    parser.add_argument("--contexts", default="builtin", help="a JSONL file of {id, text}, or builtin")
    parser.add_argument(
        "--samples", type=cli.at_least(1), default=1, help="completions per prompt and dose (default: 1)"
    )
    parser.add_argument("--temperature", type=float, default=1.0, help="0 is greedy (default: 1)")
    parser.add_argument("--max-new-tokens", type=cli.at_least(1), default=64, help="default: 64")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--out", type=Path, help="write the JSON lines here instead of printing them")
    return parser


if __name__ == "__main__":
    cli.run(main)
