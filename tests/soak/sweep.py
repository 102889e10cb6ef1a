"""A sweep under observation: its process and all that come from it, its folder, what its worker wrote down."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from steerheal.results import RunFolder

ROOT = Path(__file__).resolve().parents[2]
SPACE = Path(__file__).with_name("space.yaml")
MARK = "STEERHEAL_SOAK"
# Of a sweep on two cores, from a cold start, and for Ray's last processes to notice that they are alone.
SWEEP_SECONDS, ENDING_SECONDS = 300.0, 120.0
# How the processes of a kind call themselves.
KINDS = {"actor": "StageActor", "store": "StoreActor", "trial": "ImplicitFunc"}


class Stuck(Exception):
    """Something did not happen in time."""


@dataclass(frozen=True)
class Kill:
    """What was known when something was killed."""

    victim: str
    # Artefacts that were there.
    stored: frozenset[str]
    # How many lines of events there were.
    events: int


@dataclass
class Sweep:
    """One sweep in a folder of its own (with a space in its name), which `close` removes."""

    home: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="soak-")))
    process: subprocess.Popen | None = None
    kills: list[Kill] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.out = self.home / "its runs"
        self.place = self.out / "soak"
        self.place.mkdir(parents=True)
        (self.home / "tmp").mkdir()
        self.folder = RunFolder(self.out / "soak-sweep")

    def start(self) -> None:
        """The command; it resumes the sweep if there is one."""
        words = [sys.executable, "-m", "tests.soak.launch", str(SPACE), "--out", str(self.out)]
        words += ["--name", self.folder.path.name, "--resume"]
        own = {"PYTHONPATH": str(ROOT), MARK: self.home.name, "TMPDIR": str(self.home / "tmp")}
        own |= {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}
        with open(self.home / "printed", "a") as printed:
            self.process = subprocess.Popen(
                words, cwd=ROOT, env=_clean(os.environ) | own, stdout=printed, stderr=printed
            )

    def finish(self) -> int:
        """Wait for the end; the exit code."""
        try:
            return self.process.wait(SWEEP_SECONDS)
        except subprocess.TimeoutExpired:
            raise Stuck(f"the sweep has not ended after {SWEEP_SECONDS:.0f} s") from None

    def hold(self, point: str) -> None:
        """Have the worker wait at a point; returns when it is there."""
        for said in ("held", "go"):
            (self.place / said).unlink(missing_ok=True)
        (self.place / "hold").write_text(point)
        self.wait(lambda: (self.place / "held").exists(), f"nobody came to the point {point!r}")

    def go(self) -> None:
        """Let the worker go on."""
        (self.place / "go").touch()

    def wait(self, condition: Callable[[], bool], otherwise: str, seconds: float = SWEEP_SECONDS) -> None:
        """Until it is so; Stuck when it does not become so, or the sweep ends before."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None:
                raise Stuck(f"{otherwise}: the sweep has ended")
            if time.monotonic() > deadline:
                raise Stuck(otherwise)
            time.sleep(0.02)

    def kill(self, victim: str, process: psutil.Process) -> None:
        """SIGKILL, with a note of what was there."""
        process.kill()
        gone_or_zombie(process)
        self.kills.append(Kill(victim, frozenset(self.stored()), len(self.events())))

    def victims(self, kind: str) -> list[psutil.Process]:
        """The driver, or the processes of a kind, oldest first."""
        if kind == "driver":
            return [psutil.Process(self.process.pid)]
        return [process for process in self.processes() if re.match(rf"ray::.*{KINDS[kind]}", _title(process))]

    def processes(self) -> list[psutil.Process]:
        """All that come from this sweep's commands, whoever their parent is by now."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.home.name and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return sorted(found, key=lambda process: process.create_time())

    def ended(self) -> list[str]:
        """Wait for the last process of a sweep whose driver is gone; the titles of those that stay."""
        deadline = time.monotonic() + ENDING_SECONDS
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return [_title(process) for process in left]

    def stored(self) -> list[str]:
        """The keys of the artefacts in the store."""
        return [path.parent.name for path in (self.out / "store").glob("??/*/manifest.json")]

    def events(self) -> list[dict]:
        """What the worker wrote down."""
        path = self.place / "events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def finished(self) -> int:
        """How many trials are."""
        return len(self.folder.trials)

    @property
    def printed(self) -> str:
        """Everything that the commands said."""
        return (self.home / "printed").read_text()

    def close(self, keep: bool = False) -> None:
        """End what is left, and remove the folder."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        for process in self.processes():
            process.kill()
        if not keep:
            shutil.rmtree(self.home, ignore_errors=True)


def gone_or_zombie(process: psutil.Process, seconds: float = 10.0) -> None:
    """Wait until a killed process runs no more."""
    deadline = time.monotonic() + seconds
    with contextlib.suppress(psutil.NoSuchProcess):
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                raise Stuck(f"process {process.pid} does not end")
            time.sleep(0.02)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _clean(environment: dict) -> dict[str, str]:
    """Without what would lead a sweep elsewhere."""
    elsewhere = ("RAY_", "MLFLOW_", "PYTEST_")
    return {name: value for name, value in environment.items() if not name.startswith(elsewhere)}
