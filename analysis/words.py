"""What a sweep says, in sentences: the answer with its uncertainty, as its objective asks."""

from collections.abc import Mapping, Sequence

from analysis.goal import goal, units
from analysis.load import Sweep
from analysis.race import race_in_words
from analysis.vignettes import ONE, SEVERAL, span, sweep_draws
from steerheal.live import figure, params_text
from steerheal.standings import figures, front, noise_in_words, slope_differences, tied_trials
from steerheal.statistics.means import finite
from steerheal.statistics.pairs import Pair, compare

ONE_SEED = "One seed: none of these differences has been shown to be real."
MANY = 8


def answer(sweep: Sweep) -> list[str | None]:
    """The answer in a few paragraphs."""
    if not sweep.rows:
        return [f"No trial has finished yet{_of(sweep)}, so there is nothing to say."]
    wanted = goal(sweep.objective)
    if sweep.best is None:
        return [
            f"None of the {len(sweep.rows)} finished trials reached {wanted.wanted}, so none is ranked: "
            f"{counted_verdicts(sweep)}.",
            *_noise(sweep),
        ]
    if sweep.objective.kind == "pareto":
        told = [_front(sweep), _front_standing(sweep)]
    else:
        told = [_leader(sweep), _standing(sweep)]
    return [*told, *race_in_words(sweep), _shown(sweep), *_noise(sweep), *_rest(sweep)]


def progress(sweep: Sweep) -> str:
    """How much of the sweep is finished."""
    trials = f"{len(sweep.rows)} trial{'s' if len(sweep.rows) != 1 else ''}"
    if sweep.planned is None:
        return f"{trials} finished"
    return (
        f"{'all ' if len(sweep.rows) > 1 else ''}{trials} finished"
        if len(sweep.rows) >= sweep.planned
        else f"{len(sweep.rows)} of {sweep.planned} trials finished"
    )


def counted_verdicts(sweep: Sweep) -> str:
    """`3 weak, 1 starved`."""
    verdicts = [row["verdict"] for row in (sweep.by_number[number] for number in sweep.order)]
    return ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts))


def interval(summary: Mapping) -> str:
    """A slope's 90% interval for a table."""
    if summary.get("slope_bounded") is None:
        return "–"
    return (
        f"{figure(summary['slope_low'])} to {figure(summary['slope_high'])}" if summary["slope_bounded"] else "no bound"
    )


def trials_text(numbers: Sequence[int]) -> str:
    """`Trials 3, 5, 7 and 4 more`."""
    more = f" and {len(numbers) - MANY} more" if len(numbers) > MANY else ""
    return f"Trial{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:MANY]))}{more}"


def _of(sweep: Sweep) -> str:
    return f" of the {sweep.planned} asked for" if sweep.planned else ""


def _leader(sweep: Sweep) -> str:
    row, summary = sweep.best, sweep.best["summary"]
    head = f"{progress(sweep).capitalize()}. Trial {row['trial']} ({params_text(row['params'])}) leads, with the "
    seeds = f" over {summary['n']} seeds" if (summary.get("n") or 0) > 1 else ""
    error = f" ± {summary['gain_se']:.2f}" if finite(summary.get("gain_se")) else ""
    moved = f"{summary['gain']:.2f}{error} nats as intended{seeds}"
    over = _over_vignettes(sweep)
    if sweep.objective.kind == "slope":
        return (
            f"{head}lowest slope: {figure(summary['slope'])} hundredths of coherence lost per nat of trait "
            f"gained{over or _sure(summary)}. It moved the trait by {moved}{_kept(summary)}{_cost(summary)}."
        )
    least = sweep.objective.coherence
    own = f" ± {summary['coherence_se']:.4f}" if finite(summary.get("coherence_se")) else ""
    return (
        f"{head}largest gain among the trials whose coherence is {least:g} or more: it moved the trait by "
        f"{moved}{over}{_kept(summary)}, at coherence {summary['coherence']:.4f}{own}. Its slope is "
        f"{figure(summary.get('slope'))} hundredths of coherence lost per nat{_sure(summary)}."
    )


def _sure(summary: Mapping) -> str:
    if summary.get("slope_bounded") is None:
        return ""
    if not summary["slope_bounded"]:
        return " (the gain is too uncertain to bound it)"
    return f" (90% interval over seeds {interval(summary)})"


def _over_vignettes(sweep: Sweep) -> str:
    """The leader's interval over vignettes, with what it leaves out at a single seed."""
    kind = goal(sweep.objective).figure
    ends = span(sweep_draws(sweep).get(sweep.best["trial"]), kind)
    if ends is None:
        return ""
    unseen = ", which does not see the noise between seeds" if not sweep.repeated else ""
    return f" (90% interval {SEVERAL if sweep.repeated else ONE} {ends[0]:.3f} to {ends[1]:.3f}{unseen})"


def _kept(summary: Mapping) -> str:
    share = summary.get("retain")
    return f", {100 * share:.0f}% of what steering alone had done" if finite(share) and share > 0 else ""


def _cost(summary: Mapping) -> str:
    if not finite(summary.get("d_coherence")):
        return ""
    lost = -100 * summary["d_coherence"]
    return f", at {'a loss' if lost > 0 else 'a rise'} of {abs(lost):.2g} hundredths of coherence"


def _standing(sweep: Sweep) -> str:
    by = goal(sweep.objective).figure
    marks = {n: mark for n, mark in tied_trials(sweep.rows, sweep.objective).items() if mark is not None}
    others = [number for number in sweep.ranked if number != sweep.best["trial"]]
    if not others:
        return "It is the only trial that is ranked, so there is nothing to compare it with."
    if not marks:
        return f"{ONE_SEED} The order of the leaderboard may be chance."
    tied = [number for number in others if marks.get(number)]
    behind = [number for number in others if marks.get(number) is False]
    unknown = len(others) - len(tied) - len(behind)
    parts = []
    if not behind and not unknown:
        parts.append(
            f"None of the other {len(others)} ranked trials can be told from it by {by}: who leads may be chance."
            if len(others) > 1
            else f"Trial {others[0]} cannot be told from it by {by}: who leads may be chance."
        )
    elif tied:
        parts.append(f"{trials_text(tied)} cannot be told from it: their paired difference in {by} may be zero.")
    if behind:
        parts.append(f"It is better than {trials_text(behind).lower()}, and that is more than noise between seeds.")
    if unknown:
        parts.append(f"{unknown} share too few seeds with it to be compared.")
    return " ".join(parts)


def _front(sweep: Sweep) -> str:
    """The front by its two ends."""
    first = sorted(front(sweep.rows, sweep.objective), key=lambda n: -sweep.by_number[n]["summary"]["gain"])
    head = f"{progress(sweep).capitalize()}. "
    most = _place(sweep, first[0])
    if len(first) == 1:
        return f"{head}Trial {first[0]} has both the most gain and the most coherence: {most}."
    return (
        f"{head}The sweep looks for the best trade of gain against coherence. By their figures as they stand, "
        f"{len(first)} of {len(sweep.order)} trials are on the front, none beaten in both by another: "
        f"{trials_text(first).lower()}. It goes from trial {first[0]} with the most gain ({most}) to trial "
        f"{first[-1]} with the most coherence ({_place(sweep, first[-1])})."
    )


def _place(sweep: Sweep, number: int) -> str:
    row, parts = sweep.by_number[number], []
    for name, digits in (("gain", 2), ("coherence", 4)):
        error = row["summary"].get(f"{name}_se")
        own = f" ± {error:.{digits}f}" if finite(error) else ""
        parts.append(f"{name} {row['summary'][name]:.{digits}f}{own} {units(sweep.experiment)[name]}".strip())
    return f"{', '.join(parts)}; {params_text(row['params'])}"


def _front_standing(sweep: Sweep) -> str:
    marks = {n: mark for n, mark in tied_trials(sweep.rows, sweep.objective).items() if mark is not None}
    first = front(sweep.rows, sweep.objective)
    if len(sweep.ranked) < 2:
        return "It is the only trial that is compared, so there is nothing to compare it with."
    if not marks:
        return f"{ONE_SEED} Who is on the front may be chance."
    may = [number for number in sweep.ranked if marks.get(number) and number not in first]
    behind = [number for number in sweep.ranked if marks.get(number) is False]
    parts = []
    if may:
        verb = "are" if len(may) > 1 else "is"
        parts.append(f"{trials_text(may)} {verb} behind by the means alone, and may be on it: that is within noise.")
    if behind:
        verb = "are" if len(behind) > 1 else "is"
        parts.append(
            f"{trials_text(behind)} {verb} really behind: another trial is better in one figure, and no worse in "
            "the other, by more than noise between seeds."
        )
    return " ".join(parts) or "All that are compared are on it."


def _noise(sweep: Sweep) -> list[str]:
    said = noise_in_words(sweep.rows, sweep.experiment)
    return [said[0].upper() + said[1:] + "."] if said else []


def _rest(sweep: Sweep) -> list[str]:
    if len(sweep.ranked) == len(sweep.rows):
        return []
    return [f"Verdicts: {counted_verdicts(sweep)}. {goal(sweep.objective).ranked}"]


def _shown(sweep: Sweep) -> str | None:
    """Which of gain and coherence really differ, whatever the slopes do."""
    said = []
    for name, pairs in real_differences(sweep):
        real = [pair for pair in pairs if pair.real]
        if name == "slope" or not real:
            continue
        clear = real[0]
        more, less = (clear.first, clear.second) if clear.difference > 0 else (clear.second, clear.first)
        least, most = sorted(abs(end) for end in (clear.low, clear.high))
        amount = f"{abs(clear.difference):.2g} {units(sweep.experiment)[name]}".strip()
        said.append(
            f"{len(real)} of {len(pairs)} pairs of trials really differ in {name}; the clearest: trial {more} has "
            f"{amount} more than trial {less} ({least:.2g} to {most:.2g})."
        )
    return " ".join(said) or None


def real_differences(sweep: Sweep) -> list[tuple[str, list[Pair]]]:
    """Per figure, all pairs of the ranked trials, those shown to be real first; [] without repeats.

    The objective's own figure comes first; slopes are compared where the verdict is ok, whatever is ranked.
    """
    fit = [sweep.by_number[number] for number in sweep.ranked]
    pairs = {"slope": slope_differences(sweep.rows)}
    if len(fit) > 1:
        pairs |= {name: compare(figures(fit, name), name) for name in ("gain", "coherence")}
    own = goal(sweep.objective).figure
    known = {name: [pair for pair in found if pair.real is not None] for name, found in pairs.items()}
    return [
        (name, sorted(known[name], key=lambda pair: (not pair.real, -abs(pair.difference))))
        for name in sorted(known, key=lambda name: name != own)
        if known[name]
    ]
