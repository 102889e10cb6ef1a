"""A sweep's folder as plain data: the recorded files alone, whatever of them is there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from steerheal import yaml_io
from steerheal.config.objectives import Objective
from steerheal.config.sections import SECTION_OF
from steerheal.config.space import load_space
from steerheal.errors import UserError
from steerheal.results import SPACE, RunFolder, read_lines
from steerheal.standings import feasible, ranked, ranking
from steerheal.statistics.means import Mean, mean

Row = Mapping[str, Any]
REGS = ("nll", "kl_rev", "kl_fwd")


@dataclass(frozen=True)
class Sweep:
    """`rows`: the finished trials; `records`: their seeds' rounds; `about`: model, data and code, {} in old runs;
    `planned`: how many trials were asked for, None if the space can no longer be read.
    """

    folder: RunFolder
    space: Mapping[str, Any]
    rows: list[dict]
    records: list[dict]
    about: Mapping[str, Any] = field(default_factory=dict)
    planned: int | None = None

    @property
    def name(self) -> str:
        """The run's name."""
        return self.folder.path.name

    @property
    def experiment(self) -> str:
        """What its trials do."""
        return str(self.space.get("experiment") or "steer")

    @property
    def seeds(self) -> list[int]:
        """The seeds of every trial."""
        return list(self.space.get("seeds") or sorted({record["seed"] for record in self.records}))

    @property
    def dimensions(self) -> dict[str, Any]:
        """What was searched, as the space says it."""
        return dict(self.space.get("search") or {})

    @property
    def objective(self) -> Objective:
        """What the sweep is after."""
        return self.folder.objective

    @property
    def racing(self) -> bool:
        """Whether trials earned their seeds."""
        return self.space.get("repeats") == "race"

    @property
    def repeated(self) -> bool:
        """Whether any trial has figures of several seeds."""
        return any(len(row["summary"].get("judged") or ()) > 1 for row in self.rows)

    @cached_property
    def order(self) -> list[int]:
        """Trial numbers, best first."""
        return ranking(self.rows, self.objective)

    @cached_property
    def ranked(self) -> list[int]:
        """The trials that satisfy the objective and can be compared, best first."""
        return ranked(self.rows, self.objective)

    @cached_property
    def by_number(self) -> dict[int, dict]:
        """Trial number → row."""
        return {row["trial"]: row for row in self.rows}

    @property
    def best(self) -> dict | None:
        """The first of the ranked trials; None when none can be ranked."""
        fit = self.ranked or [n for n in self.order if feasible(self.by_number[n], self.objective)]
        return self.by_number[fit[0]] if fit else None

    @property
    def shown(self) -> dict | None:
        """The trial whose texts and curves are shown: the best, else the first that has a student."""
        return self.best or next((self.by_number[n] for n in self.order if self.by_number[n].get("students")), None)

    def setting(self, row: Row, name: str) -> Any:
        """A trial's value of a setting, searched or fixed; None where the space does not tell."""
        if name in row["params"]:
            return row["params"][name]
        if name == "alpha":
            return self.space.get("alpha")
        section = (self.space.get("settings") or {}).get(SECTION_OF.get(name, ""), {})
        return section.get(name)

    def reg(self, row: Row) -> str:
        """A trial's regulariser."""
        return str(self.setting(row, "reg") or REGS[0])

    def rounds(self, trial: int, fresh: bool = False) -> list[dict]:
        """A trial's records, round by round; those on a race's fresh seeds decide nothing and are apart."""
        apart = () if fresh else self.by_number[trial].get("fresh", ())
        return [record for record in self.records if record["trial"] == trial and record["seed"] not in apart]

    def last(self, trial: int) -> list[dict]:
        """The last record of each seed."""
        return list({record["seed"]: record for record in self.rounds(trial)}.values())

    def completions(self, trial: int) -> list[dict]:
        """What was generated under steering."""
        return read_lines(self.folder.completions(trial))

    def answers(self, trial: int) -> list[dict]:
        """What base, steered base and the student said to the canaries; [] where it was not recorded."""
        return read_lines(self.folder.answers(trial))

    def vignettes(self, trial: int) -> list[dict]:
        """What base, steered base and the students answered to each vignette; [] where it was not recorded."""
        return read_lines(self.folder.vignettes(trial))

    def collected(self) -> Iterator[dict]:
        """Every completion of the sweep once: trials that shared a collection hold the same ones."""
        told: set[str] = set()
        for row in self.rows:
            keys = {
                (record["seed"], record["round"]): record.get("keys", {}).get("collect")
                for record in self.rounds(row["trial"], fresh=True)
            }
            fresh = {place for place, key in keys.items() if key not in told}
            told.update(key for key in keys.values() if key)
            for line in self.completions(row["trial"]):
                if (line.get("seed"), line.get("round")) in fresh:
                    yield line


def read_sweep(path: Path) -> Sweep:
    """The sweep in a folder. Raises UserError, in one line, for a folder that is none."""
    if not (path / SPACE).is_file():
        what = "no such folder" if not path.exists() else f"is no sweep: it has no {SPACE}"
        raise UserError(f"{path}: {what}; name a run's folder, such as tune_runs/barrier")
    folder = RunFolder(path.resolve())
    space = yaml_io.load(path / SPACE)
    if not isinstance(space, dict):
        raise UserError(f"{path / SPACE}: is no space; restore the file that the sweep wrote")
    try:
        folder.objective
    except ValueError as error:
        raise UserError(f"{path / SPACE}: objective: {error}") from None
    return Sweep(folder, space, folder.trials, folder.records, folder.about, _planned(path / SPACE))


def _planned(path: Path) -> int | None:
    """How many trials the space asks for; unknown where its data files have gone since."""
    try:
        return load_space(path).trials
    except UserError:
        return None


def over_seeds(records: list[dict], name: str) -> Mean:
    """A figure of several seeds' records."""
    return mean([record.get(name) for record in records])


def heal_loss(record: Mapping[str, Any]) -> float | None:
    """The held-out nll at the end of a heal, else that of its last step."""
    heal = record.get("heal") or {}
    curve = heal.get("validation") or heal.get("steps") or [{}]
    return curve[-1].get("nll")
