"""The cells of the matrix: one sweep each, disturbed once or often, and what is wrong with it then."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

from .invariants import broken, computed_again
from .sweep import Stuck, Sweep
from .worker import POINTS

VICTIMS = ("actor", "trial", "driver")
# A pause of this length outlasts a lease on a job.
PAUSE_SECONDS = 25.0
DRIVER_KILLS = 10


@dataclass(frozen=True)
class Outcome:
    """A cell's result; `wrong` is empty when everything holds."""

    cell: str
    wrong: tuple[str, ...]
    seconds: float
    again: int
    kills: int

    @property
    def line(self) -> str:
        """For people."""
        said = "; ".join(self.wrong) or "holds"
        return f"{self.cell:<34} {self.kills:>2} kills  {self.again:>2} jobs again  {self.seconds:>4.0f} s  {said}"


def every(seeds: list[int]) -> list[str]:
    """The names of all cells."""
    matrix = [f"{point}/{victim}" for point in POINTS for victim in VICTIMS]
    pauses = [f"pause/{victim}" for victim in VICTIMS]
    others = ["saving/store", "mixed", "drivers"]
    return [f"{cell}/{seed}" for cell in (*matrix, *pauses, *others) for seed in seeds]


def undisturbed() -> Sweep:
    """The control. Stuck when not even that works."""
    sweep = Sweep()
    try:
        sweep.start()
        if (code := sweep.finish()) != 0:
            raise Stuck(f"the control ended with exit code {code}: {sweep.printed}")
    except BaseException:
        sweep.close()
        raise
    return sweep


def run(cell: str, control: Sweep, keep: bool = False) -> Outcome:
    """One cell by its name (`every`)."""
    began, sweep = time.monotonic(), Sweep()
    wrong: list[str] = []
    try:
        wrong += disturb(cell, sweep)
        if (code := sweep.finish()) != 0:
            wrong.append(f"exit code {code}")
        wrong += broken(control, sweep)
    except (Stuck, OSError, KeyError, ValueError) as error:
        wrong.append(f"{type(error).__name__}: {error}")
    finally:
        again, kills = computed_again(sweep), len(sweep.kills)
        if wrong:
            print(sweep.printed)
        sweep.close(keep)
    return Outcome(cell, tuple(wrong), time.monotonic() - began, again, kills)


def disturb(cell: str, sweep: Sweep) -> Iterator[str]:
    """Start the sweep, do to it what the cell says, and leave it running; yields what is wrong already."""
    what, *rest = cell.split("/")
    chance = random.Random(cell)
    sweep.start()
    if what == "drivers":
        yield from many_drivers(sweep, chance)
    elif what == "mixed":
        for point, victim in zip(sorted(chance.sample(POINTS, 3), key=POINTS.index), VICTIMS, strict=True):
            yield from hit(sweep, point, victim, chance)
    else:
        after = chance.randrange(3)
        sweep.wait(lambda: sweep.finished() >= after, f"{after} trials were never finished")
        point = chance.choice(POINTS) if what == "pause" else what
        yield from (pause if what == "pause" else hit)(sweep, point, rest[0], chance)


def hit(sweep: Sweep, point: str, victim: str, chance: random.Random) -> Iterator[str]:
    """Kill at a point."""
    sweep.hold(point)
    sweep.kill(victim, chance.choice(sweep.victims(victim)))
    if victim == "driver":
        yield from again_from(sweep, wait=chance.random() < 0.7)
    else:
        # Those who are left wait at the point for a while: nobody notices, or everybody does.
        time.sleep(chance.choice((0.0, 2.0, 8.0)))
    sweep.go()


def pause(sweep: Sweep, point: str, victim: str, chance: random.Random) -> Iterator[str]:
    """Stop a process at a point for a while; the others go on as far as they can."""
    sweep.hold(point)
    target = chance.choice(sweep.victims(victim))
    target.suspend()
    sweep.go()
    time.sleep(PAUSE_SECONDS)
    target.resume()
    yield from ()


def again_from(sweep: Sweep, wait: bool) -> Iterator[str]:
    """Resume a sweep whose driver was killed; at once, or when its processes have ended."""
    if wait and (left := sweep.ended()):
        yield f"processes stay after the driver was killed: {left}"
    sweep.process.wait()
    sweep.start()


def many_drivers(sweep: Sweep, chance: random.Random) -> Iterator[str]:
    """Kill the driver at moments that nobody chose, and resume, again and again."""
    for _ in range(DRIVER_KILLS):
        lines = sweep.folder.path / "trials.jsonl"
        known, events = sweep.finished(), len(sweep.events())
        wanted = events + chance.randrange(1, 4)
        deadline = time.monotonic() + 60
        while len(sweep.events()) < wanted and sweep.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(chance.random())
        if sweep.process.poll() is not None:
            # It was quicker; a finished sweep may be resumed, and killed, too.
            sweep.start()
            time.sleep(8 * chance.random())
        kept = lines.read_bytes() if lines.exists() else b""
        sweep.kill("driver", sweep.victims("driver")[0])
        if sweep.finished() < known or not (lines.read_bytes() if lines.exists() else b"").startswith(kept):
            yield "finished trials were lost"
        yield from again_from(sweep, wait=chance.random() < 0.7)
