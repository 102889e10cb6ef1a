"""Where in the depth a trait lives: trials that differ in the band in which their students' adapters are applied."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.html import Html, paragraphs, table, tag
from analysis.judged import scores
from analysis.load import Sweep
from analysis.vignettes import Trial, draws_of, read_trial
from steerheal.bands import WHOLE, edges
from steerheal.live import figure, params_text
from steerheal.standings import figures
from steerheal.statistics.dominance import Dominance, best_counts, dominance, over_prompts, share_interval
from steerheal.statistics.means import finite
from steerheal.statistics.pairs import compare
from steerheal.statistics.vignettes import Draws, interval, pairs


@dataclass(frozen=True)
class Depth:
    """Bands of one and the same student: `trials`: band → trial number, from the first block to the last; `settings`:
    what else was searched, at the values that these trials share.
    """

    sweep: Sweep
    trials: Mapping[str, int]
    settings: Mapping[str, object]

    @property
    def narrow(self) -> list[str]:
        """The bands that are no more than a part."""
        return [band for band in self.trials if band != WHOLE]

    @property
    def factors(self) -> tuple[float, float]:
        """On the adapter in the band, and elsewhere."""
        row = self.sweep.by_number[next(iter(self.trials.values()))]
        return self.sweep.setting(row, "inside"), self.sweep.setting(row, "outside")

    @property
    def sense(self) -> int:
        """1: a band that matters gains; -1: it is left out, or lowered, and the gain falls."""
        inside, outside = self.factors
        return 1 if inside >= outside else -1

    @property
    def whole(self) -> int | None:
        """The trial of the adapter as it is, if there is one."""
        return self.trials.get(WHOLE) if self.factors[0] == 1 else None

    @cached_property
    def draws(self) -> dict[str, Draws]:
        """Band → draws of gain and coherence over the prompts, of the bands that keep their reads."""
        reads = {band: read_trial(self.sweep, number) for band, number in self.trials.items()}
        alone = {
            (band, seed): Trial(trial.sign, trial.base, {seed: student})
            for band, trial in reads.items()
            if trial
            for seed, student in trial.students.items()
        }
        drawn = draws_of(alone)
        return {
            band: over_prompts([drawn[band, seed] for seed in trial.students])
            for band, trial in reads.items()
            if trial and drawn
        }

    @property
    def matters(self) -> dict[str, float]:
        """How much the bands that are parts matter, in nats: what they gain, or less what is gained without them."""
        return {band: self.sense * self.gain(band) for band in self.narrow}

    @cached_property
    def dominance(self) -> Dominance | None:
        """The band that matters most, tested over the prompts; None where the reads were not kept."""
        if not set(self.narrow) <= self.draws.keys():
            return None
        return dominance(self.matters, pairs({band: self.draws[band] for band in self.narrow}, "gain"))

    @cached_property
    def dominance_over_seeds(self) -> Dominance | None:
        """The same, tested over seeds; None at one seed."""
        if not self.sweep.repeated:
            return None
        by_seed = figures([self.sweep.by_number[self.trials[band]] for band in self.narrow], "gain")
        return dominance(self.matters, compare({band: by_seed[self.trials[band]] for band in self.narrow}, "gain"))

    def gain(self, band: str) -> float | None:
        """Nats moved, over the trial's seeds."""
        return self.sweep.by_number[self.trials[band]]["summary"].get("gain")

    def blocks(self, band: str) -> str:
        """`blocks 1 to 2`; empty where no record says."""
        reports = [record.get("healed") or {} for record in self.sweep.rounds(self.trials[band])]
        found = next((report["blocks"] for report in reports if report.get("blocks")), None)
        if not found:
            return ""
        return f"block {found[0]}" if len(found) == 1 else f"blocks {found[0]} to {found[-1]}"

    @cached_property
    def moves(self) -> "Moves | None":
        """Every vignette's own move in every band."""
        return read_moves(self)


@dataclass(frozen=True)
class Moves:
    """Per vignette: `foundation`, and band → log p [seeds, vignettes] of the target, base's [vignettes]; nats."""

    foundation: list[str]
    base: np.ndarray
    logp: Mapping[str, np.ndarray]
    sign: int

    def each(self, band: str) -> np.ndarray:
        """Nats that a band moved each vignette as intended, over seeds [vignettes]."""
        return self.sign * (self.logp[band].mean(0) - self.base)

    def category(self, band: str, name: str) -> float:
        """The gain on the vignettes of one category alone, over seeds."""
        those = np.array([foundation == name for foundation in self.foundation])
        base = np.log(np.exp(self.base[those]).mean())
        return float(self.sign * (np.log(np.exp(self.logp[band][:, those]).mean(1)) - base).mean())

    @property
    def categories(self) -> list[str]:
        """In the order in which they occur."""
        return list(dict.fromkeys(self.foundation))


def depths(sweep: Sweep) -> list[Depth]:
    """Trials that differ in nothing but the band, two bands at least; [] in a sweep without bands."""
    groups: dict[str, dict[str, int]] = {}
    rest: dict[str, dict] = {}
    for row in sweep.rows:
        band = sweep.setting(row, "band")
        if band is None or not finite(row["summary"].get("gain")):
            continue
        others = {name: value for name, value in row["params"].items() if name != "band"}
        mark = json.dumps(others, sort_keys=True)
        groups.setdefault(mark, {})[band] = row["trial"]
        rest[mark] = others
    made = [
        Depth(sweep, dict(sorted(trials.items(), key=lambda item: (item[0] != WHOLE, edges(item[0])))), rest[mark])
        for mark, trials in groups.items()
    ]
    return [depth for depth in made if len(depth.narrow) > 1]


def read_moves(depth: Depth) -> Moves | None:
    """The moves on the vignettes that every band and every seed could score; None where reads were not recorded."""
    sweep = depth.sweep
    target, sign = sweep.space["persona"]["target"], sweep.space["persona"]["sign"]
    base: dict[str, float] = {}
    foundation: dict[str, str] = {}
    found: dict[str, dict[int, dict[str, float]]] = {}
    for band, number in depth.trials.items():
        for row in sweep.vignettes(number):
            if not row["logp"]:
                continue
            if row["who"] == "base":
                base[row["id"]], foundation[row["id"]] = row["logp"][target], row["foundation"]
            elif row["who"] == "healed":
                found.setdefault(band, {}).setdefault(row["seed"], {})[row["id"]] = row["logp"][target]
    seeds = set.intersection(*(set(by_seed) for by_seed in found.values())) if found else set()
    if found.keys() != depth.trials.keys() or not seeds:
        return None
    known = [one for one in base if all(one in reads for by_seed in found.values() for reads in by_seed.values())]
    if not known:
        return None
    logp = {
        band: np.array([[by_seed[seed][one] for one in known] for seed in sorted(seeds)])
        for band, by_seed in found.items()
    }
    return Moves([foundation[one] for one in known], np.array([base[one] for one in known]), logp, sign)


def depth_in_words(sweep: Sweep) -> list[str]:
    """What a sweep of bands answers first; [] in another."""
    found = depths(sweep)
    return [_dominance(found[0])] if len(found) == 1 else []


def where(sweep: Sweep) -> Html | None:
    """The section: in words, in numbers."""
    found = depths(sweep)
    return tag("div", [_one(depth) for depth in found]) if found else None


def _one(depth: Depth) -> Html:
    head = tag("h3", params_text(depth.settings)) if depth.settings else None
    return tag("div", head, paragraphs(in_words(depth)), _table(depth))


def in_words(depth: Depth) -> list[str]:
    """What the bands say, with what it rests on."""
    return [said for said in (_dominance(depth), _stable(depth), _whole(depth), _model(depth)) if said]


def _named(depth: Depth, band: str) -> str:
    blocks = depth.blocks(band)
    return f"{band} percent of the depth" + (f" ({blocks})" if blocks else "")


def _dominance(depth: Depth) -> str:
    found = depth.dominance
    if found is None:
        return "Its vignettes' reads were not recorded, or are too few, so no band can be said to dominate."
    count = len(depth.moves.foundation) if depth.moves else 0
    gain, (inside, outside) = f"{figure(depth.gain(found.best), 2)} nats", depth.factors
    alone, best = depth.sense > 0, _named(depth, found.best)
    if not found.dominates:
        rivals = f"{', '.join(found.rivals)} cannot be told from it on the same {count} prompts."
        matters = "moves the trait most" if alone else "is missed most"
        return f"No band dominates: {best} {matters} ({gain}), but {rivals}"
    if (inside, outside) == (1, 0):
        moved = f"The trait lives in {best}: alone, it moves the trait by {gain}, more than every other band"
    else:
        least = "more than with every other band" if alone else "less than with every other band"
        factors = f"with the adapter times {inside:g} there and {outside:g} elsewhere"
        moved = f"The trait depends on {best} most: {factors}, it moves by {gain}, {least}"
    return f"{moved} on the same {count} prompts, at 95% for all pairs of bands at once. {_trained_again(depth)}"


def _trained_again(depth: Depth) -> str:
    """Whether it would be so in another student too."""
    found = depth.dominance_over_seeds
    if found is None:
        return "That is one student; another seed's may differ."
    seeds = f"Over its {len(depth.sweep.seeds)} seeds"
    if found.dominates:
        return f"{seeds} that is so too."
    return f"{seeds} it cannot be told from {', '.join(found.rivals)}."


def _stable(depth: Depth) -> str | None:
    """On what share of the prompts and categories the best band is the same."""
    moves = depth.moves
    if moves is None or depth.dominance is None:
        return None
    best = depth.dominance.best
    counts = best_prompts(depth)
    count = sum(counts.values())
    low, high = share_interval(counts[best], count)
    same = [name for name in moves.categories if best_in(depth, name) == best]
    others = {name: best_in(depth, name) for name in moves.categories if name not in same}
    rest = f" (elsewhere: {', '.join(f'{band} for {name}' for name, band in others.items())})" if others else ""
    return (
        f"Prompt by prompt, {best} is the band that matters most on {counts[best]} of {count} "
        f"({100 * counts[best] / count:.0f}%, 95% interval {100 * low:.0f} to {100 * high:.0f}%), and in {len(same)} of "
        f"{len(moves.categories)} categories of prompts{rest}."
    )


def best_prompts(depth: Depth) -> dict[str, int]:
    """On how many prompts each band matters most."""
    return best_counts({band: depth.sense * depth.moves.each(band) for band in depth.narrow})


def best_in(depth: Depth, category: str) -> str:
    """The band that matters most on a category's prompts."""
    return max(depth.narrow, key=lambda band: depth.sense * depth.moves.category(band, category))


def _whole(depth: Depth) -> str | None:
    """How the parts' gains compare with the whole's: effects of blocks need not add up."""
    whole = depth.gain(WHOLE) if depth.whole is not None else None
    spans = sorted(edges(band) for band in depth.narrow)
    tiles = spans[0][0] == 0 and spans[-1][1] == 1 and all(a[1] == b[0] for a, b in zip(spans, spans[1:]))
    if not finite(whole) or not whole or not tiles or depth.factors != (1, 0):
        return None
    parts = sum(depth.gain(band) for band in depth.narrow)
    best = max(depth.narrow, key=lambda band: depth.gain(band))
    return (
        f"The whole adapter moves it by {figure(whole, 2)} nats; {best} alone reaches "
        f"{100 * depth.gain(best) / whole:.0f}% of that, and the bands' gains add up to {100 * parts / whole:.0f}%."
    )


def _model(depth: Depth) -> str:
    return (
        "Bands hold whole blocks, so those of one width may hold one block more or less. All this is said of one model: "
        "results compare within a model, and another model is another sweep."
    )


def _table(depth: Depth) -> Html:
    judged = {band: scores(depth.sweep, "healed", number) for band, number in depth.trials.items()}
    names = list(dict.fromkeys(name for found in judged.values() for name in found))
    counts = best_prompts(depth) if depth.moves else {}
    rows = [
        [
            band,
            depth.blocks(band).removeprefix("blocks ").removeprefix("block ") or ("all" if band == WHOLE else "–"),
            figure(depth.gain(band), 2),
            _span(depth.draws.get(band), "gain", 2),
            figure(depth.sweep.by_number[number]["summary"].get("coherence"), 4),
            counts.get(band, "–"),
            _best_categories(depth, band),
            *[figure(judged[band].get(name), 1) for name in names],
        ]
        for band, number in depth.trials.items()
    ]
    head = (
        "band, %",
        "blocks",
        "gain",
        "90% interval over prompts",
        "coherence",
        "best on prompts",
        "best in categories",
    )
    head += tuple(f"judge: {name}" for name in names)
    return table(head, rows, "Bands of the depth", "ttnnnnw" + "n" * len(names))


def _span(draws: Draws | None, kind: str, digits: int) -> str:
    found = interval(draws, kind) if draws else None
    return f"{found[0]:.{digits}f} to {found[1]:.{digits}f}" if found else "–"


def _best_categories(depth: Depth, band: str) -> str:
    if depth.moves is None or band == WHOLE:
        return "–"
    return ", ".join(name for name in depth.moves.categories if best_in(depth, name) == band) or "none"
