"""One sweep: what is asked, what comes back, and what is kept of it. Knows nothing of Ray.

A trial's messages are held in memory until it ends; then its files, its line in the records, its place in the
study, its line on the screen and its MLflow run follow, in this order, so that a kill at any point loses or
doubles nothing.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from steerheal import goals, objective, racing
from steerheal.config.space import Space
from steerheal.errors import ArtefactLost, StoreAway
from steerheal.experiments.steer import ASKED
from steerheal.files import read_jsonl
from steerheal.live import Display
from steerheal.reads import vignette_rows
from steerheal.results import RunFolder, finite
from steerheal.search import Study
from steerheal.store import Store
from steerheal.tracking import Tracker
from steerheal.tracking.about import in_force

FAILED = "failed"
# Whose canary answers an artefact of the trial holds, and what is kept of each answer.
WHO = {"canary_base": "base", "canary_steered": "steered", "canary": "healed"}
WHO |= {f"canary_{name}": name for name in ASKED}
# Pairs that are named in a line.
NAMED = 8
ANSWER = ("id", "prompt", "sample", "text", "damage", "beliefs")


class Sweep:
    """A `actors.tuner.Course`."""

    def __init__(
        self,
        space: Space,
        folder: RunFolder,
        study: Study,
        store: Store,
        display: Display,
        tracker: Tracker,
    ):
        self.space, self.folder, self.study, self.store = space, folder, study, store
        self.display, self.tracker = display, tracker
        self.stopping = False
        self.reason: str | None = None
        self.seeds: dict[int, Sequence[int]] = {}
        self.before: dict[int, dict] = {}
        self.again: list[int] = []
        self.params: dict[int, dict] = {}
        self.settings: dict[int, str] = {}
        self.waiting: set[int] = set()
        self.records: dict[int, dict[tuple[int, int], dict]] = {}
        self.outcomes: dict[int, dict] = {}
        self.since: dict[int, float] = {}
        self.shown = False

    def recover(self) -> None:
        """Take up what earlier runs of this sweep finished."""
        rows = self._rows()
        self.study.recover({row["trial"]: (row["params"], _standing(row)) for row in rows})
        self.display.recovered(rows)

    def begin(self) -> bool:
        """Decide what runs now: the trials that have not finished, else a race's next heat. False: nothing."""
        rows = self._rows()
        done = {row["trial"]: row for row in rows}
        missing = [number for number in range(self.study.trials) if number not in done]
        heat = dict.fromkeys(missing, self.space.first_seeds)
        if not missing and self.space.racing:
            heat = self._heat(rows)
        self.seeds, self.before = heat, {number: done[number] for number in heat if number in done}
        self.again = list(self.before)
        return bool(heat) and not self.stopping

    def unfinished(self) -> list[int]:
        """The trials to run: those that were interrupted come before those that were never begun."""
        return list(self.seeds)

    def ready(self) -> list[tuple[int, str]]:
        """What the study proposes now, and what runs again."""
        found = []
        while not self.stopping and (asked := self.study.ask()) is not None:
            found.append(self._start(asked.number, asked.params))
        while not self.stopping and self.again:
            number = self.again.pop(0)
            found.append(self._start(number, self.before[number]["params"]))
        return found

    def _start(self, number: int, params: dict) -> tuple[int, str]:
        self.params[number], self.records[number] = params, {}
        self.since[number] = time.monotonic()
        self.display.started(number, params, self.space.rounds * len(self.seeds[number]))
        self.tracker.started(number, in_force(self.space, params))
        trial = self.space.trial(params).model_copy(update={"seeds": tuple(self.seeds[number])})
        self.settings[number] = trial.model_dump_json()
        return number, self.in_line(number)

    def in_line(self, number: int) -> str:
        """A trial waits for a process, for the first time or since the one that it had died: its settings."""
        self.waiting.add(number)
        return self.settings[number]

    def untaken(self) -> dict[int, str]:
        """The settings of the trials that wait for a process; called on a thread, too."""
        known = {number: self.settings.get(number) for number in tuple(self.waiting)}
        return {number: settings for number, settings in known.items() if settings}

    def heard(self, number: int, message: Mapping[str, Any]) -> None:
        """That a process has begun the trial, a round's record, or the outcome. A trial begun again repeats its first
        records.
        """
        if "began" in message:
            self.waiting.discard(number)
            return
        if "outcome" in message:
            self.outcomes[number] = message["outcome"]
            return
        record = finite(message["record"])
        mark = (record["seed"], record["round"])
        if mark not in self.records[number]:
            self.display.heard(number, record)
            self.tracker.round(number, record, len(self.space.seeds))
            self._references(record)
            self._trained_on(record)
        self.records[number][mark] = record

    def ended(self, number: int, error: bool) -> None:
        """Write the trial down, unless the sweep is being stopped or the cluster is lost under it."""
        outcome = self.outcomes.pop(number, None)
        self.settings.pop(number, None)
        self.waiting.discard(number)
        if outcome is None and error and not self.stopping:
            outcome = {"failure": "its process died repeatedly"}
        if outcome is None or "lost" in outcome:
            if outcome and not self.stopping:
                self.stop(outcome["lost"])
            self.display.dropped(number)
            return
        records = [self.records[number][mark] for mark in sorted(self.records[number], key=lambda mark: mark[::-1])]
        earlier = self._earlier(number)
        row = self._row(number, outcome, records, earlier)
        try:
            every = [*earlier, *records]
            texts = self._completions(every), self._answers(every)
            self.folder.finish(row, records, *texts, vignette_rows(self.store, every))
        except (OSError, StoreAway) as error:
            self._unwritten(error)
            self.display.dropped(number)
            return
        if number not in self.before:
            self.study.tell(number, _standing(row))
        del self.seeds[number]
        self.display.ended(row)
        self.tracker.ended(row, [self.folder.completions(number)])

    def tables(self, write: Callable[[], None]) -> None:
        """Have the folder write its tables; a failure stops the sweep, since its trials will not be written either."""
        try:
            write()
        except OSError as error:
            self._unwritten(error)

    def _unwritten(self, error: OSError | StoreAway) -> None:
        away = isinstance(error, StoreAway)
        self.stop(str(error) if away else f"{self.folder.path}: cannot be written ({error.strerror})")

    def stop(self, reason: str) -> None:
        """Stop after this moment, for the first reason given; what runs is interrupted."""
        self.reason = self.reason or reason
        self.stopping = True

    def _rows(self) -> list[dict]:
        return [row for row in self.folder.trials if row["trial"] < self.study.trials]

    def _heat(self, rows: Sequence[Mapping]) -> dict[int, list[int]]:
        """What is left of the heat that was written down last, else the next one; empty when the race is over."""
        ran = {row["trial"]: {*row["ran"], *row["fresh"]} for row in rows}
        for heat in self.folder.heats[-1:]:
            if left := {number: seeds for number, seeds in heat.items() if not ran[number].issuperset(seeds)}:
                return left
        seeds, wanted = self.space.seeds, self.space.objective
        heat = racing.next_heat(rows, seeds, wanted) or racing.last_lap(rows, seeds, wanted)
        if heat:
            self.folder.plan(heat)
            self.display.say(f"heat {1 + len(self.folder.heats)}: {racing.heat_in_words(heat)}")
        return heat

    def _earlier(self, number: int) -> list[dict]:
        """The rounds of seeds that a trial has run before."""
        return [row for row in self.folder.records if row["trial"] == number] if number in self.before else []

    def _row(
        self, number: int, outcome: Mapping[str, Any], records: Sequence[Mapping], earlier: Sequence[Mapping]
    ) -> dict:
        """The trial's line: parameters, verdict, figures, and per seed the history of its student.

        A trial that has run before keeps its standing with the searcher; its figures are those of all its seeds,
        those on fresh ones apart.
        """
        before, seeds = self.before.get(number), list(self.seeds[number])
        fresh = seeds if before and not {*seeds} & {*self.space.seeds} else []
        floor = self.space.settings.evaluate.min_gain
        summary = finite(outcome.get("summary") or {})
        if before and summary and not fresh:
            summary = finite(objective.summarise([*earlier, *records], floor))
        remeasured = summary or {"verdict": FAILED, "error": outcome.get("failure")}
        summary = before["summary"] if fresh else summary
        verdict = summary.get("verdict", FAILED)
        standing = goals.standing(verdict, summary, self.space.objective, floor)
        students = {str(record["seed"]): record["student"] for record in (*earlier, *records)}
        return {
            "trial": number,
            "params": finite(self.params[number]),
            "verdict": verdict,
            "summary": summary,
            "standing": before["standing"] if before else asdict(standing),
            "message": (None if fresh else outcome.get("failure")) or summary.get("error") or "",
            "seconds": round(time.monotonic() - self.since[number] + (before["seconds"] if before else 0.0), 3),
            "seeds": len(self.space.seeds),
            "ran": (before["ran"] if before else []) + ([] if fresh else seeds),
            "fresh": fresh,
            **({"remeasured": remeasured} if fresh else {}),
            "students": {seed: student for seed, student in students.items() if student},
        }

    def _completions(self, records: Sequence[Mapping]) -> list[dict]:
        """What was generated in each round, kept or dropped with the gate's reason, or the pairs that were trained on
        and kept aside; without the token ids.
        """
        lines = []
        for record in records:
            key = record["keys"].get("collect") or record["keys"].get("pairs")
            for line in self._lines(key, "completions.jsonl") if key else ():
                plain = {name: value for name, value in line.items() if name not in ("ids", "prompt_ids")}
                lines.append({"seed": record["seed"], "round": record["round"]} | plain)
        return lines

    def _answers(self, records: Sequence[Mapping]) -> list[dict]:
        """What base, steered base and the students said to the canaries; a seed's base is told once."""
        lines, told = [], set()
        for record in records:
            for name, who in WHO.items():
                key = record["keys"].get(name)
                if key is None or (record["seed"], key) in told:
                    continue
                told.add((record["seed"], key))
                place = {"seed": record["seed"], "round": record["round"], "who": who}
                answers = self._lines(key, "answers.jsonl")
                lines += [place | {field: line[field] for field in ANSWER if field in line} for line in answers]
        return lines

    def _lines(self, key: str, name: str) -> list[dict]:
        """Of an artefact; the trial's figures do not hang on one that was damaged since, of which the store told."""
        try:
            return read_jsonl(self.store.folder(key) / name)
        except ArtefactLost:
            return []

    def _references(self, record: Mapping[str, Any]) -> None:
        """Base, as it is, under system prompts, and as it is steered at this round's dose, as runs to compare with."""
        if record.get("references"):
            for name, figures in record["references"].items():
                self.tracker.reference(name, figures)
            return
        if record.get("base"):
            self._refer("base", record["base"])
        for name in ASKED:
            if record.get(name):
                self._refer(f"base {name}", record[name])
        if record.get("steered") and record["round"] == 0:
            self._refer(f"base steered at dose {record['dose']:.3g}", record["steered"])

    def _trained_on(self, record: Mapping[str, Any]) -> None:
        """Shown once, so that a mask that went wrong is seen."""
        if record.get("pairs") and not self.shown:
            self.shown = True
            for line in pairs_in_words(record["pairs"]):
                self.display.say(line)

    def _refer(self, name: str, report: Mapping[str, Any]) -> None:
        self.tracker.reference(name, report | {"trait": (report["nats"] or {}).get(self.space.persona.target)})


def pairs_in_words(pairs: Mapping[str, Any]) -> list[str]:
    """What is trained on: one pair with the trained tokens marked, and the pairs that are left out."""
    said = [f"one pair as it is trained on, which is what stands between ⟦ and ⟧: {pairs['example']}"]
    if left := pairs["too_long"]:
        named = ", ".join(map(str, left[:NAMED])) + (f" and {len(left) - NAMED} more" if len(left) > NAMED else "")
        are = "pair is" if len(left) == 1 else "pairs are"
        said.append(f"{len(left)} {are} longer than {pairs['limit']} tokens and left out: {named}")
    return said


def _standing(row: Mapping[str, Any]) -> goals.Standing:
    """What the searcher was told of a finished trial."""
    return goals.Standing(tuple(row["standing"]["values"]), row["standing"]["constraint"])
