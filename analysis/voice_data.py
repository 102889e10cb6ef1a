"""A voice sweep's figures, by how many pairs a trial trained on: the best trial of each, and what tells them apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.load import Sweep
from steerheal.standings import SOUND, figures, references
from steerheal.statistics.levels import student
from steerheal.statistics.means import Noise, finite, mean, pooled_noise
from steerheal.statistics.pairs import Pair, compare

FIT = ("ok", "weak", "broad")


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval; low and high are None without repeats."""

    mean: float
    low: float | None
    high: float | None


def sizes(sweep: Sweep) -> dict[int, dict]:
    """Number of pairs → the row of the trial that gains most with so many, of those that are sound enough to use."""
    found: dict[int, dict] = {}
    for row in sweep.rows:
        pairs, gain = sweep.setting(row, "n_train"), row["summary"].get("gain")
        if row["verdict"] in FIT and finite(gain) and isinstance(pairs, int):
            known = found.get(pairs)
            found[pairs] = row if known is None or gain > known["summary"]["gain"] else known
    return dict(sorted(found.items()))


def noise(sweep: Sweep, rows: Sequence[Mapping], name: str = "gain") -> Noise | None:
    """What the other trials tell of the noise between seeds."""
    chosen = {row["trial"] for row in rows}
    others = [row for row in sweep.rows if row["verdict"] in SOUND and row["trial"] not in chosen]
    return pooled_noise(list(seeds.values()) for seeds in figures(others, name).values())


def unsound(sweep: Sweep, found: Mapping[int, Mapping]) -> dict[int, list[str]]:
    """Number of pairs with which no trial is sound → the verdicts of those that were tried."""
    left: dict[int, list[str]] = {}
    for row in sweep.rows:
        pairs = sweep.setting(row, "n_train")
        if isinstance(pairs, int) and pairs not in found:
            left.setdefault(pairs, []).append(row["verdict"])
    return dict(sorted(left.items()))


def differences(sweep: Sweep, found: Mapping[int, Mapping]) -> dict[int, Pair]:
    """Number of pairs → how the gain of its best trial differs from that of the largest number's; paired by seed."""
    if len(found) < 2:
        return {}
    largest, numbers = max(found), {row["trial"]: size for size, row in found.items()}
    pairs = compare(figures(list(found.values()), "gain"), "gain", noise(sweep, list(found.values())))
    return {
        numbers[pair.first]: pair for pair in pairs if numbers[pair.second] == largest and pair.difference is not None
    }


def enough(found: Mapping[int, Mapping], apart: Mapping[int, Pair]) -> int | None:
    """The fewest pairs that are not shown to gain less than the most of them; None without repeats."""
    if any(pair.real is None for pair in apart.values()) or not apart:
        return None
    return next((size for size in found if size not in apart or not _worse(apart[size])), None)


def _worse(pair: Pair) -> bool:
    return bool(pair.real and pair.difference < 0 and not pair.equivalent)


def estimate(values: Sequence[float | None]) -> Estimate | None:
    """A mean and its Student interval."""
    found = mean(values)
    if found.mean is None:
        return None
    if found.se is None:
        return Estimate(found.mean, None, None)
    reach = student(found.n - 1) * found.se
    return Estimate(found.mean, found.mean - reach, found.mean + reach)


def measure(sweep: Sweep, row: Mapping, name: str, minus: str | None = None) -> Estimate | None:
    """One of a trial's own measures over its seeds, or how far it is above another one of the same seed."""
    each = [record.get("own") or {} for record in sweep.last(row["trial"])]
    if minus is None:
        return estimate([own.get(name) for own in each])
    pairs = [(own.get(name), own.get(minus)) for own in each]
    return estimate([first - second for first, second in pairs if finite(first) and finite(second)])


def twins(sweep: Sweep) -> list[tuple[dict, dict]]:
    """(with a barrier, without): trials that agree in all else that matters."""
    names = [
        name for name in ("n_train", *sweep.dimensions, "lr", "epochs") if name not in ("reg", "lam", "tau", "kl_agg")
    ]
    free = {_place(sweep, row, names): row for row in sweep.rows if sweep.reg(row) == "nll" and row["verdict"] in FIT}
    barred = [row for row in sweep.rows if sweep.reg(row) != "nll" and row["verdict"] in FIT]
    return [(row, free[place]) for row in barred if (place := _place(sweep, row, names)) in free]


def barrier(sweep: Sweep, name: str) -> Estimate | None:
    """What the barrier changes in a figure, over all twins: their differences are averaged seed by seed."""
    by_seed: dict[str, list[float]] = {}
    for barred, free in twins(sweep):
        ours, theirs = (row["summary"].get("judged") or {} for row in (barred, free))
        for seed in ours.keys() & theirs.keys():
            by_seed.setdefault(seed, []).append(ours[seed][name] - theirs[seed][name])
    return estimate([mean(values).mean for _, values in sorted(by_seed.items())])


def asked(sweep: Sweep) -> tuple[float, float] | None:
    """(gain, coherence) of base that is asked for the voice by a system prompt."""
    return references(sweep.records).get("prompted")


def curve(sweep: Sweep, number: int, name: str) -> list[tuple[float, float]]:
    """(epoch, nats per token), means over seeds of the first round: `validation`, or the mean of an epoch's `steps`."""
    found: dict[float, list[float]] = {}
    for record in sweep.rounds(number):
        heal = (record.get("heal") or {}) if record["round"] == 0 else {}
        points = heal.get("validation") or []
        if name == "steps" and heal.get("steps"):
            points = _by_epoch(heal["steps"], len(points) - 1 if points else 1)
        for point in points:
            if finite(point.get("nll")):
                found.setdefault(point["epoch"], []).append(point["nll"])
    return [(epoch, mean(values).mean) for epoch, values in sorted(found.items())]


def _by_epoch(steps: Sequence[Mapping], epochs: int) -> list[dict]:
    """The mean training loss of each epoch, which lies in its middle."""
    each = max(1, len(steps) // max(1, epochs))
    return [
        {"epoch": place + 0.5, "nll": mean([step["nll"] for step in steps[place * each : (place + 1) * each]]).mean}
        for place in range(epochs)
    ]


def _place(sweep: Sweep, row: Mapping, names: Sequence[str]) -> tuple:
    return tuple(str(sweep.setting(row, name)) for name in names)
