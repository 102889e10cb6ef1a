"""python -m steerheal.judge: let another model score texts by a rubric, or compare two sets of them, as JSON.

Any endpoint that speaks the OpenAI protocol will do, one of your own included. The key is read from the environment
and goes nowhere else. Every judgement is kept on disk, so that an interrupted run, started again, asks only for what
is missing. A failed judgement is counted and shown as such, and is asked for again by the next run.
"""

import argparse
import json
import sys
from pathlib import Path

from steerheal import cli
from steerheal.errors import UserError
from steerheal.files import write_text
from steerheal.judging.answers import read_answers
from steerheal.judging.endpoint import DEFAULT_KEY, find_endpoint
from steerheal.judging.rubric import find_rubric, load_rubric, shipped

CACHE = Path("tune_runs/judgements")
EXAMPLES = """examples:
  python -m steerheal.judge answers.jsonl --rubric coherence --base-url http://127.0.0.1:8000/v1 --model qwen3-32b
  python -m steerheal.judge healed.jsonl --against base.jsonl --rubric sarcasm --base-url URL --model NAME
  python -m steerheal.judge answers.jsonl --rubric mine.yaml --base-url URL --model NAME --key-env MY_KEY
  python -m steerheal.judge tune_runs/bands --rubric coherence --base-url URL --model NAME

answers: JSON lines with `completion` or `text`, and `prompt` if there is one (as steerheal.generate writes them)
   or a run's folder: what base, base steered and prompted, and every trial's students said to the canaries, into the
   run's judged.json, which its report shows
rubric: YAML with `task` and `dimensions`, each with a question and anchors from 0 to 10; steerheal/judging/rubrics
        holds two to start from
"""


def main() -> None:
    """Read the command line, judge, print or write the report."""
    args = _parser().parse_args()

    # What reads a run's tables takes a second to import.
    from steerheal.judging.runs import JUDGED, by_speaker, run_answers

    run = args.answers.is_dir()
    if run:
        if args.against:
            raise UserError("--against: compares two files; a run's answers are scored, so leave it out")
        args.out = args.out or args.answers / JUDGED
    if args.out:
        cli.check_writable(args.out)
    rubric = load_rubric(find_rubric(args.rubric, "--rubric"))
    answers = run_answers(args.answers) if run else read_answers(args.answers)
    endpoint = find_endpoint(args.base_url, args.model, args.key_env)

    from tqdm import tqdm

    from steerheal.judging.cache import Cache
    from steerheal.judging.client import Client
    from steerheal.judging.judge import Judge
    from steerheal.judging.pairwise import compare_answers, match
    from steerheal.judging.scoring import score_answers

    pairs = match(answers, read_answers(args.against), args.answers, args.against) if args.against else []
    judge = Judge(Client(endpoint, args.timeout), Cache(args.cache), args.concurrency)
    try:
        with tqdm(total=len(pairs or answers) * args.passes, unit="judgement", desc="judge") as bar:
            if args.against:
                found = compare_answers(judge, rubric, pairs, args.passes, args.seed, bar.update)
            else:
                found = score_answers(judge, rubric, answers, args.passes, bar.update)
    except KeyboardInterrupt:
        print(f"stopped; what was judged is kept in {args.cache}: the same command goes on from there", file=sys.stderr)
        raise
    about = {
        "rubric": rubric.model_dump(),
        "judge": endpoint.model,
        "base_url": endpoint.base_url,
        "file": args.answers.name,
        "against": args.against.name if args.against else None,
        "passes": args.passes,
        "seed": args.seed if args.against else None,
        "cost": judge.cost(),
    }
    if run:
        about["speakers"] = by_speaker(list(rubric.dimensions), found["answers"])
    text = json.dumps(about | found, indent=1, allow_nan=False) + "\n"
    if args.out:
        write_text(args.out, text)
    else:
        print(text, end="")
    _tell(about["cost"], args.out)


def _tell(cost: dict, out: Path | None) -> None:
    """One line on what became of it; UserError when nothing succeeded."""
    failures = ", ".join(f"{kind} {count}" for kind, count in sorted(cost["failures"].items()))
    if cost["failed"] == cost["judgements"]:
        raise UserError(f"--base-url: every judgement failed ({failures}); the report says why under `detail`")
    failed = f"{cost['failed']} failed ({failures})" if failures else "0 failed"
    judged = f"{cost['judgements']} judgements, {cost['cached']} of them from the cache, {failed}"
    sent = f"{cost['requests']} requests, {cost['prompt_tokens']} tokens in, {cost['completion_tokens']} out"
    print("; ".join([judged, sent] + ([str(out)] if out else [])), file=sys.stderr)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 86_400:
        raise argparse.ArgumentTypeError("must be above 0 and at most 86400")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m steerheal.judge",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "answers", metavar="ANSWERS.jsonl", type=Path, help="the texts to judge, or a run's folder (tune_runs/NAME)"
    )
    parser.add_argument("--against", type=Path, help="compare with this file's answers, blind, instead of scoring")
    parser.add_argument("--rubric", required=True, help=f"a YAML file, or one of {', '.join(shipped())}")
    parser.add_argument("--base-url", required=True, help="the endpoint, up to and without /chat/completions")
    parser.add_argument("--model", required=True, help="the judge's name at that endpoint")
    parser.add_argument(
        "--key-env", metavar="NAME", help=f"the variable that holds the key (default: {DEFAULT_KEY}, if set)"
    )
    parser.add_argument(
        "--passes",
        type=cli.at_least(1),
        default=2,
        help="how often each is judged: from two on, agreement is told and pairs are shown in both orders (default: 2)",
    )
    parser.add_argument("--seed", type=int, default=0, help="draws the order in which a pair is shown (default: 0)")
    parser.add_argument("--concurrency", type=cli.at_least(1), default=8, help="requests at a time (default: 8)")
    parser.add_argument("--timeout", type=_seconds, default=120.0, help="seconds to wait for a reply (default: 120)")
    parser.add_argument("--cache", type=Path, default=CACHE, help=f"where judgements are kept (default: {CACHE})")
    parser.add_argument("--out", type=Path, help="write the report here instead of printing it")
    return parser


if __name__ == "__main__":
    cli.run(main)
