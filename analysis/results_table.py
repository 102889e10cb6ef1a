"""A table of results from anywhere as trials that the project's own functions can judge.

Columns: auth_nats and coherence, or d_auth_base and d_coh_base (against base, in nats and in units of
coherence), optionally seed; every other column (reg, lam, wd, …) is part of the configuration's name, but for
RESULTS.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from steerheal import objective
from steerheal.errors import UserError
from steerheal.statistics.means import mean

FIGURES = ("auth_nats", "coherence", "d_auth_base", "d_coh_base")
# Told by other columns, or computed anew; never part of a name.
RESULTS = (*FIGURES, "seed", "slope_x100", "slope", "gain", "retain", "verdict")
# The default pair moves authority down; authority is what these tables hold.
SIGN = -1
# Base's coherence is a mean of probabilities.
MOST = 1.0
EMPTY = ("", "nan", "na", "n/a", "none", "null", "-", "–")


@dataclass(frozen=True)
class Base:
    """What base measures, None where it was not said: trait in nats, coherence 0..1."""

    trait: float | None
    coherence: float | None


def read_table(path: Path, base: Base) -> list[dict]:
    """Rows with trial, params, verdict, summary, as a sweep has them; a trial is a configuration with its
    seeds. `reruns`: gain and coherence of the lines that repeat a seed, a group a seed.

    Raises UserError naming the file, the line or column, and the remedy.
    """
    columns, lines = _read(path)
    _check_columns(path, columns, base)
    seeded = "seed" in columns
    found: dict[tuple, dict[str, list[dict]]] = {}
    begun: dict[tuple, int] = {}
    for number, cells in lines:
        params = tuple((name, cells[name]) for name in columns if name not in RESULTS)
        seed = cells["seed"] if seeded else "0"
        if not seed:
            raise UserError(f"{path}: line {number}: seed: is empty; write the seed, or leave the column out")
        if not seeded and params in found:
            what = f"repeats the configuration of line {begun[params]}"
            raise UserError(f"{path}: line {number}: {what}; remove one, or add a column seed")
        begun.setdefault(params, number)
        record = _figures(path, number, cells, base)
        found.setdefault(params, {}).setdefault(seed, []).append(record)
    return [_trial(place, dict(params), seeds) for place, (params, seeds) in enumerate(found.items())]


def _read(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The header and (line number, cells) of every line that is not blank."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); name a CSV file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not UTF-8 text; save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise UserError(f"{path}: is not CSV ({error}); check its quotes") from None
    rows = [(number, row) for number, row in rows if any(row)]
    if len(rows) < 2:
        raise UserError(f"{path}: has no rows; give a header and at least one row")
    columns = rows[0][1]
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path}: column {twice!r}: is there twice; rename or remove one")
    for number, row in rows[1:]:
        if len(row) != len(columns):
            what = f"has {len(row)} cells, the header {len(columns)}"
            raise UserError(f"{path}: line {number}: {what}; fill in or quote the cells")
    return columns, [(number, dict(zip(columns, row, strict=True))) for number, row in rows[1:]]


def _check_columns(path: Path, columns: list[str], base: Base) -> None:
    """Refuse a table from which no gain, or no change of coherence, can be had."""
    choices = (
        ("auth_nats", "d_auth_base", base.trait, "--base-trait"),
        ("coherence", "d_coh_base", base.coherence, "--base-coherence"),
    )
    for absolute, relative, value, option in choices:
        if absolute not in columns and relative not in columns:
            near = [name for name in columns if name.startswith(relative.rpartition("_")[0])]
            hint = f" ({near[0]} may be one of them: rename it if it is)" if near else ""
            what = f"needs the column {absolute}, as measured, or {relative}, against base{hint}"
            raise UserError(f"{path}: {what}; it has {', '.join(columns)}")
        if relative not in columns and value is None:
            raise UserError(f"{path}: {absolute}: is not against base; say what base has with {option}")


def _figures(path: Path, number: int, cells: dict[str, str], base: Base) -> dict:
    """gain, coherence and d_coherence of one line; None where its cells are empty, infinite where they
    are.
    """
    values = {name: _number(path, number, name, cells[name]) for name in FIGURES if name in cells}
    moved, change = values.get("d_auth_base"), values.get("d_coh_base")
    trait, coherence = values.get("auth_nats"), values.get("coherence")
    if moved is None and trait is not None and base.trait is not None:
        moved = trait - base.trait
    if change is None and coherence is not None and base.coherence is not None:
        change = coherence - base.coherence
    if coherence is None and change is not None:
        coherence = change + (MOST if base.coherence is None else base.coherence)
    gain = None if moved is None else SIGN * moved
    return {"trait": trait, "gain": gain, "coherence": coherence, "d_coherence": change}


def _number(path: Path, number: int, column: str, cell: str) -> float | None:
    if cell.lower() in EMPTY:
        return None
    try:
        value = float(cell)
    except ValueError:
        what = f"{cell[:40]!r} is not a number"
        remedy = "write one such as -3.72, or leave it empty"
        raise UserError(f"{path}: line {number}: {column}: {what}; {remedy}") from None
    return None if math.isnan(value) else value


def _trial(place: int, params: dict[str, str], seeds: dict[str, list[dict]]) -> dict:
    """One configuration; lines of the same seed are re-runs, and their mean counts once."""
    records = []
    for seed, lines in seeds.items():
        figures = {name: mean([line[name] for line in lines]).mean for name in lines[0]}
        empty = any(line[name] is None for line in lines for name in objective.PAIRED)
        absent = dict.fromkeys(("retain", "steered_gain", "canary_survival", "off_target", "error"))
        ended = {"seed": seed, "round": 0, "outcome": "unknown" if empty else "ok"}
        records.append(ended | {"unscorable": 0.0, "off_moves": {}} | absent | figures)
    summary = objective.summarise(records)
    names = (("gain", "gain"), ("coherence", "d_coherence"))
    reruns = {kind: [[line[name] for line in lines] for lines in seeds.values()] for kind, name in names}
    return {"trial": place, "params": params, "verdict": summary["verdict"], "summary": summary, "reruns": reruns}
