"""A sweep's objective in the words of the report: what is ranked, by which figure, and what ranks first."""

from dataclasses import dataclass

from steerheal.config.objectives import Objective

UNITS = {"slope": "centinats per nat", "gain": "nats", "coherence": "", "d_coherence": ""}
# Where a gain is something else than nats of a trait.
OTHER_UNITS = {"voice": {"gain": "nats per token"}, "belief": {"slope": "", "gain": "of all answers"}}


def units(experiment: str) -> dict[str, str]:
    """What an experiment's figures are counted in; "" for a plain share."""
    return UNITS | OTHER_UNITS.get(experiment, {})


@dataclass(frozen=True)
class Goal:
    """`figure`: by which trials are compared; `order`: what comes first; `ranked`: which trials are ranked at all;
    `wanted`: what a trial must reach for that.
    """

    figure: str
    order: str
    ranked: str
    wanted: str


def goal(objective: Objective) -> Goal:
    """The words for an objective."""
    if objective.kind == "slope":
        return Goal("slope", "lowest slope first", "Only trials with the verdict ok are ranked.", "the verdict ok")
    kept = "the verdict ok or weak"
    if objective.kind == "pareto":
        only = f"Only trials with {kept} are compared."
        return Goal("gain", "the front of gain against coherence first", only, kept)
    least = f"coherence {objective.coherence:g} or more"
    only = f"Only trials with {kept} and {least} are ranked."
    return Goal("gain", f"largest gain first among the trials with {least}", only, f"{kept} with {least}")


def meanings(objective: Objective) -> list[tuple[str, str]]:
    """The report's glossary: word and meaning."""
    return [*FIGURES, *_ranking(objective), *ERRORS]


def _ranking(objective: Objective) -> list[tuple[str, str]]:
    """What the words of the leaderboard mean under this objective."""
    if objective.kind == "slope":
        ok, small, front = "ok: ranked by slope", "too little to rank", FRONT
    elif objective.kind == "pareto":
        ok, small, front = "ok and weak: compared by gain and coherence", "little", FRONT
    else:
        ok = f"ok and weak: ranked by gain, if coherence is {objective.coherence:g} or more"
        small, front = "little", []
    rest = (
        "broken: incoherent. damaged: canaries suffered. wrong way, no-op, weak: the trait moved the wrong way, not at "
        f"all, or {small}. broad: another foundation moved as much. starved, diverged, failed: why there is no "
        "result. unknown: too few seeds survived."
    )
    return [*front, ("verdict", f"{ok}. {rest}")]


FIGURES = (
    (
        "gain",
        "how far the trait moved in the intended direction, against the untouched model (base), in nats: "
        "the natural logarithm of a probability. 0.69 nats is a factor of two.",
    ),
    (
        "coherence",
        "the share of probability that lies on sensible answers at all, from 0 to 1. A broken model puts it elsewhere.",
    ),
    ("slope", "hundredths of coherence lost per nat gained. Lowest is best; below zero, coherence rose too."),
    ("retain", "the healed model's gain as a share of what steering alone did: 1 is kept, 0 undone."),
    ("canaries", "the share of answers to fixed prompts that show no damage, relative to base."),
    (
        "lam, tau",
        "training is held near the model before it by a barrier, lam · relu(divergence − tau). lam is how "
        "hard, tau is what it lets pass; nll has no barrier.",
    ),
)
FRONT = [
    (
        "on the front",
        "no other trial is shown to be better in gain without being worse in coherence, or the other way round.",
    )
]
ERRORS = (
    (
        "± and intervals",
        "± is one standard error over seeds. Two trials are tied when the interval of their paired "
        "difference, seed by seed and corrected for all pairs, contains zero.",
    ),
    (
        "over vignettes",
        "how well this set of test scenarios pins a figure down, by drawing them anew. With a single seed such an "
        "interval does not see the noise between seeds: training again may still turn the order round.",
    ),
)
