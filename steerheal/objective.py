"""What a result is worth: slope, retain, verdict, a trial's summary over its seeds. Pure functions on numbers.

Which differences between trials are real is for `steerheal.statistics` to say, and what a trial is worth to a
sweep for `steerheal.goals`.

trait = log of the mean probability on the target foundation (nats); gain = sign · Δtrait against base;
slope = −100 · Δcoherence / gain, lowest is best; retain = gain(healed) / gain(steered). A quantity that does
not exist (a missing figure, a ratio over 0) is None, never NaN.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType

from steerheal.config import Persona
from steerheal.statistics.means import finite, mean, ratio

# In the order in which they are given, worst news first; `ok` is what is left.
OUTCOMES = ("failed", "diverged", "starved", "unknown")
# How a seed ends that falls below its trial's coherence floor before its last round.
STOPPED = "stopped"
VERDICTS = (*OUTCOMES, "broken", "damaged", "wrong way", "no-op", "weak", "broad", "ok")
# In the order of a leaderboard.
RANKED = (
    "ok",
    "weak",
    "broad",
    "no-op",
    "wrong way",
    "damaged",
    "broken",
    "unknown",
    "starved",
    "diverged",
    "failed",
)

COHERENCE_FLOOR = 0.85
MOST_UNSCORABLE = 0.01
CANARY_FLOOR = 0.9
WRONG_WAY = -0.05
NO_OP = 0.05
MIN_GAIN = 0.3
# More than this share of a configuration's seeds must have survived.
SURVIVING = 0.5
# What a trial's summary averages over its seeds.
AVERAGED = (
    "trait",
    "gain",
    "coherence",
    "d_coherence",
    "retain",
    "steered_gain",
    "canary_survival",
    "unscorable",
)
# What is compared between trials, seed by seed.
PAIRED = ("gain", "coherence", "d_coherence")


def trait(probability: float) -> float:
    """Nats: log of the mean probability on the target foundation; minus infinity at 0."""
    return math.log(probability) if probability > 0 else -math.inf


def gain(trait: float | None, base_trait: float | None, sign: int) -> float | None:
    """Nats moved in the intended direction, against base."""
    return sign * (trait - base_trait) if finite(trait) and finite(base_trait) else None


def slope(coherence_change: float | None, gain: float | None) -> float | None:
    """Centinats of coherence lost per nat gained; negative when coherence rose too."""
    return ratio(0.0 - 100 * coherence_change, gain) if finite(coherence_change) else None


def retain(healed_gain: float | None, steered_gain: float | None) -> float | None:
    """1 kept, 0 undone, negative the wrong way."""
    return ratio(healed_gain, steered_gain)


def verdict(
    gain: float | None,
    coherence: float | None,
    unscorable: float = 0.0,
    canary_survival: float | None = None,
    off_target: float = 0.0,
    min_gain: float = MIN_GAIN,
) -> str:
    """The first that applies, in the order of `VERDICTS`.

    `unscorable`: share of reads; `canary_survival` None: no canaries were asked for; `off_target`: the
    largest move, in nats, of a foundation that should have stayed.
    """
    if not finite(gain) or not finite(coherence) or not finite(unscorable) or not finite(off_target):
        return "broken"
    if unscorable > MOST_UNSCORABLE or coherence < COHERENCE_FLOOR:
        return "broken"
    if canary_survival is not None and not canary_survival >= CANARY_FLOOR:
        return "damaged"
    if gain < WRONG_WAY:
        return "wrong way"
    if gain < NO_OP:
        return "no-op"
    if gain < min_gain:
        return "weak"
    if abs(off_target) >= gain:
        return "broad"
    return "ok"


def slope_error(changes: Sequence[float], gains: Sequence[float]) -> float | None:
    """Standard error of −100 · mean(changes) / mean(gains) over paired seeds, by linearisation."""
    centre = slope(mean(changes).mean, mean(gains).mean)
    if centre is None or len(gains) < 2:
        return None
    errors = [-100 * change - centre * moved for change, moved in zip(changes, gains, strict=True)]
    return ratio(mean(errors).se, abs(mean(gains).mean))


def measure(
    healed: Mapping | None,
    base: Mapping | None,
    steered: Mapping | None,
    canaries: Mapping | None,
    persona: Persona,
    asked: Mapping[str, Mapping | None] = MappingProxyType({}),
) -> dict:
    """The figures of one seed's round, from the evaluations' reports and `canary_suite.survival`; `asked`: reports
    of base under system prompts, by name.

    Every figure is listed; it is None when an evaluation that it needs is missing.
    """
    healed, base, steered = healed or {}, base or {}, steered or {}
    moves = {name: value - base["nats"][name] for name, value in (healed.get("nats") or {}).items() if base.get("nats")}
    off_moves = {name: moves[name] for name in persona.off_target if name in moves}
    traits = [(report.get("nats") or {}).get(persona.target) for report in (healed, base, steered)]
    gains = [gain(moved, traits[1], persona.sign) for moved in (traits[0], traits[2])]
    coherences = [report.get("coherence") for report in (healed, base, steered)]
    change = coherences[0] - coherences[1] if finite(coherences[0]) and finite(coherences[1]) else None
    merely_asked = {}
    for name, report in asked.items():
        moved = ((report or {}).get("nats") or {}).get(persona.target)
        merely_asked[f"{name}_gain"] = gain(moved, traits[1], persona.sign)
        merely_asked[f"{name}_coherence"] = (report or {}).get("coherence")
    return {
        "trait": traits[0],
        "gain": gains[0],
        "coherence": coherences[0],
        "d_coherence": change,
        "slope": slope(change, gains[0]),
        "retain": retain(*gains),
        "base_trait": traits[1],
        "base_coherence": coherences[1],
        "steered_gain": gains[1],
        "steered_coherence": coherences[2],
        **merely_asked,
        "unscorable": ratio(healed.get("unscorable"), healed.get("vignettes")),
        "canary_survival": canaries["survival"] if canaries else None,
        "moves": moves,
        "off_moves": off_moves,
        "off_target": max(map(abs, off_moves.values()), default=None),
    }


def summarise(records: Sequence[Mapping], min_gain: float = MIN_GAIN) -> dict:
    """A trial over its seeds: the verdict on the means of the last round, their errors, `n` and `failed`.

    A seed counts if it came to the end of its rounds, or was stopped below the space's own floor, with finite
    figures. A trial of which a seed was stopped has not finished: it is broken, and its figures are those of
    the rounds that it reached. With too few of them the verdict is the fate that all seeds share, or `unknown`, and no figure is given.
    `figures` has mean, se, n and failed of each; `own` the means of the experiment's own figures; `judged` what pairs trials by seed; the slope's 90% interval
    is from slope_low to slope_high if `slope_bounded`, else outside them (None: anywhere).
    """
    last = {record["seed"]: record for record in records}
    fates = {seed: _fate(record, min_gain) for seed, record in last.items()}
    whole = [last[seed] for seed, fate in fates.items() if fate not in OUTCOMES and _measured(last[seed])]
    judged = whole if len(whole) > SURVIVING * len(last) else []
    means = {name: mean([record[name] for record in judged]) for name in AVERAGED}
    figures = {name: found.mean for name, found in means.items()}
    off_target = _largest([record["off_moves"] for record in judged])
    if any(record["outcome"] == STOPPED for record in judged):
        said = "broken"
    elif judged:
        unscorable, survival = figures["unscorable"] or 0.0, figures["canary_survival"]
        said = verdict(figures["gain"], figures["coherence"], unscorable, survival, off_target or 0.0, min_gain)
    else:
        shared = set(fates.values())
        said = shared.pop() if len(shared) == 1 else "unknown"
    changes, gains = [record["d_coherence"] for record in judged], [record["gain"] for record in judged]
    return {
        "verdict": said,
        **figures,
        **{f"{name}_se": found.se for name, found in means.items()},
        "slope": slope(figures["d_coherence"], figures["gain"]),
        "slope_se": slope_error(changes, gains),
        **_slope_interval(changes, gains),
        "figures": {name: asdict(found) | {"failed": len(last) - found.n} for name, found in means.items()},
        "judged": {str(record["seed"]): {name: record[name] for name in PAIRED} for record in judged},
        "off_target": off_target,
        "own": _own([record.get("own") or {} for record in judged]),
        "rounds": min((record["round"] + 1 for record in judged), default=None),
        "n": len(whole),
        "failed": len(last) - len(whole),
        "seeds": fates,
        "error": next((said for record in last.values() if (said := _trouble(record))), None),
    }


def _slope_interval(changes: Sequence[float], gains: Sequence[float]) -> dict:
    """Fieller's interval as figures; None without repeats."""
    names = ("slope_low", "slope_high", "slope_bounded")
    if len(gains) < 2:
        return dict.fromkeys(names)
    # Not at the top: whoever reads a space needs no numpy.
    from steerheal.statistics.fieller import slope_interval

    found = slope_interval(changes, gains)
    low, high = (float(end) if math.isfinite(end) else None for end in (found.low, found.high))
    return dict(zip(names, (low, high, bool(found.bounded)), strict=True))


def _fate(record: Mapping, min_gain: float) -> str:
    """A seed's own verdict: how it ended if it did not come to the end, else what its figures say."""
    if record["outcome"] in OUTCOMES:
        return record["outcome"]
    if record["outcome"] == STOPPED:
        return "broken"
    if _base_damaged(record):
        return "unknown"
    survival, off_target = record["canary_survival"], record["off_target"] or 0.0
    unscorable = 1.0 if record["unscorable"] is None else record["unscorable"]
    return verdict(record["gain"], record["coherence"], unscorable, survival, off_target, min_gain)


def _base_damaged(record: Mapping) -> bool:
    """Whether canaries were asked for and base has no undamaged answer to compare with."""
    canaries = record.get("canaries")
    return canaries is not None and canaries["survival"] is None


def _trouble(record: Mapping) -> str | None:
    """What a reader must be told of a seed that its figures do not say."""
    if record["outcome"] == STOPPED:
        return f"seed {record['seed']} fell below the coherence floor in round {record['round'] + 1} and was stopped"
    if record["error"] or not _base_damaged(record):
        return record["error"]
    return "canaries: base itself gave no undamaged answer, so damage cannot be told; mend the suite"


def _measured(record: Mapping) -> bool:
    return all(finite(record[name]) for name in ("gain", "coherence", "d_coherence"))


def _own(figures: Sequence[Mapping[str, float]]) -> dict[str, float | None]:
    """The seeds' means of figures that other experiments do not have."""
    return {name: mean([found.get(name) for found in figures]).mean for name in (figures[0] if figures else ())}


def _largest(moves: Sequence[Mapping[str, float]]) -> float | None:
    """The largest mean move of an off-target foundation, in nats."""
    names = moves[0] if moves else ()
    return max((abs(mean([move.get(name) for move in moves]).mean) for name in names), default=None)
