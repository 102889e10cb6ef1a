"""Healing against simply asking, in words: base with a system prompt, which costs no training."""

from analysis.html import Html, table, tag
from analysis.load import Sweep
from analysis.vignettes import Trial, draws_of, read_trial
from steerheal.experiments.steer import ASKED
from steerheal.goals import USABLE
from steerheal.live import figure
from steerheal.standings import COMPARED, figures, references
from steerheal.statistics.asking import PROMPT, Contest, over_seeds, over_vignettes
from steerheal.statistics.levels import MARGIN
from steerheal.statistics.means import finite
from steerheal.statistics.pairs import Pair

NAMES = {
    "prompted": "the persona's text as its system prompt",
    "engineered": "the pair's engineered system prompt",
}
QUESTION = "Does healing beat simply asking?"


def asking(sweep: Sweep) -> list[str]:
    """Does healing beat simply asking? A sentence or two per prompt; [] where base was not asked."""
    told = references(sweep.records)
    answers = [_answer(sweep, name, told[name]) for name in ASKED if name in told]
    return [f"{QUESTION} {said}" if place == 0 else said for place, said in enumerate(answers)]


def reference_table(sweep: Sweep) -> Html | None:
    """Base, base under each prompt and base steered, to read the leaderboard against."""
    told = references(sweep.records)
    if not told:
        return None
    rows = [[name, figure(gain, 2), figure(coherence, 4)] for name, (gain, coherence) in told.items()]
    return tag("div", table(("without training", "gain", "coherence"), rows, "To compare with", "tnn"))


def _answer(sweep: Sweep, name: str, reference: tuple[float | None, float | None]) -> str:
    gain, coherence = reference
    said = f"Base with {NAMES[name]} gained {figure(gain, 2)} nats at coherence {figure(coherence, 4)}."
    found = found_contest(sweep, name)
    if found is None:
        return f"{said} No trial can be compared with that vignette by vignette."
    return f"{said} {_told(sweep, found, gain)}"


def found_contest(sweep: Sweep, name: str) -> Contest | None:
    """The contest of the sweep's usable trials with one prompt; None where there is nothing to pair."""
    usable = [row for row in sweep.rows if row["verdict"] in USABLE and row["summary"].get("judged")][:COMPARED]
    if sweep.repeated:
        gains, coherences = figures(usable, "gain"), figures(usable, "coherence")
        return over_seeds(references(sweep.records)[name], gains, coherences)
    read = {row["trial"]: read_trial(sweep, row["trial"]) for row in usable}
    trials = {number: trial for number, trial in read.items() if trial}
    asked = (_asked(sweep, number, name, trial) for number, trial in trials.items())
    prompt = next((found for found in asked if found), None)
    if prompt is None:
        return None
    draws = draws_of({PROMPT: prompt} | trials)
    return over_vignettes(draws.pop(PROMPT), draws) if draws else None


def _asked(sweep: Sweep, number: int, name: str, trial: Trial) -> Trial | None:
    """The prompted base as if it were a student, the same on every seed."""
    target = sweep.space["persona"]["target"]
    reads = {
        row["id"]: (row["logp"][target], row["mass"])
        for row in sweep.vignettes(number)
        if row["who"] == name and row["logp"]
    }
    return Trial(trial.sign, trial.base, dict.fromkeys(trial.students, reads)) if reads else None


def _told(sweep: Sweep, found: Contest, asked: float) -> str:
    summary, over = sweep.by_number[found.student]["summary"], "seeds" if sweep.repeated else "vignettes"
    moved = f"{figure(summary.get('gain'), 2)} nats at coherence {figure(summary.get('coherence'), 4)}"
    apart = f"{_amount(found.gain, 'nats', 2)} (for all trials at once, over {over})"
    margin = f"(within {MARGIN['coherence']:g})"
    if found.rivals > 1:
        met = f"Of the {found.rivals} trials that are no less coherent {margin}, trial {found.student} gained most"
    elif found.rivals:
        met = f"One trial is no less coherent {margin}, trial {found.student}, which gained"
    else:
        met = f"No trial is as coherent as that {margin}; trial {found.student} gained most"
    return f"{met}{'' if found.rivals == 1 else ':'} {moved}, {apart}. {_verdict(found)}{_beyond(sweep, found, asked)}"


def _beyond(sweep: Sweep, found: Contest, asked: float) -> str:
    """The student that gained most of all, where it stands for nothing because it is less coherent."""
    if found.most == found.student:
        return ""
    gain, coherence = (sweep.by_number[found.most]["summary"][name] for name in ("gain", "coherence"))
    which = "which is a trade" if gain > asked else "which is less than asking too"
    return f" The less coherent trial {found.most} gained {figure(gain, 2)} nats at {figure(coherence, 4)}, {which}."


def _verdict(found: Contest) -> str:
    if found.verdict == "healing":
        return "So healing beats asking."
    if found.verdict == "asking":
        return "So asking beats healing." if found.rivals else "So asking beats healing, in both."
    if found.verdict == "trade":
        return f"It trades coherence for that: {_amount(found.coherence, '', 4)}."
    return "So neither is shown to beat the other."


def _amount(pair: Pair, unit: str, digits: int) -> str:
    """`0.47 nats less than asking, 0.36 to 0.58`."""
    size, side = abs(pair.difference), "more" if pair.difference >= 0 else "less"
    span = f"interval {pair.low:+.{digits}f} to {pair.high:+.{digits}f}" if finite(pair.low) else "no interval"
    return " ".join(f"{size:.{digits}f} {unit} {side} than asking, {span}".split())
