"""A sweep's runs in MLflow: one for the sweep, in it one per trial, in that one per seed (if there are
several), rounds as steps. Blocking; `tracker` calls it on a thread.

`mlflow.json` in the sweep's folder remembers the ids, so a resumed sweep reopens its runs. What an
interruption has left RUNNING is ended as KILLED, or deleted if its id was not written down in time.
"""

import json
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

from steerheal.export import Exported
from steerheal.files import write_json
from steerheal.tracking import registry, view
from steerheal.tracking.about import About
from steerheal.tracking.figures import final_metrics, round_metrics

REMEMBERED = "mlflow.json"
# The limits of a request.
MOST_METRICS = 1000
MOST_RUNS = 50_000
PARENT = "mlflow.parentRunId"


class Runs:
    """What `Tracker` hears, in the same words."""

    def __init__(self, folder: Path, uri: str, experiment: str, about: About):
        self.folder, self.uri, self.experiment, self.about = folder, uri, experiment, about
        self.client = MlflowClient(tracking_uri=uri)
        self.ids: dict[str, Any] = {"key": uuid.uuid4().hex[:8], "parent": None, "trials": {}, "seeds": {}}
        self.ids |= {"references": {}, "rounds": {}, "ended": {}, "ranks": {}, "registered": None}
        self.experiment_id = ""
        self.params: dict[int, dict[str, Any]] = {}

    @property
    def sweep(self) -> str:
        """The tag that all runs of this sweep share, and no other sweep's."""
        return f"{self.about.title} {self.ids['key']}"

    @property
    def page(self) -> str:
        """Where on the server the sweep's table is."""
        return view.page(self.experiment_id, self.ids["key"])

    def open(self, shown_uri: str, finished: Iterable[Mapping]) -> None:
        """The experiment and the sweep's run, fresh or reopened, and what was finished without MLflow."""
        tags = self._experiment()
        if (self.folder / REMEMBERED).exists():
            remembered = json.loads((self.folder / REMEMBERED).read_text())
            if remembered["parent"] is None or self._holds(remembered["parent"]):
                self.ids |= remembered
        self.ids |= {"uri": shown_uri, "experiment": self.experiment_id}
        self._save()
        self._end_interrupted()
        if self.ids["parent"]:
            self.client.update_run(self.ids["parent"], status="RUNNING")
        else:
            said = {"kind": "sweep", "mlflow.note.content": self.about.hypothesis[:5000]}
            self.ids["parent"] = self._create(self.about.title, None, said | self.about.tags, {})
            self._save()
        self.client.log_text(self.ids["parent"], self.about.space, "space.yaml")
        if view.TAG + self.ids["key"] not in tags:
            made = view.view(self.about.title, self.sweep, self.about.dimensions, int(time.time() * 1000))
            self.client.set_experiment_tag(self.experiment_id, view.TAG + self.ids["key"], made)
        for row in finished:
            if self.ids["ended"].get(str(row["trial"])) != _seeds_run(row):
                self.started(row["trial"], row["params"])
                for record in row["records"]:
                    self.round(row["trial"], record, row["seeds"])
                self.ended(row, row["files"])

    def _holds(self, run: str) -> bool:
        """Whether this store has a run; another one, or one that was begun anew, gets all of the sweep's."""
        try:
            return bool(self.client.get_run(run))
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False

    def started(self, number: int, params: dict[str, Any]) -> None:
        """A trial's run, fresh or reopened."""
        self.params[number] = params
        name, tags = f"trial {number}", {"kind": "trial", "trial": str(number)}
        self._begin("trials", str(number), name, self.ids["parent"], tags, params)

    def round(self, number: int, record: dict[str, Any], seeds: int) -> None:
        """One seed's round: in the trial's run, or in the seed's own if there are several."""
        known = self.ids["rounds"].setdefault(str(number), [])
        mark = [record["seed"], record["round"]]
        run = self.ids["trials"][str(number)]
        if seeds > 1:
            name, tags = f"trial {number} seed {record['seed']}", {"kind": "seed", "trial": str(number)}
            params = self.params[number] | {"seed": record["seed"]}
            run = self._begin("seeds", f"{number}/{record['seed']}", name, run, tags, params)
        if mark in known:
            return
        self._log(run, round_metrics(record))
        if example := (record.get("pairs") or {}).get("example"):
            self.client.set_tag(run, "trained on", example[:5000])
        if seeds > 1:
            self._log(run, [(name, record["round"], value) for name, value in final_metrics(record).items()])
        known.append(mark)
        self._save()

    def ended(self, row: dict[str, Any], files: Sequence[Path]) -> None:
        """A trial's verdict and figures, and each seed's."""
        run = self.ids["trials"][str(row["trial"])]
        figures = final_metrics(row["summary"]) | {"seconds": row["seconds"]}
        again = row.get("remeasured") or {}
        figures |= {f"remeasured/{name}": value for name, value in final_metrics(again).items()}
        self._log(run, [(name, 0, value) for name, value in figures.items()])
        if row["message"]:
            self.client.set_tag(run, "message", row["message"][:500])
        for path in files:
            self.client.log_artifact(run, str(path))
        for seed, fate in _fates(row).items():
            if own := self.ids["seeds"].get(f"{row['trial']}/{seed}"):
                self._finish(own, fate)
        self._finish(run, row["verdict"])
        self.ids["ended"][str(row["trial"])] = _seeds_run(row)
        self._save()

    def reference(self, name: str, figures: dict[str, Any]) -> None:
        """A run of its own to compare with."""
        if name in self.ids["references"]:
            return
        run = self._create(name, self.ids["parent"], {"kind": "reference"}, {})
        self._log(run, [(key, 0, value) for key, value in final_metrics(figures).items()])
        self.client.set_terminated(run, "FINISHED")
        self.ids["references"][name] = run
        self._save()

    def close(self, status: str, artifacts: Sequence[Path], order: Sequence[int], best: Exported | None) -> None:
        """Ranks, artifacts, the best adapter, and an end to what is still open."""
        for rank, number in enumerate(order, start=1):
            if self.ids["ranks"].get(str(number)) != rank:
                self._log(self.ids["trials"][str(number)], [("rank", 0, rank)])
                self.ids["ranks"][str(number)] = rank
        for path in artifacts:
            if path.is_dir():
                self.client.log_artifacts(self.ids["parent"], str(path), path.name)
            elif path.exists():
                self.client.log_artifact(self.ids["parent"], str(path))
        self._save()
        self._end_interrupted()
        self.client.set_terminated(self.ids["parent"], status)
        if best and self.about.serving and (digest := registry.digest(best)) != self.ids["registered"]:
            run = self.ids["trials"][str(best.row["trial"])]
            registry.register(self.client, self.experiment, self.experiment_id, run, best, self.about)
            self.ids["registered"] = digest
            self._save()

    def _experiment(self) -> Mapping[str, str]:
        """Find or make the experiment; its tags."""
        found = self.client.get_experiment_by_name(self.experiment)
        if not found:
            local = self.uri.startswith("sqlite:")
            place = (self.folder.parent / "mlflow").resolve().as_uri() if local else None
            made = self.client.create_experiment(self.experiment, artifact_location=place)
            found = self.client.get_experiment(made)
        self.experiment_id = found.experiment_id
        for key, value in view.EXPERIMENT_TAGS.items():
            if key not in found.tags:
                self.client.set_experiment_tag(self.experiment_id, key, value)
        return found.tags

    def _begin(
        self, kind: str, key: str, name: str, parent: str, tags: Mapping[str, str], params: Mapping[str, Any]
    ) -> str:
        """The run of a trial or a seed, reopened if it exists."""
        if run := self.ids[kind].get(key):
            self.client.update_run(run, status="RUNNING")
            return run
        run = self.ids[kind][key] = self._create(name, parent, tags, params)
        self._save()
        return run

    def _create(self, name: str, parent: str | None, tags: Mapping[str, str], params: Mapping[str, Any]) -> str:
        tags = {"sweep": self.sweep} | dict(tags) | ({PARENT: parent} if parent else {})
        run = self.client.create_run(self.experiment_id, run_name=name, tags=tags).info.run_id
        if params:
            self.client.log_batch(run, params=[Param(key, str(value)) for key, value in params.items()])
        if self.about.data:
            self.client.log_inputs(run, datasets=[_dataset(data) for data in self.about.data])
        return run

    def _finish(self, run: str, verdict: str) -> None:
        self.client.set_tag(run, "verdict", verdict)
        self.client.set_terminated(run, "FAILED" if verdict == "failed" else "FINISHED")

    def _end_interrupted(self) -> None:
        """No run but the sweep's own stays RUNNING; one that is unknown here does not stay at all."""
        known = {*self.ids["trials"].values(), *self.ids["seeds"].values(), *self.ids["references"].values()}
        ours = f"tags.sweep = '{self.sweep}' and attributes.status = 'RUNNING'"
        for found in self.client.search_runs([self.experiment_id], ours, max_results=MOST_RUNS):
            if found.info.run_id in known:
                self.client.set_terminated(found.info.run_id, "KILLED")
            elif found.info.run_id != self.ids["parent"]:
                self.client.delete_run(found.info.run_id)

    def _log(self, run: str, metrics: list[tuple[str, int, float]]) -> None:
        """In batches instead of a request per value."""
        now = int(time.time() * 1000)
        batch = [Metric(name, float(value), now, step) for name, step, value in metrics]
        for start in range(0, len(batch), MOST_METRICS):
            self.client.log_batch(run, metrics=batch[start : start + MOST_METRICS])

    def _save(self) -> None:
        write_json(self.folder / REMEMBERED, self.ids)


def _fates(row: Mapping[str, Any]) -> dict[str, str]:
    """How each seed of a trial ended, those on which a race's winner ran again included."""
    return (row["summary"].get("seeds") or {}) | ((row.get("remeasured") or {}).get("seeds") or {})


def _seeds_run(row: Mapping[str, Any]) -> int:
    """By which a trial that has run again is told from what MLflow knows of it."""
    return len(_fates(row))


def _dataset(data: Any) -> DatasetInput:
    source, profile = json.dumps({"name": data.source}), json.dumps({"rows": data.rows})
    kind = "hub" if data.source.startswith("hub:") else "file"
    logged = Dataset(data.kind, data.digest, kind, source, profile=profile)
    return DatasetInput(logged, [InputTag("mlflow.data.context", data.use)])
