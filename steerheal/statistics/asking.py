"""Does a trained student beat simply asking, at equal coherence?

Asking is base with a system prompt. A student is as coherent as that when its coherence is no more than the margin
(`levels.MARGIN`) below the prompted base's: what is lost below the margin does not matter. Of the students that are as
coherent, the one that gained most stands for training; where none is, the one that gained most of all does, and what it
gained over the prompt is a trade.

The difference is paired over seeds where there are several, as between trials, else over vignettes. Intervals are for
all pairs of students and prompt at once, so that picking the one to compare costs nothing.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from steerheal.statistics import vignettes
from steerheal.statistics.levels import ALPHA, MARGIN
from steerheal.statistics.means import mean
from steerheal.statistics.pairs import Pair, compare
from steerheal.statistics.vignettes import Draws

Name = Hashable
PROMPT = "prompt"


@dataclass(frozen=True)
class Contest:
    """`student` against the prompt, student − prompt; `rivals`: how many students are as coherent as the prompt;
    `most`: who gained most, however coherent.
    """

    student: Name
    gain: Pair
    coherence: Pair
    rivals: int
    most: Name

    @property
    def verdict(self) -> str:
        """`healing` or `asking` gained more, at no lower coherence; `open`: cannot be told; `trade`: healing gained
        more, for coherence.
        """
        if not self.gain.real:
            return "open"
        if self.gain.difference < 0:
            return "asking"
        return "healing" if self.rivals else "trade"


def over_seeds(
    prompt: tuple[float, float],
    gains: Mapping[Name, Mapping[int, float]],
    coherences: Mapping[Name, Mapping[int, float]],
    alpha: float = ALPHA,
) -> Contest | None:
    """`prompt`: gain and coherence, the same for every seed; student → seed → value. None without a student."""
    seeds = {seed for row in gains.values() for seed in row}
    pairs = [
        compare({PROMPT: dict.fromkeys(seeds, value)} | dict(students), kind, alpha=alpha)
        for value, students, kind in zip(prompt, (gains, coherences), ("gain", "coherence"))
    ]
    means = {
        name: (mean(list(gains[name].values())).mean, mean(list(coherences[name].values())).mean) for name in gains
    }
    return _contest(prompt[1], means, *pairs)


def over_vignettes(prompt: Draws, students: Mapping[Name, Draws], alpha: float = ALPHA) -> Contest | None:
    """Of a single seed; None without a student."""
    every = {PROMPT: prompt} | dict(students)
    means = {name: (draws.measured("gain"), draws.measured("d_coherence")) for name, draws in students.items()}
    pairs = [vignettes.pairs(every, kind, alpha) for kind in ("gain", "d_coherence")]
    return _contest(prompt.measured("d_coherence"), means, *pairs)


def _contest(
    coherence: float, means: Mapping[Name, tuple[float, float]], gains: Sequence[Pair], coherences: Sequence[Pair]
) -> Contest | None:
    """`means`: student → gain and coherence, on the scale of the prompt's `coherence`."""
    if not means:
        return None
    equal = [name for name, figures in means.items() if figures[1] >= coherence - MARGIN["coherence"]]
    best, most = (max(among, key=lambda name: means[name][0]) for among in (equal or means, means))
    pairs = [
        next(pair for pair in found if (pair.first, pair.second) == (PROMPT, best)) for found in (gains, coherences)
    ]
    return Contest(best, *map(_turned, pairs), len(equal), most)


def _turned(pair: Pair) -> Pair:
    """Second − first; 0.0 − x, so that no −0.0 is shown."""
    ends = (
        {"low": pair.low, "high": pair.high} if pair.low is None else {"low": 0.0 - pair.high, "high": 0.0 - pair.low}
    )
    return replace(pair, first=pair.second, second=pair.first, difference=0.0 - pair.difference, **ends)
