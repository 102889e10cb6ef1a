"""What a sweep leaves behind: `tune_runs/<name>/`, written by the driver alone.

`trials.jsonl` is the truth: a trial is finished when its line is there, whole. Its rounds in `records.jsonl`
are appended before it, and the tables (CSV, Parquet) are views, written anew from time to time and at the end. Lines
are fsynced; a torn last line (a kill in the middle of a write) is dropped on reading and cut off before the next append.
"""

import json
import math
import os
import time
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import pandas

from steerheal import yaml_io
from steerheal.config.objectives import Objective, read_objective
from steerheal.errors import UserError
from steerheal.files import write_bytes, write_json, write_jsonl, write_text
from steerheal.leftovers import hold, remove_parts
from steerheal.standings import tied_trials

SPACE = "space.yaml"
TRIALS = "trials.jsonl"
RECORDS = "records.jsonl"
ABOUT = "about.json"
HEATS = "race.jsonl"
# What the tables show of a race's winner on fresh seeds.
REMEASURED = ("verdict", "gain", "coherence", "slope", "n")
# After the tables were written, so many times as long passes before they are again: what they say of ties takes longer
# with every trial.
TABLES_REST = 20
# Names in tune_runs that are no runs.
RESERVED = ("store", "mlflow", "judgements", "README.md")


def finite(value: Any) -> Any:
    """A copy in which NaN and infinities are None, since JSON has neither."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def read_lines(path: Path) -> list[dict]:
    """The whole lines of a JSONL file; a torn last one is left out."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    rows = []
    for position, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except ValueError:
            if position < len(lines) - 1:
                raise UserError(f"{path}: line {position + 1}: not JSON; restore the file or remove the line") from None
    return rows


def append_lines(path: Path, rows: Iterable[Mapping]) -> None:
    """Append rows as lines and fsync, after cutting off a torn last line, or ending one that is whole."""
    text = "".join(json.dumps(finite(row), allow_nan=False, ensure_ascii=False) + "\n" for row in rows)
    with open(path, "ab+") as stream:
        if _torn(stream):
            stream.seek(0)
            start, last = (found := stream.read()).rfind(b"\n") + 1, found.rpartition(b"\n")[2]
            if _whole(last):
                text = "\n" + text
            else:
                stream.truncate(start)
        stream.write(text.encode())
        stream.flush()
        os.fsync(stream.fileno())


def _whole(line: bytes) -> bool:
    """Whether a line is counted when it is read."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _torn(stream: BinaryIO) -> bool:
    """Whether the last line has no end."""
    if stream.seek(0, os.SEEK_END) == 0:
        return False
    stream.seek(-1, os.SEEK_END)
    return stream.read(1) != b"\n"


class RunFolder:
    """One sweep's folder."""

    def __init__(self, path: Path):
        self.path = path
        self.changed, self.rests_until = False, 0.0

    @cached_property
    def objective(self) -> Objective:
        """What the sweep is after, as its space file says."""
        return read_objective(yaml_io.load(self.path / SPACE).get("objective", "slope"))

    @property
    def trials(self) -> list[dict]:
        """One row per finished trial, in order of their numbers."""
        return sorted(read_lines(self.path / TRIALS), key=lambda row: row["trial"])

    @property
    def records(self) -> list[dict]:
        """One row per trial, seed and round, of the seeds that finished trials say they ran."""
        known = {row["trial"]: row for row in self.trials}
        rows = read_lines(self.path / RECORDS)
        return [row for row in rows if row["trial"] in known and _ran(known[row["trial"]], row["seed"])]

    def completions(self, number: int) -> Path:
        """Where a trial's completions are."""
        return self.path / "completions" / f"trial-{number:03d}.jsonl"

    def answers(self, number: int) -> Path:
        """Where the canaries' answers are: base's, steered base's, the trial's students'."""
        return self.path / "canaries" / f"trial-{number:03d}.jsonl"

    def vignettes(self, number: int) -> Path:
        """Where every vignette's reads are (`reads.vignette_rows`)."""
        return self.path / "vignettes" / f"trial-{number:03d}.jsonl"

    @property
    def about(self) -> dict:
        """What `describe` wrote; empty where it was not written."""
        try:
            found = json.loads((self.path / ABOUT).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise UserError(f"{self.path / ABOUT}: is not what the sweep wrote; restore the file, or remove it")
        return found

    def describe(self, about: Mapping) -> None:
        """Which model, data (by digest) and code the sweep was last run with."""
        write_json(self.path / ABOUT, about)

    def create(self, space_text: str) -> None:
        """A fresh run. A run that was killed before it had its space file has left a folder: it is taken."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be made ({error.strerror}); choose another --out") from None
        if (self.path / SPACE).exists():
            raise UserError(f"{self.path}: another sweep has just taken this name; start again")
        write_text(self.path / SPACE, space_text)

    def update(self, space_text: str) -> None:
        """The space with which a run that this process holds goes on: `trials` and `resources` may be others."""
        if (self.path / SPACE).read_text(encoding="utf-8") != space_text:
            write_text(self.path / SPACE, space_text)
            self.hold()

    def hold(self) -> None:
        """Keep other processes from running this sweep for as long as this one lives; UserError when one does."""
        self.held = hold(
            self.path / SPACE, f"{self.path}: another process runs this sweep; end it, or choose another --name"
        )

    def recover(self) -> None:
        """After an interruption: rounds of trials that never finished go, and so does what was half written; the
        rest stays byte for byte.
        """
        for folder in (self.path, *(place(0).parent for place in (self.completions, self.answers, self.vignettes))):
            remove_parts(folder)
        rows = self.records
        if rows != read_lines(self.path / RECORDS) or not (self.path / RECORDS).exists():
            write_jsonl(self.path / RECORDS, rows)
        self.write_tables()

    @property
    def heats(self) -> list[dict[int, list[int]]]:
        """A race's heats so far, after the first, which all trials run: trial → the seeds that it was given."""
        lines = read_lines(self.path / HEATS)
        return [{int(number): seeds for number, seeds in line["trials"].items()} for line in lines]

    def plan(self, heat: Mapping[int, list[int]]) -> None:
        """A race's next heat, written down before it begins, so that a resumed race goes on with the same."""
        append_lines(self.path / HEATS, [{"heat": len(self.heats) + 2, "trials": heat}])

    def finish(
        self,
        row: Mapping,
        records: Iterable[Mapping],
        completions: Iterable[Mapping],
        answers: Iterable[Mapping] = (),
        vignettes: Iterable[Mapping] = (),
    ) -> None:
        """A trial has ended: its completions, its canaries' answers, its vignettes' reads, its new rounds, then the
        line that counts. The tables follow (`refresh_tables`).

        A trial that has run before gets its line replaced, all lines at once; what is told of seeds that it ran then, and
        of which the artefacts are gone since, stays.
        """
        number = row["trial"]
        known = read_lines(self.path / TRIALS)
        before = any(line["trial"] == number for line in known)
        told = ((self.completions, completions), (self.answers, answers), (self.vignettes, vignettes))
        for place, lines in told:
            _write_told(place(number), [finite(line) for line in lines], before)
        append_lines(self.path / RECORDS, ({"trial": number} | record for record in records))
        if before:
            lines = [finite(row) if line["trial"] == number else line for line in known]
            write_jsonl(self.path / TRIALS, lines)
        else:
            append_lines(self.path / TRIALS, [row])
        self.changed = True

    def refresh_tables(self) -> None:
        """The tables, if a trial has ended since, and if they were not written just now."""
        if self.changed and (began := time.monotonic()) >= self.rests_until:
            self.changed = False
            self.write_tables()
            ended = time.monotonic()
            self.rests_until = ended + TABLES_REST * (ended - began)

    def write_tables(self) -> None:
        """trials.csv and trials.parquet: one flat row per finished trial, if there is any.

        `tied`: it cannot be told from the best; under `pareto` instead `front`: it may be on the front.
        """
        if not (rows := self.trials):
            return
        marks = tied_trials(rows, self.objective)
        column = "front" if self.objective.kind == "pareto" else "tied"
        table = pandas.DataFrame([flat_row(row) | {column: marks[row["trial"]]} for row in rows])
        table[column] = table[column].astype("boolean")
        write_text(self.path / "trials.csv", table.to_csv(index=False))
        write_bytes(self.path / "trials.parquet", table.to_parquet(index=False))


def _write_told(path: Path, lines: list[dict], before: bool) -> None:
    seeds = {line.get("seed") for line in lines}
    kept = [line for line in read_lines(path) if line.get("seed") not in seeds] if before else []
    write_jsonl(path, kept + lines)


def _ran(row: Mapping, seed: int) -> bool:
    """Whether a finished trial says that it ran on a seed; a sweep of before there were races does not say."""
    return "ran" not in row or seed in row["ran"] or seed in row["fresh"]


def flat_row(row: Mapping) -> dict[str, Any]:
    """A trial's row as the tables hold it: number, parameters, verdict and figures, and where its rounds are
    told.
    """
    params = {name: json.dumps(value) if isinstance(value, list) else value for name, value in row["params"].items()}
    figures = {name: value for name, value in row["summary"].items() if isinstance(value, int | float | str)}
    figures |= {name: None for name, value in row["summary"].items() if value is None}
    figures |= row["summary"].get("own") or {}
    again = row.get("remeasured") or {}
    figures |= {f"remeasured_{name}": again.get(name) for name in REMEASURED if again}
    return (
        {"trial": row["trial"], "verdict": row["verdict"]}
        | params
        | figures
        | {
            "seconds": row["seconds"],
            "message": row["message"],
        }
    )


def fresh_name(out: Path, wanted: str) -> str:
    """`wanted`, or `wanted-2`, `wanted-3`, … whichever is free in `out`."""
    taken = latest_run(out, wanted)
    return wanted if taken is None else f"{wanted}-{_ordinal(taken, wanted) + 1}"


def latest_run(out: Path, wanted: str) -> str | None:
    """The last of the runs `wanted`, `wanted-2`, … in `out`."""
    names = [path.parent.name for path in out.glob(f"*/{SPACE}")]
    ours = [name for name in names if _ordinal(name, wanted)]
    return max(ours, key=lambda name: _ordinal(name, wanted), default=None)


def _ordinal(name: str, wanted: str) -> int:
    """1 for `wanted` itself, n for `wanted-n`, 0 for other names."""
    if name == wanted:
        return 1
    stem, _, number = name.rpartition("-")
    return int(number) if stem == wanted and number.isdecimal() and int(number) > 1 else 0
