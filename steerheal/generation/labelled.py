"""The labelled set, and how well the filter does on it.

`labelled.jsonl` holds completions with the judgement of a person: `label` keep or drop, and for a drop the `gate`
that should see it. `source` says where a text is from: `written` by hand, `composed` by rule (loops and soups), or
`builtin`, sampled from the built-in model under a steering vector and judged one by one. No model is needed:
`written` and `composed` texts carry a plausible constant perplexity under base, `ppl`; `builtin` ones carry
base's own `logprobs` and `entropies`, token by token, and the `dose` (multiple of the vector) they were sampled at.
Limits were tuned on `split: dev` alone; variants of one text are all in one split.

    recall(gate)    = failing at the gate and labelled for it / labelled for it
    precision(gate) = failing at the gate and labelled drop   / failing at the gate

A drop that a second gate sees as well is not a mistake of that gate, hence "labelled drop" in the precision. The
last row, `any`, is the filter as a whole: what it dropped against what it should have dropped.
"""

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steerheal.errors import UserError
from steerheal.generation.filter import GATES, Verdict, judge
from steerheal.generation.measured import Measured, Thresholds

SHIPPED = Path(__file__).with_name("labelled.jsonl")
SPLITS = ("dev", "test")
TOKENS_PER_WORD = 1.3
_REQUIRED = ("id", "split", "label", "gate", "source", "text")


@dataclass(frozen=True)
class Labelled:
    """One completion of the set. gate: the gate that should drop it, None for a keeper."""

    id: str
    split: str
    gate: str | None
    source: str
    measured: Measured


def load(path: Path = SHIPPED) -> list[Labelled]:
    """Read a labelled set; the line of the first bad record is named."""
    found: dict[str, Labelled] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        where = f"{path.name}: line {number}"
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{where}: not JSON ({error.msg}); write one object per line") from None
        example = _example(record, where)
        if example.id in found:
            raise UserError(f"{where}: id {example.id!r} is used twice; give each completion its own")
        found[example.id] = example
    return list(found.values())


def _example(record: dict, where: str) -> Labelled:
    missing = [key for key in _REQUIRED if key not in record]
    if missing or not ("ppl" in record or "logprobs" in record):
        raise UserError(f"{where}: {', '.join(missing) or 'ppl'} is missing; see the module labelled for the fields")
    if record["split"] not in SPLITS:
        raise UserError(f"{where}: split {record['split']!r} is unknown; use one of {', '.join(SPLITS)}")
    if record["label"] != ("drop" if record["gate"] else "keep") or record["gate"] not in (None, *GATES):
        raise UserError(f"{where}: label and gate disagree; a drop names one of {', '.join(GATES)}, a keep none")
    text = record["text"]
    if "logprobs" in record:
        logprobs, entropies = np.asarray(record["logprobs"]), np.asarray(record["entropies"])
    else:
        tokens = max(round(TOKENS_PER_WORD * len(text.split())), 1)
        logprobs, entropies = np.full(tokens, -math.log(record["ppl"])), None
    measured = Measured(text, logprobs, entropies, bool(record.get("hit_limit", False)), record.get("prompt", ""))
    return Labelled(record["id"], record["split"], record["gate"], record["source"], measured)


@dataclass(frozen=True)
class Score:
    """Counts of one gate on one split; precision and recall are None where their denominator is 0."""

    labelled: int
    failing: int
    right: int  # failing and labelled drop
    found: int  # failing and labelled for this gate

    @property
    def precision(self) -> float | None:
        return self.right / self.failing if self.failing else None

    @property
    def recall(self) -> float | None:
        return self.found / self.labelled if self.labelled else None


def score(examples: Sequence[Labelled], verdicts: Sequence[Verdict]) -> dict[str, Score]:
    """gate → Score, and "any" for the filter as a whole."""
    pairs = list(zip(examples, verdicts, strict=True))
    table = {}
    for gate in GATES:
        failing = [example for example, verdict in pairs if gate in verdict.reasons]
        table[gate] = Score(
            labelled=sum(example.gate == gate for example in examples),
            failing=len(failing),
            right=sum(example.gate is not None for example in failing),
            found=sum(example.gate == gate for example in failing),
        )
    dropped = [example for example, verdict in pairs if not verdict.kept]
    right = sum(example.gate is not None for example in dropped)
    table["any"] = Score(sum(example.gate is not None for example in examples), len(dropped), right, right)
    return table


def mistakes(examples: Sequence[Labelled], verdicts: Sequence[Verdict]) -> list[tuple[Labelled, Verdict]]:
    """The completions wrongly dropped or wrongly kept."""
    return [(example, verdict) for example, verdict in zip(examples, verdicts, strict=True)
            if verdict.kept != (example.gate is None)]


def _as_json(split: str, examples: Sequence[Labelled], verdicts: Sequence[Verdict]) -> dict:
    gates = {gate: {**vars(row), "precision": row.precision, "recall": row.recall}
             for gate, row in score(examples, verdicts).items()}
    wrong = [{"id": example.id, "expected": example.gate, "got": verdict.gate, "reasons": verdict.reasons}
             for example, verdict in mistakes(examples, verdicts)]
    return {"split": split, "completions": len(examples), "gates": gates, "mistakes": wrong}


def _as_text(report: dict) -> Iterable[str]:
    yield f"{report['split']}: {report['completions']} completions"
    yield f"  {'gate':<12}{'labelled':>9}{'failing':>9}{'precision':>11}{'recall':>9}"
    for gate, row in report["gates"].items():
        precision, recall = ("–" if row[k] is None else f"{row[k]:.3f}" for k in ("precision", "recall"))
        yield f"  {gate:<12}{row['labelled']:>9}{row['failing']:>9}{precision:>11}{recall:>9}"
    for wrong in report["mistakes"]:
        said = "; ".join(f"{gate}: {reason}" for gate, reason in wrong["reasons"].items()) or "passes all gates"
        yield f"  {wrong['id']}: expected {wrong['expected'] or 'keep'}, got {wrong['got'] or 'keep'} ({said})"
    yield ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m steerheal.generation.filter",
        description="Judge a labelled set with the filter and print precision and recall per gate, then every "
        "mistake with the number that caused it. Limits were tuned on the dev split; believe the test split.",
        epilog="A set of your own is a JSONL file with one completion per line: id, split (dev or test), label (keep or "
        "drop), gate (the gate that should drop it, or null), source, text, and either ppl (a perplexity under "
        "base) or logprobs and entropies (lists, one number per token). Example: "
        "python -m steerheal.generation.filter --set mine.jsonl --split test --json",
    )
    parser.add_argument("--set", type=Path, default=SHIPPED, metavar="FILE", help="labelled set (default: the shipped one)")
    parser.add_argument("--split", choices=SPLITS, help="one split only (default: both)")
    parser.add_argument("--json", action="store_true", help="print the same as one JSON object per split, one a line")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(argv)
    examples = load(options.set)
    for split in [options.split] if options.split else SPLITS:
        chosen = [example for example in examples if example.split == split]
        report = _as_json(split, chosen, [judge(example.measured, Thresholds()) for example in chosen])
        print(json.dumps(report, ensure_ascii=False) if options.json else "\n".join(_as_text(report)))
