"""The labelled set, and how well the filter does on it.

`labelled.jsonl` holds completions with the judgement of a person: `label` keep or drop, and for a drop the
`gate` that should see it. `source` says where a text is from: `written` by hand, `composed` by rule (loops
and soups), or `builtin`, sampled from a first training of the built-in model under the vectors of two persona
pairs, at doses from 0 to 2, and judged one by one. No model is needed: `written` and `composed` texts carry a
plausible constant perplexity under base, `ppl`; `builtin` ones carry base's own `logprobs` and `entropies`,
token by token, and the `dose` (multiple of the vector) they were sampled at. Limits were tuned on `split:
dev` alone; variants of one text are all in one split, and so are the completions of one run of the built-in
model. Both splits were written by the authors of the filter: on text of another hand expect less.

    recall(gate)    = failing at the gate and labelled for it / labelled for it
    precision(gate) = failing at the gate and labelled drop   / failing at the gate

A drop that a second gate sees as well is not a mistake of that gate, hence "labelled drop" in the precision.
The last row, `any`, is the filter as a whole: what it dropped against what it should have dropped.
"""

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from steerheal.config.messages import validate
from steerheal.config.sections import Frozen
from steerheal.generation.filter import GATES, Verdict, judge
from steerheal.generation.measured import Measured, Thresholds
from steerheal.yaml_io import refusal

SHIPPED = Path(__file__).with_name("labelled.jsonl")
SPLITS = ("dev", "test")
TOKENS_PER_WORD = 1.3
EXAMPLES = """examples:
  python -m steerheal.generation.filter
  python -m steerheal.generation.filter --split test --json
  python -m steerheal.generation.filter --set mine.jsonl

A set of your own is a JSONL file, one completion a line, with
  id, split (dev or test), label (keep or drop), gate (the gate that should drop it, or null), source, text,
and either ppl (a perplexity under base) or logprobs and entropies (lists, one number per token):
  {"id": "a", "split": "dev", "label": "keep", "gate": null, "source": "me", "ppl": 3.2, "text": "Yes."}
"""
Numbers = Annotated[list[float], Field(min_length=1)]


class Record(Frozen):
    """A line of the file."""

    id: Annotated[str, Field(min_length=1)]
    split: Literal["dev", "test"]
    label: Literal["keep", "drop"]
    gate: Literal[GATES] | None
    source: str
    text: str
    ppl: Annotated[float, Field(ge=1, le=1e9)] | None = None
    logprobs: Numbers | None = None
    entropies: Numbers | None = None
    prompt: str = ""
    hit_limit: bool = False
    dose: float | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Record":
        if (self.gate is None) != (self.label == "keep"):
            raise ValueError("label and gate disagree; a drop names the gate that should see it, a keep has null")
        if (self.ppl is None) == (self.logprobs is None):
            raise ValueError("it has ppl and logprobs, or neither; give one of the two")
        if self.logprobs is not None and len(self.logprobs) != len(self.entropies or ()):
            raise ValueError("logprobs and entropies differ in length; give one number of each per token")
        return self


@dataclass(frozen=True)
class Labelled:
    """One completion of the set. gate: the gate that should drop it, None for a keeper."""

    id: str
    split: str
    gate: str | None
    source: str
    measured: Measured


def load(path: Path = SHIPPED) -> list[Labelled]:
    """Read a labelled set, in order; the first bad line is refused by its number."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        what = f"it cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})"
        raise refusal(str(path), "the file", what, "check the path") from None
    found: dict[str, Labelled] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = validate(Record, json.loads(line), str(path), f"line {number}")
        except json.JSONDecodeError as error:
            raise refusal(str(path), f"line {number}", f"not JSON ({error.msg})", "write one object per line") from None
        if record.id in found:
            raise refusal(str(path), f"line {number}.id", f"{record.id!r} is used twice", "give each its own")
        found[record.id] = Labelled(record.id, record.split, record.gate, record.source, as_measured(record))
    return list(found.values())


def as_measured(record: Record) -> Measured:
    """The scores of the record, or equal ones with its constant perplexity, one a likely token."""
    if record.logprobs is None:
        tokens = max(round(TOKENS_PER_WORD * len(record.text.split())), 1)
        logprobs, entropies = np.full(tokens, -math.log(record.ppl)), None
    else:
        logprobs, entropies = np.array(record.logprobs), np.array(record.entropies)
    return Measured(record.text, logprobs, entropies, record.hit_limit, record.prompt)


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
    return [
        (example, verdict)
        for example, verdict in zip(examples, verdicts, strict=True)
        if verdict.kept != (example.gate is None)
    ]


def _as_json(split: str, examples: Sequence[Labelled], verdicts: Sequence[Verdict]) -> dict:
    gates = {
        gate: {**vars(row), "precision": row.precision, "recall": row.recall}
        for gate, row in score(examples, verdicts).items()
    }
    wrong = [
        {"id": example.id, "expected": example.gate, "got": verdict.gate, "reasons": verdict.reasons}
        for example, verdict in mistakes(examples, verdicts)
    ]
    return {"split": split, "completions": len(examples), "gates": gates, "mistakes": wrong}


def _as_text(report: dict) -> Iterable[str]:
    yield f"{report['split']}: {report['completions']} completions"
    yield f"  {'gate':<12}{'labelled':>9}{'failing':>9}{'precision':>11}{'recall':>9}"
    for gate, row in report["gates"].items():
        precision, recall = ("–" if row[k] is None else f"{row[k]:.3f}" for k in ("precision", "recall"))
        yield f"  {gate:<12}{row['labelled']:>9}{row['failing']:>9}{precision:>11}{recall:>9}"
    for wrong in report["mistakes"]:
        said = "; ".join(f"{gate}: {reason}" for gate, reason in wrong["reasons"].items()) or "passes all"
        expected, got = (wrong[key] or "keep" for key in ("expected", "got"))
        yield f"  {wrong['id']}: expected {expected}, got {got} ({said})"
    yield ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m steerheal.generation.filter",
        description="Judge a labelled set with the filter and print precision and recall per gate, then\n"
        "every mistake with what caused it. Limits were tuned on the dev split: believe the test split.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--set", type=Path, default=SHIPPED, metavar="FILE", help="labelled set (default: the shipped one)"
    )
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
