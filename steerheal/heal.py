"""python -m steerheal.heal: train one adapter on pairs under a barrier; writes a PEFT folder and its curves."""

import argparse
import json
import sys
from pathlib import Path

from steerheal import cli
from steerheal.config import Heal
from steerheal.config.messages import validate
from steerheal.config.trial import RULES
from steerheal.errors import UserError
from steerheal.files import write_bytes, write_json

EXAMPLES = """examples:
  python -m steerheal.generate --dose 0.75 --out pairs.jsonl
  python -m steerheal.heal --data pairs.jsonl --out healed --set reg=kl_rev lam=0.1 lr=1e-3
  python -m steerheal.heal --data more.jsonl --adapter healed --out healed2
"""

MAX_TOKENS = 2048


def main() -> None:
    """Read the command line, train, write the adapter."""
    args = _parser().parse_args()
    settings = _settings(args.set)
    if args.out.exists():
        raise UserError(f"--out: {args.out}: exists already; choose another folder")
    cli.check_writable(args.out)

    from tqdm import tqdm

    from steerheal.conversations import read_conversations
    from steerheal.generation.context import context_of
    from steerheal.healing.pairs import example_of, marked
    from steerheal.healing.train import HealTask, heal
    from steerheal.students.adapter import to_peft
    from steerheal.students.reading import read_student
    from steerheal.students.rows import Student
    from steerheal.worker import finite

    conversations = read_conversations(args.data)
    base = cli.load_model(args)
    limit = _longest(args.max_tokens, context_of(base))
    examples = [example_of(base, conversation) for conversation in conversations]
    for conversation, example in zip(conversations, examples):
        if len(example.ids) > limit:
            where = f"{args.data}: {conversation.id}"
            raise UserError(f"{where}: longer than --max-tokens {limit}; shorten it or raise the limit")
    print(f"first pair: {marked(base, examples[0])} (trained on: ⟦…⟧)", file=sys.stderr)
    student = read_student(base, args.adapter)
    reference = student if settings.barrier_ref == "prev" else Student("base")
    task = HealTask(tuple(examples), student, reference, settings, args.seed, below=len(args.adapter))
    with tqdm(unit="step", desc="heal") as bar:
        (healed,) = heal(base, [task], lambda done, total: _advance(bar, done, total))
    curves = {"steps": healed.steps, "validation": healed.validation, "pressure": healed.pressure}
    if healed.adapter is None:
        raise UserError(f"{args.data}: training diverged at step {healed.diverged}; lower lr, or raise lam")
    for name, payload in to_peft(healed.adapter, base.anatomy).items():
        write_bytes(args.out / name, payload)
    write_json(args.out / "curves.json", finite(curves))
    told = {"adapter": str(args.out), "pairs": len(examples), "validation": finite(healed.validation)}
    print(json.dumps(told, indent=1))


def _settings(pairs: list[str]) -> Heal:
    """The heal section from key=value pairs."""
    from steerheal.config.overrides import split

    settings = validate(Heal, dict(map(split, pairs)), "--set")
    values = settings.model_dump()
    for names, rule in RULES:
        if {*names} <= values.keys() and (problem := rule(values)):
            raise UserError(f"--set {problem}")
    return settings


def _longest(asked: int | None, context: int | None) -> int:
    """Tokens that a pair may have; UserError when more are asked for than the model's context holds."""
    if asked is None:
        return min(MAX_TOKENS, context or MAX_TOKENS)
    if context is not None and asked > context:
        raise UserError(f"--max-tokens: {asked} is more than the model's context of {context}; lower it")
    return asked


def _advance(bar, done: int, total: int) -> None:
    bar.total = total
    bar.update(done - bar.n)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m steerheal.heal",
        description=__doc__,
        epilog=EXAMPLES
        + "\nsettings for --set: "
        + ", ".join(f"{name} ({field.default})" for name, field in Heal.model_fields.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cli.model_options(parser)
    parser.add_argument("--data", type=Path, required=True, help="JSONL of messages, or of prompt and completion")
    parser.add_argument("--out", type=Path, required=True, help="folder for the PEFT adapter")
    parser.add_argument(
        "--adapter", type=Path, nargs="*", action="extend", default=[], help="earlier adapters, oldest first"
    )
    parser.add_argument(
        "--set",
        nargs="*",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="heal settings, e.g. reg=kl_rev lam=0.1",
    )
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument(
        "--max-tokens", type=cli.at_least(1), help=f"longest pair (default: {MAX_TOKENS}, or the model's context)"
    )
    return parser


if __name__ == "__main__":
    cli.run(main)
