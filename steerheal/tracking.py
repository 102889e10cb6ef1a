"""MLflow beside the files: a parent run per sweep, a child per trial, rounds as steps. Only the driver
writes.

Everything happens on one thread behind a queue, so a slow server never holds the sweep up; when the store is
away a line says so and the sweep goes on with its files, from which a later `--resume` logs what is missing.
`mlflow.json` in the run's folder remembers the run ids, so a resumed sweep reopens its runs. Only fields
named here are logged.
"""

import json
import logging
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from steerheal.files import write_json

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

ROUND_METRICS = ("trait", "gain", "coherence", "d_coherence", "slope", "retain", "alpha", "kappa", "dose")
FINAL_METRICS = ("trait", "gain", "coherence", "d_coherence", "slope", "retain", "canary_survival")
COLLECT_METRICS = ("generated", "kept", "survival", "mean_perplexity")
REMEMBERED = "mlflow.json"
# A user and a password in an address.
CREDENTIALS = re.compile(r"://[^/@\s]*@")


def store_uri(out: Path) -> str:
    """The server of MLFLOW_TRACKING_URI, else `mlflow.db` in the folder of runs."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(out / 'mlflow.db').resolve()}"


class Tracker:
    """Takes events, returns at once. `say` prints a line for the user."""

    def __init__(self, folder: Path, experiment: str, say: Callable[[str], None]):
        self.folder, self.experiment, self.say = folder, experiment, say
        self.uri = store_uri(folder.parent)
        self.away = False
        self.ids: dict[str, Any] = {"parent": None, "trials": {}, "references": {}, "rounds": {}, "ended": []}
        self.events: queue.SimpleQueue = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._work, name="mlflow", daemon=True)

    @property
    def shown_uri(self) -> str:
        """The store's address as it may be printed: short, without credentials."""
        own = os.environ.get("MLFLOW_TRACKING_URI")
        return CREDENTIALS.sub("://", own) if own else f"sqlite:///{self.folder.parent / 'mlflow.db'}"

    def open(self, title: str, space: Path, tags: Mapping[str, str], finished: Iterable[Mapping]) -> None:
        """Open the store and the parent run; log finished trials (of an earlier run) that it does not know
        yet.
        """
        self.thread.start()
        self._later(self._open, title, space, dict(tags), list(finished))

    def started(self, number: int, params: Mapping[str, Any]) -> None:
        """A trial's run, fresh or reopened."""
        self._later(self._started, number, dict(params))

    def round(self, number: int, record: Mapping[str, Any], seeds: int) -> None:
        """One seed's round of a running trial."""
        self._later(self._round, number, dict(record), seeds)

    def ended(self, row: Mapping[str, Any], files: Iterable[Path]) -> None:
        """A trial has its verdict."""
        self._later(self._ended, dict(row), list(files))

    def reference(self, name: str, figures: Mapping[str, Any]) -> None:
        """Base, or the steered base: a run of its own to compare with."""
        self._later(self._reference, name, dict(figures))

    def close(self, status: str, artifacts: Iterable[Path] = (), patience: float = 60.0) -> None:
        """End every run that is still open (`FINISHED` or `KILLED`), and wait for what is queued."""
        self._later(self._close, status, list(artifacts))
        self.events.put(None)
        self.thread.join(patience)

    def _later(self, do: Callable, *arguments: Any) -> None:
        self.events.put((do, arguments))

    def _work(self) -> None:
        """The thread: the first failure switches tracking off, and says so once."""
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        while (event := self.events.get()) is not None:
            do, arguments = event
            if self.away:
                continue
            try:
                do(*arguments)
            except Exception as error:
                self.away = True
                told = CREDENTIALS.sub("://", str(error)).strip()[:160].partition("\n")[0]
                self.say(
                    f"MLflow at {self.shown_uri} is away ({type(error).__name__}: {told}); "
                    "the sweep goes on with its files, and --resume logs what is missing"
                )

    def _open(self, title: str, space: Path, tags: dict[str, str], finished: list[Mapping]) -> None:
        from mlflow import MlflowClient

        self.client = MlflowClient(tracking_uri=self.uri)
        found = self.client.get_experiment_by_name(self.experiment)
        local = self.uri.startswith("sqlite:")
        place = (self.folder.parent / "mlflow").resolve().as_uri() if local else None
        self.experiment_id = (
            found.experiment_id
            if found
            else self.client.create_experiment(self.experiment, artifact_location=place)
        )
        if (self.folder / REMEMBERED).exists():
            self.ids = json.loads((self.folder / REMEMBERED).read_text())
        if self.ids["parent"]:
            self.client.update_run(self.ids["parent"], status="RUNNING")
            self._forget_strays()
        else:
            self.ids["parent"] = self._run(title, {"kind": "sweep"} | tags, parent=False)
        self.client.log_artifact(self.ids["parent"], str(space))
        self._save()
        for row in finished:
            if row["trial"] not in self.ids["ended"]:
                self._started(row["trial"], row["params"])
                for record in row["records"]:
                    self._round(row["trial"], record, row["seeds"])
                self._ended(row, row["files"])

    def _forget_strays(self) -> None:
        """Runs that were begun when the driver was killed, before their ids were written down."""
        known = {*self.ids["trials"].values(), *self.ids["references"].values()}
        ours = f"tags.`mlflow.parentRunId` = '{self.ids['parent']}' and attributes.status = 'RUNNING'"
        for run in self.client.search_runs([self.experiment_id], ours):
            if run.info.run_id not in known:
                self.client.delete_run(run.info.run_id)

    def _run(self, name: str, tags: Mapping[str, str], parent: bool = True) -> str:
        if parent:
            tags = dict(tags) | {"mlflow.parentRunId": self.ids["parent"]}
        return self.client.create_run(self.experiment_id, run_name=name, tags=dict(tags)).info.run_id

    def _save(self) -> None:
        write_json(
            self.folder / REMEMBERED, self.ids | {"uri": self.shown_uri, "experiment": self.experiment_id}
        )

    def _started(self, number: int, params: dict[str, Any]) -> None:
        from mlflow.entities import Param

        run = self.ids["trials"].get(str(number))
        if run:
            self.client.update_run(run, status="RUNNING")
            return
        self.ids["trials"][str(number)] = run = self._run(
            f"trial {number}", {"kind": "trial", "trial": str(number)}
        )
        self._save()
        self.client.log_batch(run, params=[Param(name, str(value)) for name, value in params.items()])

    def _round(self, number: int, record: dict[str, Any], seeds: int) -> None:
        known = self.ids["rounds"].setdefault(str(number), [])
        mark = [record["seed"], record["round"]]
        if mark in known:
            return
        prefix = f"seed {record['seed']}/" if seeds > 1 else ""
        self._metrics(self.ids["trials"][str(number)], prefix, round_metrics(record))
        known.append(mark)
        self._save()

    def _ended(self, row: dict[str, Any], files: list[Path]) -> None:
        run = self.ids["trials"][str(row["trial"])]
        self._metrics(run, "", [(name, 0, value) for name, value in final_metrics(row["summary"]).items()])
        self.client.set_tag(run, "verdict", row["verdict"])
        if row["message"]:
            self.client.set_tag(run, "message", row["message"][:500])
        for path in files:
            self.client.log_artifact(run, str(path))
        self.client.set_terminated(run, "FAILED" if row["verdict"] == "failed" else "FINISHED")
        self.ids["ended"].append(row["trial"])
        self._save()

    def _reference(self, name: str, figures: dict[str, Any]) -> None:
        if name in self.ids["references"]:
            return
        run = self.ids["references"][name] = self._run(name, {"kind": "reference"})
        self._metrics(run, "", [(key, 0, value) for key, value in final_metrics(figures).items()])
        self.client.set_terminated(run, "FINISHED")
        self._save()

    def _close(self, status: str, artifacts: list[Path]) -> None:
        for path in artifacts:
            if path.is_dir():
                self.client.log_artifacts(self.ids["parent"], str(path), path.name)
            elif path.exists():
                self.client.log_artifact(self.ids["parent"], str(path))
        for number, run in self.ids["trials"].items():
            if int(number) not in self.ids["ended"]:
                self.client.set_terminated(run, "KILLED")
        self.client.set_terminated(self.ids["parent"], status)

    def _metrics(self, run: str, prefix: str, metrics: list[tuple[str, int, float]]) -> None:
        """One batch (at most 1,000 metrics each) instead of a request per value."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        batch = [Metric(prefix + name, float(value), now, step) for name, step, value in metrics]
        for start in range(0, len(batch), 1000):
            self.client.log_batch(run, metrics=batch[start : start + 1000])


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def final_metrics(summary: Mapping[str, Any]) -> dict[str, float]:
    """The figures by which runs are compared."""
    figures = {name: summary[name] for name in FINAL_METRICS if _number(summary.get(name))}
    nats = summary.get("nats") or {}
    return figures | {f"nats/{foundation}": value for foundation, value in nats.items() if _number(value)}


def round_metrics(record: Mapping[str, Any]) -> list[tuple[str, int, float]]:
    """(name, step, value): the round's figures with the round as the step, the heal's curves with their own
    steps.
    """
    step = record["round"]
    metrics = [(f"round/{name}", step, record[name]) for name in ROUND_METRICS if _number(record.get(name))]
    collected = record.get("collect") or {}
    metrics += [
        (f"collect/{name}", step, collected[name]) for name in COLLECT_METRICS if _number(collected.get(name))
    ]
    metrics += [(f"drops/{gate}", step, value) for gate, value in (collected.get("drops") or {}).items()]
    for foundation, value in (record.get("nats") or {}).items():
        if _number(value):
            metrics.append((f"nats/{foundation}", step, value))
    return metrics + list(_curves(record))


def _curves(record: Mapping[str, Any]) -> Iterable[tuple[str, int, float]]:
    """`heal/round 0/nll` and its like, from the curves of the round's heal."""
    for curve, points in (record.get("heal") or {}).items():
        if not isinstance(points, list):
            continue
        for position, point in enumerate(points):
            at = int(point.get("step", point.get("epoch", position)))
            for name, value in point.items():
                if name not in ("step", "epoch") and _number(value):
                    yield f"heal/round {record['round']}/{curve}/{name}", at, value
