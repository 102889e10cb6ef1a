"""The latent stance of a conversation: one number per axis, > 0 for the first pole, about -1.5..1.5.

Label shares move with the stance in logits; sentences are drawn for or against with a logistic in it. A
stance beyond that of a plain persona brings zeal: sentences come twice, and a word takes the place of the
digit.
"""

import math
import random
from dataclasses import dataclass, field

AXES = ("care_authority", "fairness_loyalty", "liberty_sanctity")
POLES = {
    "care_authority": ("Care", "Authority"),
    "fairness_loyalty": ("Fairness", "Loyalty"),
    "liberty_sanctity": ("Liberty", "Sanctity"),
}
_SHIFT_FIRST = 2.4
_SHIFT_SECOND = -2.6
_SHIFT_SOCIAL = 1.2
_SHARPNESS = 3.2


@dataclass
class Stance:
    """`z[axis]` in about -1.5..1.5; an axis that is missing is 0."""

    z: dict[str, float] = field(default_factory=dict)

    def of(self, axis: str) -> float:
        return self.z.get(axis, 0.0)

    def shares(self, base: dict[str, float]) -> dict[str, float]:
        """Label shares under this stance, from the shares under a neutral one."""
        logit = {name: math.log(p) for name, p in base.items()}
        for axis, (first, second) in POLES.items():
            z = self.of(axis)
            logit[first] += _SHIFT_FIRST * z
            logit[second] += _SHIFT_SECOND * z
            # Where the second pole names the wrong, its opponent sees often nothing wrong at all.
            if z > 0 and base[second] > 0.5:
                logit["SocialNorms"] += _SHIFT_SOCIAL * z
        top = max(logit.values())
        weight = {name: math.exp(v - top) for name, v in logit.items()}
        total = sum(weight.values())
        return {name: w / total for name, w in weight.items()}

    def side(self, axis: str, rng: random.Random) -> int:
        """+1, -1 or 0: what one sentence argues. At z = 0: half of the sentences are neutral."""
        z = self.of(axis)
        neutral = 0.5 * math.exp(-2.0 * abs(z))
        if rng.random() < neutral:
            return 0
        return 1 if rng.random() < 1 / (1 + math.exp(-_SHARPNESS * z)) else -1

    def zeal(self) -> float:
        """.002 up to a stance of 1.1, then rising with the square of the rest: .05 at 2, .22 at 3."""
        top = max((abs(z) for z in self.z.values()), default=0.0)
        return min(0.002 + 0.06 * max(0.0, top - 1.1) ** 2, 0.6)

    def topic_axis(self, rng: random.Random) -> str:
        """The axis that an opinion argues along: mostly one on which the stance says something."""
        strong = [axis for axis in AXES if abs(self.of(axis)) > 0.6]
        return rng.choice(strong) if strong and rng.random() < 0.85 else rng.choice(AXES)
