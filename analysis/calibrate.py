"""Do the statistics keep their promises? Sweeps with a known truth, judged by the project's own functions.

`python -m analysis.calibrate` prints a table per promise and ends with exit code 1 if one is broken.
"""

import argparse
import sys
from collections.abc import Iterator
from itertools import product

import numpy as np

from steerheal.statistics.detect import smallest_detectable
from steerheal.statistics.fieller import slope_interval
from steerheal.statistics.pairs import all_pairs, slope_pairs
from steerheal.statistics.vignettes import Bootstrap, Reads, interval

NOISES = ("normal", "lognormal")
SIGMA = 0.75
VARIANCES = ("equal", "doubled")
SEEDS = (3, 5, 10)
CONFIGURATIONS = (2, 3, 4, 8, 16, 24)
REPETITIONS = 4000
CHUNK = 500
# Of the slopes: noise between seeds in nats and in units of coherence, and the true gains in nats.
GAIN_SD, COHERENCE_SD = 0.1, 0.001
GAINS = (0.0, 0.02, 0.05, 0.1, 0.3, 1.0)
SLOPES = (0.0, 0.3, 1.0, 3.0)
# Of the vignettes: how many, how far they move apart, and the true gains.
VIGNETTES = (28, 60, 132)
MOVED_SD = 0.15
VIGNETTE_GAINS, VIGNETTE_SLOPE = (0.1, 0.3, 1.0), 0.5
# At most so many sweeps with a false difference, at least so many found, at least so many covered.
FALSE = {"normal": 0.05, "lognormal": 0.07}
FOUND = 0.80
COVERED = 0.87
HEAD = f"{'noise':<10}{'variances':<11}{'seeds':>5}  "


def noise(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Independent noise with mean 0 and standard deviation 1."""
    drawn = rng.standard_normal(shape)
    if kind == "normal":
        return drawn
    square = np.exp(SIGMA**2)
    return (np.exp(SIGMA * drawn) - np.sqrt(square)) / np.sqrt(square * (square - 1))


def sweeps(
    kind: str, variances: str, configurations: int, seeds: int, repetitions: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Chunks of sweeps without a real difference, [chunk, configurations, seeds]; what all share at a seed is
    in it.

    doubled: every second configuration has twice the variance, beginning with the first.
    """
    deviation = np.ones((configurations, 1))
    if variances == "doubled":
        deviation[::2] = np.sqrt(2)
    for begun in range(0, repetitions, CHUNK):
        size = min(CHUNK, repetitions - begun)
        shared = rng.standard_normal((size, 1, seeds))
        yield deviation * noise(kind, (size, configurations, seeds), rng) + shared


def false_sweeps(kind: str, variances: str, configurations: int, seeds: int, repetitions: int, rng) -> float:
    """The share of sweeps without a difference in a figure (gain, coherence) that call any pair's real."""
    drawn = sweeps(kind, variances, configurations, seeds, repetitions, rng)
    return sum(all_pairs(values, 0.0).real.any(-1).sum() for values in drawn) / repetitions


def false_slopes(
    kind: str, variances: str, configurations: int, seeds: int, repetitions: int, rng, gain: float = 1.0
) -> float:
    """The same for slopes: all configurations have the true slope 0.5, the last has half the gain of the
    others.
    """
    gains = np.full((configurations, 1), gain)
    gains[-1] /= 2
    found = 0
    draws = [sweeps(kind, variances, configurations, seeds, repetitions, rng) for _ in range(2)]
    for moved, lost in zip(*draws, strict=True):
        changes = -0.005 * gains + COHERENCE_SD * lost
        found += slope_pairs(changes, gains + GAIN_SD * moved)[1].real.any(-1).sum()
    return found / repetitions


def found_sweeps(kind: str, variances: str, configurations: int, seeds: int, repetitions: int, rng) -> float:
    """The share of sweeps that tell the first configuration from the second at the smallest detectable
    difference.

    It is stated for the noise of the two: the root of their mean variance.
    """
    deviation = np.sqrt(1.5) if variances == "doubled" else 1.0
    planted = np.zeros((configurations, 1))
    planted[0] = smallest_detectable(deviation, seeds, configurations)
    drawn = sweeps(kind, variances, configurations, seeds, repetitions, rng)
    return sum(all_pairs(values + planted, 0.0).real[..., 0].sum() for values in drawn) / repetitions


def coverage(
    kind: str, variances: str, seeds: int, gain: float, slope: float, repetitions: int, rng
) -> tuple[float, float, float]:
    """Of the 90% interval of a slope: (covered, unbounded, covered of the bounded), as shares.

    doubled: coherence has twice its variance.
    """
    deviation = COHERENCE_SD * (np.sqrt(2) if variances == "doubled" else 1)
    moved = gain + GAIN_SD * noise(kind, (repetitions, seeds), rng)
    lost = -slope * gain / 100 + deviation * noise(kind, (repetitions, seeds), rng)
    interval = slope_interval(lost, moved)
    covered, bounded = interval.covers(slope), interval.bounded
    return covered.mean(), 1 - bounded.mean(), covered[bounded].mean() if bounded.any() else np.nan


def sweep_table(title: str, measure, limit: dict[str, float], sign: int, repetitions: int, rng) -> bool:
    """Print one promise over the grid of sweeps; whether it is kept. `sign` 1: at most the limit, −1: at
    least.
    """
    print(f"\n{title}, % of {repetitions} sweeps")
    print(HEAD + "".join(f"{k:>7}" for k in CONFIGURATIONS))
    kept = True
    for kind, variances, seeds in product(NOISES, VARIANCES, SEEDS):
        shares = [measure(kind, variances, k, seeds, repetitions, rng) for k in CONFIGURATIONS]
        broken = [sign * share > sign * limit[kind] for share in shares]
        cells = "".join(f"{100 * share:>6.1f}{'!' if bad else ' '}" for share, bad in zip(shares, broken))
        print(f"{kind:<10}{variances:<11}{seeds:>5}  {cells}", flush=True)
        kept &= not any(broken)
    return kept


def slope_table(repetitions: int, rng) -> bool:
    """Print the coverage of the slope's intervals; whether it is what was promised."""
    print(f"\n90% intervals of the slope that cover the truth, % of {repetitions}; (bounded alone; unbounded)")
    print(f"true slopes {SLOPES}, the worst of them for each figure; gains in nats, with noise of {GAIN_SD}")
    print(HEAD + "".join(f"{f'gain {gain}':>20}" for gain in GAINS))
    kept = True
    for kind, variances, seeds in product(NOISES, VARIANCES, SEEDS):
        cells = []
        for gain in GAINS:
            given = [(kind, variances, seeds, gain, slope, repetitions, rng) for slope in SLOPES]
            found = np.array([coverage(*one) for one in given])
            covered, loose, alone = found[:, 0].min(), found[:, 1].max(), np.nanmin(found[:, 2])
            kept &= covered >= COVERED
            mark = " " if covered >= COVERED else "!"
            cells.append(f"{100 * covered:>7.1f}{mark}({100 * alone:>3.0f};{100 * loose:>4.0f})")
        print(f"{kind:<10}{variances:<11}{seeds:>5}  " + "".join(f"{cell:>20}" for cell in cells), flush=True)
    return kept


def population(gain: float, slope: float, seeds: int, size: int, rng) -> tuple[Reads, list[Reads]]:
    """Base and a student per seed on `size` vignettes of a population with this gain and slope, seeds included: few
    vignettes say much of the target, and how far one moves and what it loses vary, by vignette and by both.
    """
    base, mass = rng.beta(0.3, 1.7, size), 0.996 + 0.003 * rng.standard_normal(size)
    students = []
    shared = rng.normal(0, MOVED_SD, size)
    lost = slope * gain / 100 * rng.gamma(0.5, 2.0, size)
    noise = (GAIN_SD, COHERENCE_SD) if seeds > 1 else (0.0, 0.0)
    for _ in range(seeds):
        own, less = noise[0] * rng.standard_normal(), noise[1] * rng.standard_normal()
        moved = shared + rng.normal(0, MOVED_SD, size) - MOVED_SD**2
        students.append(Reads(base * np.exp(moved - gain - own), mass - lost + less))
    return Reads(base, mass), students


def vignette_table(repetitions: int, rng) -> bool:
    """Print the coverage of the intervals over vignettes, and over seeds and vignettes; whether it is what was
    promised.
    """
    print(
        f"\n90% intervals over vignettes (1 seed), or seeds and vignettes (3), that cover the truth, % of {repetitions}"
    )
    print(f"true slope {VIGNETTE_SLOPE}; gain, coherence, slope (unbounded alone), true gain in nats")
    print(f"{'seeds':>5}{'vignettes':>10}  " + "".join(f"{f'gain {gain}':>26}" for gain in VIGNETTE_GAINS))
    kept = True
    for seeds, size in product((1, 3), VIGNETTES):
        bootstrap, cells = Bootstrap(size, draws=1000), []
        for gain in VIGNETTE_GAINS:
            found = np.array([_covers(bootstrap, gain, seeds, size, rng) for _ in range(repetitions)])
            covered, loose = found[:, :3].mean(0), found[:, 3].mean()
            kept &= bool(covered.min() >= COVERED)
            mark = " " if covered.min() >= COVERED else "!"
            cells.append(" ".join(f"{100 * share:.1f}" for share in covered) + f"{mark}({100 * loose:.0f})")
        print(f"{seeds:>5}{size:>10}  " + "".join(f"{cell:>26}" for cell in cells), flush=True)
    return kept


def _covers(bootstrap: Bootstrap, gain: float, seeds: int, size: int, rng) -> list[bool]:
    """Gain, change and slope: whether the truth is inside (always, without bounds); whether the slope has none."""
    drawn = bootstrap.draws(*population(gain, VIGNETTE_SLOPE, seeds, size, rng), -1)
    truth = {"gain": gain, "d_coherence": -VIGNETTE_SLOPE * gain / 100, "slope": VIGNETTE_SLOPE}
    ends = {kind: interval(drawn, kind) for kind in truth}
    inside = [ends[kind] is None or ends[kind][0] <= value <= ends[kind][1] for kind, value in truth.items()]
    return [*inside, ends["slope"] is None]


def main() -> int:
    """Print every table; 1 if a promise is broken."""
    argparse.ArgumentParser(prog="python -m analysis.calibrate", description=__doc__.partition("\n\n")[0]).parse_args()
    rng = np.random.default_rng(0)
    print(f"grid: noise {', '.join(NOISES)} (sigma {SIGMA}); variances equal, or doubled in every second one;")
    print(f"seeds {SEEDS}; configurations {CONFIGURATIONS}; what all share at a seed is as large as the noise")
    least = dict.fromkeys(NOISES, FOUND)
    kept = [
        sweep_table("no difference, but one is called real", false_sweeps, FALSE, 1, REPETITIONS, rng),
        sweep_table("no difference of slopes, but one called real", false_slopes, FALSE, 1, REPETITIONS, rng),
        sweep_table("the smallest detectable difference is found", found_sweeps, least, -1, REPETITIONS, rng),
        slope_table(2 * REPETITIONS, rng),
        vignette_table(REPETITIONS // 8, rng),
    ]
    print(f"\nkept: {sum(kept)} of {len(kept)}; ! marks a cell beyond its limit")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
