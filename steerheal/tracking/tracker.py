"""Takes what happens in a sweep, and hands it to MLflow on a thread of its own.

A slow server never holds the sweep up; when the store is away a line says so and the sweep goes on with its
files, from which a later `--resume` logs what is missing.
"""

import logging
import os
import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from steerheal.export import Exported
from steerheal.redact import redacted
from steerheal.tracking.about import About

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

# Where `mlflow ui` serves, unless it is told otherwise.
LOCAL_UI = "http://127.0.0.1:5000"


def store_uri(out: Path) -> str:
    """The server of MLFLOW_TRACKING_URI, else `mlflow.db` in the folder of runs."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(out / 'mlflow.db').resolve()}"


class Tracker:
    """Takes events, returns at once. `say` prints a line for the user."""

    def __init__(self, folder: Path, experiment: str, say: Callable[[str], None]):
        self.folder, self.experiment, self.say = folder, experiment, say
        self.uri = store_uri(folder.parent)
        self.away = False
        self.runs: Any = None
        self.events: queue.SimpleQueue = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._work, name="mlflow", daemon=True)

    @property
    def shown_uri(self) -> str:
        """The store's address as it may be printed: short, without credentials."""
        own = os.environ.get("MLFLOW_TRACKING_URI")
        return redacted(own) if own else f"sqlite:///{self.folder.parent / 'mlflow.db'}"

    @property
    def remote(self) -> bool:
        """Whether a server has the runs, and shows them."""
        return self.uri.startswith(("http:", "https:"))

    @property
    def page(self) -> str:
        """The address of the sweep's table in MLflow's pages."""
        root = self.shown_uri.rstrip("/") if self.remote else LOCAL_UI
        return root + (self.runs.page if self.runs else "")

    def open(self, about: About, finished: Iterable[Mapping]) -> None:
        """Open the store and the sweep's run; log finished trials of an earlier run that it lacks."""
        self.thread.start()
        self.events.put((self._open, (about, list(finished))))

    def started(self, number: int, params: Mapping[str, Any]) -> None:
        """A trial's run, fresh or reopened."""
        self._later("started", number, dict(params))

    def round(self, number: int, record: Mapping[str, Any], seeds: int) -> None:
        """One seed's round of a running trial."""
        self._later("round", number, dict(record), seeds)

    def ended(self, row: Mapping[str, Any], files: Iterable[Path]) -> None:
        """A trial has its verdict."""
        self._later("ended", dict(row), list(files))

    def reference(self, name: str, figures: Mapping[str, Any]) -> None:
        """Base, or the steered base: a run of its own to compare with."""
        self._later("reference", name, dict(figures))

    def close(
        self,
        status: str,
        artifacts: Iterable[Path] = (),
        order: Sequence[int] = (),
        best: Exported | None = None,
        patience: float = 60.0,
    ) -> None:
        """Rank the trials (`order`: best first), register the best adapter, end the sweep's run with `status`
        (`FINISHED` or `KILLED`) and what is still open as `KILLED`, and wait for what is queued.
        """
        self._later("close", status, list(artifacts), list(order), best)
        self.events.put(None)
        self.thread.join(patience)
        if self.thread.is_alive():
            self.say(f"MLflow at {self.shown_uri} is slow: not all is logged yet; --resume logs what is missing")

    def _later(self, what: str, *arguments: Any) -> None:
        self.events.put((lambda *given: getattr(self.runs, what)(*given), arguments))

    def _open(self, about: About, finished: list[Mapping]) -> None:
        # MLflow takes seconds to import; meanwhile the sweep starts.
        from steerheal.tracking.runs import Runs

        self.runs = Runs(self.folder, self.uri, self.experiment, about)
        self.runs.open(self.shown_uri, finished)

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
                told = redacted(str(error)).strip()[:160].partition("\n")[0]
                self.say(
                    f"MLflow at {self.shown_uri} is away ({type(error).__name__}: {told}); "
                    "the sweep goes on with its files, and --resume logs what is missing"
                )
