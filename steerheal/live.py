"""What a user sees while a sweep runs: a live table and bars on a terminal, plain lines when piped."""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from steerheal import goals
from steerheal.config.objectives import SLOPE, Objective

STYLES = {
    "ok": "green",
    "broad": "yellow",
    "weak": "yellow",
    "no-op": "dim",
    "wrong way": "red",
    "damaged": "red",
}
FINISHED_SHOWN = 8
PLAIN_SECONDS = 20.0
PIPED_WIDTH = 140


def figure(value: Any, digits: int = 3) -> str:
    """A number for a table; a dash for what does not exist."""
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def params_text(params: Mapping[str, Any]) -> str:
    """`reg kl_rev, lam 0.31, wd 10`."""
    parts = [f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in params.items()]
    return ", ".join(parts) or "no searched setting"


def duration(seconds: float) -> str:
    """`48 s`, `3 min 20 s`, `2 h 05 min`."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def make_console() -> Console:
    """The terminal; wide enough for whole lines when the output is piped to a file."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPED_WIDTH)


class Display:
    """The sweep's face."""

    def __init__(self, console: Console, total: int):
        self.console = console
        self.total = total
        self.lock = threading.RLock()
        self.running: dict[int, dict[str, Any]] = {}
        self.finished: list[dict] = []
        self.before = 0
        self.clients: dict[str, dict[str, int]] = {}
        self.computing: list[dict[str, Any]] = []
        self.worried: dict[str, float] = {}
        self.began = self.spoke = time.monotonic()
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[eta]}"),
            console=console,
        )
        self.bar = self.bars.add_task("trials", total=total, eta="")
        self.live = Live(get_renderable=self._render, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "Display":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began

    def say(self, text: str) -> None:
        """One line that stays."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def recovered(self, rows: Sequence[dict]) -> None:
        """Trials that an earlier run of this sweep finished."""
        with self.lock:
            self.finished = list(rows)
            self.before = len(rows)
            self.bars.update(self.bar, completed=len(rows))

    def started(self, number: int, params: Mapping[str, Any], records: int) -> None:
        """A trial's process was asked for; it is to report so many records (rounds × seeds)."""
        with self.lock:
            self.running[number] = {"params": params, "records": 0, "of": records, "last": None}

    def heard(self, number: int, record: Mapping[str, Any]) -> None:
        """A round of one seed has ended."""
        with self.lock:
            if number in self.running:
                self.running[number]["records"] += 1
                self.running[number]["last"] = record

    def ended(self, row: dict) -> None:
        """A trial has ended, perhaps not for the first time: its line."""
        with self.lock:
            self.running.pop(row["trial"], None)
            self.finished = [known for known in self.finished if known["trial"] != row["trial"]] + [row]
            self.bars.update(self.bar, completed=len(self.finished), eta=self._eta())
        self.say(trial_line(row, self.total))

    def dropped(self, number: int) -> None:
        """A trial was interrupted; it is not finished."""
        with self.lock:
            self.running.pop(number, None)

    def update(self, clients: dict[str, dict[str, int]], computing: Sequence[dict[str, Any]]) -> None:
        """Which stages the trials wait for, and what is computed; piped, a line about it every 20 s."""
        with self.lock:
            self.clients = clients
            self.computing = [task for task in computing if task]
            self.bars.update(self.bar, eta=self._eta())
            now = time.monotonic()
            if self.console.is_terminal or now - self.spoke < PLAIN_SECONDS or not self.running:
                return
            self.spoke = now
            doing = "; ".join(map(computing_text, self.computing)) or "starting or between stages"
            line = f"{len(self.finished)}/{self.total} trials finished, {len(self.running)} run: {doing}"
        self.say(f"  … {line}{self._eta(', ')}")

    def worry(self, worries: Mapping[str, tuple[str, float]]) -> None:
        """Processes that give reason to worry: name → what is wrong, and for how many seconds. Said at once, then
        each time it has lasted twice as long.
        """
        for name, (what, seconds) in worries.items():
            if seconds >= 2 * self.worried.get(name, 0.0):
                self.worried[name] = seconds
                self.say(f"warning: {what} for {duration(seconds)}")
        for name in self.worried.keys() - worries.keys():
            self.say(f"the process for {name} goes on, after {duration(self.worried.pop(name))}")

    def _eta(self, lead: str = "") -> str:
        new, left = len(self.finished) - self.before, self.total - len(self.finished)
        return f"{lead}about {duration(self.elapsed / new * left)} left" if new and left else ""

    def _render(self) -> Group:
        with self.lock:
            table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
            for name in ("trial", "settings", "rounds", "now", "gain", "coherence"):
                table.add_column(name, overflow="ellipsis", no_wrap=True)
            for number, state in sorted(self.running.items()):
                last = state["last"] or {}
                table.add_row(
                    str(number),
                    params_text(state["params"]),
                    f"{state['records']}/{state['of']}",
                    " ".join(self.clients.get(f"trial {number}", {})) or "waits",
                    figure(last.get("gain")),
                    figure(last.get("coherence"), 4),
                )
            now = "; ".join(map(computing_text, self.computing)) or "between stages"
            return Group(Text(), table, Text(f"now: {now}", style="dim"), self.bars)


def computing_text(task: Mapping[str, Any]) -> str:
    """`heal of 8 jobs, 120/432`."""
    jobs = f"{task['jobs']} job{'s' if task['jobs'] > 1 else ''}"
    count = f", {task['done']}/{task['total']}" if task.get("total") else ""
    return f"{task['stage']} of {jobs}{count}"


def trial_line(row: Mapping[str, Any], total: int) -> str:
    """The one line of a finished trial."""
    summary = row["summary"]
    head = f"trial {row['trial']:>{len(str(total))}}  {row['verdict']:<9}"
    if row["message"]:
        return f"{head}  {row['message']}  [{params_text(row['params'])}]"
    figures = (
        f"slope {figure(summary.get('slope')):>7}  gain {figure(summary.get('gain')):>6}  "
        f"coherence {figure(summary.get('coherence'), 4)}"
    )
    return f"{head}  {figures}  {params_text(row['params'])}  ({duration(row['seconds'])})"


def leaderboard(
    rows: Sequence[Mapping[str, Any]],
    order: Sequence[int],
    limit: int = 10,
    tied: Mapping[int, bool | None] | None = None,
    objective: Objective = SLOPE,
) -> Table:
    """The finished trials, best first as `order` (trial numbers) says.

    `tied`: whether a trial cannot be told from the best, or may be on the front (`standings.tied_trials`);
    without any such knowledge the column is left out.
    """
    marks = {number: mark for number, mark in (tied or {}).items() if mark is not None}
    table = Table(title=f"Leaderboard ({goals.in_words(objective)})", title_justify="left")
    front = objective.kind == "pareto"
    tied_column = ("front" if front else "tied",) if marks else ()
    for name in ("trial", "verdict", "slope", *tied_column, "gain", "coherence", "retain", "settings"):
        table.add_column(name, justify="left" if name in ("verdict", "tied", "front", "settings") else "right")
    by_number = {row["trial"]: row for row in rows}
    for number in order[:limit]:
        row = by_number[number]
        summary, mark = row["summary"], marks.get(number)
        table.add_row(
            str(number),
            Text(row["verdict"], style=STYLES.get(row["verdict"], "red")),
            figure(summary.get("slope")),
            *([front_text(mark) if front else tied_text(mark, number == order[0])] if marks else []),
            figure(summary.get("gain")),
            figure(summary.get("coherence"), 4),
            figure(summary.get("retain"), 2),
            params_text(row["params"]),
        )
    if len(order) > limit:
        table.caption = f"{len(order) - limit} more in trials.csv"
    return table


def tied_text(mark: bool | None, best: bool) -> str:
    """What the leaderboard says of a trial against the best one."""
    if mark is None:
        return "–"
    return "best" if best else "tied" if mark else "behind"


def front_text(mark: bool | None) -> str:
    """What the leaderboard says of a trial against the front."""
    return {None: "–", True: "on it", False: "behind"}[mark]
