"""One sweep: what is asked, what comes back, and what is kept of it. Knows nothing of Ray.

A trial's messages are held in memory until it ends; then its files, its line in the records, its place in the
study, its line on the screen and its MLflow run follow, in this order, so that a kill at any point loses or
doubles nothing.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from steerheal import goals
from steerheal.config.space import Space
from steerheal.files import read_jsonl
from steerheal.live import Display
from steerheal.results import RunFolder, finite
from steerheal.search import Study
from steerheal.store import FolderStore
from steerheal.tracking import Tracker
from steerheal.tracking.about import in_force

FAILED = "failed"
# Whose canary answers an artefact of the trial holds, and what is kept of each answer.
WHO = {"canary_base": "base", "canary_steered": "steered", "canary": "healed"}
ANSWER = ("id", "prompt", "sample", "text", "damage", "beliefs")


class Sweep:
    """A `actors.tuner.Course`."""

    def __init__(
        self,
        space: Space,
        folder: RunFolder,
        study: Study,
        store: FolderStore,
        display: Display,
        tracker: Tracker,
    ):
        self.space, self.folder, self.study, self.store = space, folder, study, store
        self.display, self.tracker = display, tracker
        self.stopping = False
        self.reason: str | None = None
        self.params: dict[int, dict] = {}
        self.settings: dict[int, str] = {}
        self.records: dict[int, dict[tuple[int, int], dict]] = {}
        self.outcomes: dict[int, dict] = {}
        self.since: dict[int, float] = {}

    def recover(self) -> None:
        """Take up what earlier runs of this sweep finished."""
        rows = [row for row in self.folder.trials if row["trial"] < self.study.trials]
        self.study.recover({row["trial"]: (row["params"], _standing(row)) for row in rows})
        self.display.recovered(rows)

    def unfinished(self) -> list[int]:
        """The trials to run: those that were interrupted come before those that were never begun."""
        done = {row["trial"] for row in self.display.finished}
        return [number for number in range(self.study.trials) if number not in done]

    def ready(self) -> list[tuple[int, str]]:
        """What the study proposes now."""
        found = []
        while not self.stopping and (asked := self.study.ask()) is not None:
            number = asked.number
            self.params[number], self.records[number] = asked.params, {}
            self.since[number] = time.monotonic()
            self.display.started(number, asked.params)
            self.tracker.started(number, in_force(self.space, asked.params))
            self.settings[number] = self.space.trial(asked.params).model_dump_json()
            found.append((number, self.settings[number]))
        return found

    def heard(self, number: int, message: Mapping[str, Any]) -> None:
        """A round's record, or the trial's outcome. A trial begun again repeats its first records."""
        if "outcome" in message:
            self.outcomes[number] = message["outcome"]
            return
        record = finite(message["record"])
        mark = (record["seed"], record["round"])
        if mark not in self.records[number]:
            self.display.heard(number, record)
            self.tracker.round(number, record, len(self.space.seeds))
            self._references(record)
        self.records[number][mark] = record

    def ended(self, number: int, error: bool) -> None:
        """Write the trial down, unless the sweep is being stopped or the cluster is lost under it."""
        outcome = self.outcomes.pop(number, None)
        self.settings.pop(number, None)
        if outcome is None and error:
            outcome = {"failure": "its process died repeatedly"}
        if outcome is None or "lost" in outcome:
            if outcome and not self.stopping:
                self.stop(outcome["lost"])
            self.display.dropped(number)
            return
        records = [
            self.records[number][mark] for mark in sorted(self.records[number], key=lambda mark: mark[::-1])
        ]
        row = self._row(number, outcome, records)
        try:
            self.folder.finish(row, records, self._completions(records), self._answers(records))
        except OSError as error:
            self.stop(f"{self.folder.path}: cannot be written ({error.strerror})")
            self.display.dropped(number)
            return
        self.study.tell(number, _standing(row))
        self.display.ended(row)
        self.tracker.ended(row, [self.folder.completions(number)])

    def stop(self, reason: str) -> None:
        """Stop after this moment, for the first reason given; what runs is interrupted."""
        self.reason = self.reason or reason
        self.stopping = True

    def _row(self, number: int, outcome: Mapping[str, Any], records: Sequence[Mapping]) -> dict:
        """The trial's line: parameters, verdict, figures, and per seed the history of its student."""
        summary = finite(outcome.get("summary") or {})
        verdict = summary.get("verdict", FAILED)
        floor = self.space.settings.evaluate.min_gain
        standing = goals.standing(verdict, summary, self.space.objective, floor)
        return {
            "trial": number,
            "params": finite(self.params[number]),
            "verdict": verdict,
            "summary": summary,
            "standing": {"values": list(standing.values), "constraint": standing.constraint},
            "message": outcome.get("failure") or summary.get("error") or "",
            "seconds": round(time.monotonic() - self.since[number], 3),
            "seeds": len(self.space.seeds),
            "students": {str(record["seed"]): record["student"] for record in records if record["student"]},
        }

    def _completions(self, records: Sequence[Mapping]) -> list[dict]:
        """What was generated in each round, kept or dropped with the gate's reason; without the token ids."""
        lines = []
        for record in records:
            key = record["keys"].get("collect")
            for line in read_jsonl(self.store.folder(key) / "completions.jsonl") if key else ():
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
                answers = read_jsonl(self.store.folder(key) / "answers.jsonl")
                lines += [place | {field: line[field] for field in ANSWER if field in line} for line in answers]
        return lines

    def _references(self, record: Mapping[str, Any]) -> None:
        """Base, and base steered at this round's dose, as runs to compare with."""
        if record.get("base"):
            self._refer("base", record["base"])
        if record.get("steered") and record["round"] == 0:
            self._refer(f"base steered at dose {record['dose']:.3g}", record["steered"])

    def _refer(self, name: str, report: Mapping[str, Any]) -> None:
        self.tracker.reference(name, report | {"trait": report["nats"][self.space.persona.target]})


def _standing(row: Mapping[str, Any]) -> goals.Standing:
    """What the searcher was told of a finished trial."""
    return goals.Standing(tuple(row["standing"]["values"]), row["standing"]["constraint"])
