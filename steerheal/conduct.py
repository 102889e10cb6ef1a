"""A sweep from the first actor to the last line: puts cluster, study, files, MLflow and display together."""

import hashlib
import json
import os
import shlex
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from steerheal import __version__, cli, goals, racing, yaml_io
from steerheal.actors import cluster as clusters
from steerheal.actors import tuner
from steerheal.actors.trial import Shared
from steerheal.config.sections import Bands
from steerheal.config.space import Space
from steerheal.errors import UserError
from steerheal.export import Export, Exported, write_adapters
from steerheal.exposure import risks
from steerheal.leftovers import use_store
from steerheal.live import Display, duration, leaderboard, make_console
from steerheal.results import SPACE, RunFolder
from steerheal.search import Study
from steerheal.standings import noise_in_words, ranking, references_in_words, tied_trials
from steerheal.store import FolderStore, Store, open_store
from steerheal.sweep import Sweep
from steerheal.tracking import Tracker
from steerheal.tracking.about import About, about_sweep, in_force
from steerheal.trial_data import TrialData

POLL_SECONDS = 1.0
INTERRUPTED = "interrupted"
OTHER_BASE = (
    "warning: base is not as it was when this run began (other weights, dtype or kind of device); trials from before "
    "and from now on are compared all the same"
)
MLFLOW_UI = ("-m", "mlflow", "ui", "--backend-store-uri")


def load_worker(space: Space, data: TrialData, store_root: str, device: str) -> Any:
    """The stages' worker, on a model that the space fits. Runs in a stage actor, the only kind of process that
    imports torch.
    """
    from steerheal import worker
    from steerheal.fit import check_fit

    made = worker.load_worker(space.model, store_root, space.resources.slots, device)
    check_fit(space, data, made.base)
    return made


def conduct(
    space: Space,
    data: TrialData,
    folder: RunFolder,
    resuming: bool,
    resume_command: str,
    console: Console | None = None,
    load: Callable[[str], Any] | None = None,
) -> int:
    """Run the sweep; 0 when it has finished, 130 when it was interrupted, 1 when it could not go on.

    Nothing is written before the model has been loaded and the space found to fit it. `load(device)` makes the
    worker inside the actors.
    """
    if resuming:
        folder.hold()
    store_root = space.resources.store or str((folder.path.parent / "store").resolve())
    store = _opened(space, store_root)
    load = load or partial(load_worker, space, data, store_root)
    display = Display(console or make_console(), space.trials)
    display.say(_title(space, folder, resuming))
    for risk in risks(os.environ, Path.home()):
        display.say(f"warning: {risk}")
    try:
        with clusters.Cluster(space.resources, load, store_root) as cluster:
            model = cluster.fingerprint()
            if resuming:
                folder.update(yaml_io.dump(space.resolved()))
                if folder.about.get("tags", {}).get("fingerprint", model) != model:
                    display.say(OTHER_BASE)
            else:
                folder.create(yaml_io.dump(space.resolved()))
                folder.hold()
            about = about_sweep(space, data, folder.path / SPACE, model)
            folder.describe(about.recorded)
            sweep = _prepare(space, folder, store, display, about)
            with _in_use(store), display, _signals(sweep, display), _polling(cluster, sweep):
                while sweep.begin():
                    tuner.run(sweep, cluster.store, Shared(data, model), space.resources.concurrent, folder.path)
                    if left := sweep.unfinished():
                        sweep.stop(f"{len(left)} trials ended without a result")
            counts = cluster.snapshot()
            for line in counts["notices"]:
                display.say(line)
            adapters = _adapters(sweep, folder, None if sweep.stopping else cluster.export)
    except KeyboardInterrupt:
        display.say(f"interrupted before a trial began; start it with\n  {resume_command}")
        return 130
    return _conclude(sweep, folder, counts, adapters, resume_command)


def _opened(space: Space, place: str) -> Store:
    """The stage store, once it is known to be usable; UserError, naming the key, when it is not."""
    try:
        store = open_store(place)
        store.check()
    except UserError as error:
        raise UserError(f"{space.path}: resources.store: {error}") from None
    return store


def _in_use(store: Store) -> AbstractContextManager:
    """While it lasts, nobody takes what this sweep is writing in a folder for what a killed one left."""
    return use_store(store.root) if isinstance(store, FolderStore) else nullcontext()


def _prepare(space: Space, folder: RunFolder, store: Store, display: Display, about: About) -> Sweep:
    """The sweep with what earlier runs of it have finished."""
    folder.recover()
    tracker = Tracker(folder.path, space.name, display.say)
    tracker.open(about, _told(space, folder))
    sweep = Sweep(space, folder, _study(space, folder), store, display, tracker)
    sweep.recover()
    return sweep


def _title(space: Space, folder: RunFolder, resuming: bool) -> str:
    seeds = ", ".join(map(str, space.seeds)) + (" (a race)" if space.racing else "")
    state = f"resumes {folder.path}" if resuming else f"runs into {folder.path}"
    trials = f"{space.trials} trial{'s' if space.trials > 1 else ''}"
    rounds = f"{space.rounds} round{'s' if space.rounds > 1 else ''}"
    what = f"{trials} of {rounds}, seeds {seeds}, model {space.model.name}"
    return f"steerheal {__version__}: {space.name} {state}: {what}"


def _study(space: Space, folder: RunFolder) -> Study:
    """The sampler's seed comes from what is searched, so that equal spaces propose equal trials wherever they
    lie.
    """
    asked = {key: space.resolved()[key] for key in ("name", "search", "objective", "seeds", "rounds")}
    seed = int.from_bytes(hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).digest()[:4])
    grid = space.grid() if space.sampler == "grid" or not space.dimensions else None
    return Study(
        folder.path / "optuna.db",
        space.dimensions,
        grid,
        seed,
        space.trials,
        space.resources.concurrent,
        goals.DIRECTIONS[space.objective.kind],
    )


def _told(space: Space, folder: RunFolder) -> list[dict]:
    """Finished trials with their rounds and files, for a tracker that may not know them yet."""
    records = folder.records
    return [
        row
        | {
            "params": in_force(space, row["params"]),
            "records": [record for record in records if record["trial"] == row["trial"]],
            "files": [folder.completions(row["trial"])],
        }
        for row in folder.trials
    ]


class _signals:
    """Ctrl-C and SIGTERM stop the sweep after this moment; a second one ends the process at once."""

    def __init__(self, sweep: Sweep, display: Display):
        self.sweep, self.display = sweep, display

    def __enter__(self) -> None:
        self.former = {sign: signal.signal(sign, self._caught) for sign in (signal.SIGINT, signal.SIGTERM)}

    def __exit__(self, *_: object) -> None:
        for sign, handler in self.former.items():
            signal.signal(sign, handler)

    def _caught(self, sign: int, frame: object) -> None:
        if self.sweep.stopping:
            os._exit(130)
        self.sweep.stop(INTERRUPTED)
        self.display.say("stopping: finished trials are kept (again to stop at once)")


class _polling:
    """A thread that asks the actors what goes on, for the display, reminds a restarted store actor, and keeps the tables
    up to date.
    """

    def __init__(self, cluster: clusters.Cluster, sweep: Sweep):
        self.cluster, self.sweep = cluster, sweep
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._poll, name="poll", daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def _poll(self) -> None:
        while not self.over.wait(POLL_SECONDS):
            now = self.cluster.snapshot()
            for line in now["notices"]:
                self.sweep.display.say(line)
            self.sweep.display.update(now["clients"], now["computing"])
            self.sweep.display.worry(now["worries"])
            self.cluster.post_again(self.sweep.untaken(), now["posted"])
            self._tables()

    def _tables(self) -> None:
        """The views of what is written already: what goes wrong with them costs a line each time, not the sweep."""
        try:
            self.sweep.tables(self.sweep.folder.refresh_tables)
        except Exception as error:
            self.sweep.display.say(f"no tables: {type(error).__name__}: {error}")


def _adapters(sweep: Sweep, folder: RunFolder, export: Export | None) -> list[Exported]:
    """The best students' folders; a failure here costs a line, not the sweep."""
    rows = folder.trials
    try:
        order = ranking(rows, sweep.space.objective)
        return write_adapters(folder.path, sweep.store, rows, order, export, partial(_bands, sweep.space))
    except Exception as error:
        sweep.display.say(f"no adapters: {type(error).__name__}: {error}")
        return []


def _bands(space: Space, row: Mapping[str, Any]) -> Bands | None:
    """What of a trial's students its figures are about, if not all."""
    bands = space.trial(row["params"]).bands
    return None if bands.whole else bands


def _conclude(sweep: Sweep, folder: RunFolder, counts: dict, adapters: list[Exported], resume_command: str) -> int:
    """Plots, leaderboard, the next commands."""
    display, rows, objective = sweep.display, folder.trials, sweep.space.objective
    order = ranking(rows, objective)
    sweep.tables(folder.write_tables)
    plots = _plots(folder.path, display) if rows else []
    best = adapters[0] if adapters else None
    files = [path for path in (folder.path / "trials.csv", *plots) if path.exists()]
    if sweep.stopping:
        sweep.tracker.close("KILLED", files, order)
    else:
        sweep.tracker.close("FINISHED", [*files, *([best.path] if best else [])], order, best)
    if rows:
        marks = tied_trials(rows, objective)
        display.console.print(leaderboard(rows, order, tied=marks, objective=objective))
    for line in references_in_words(folder.records):
        display.say(line)
    if noise := noise_in_words(rows, sweep.space.experiment):
        display.say(noise)
    if rows and sweep.space.racing:
        for line in racing.in_words(rows, folder.records, sweep.space.seeds, objective):
            display.say(line)
    display.say(_shares(counts))
    if sweep.stopping:
        display.say(f"{sweep.reason}: {len(rows)} of {sweep.space.trials} trials are finished; go on with")
        display.say(f"  {resume_command}")
        return 130 if sweep.reason == INTERRUPTED else 1
    more = "are finished, this time" if display.before else "in"
    display.say(f"all {sweep.space.trials} trials {more} {duration(display.elapsed)}; next:")
    for what, how in next_steps(sweep, folder, adapters, resume_command):
        display.say(f"  {what:<22}{how}")
    return 0


def _plots(path: Path, display: Display) -> list[Path]:
    """The plots, or a line that says why there are none."""
    try:
        from analysis.plots import write_plots

        return write_plots(path)
    except Exception as error:
        display.say(f"no plots: {type(error).__name__}: {error}")
        return []


def _shares(counts: dict) -> str:
    """`stage results: extract 1 computed, 23 shared; …`"""
    stages = dict.fromkeys([*counts["misses"], *counts["hits"]])
    parts = [
        f"{stage} {counts['misses'].get(stage, 0)} computed, {counts['hits'].get(stage, 0)} shared" for stage in stages
    ]
    return f"stage results: {'; '.join(parts) or 'none asked for'}"


def next_steps(sweep: Sweep, folder: RunFolder, adapters: list[Exported], resume_command: str) -> list[tuple[str, str]]:
    """What to do with the results."""
    report = shlex.join([cli.python(), "-m", "analysis.report", str(folder.path)])
    lines = [("read what it says", report), ("see the tables", f"{folder.path}/trials.csv")]
    if not sweep.tracker.away:
        serve = shlex.join([cli.python(), *MLFLOW_UI, sweep.tracker.shown_uri])
        local = [] if sweep.tracker.remote else [("serve MLflow's pages", serve)]
        lines += [*local, ("compare in a browser", sweep.tracker.page)]
    if adapters:
        lines.append(("use the best adapter", f"{adapters[0].path}/README.md"))
    trials, grid = sweep.space.trials, sweep.study.grid
    more = 2 * trials if grid is None else min(2 * trials, len(grid))
    if more > trials:
        lines.append(("extend the sweep", f"{resume_command} --set trials={more}"))
    return lines
