"""Does a trained student beat simply asking, at equal coherence?

Asking is base with a system prompt. A student is as coherent as that when its coherence is no more than the margin
(`levels.MARGIN`) below the prompted base's: what is lost below the margin does not matter. Of the students that are as
coherent, the one that gained most stands for training; where none is, the one that gained most of all does, and what it
gained over the prompt is a trade. Intervals are for all pairs of students and prompt at once, so that picking the one
to compare costs nothing.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace

from steerheal.statistics.levels import ALPHA, MARGIN
from steerheal.statistics.pairs import Pair
from steerheal.statistics.vignettes import Draws, pairs

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


def contest(prompt: Draws, students: Mapping[Name, Draws], alpha: float = ALPHA) -> Contest | None:
    """The student that stands for training, against the prompt; None without a student."""
    if not students:
        return None
    floor = prompt.d_coherence[0] - MARGIN["coherence"]
    equal = [name for name, draws in students.items() if draws.d_coherence[0] >= floor]
    best, most = (max(among, key=lambda name: students[name].gain[0]) for among in (equal or students, students))
    every = {PROMPT: prompt} | {("student", name): draws for name, draws in students.items()}
    found = [
        next(pair for pair in pairs(every, kind, alpha) if (pair.first, pair.second) == (PROMPT, ("student", best)))
        for kind in ("gain", "d_coherence")
    ]
    return Contest(best, *map(_turned, found), len(equal), most)


def _turned(pair: Pair) -> Pair:
    """Second − first; 0.0 − x, so that no −0.0 is shown."""
    return replace(
        pair, first=pair.second, second=pair.first,
        difference=0.0 - pair.difference, low=0.0 - pair.high, high=0.0 - pair.low,
    )
