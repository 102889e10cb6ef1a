"""How large a difference must be: to be told from noise when it is seen, and to be found when it exists."""

import math
from functools import lru_cache

import numpy as np

from steerheal.statistics.levels import ALPHA, ROUNDING, tukey
from steerheal.statistics.means import Noise
from steerheal.statistics.pairs import all_pairs

# Of sweeps that find the smallest detectable difference. Aimed for under equal variances, it leaves 80% when
# they are unequal, when the errors are larger than they need be for the quieter configurations.
POWER = 0.84
DRAWS = 4000
# Numbers of seeds worth proposing.
SEED_COUNTS = (2, 3, 5, 8, 12, 20, 30, 50)


def least_significant(noise: Noise, seeds: int, configurations: int = 2, kind: str = "gain") -> float:
    """The difference of two means over `seeds` seeds below which nothing can be called real.

    `noise`: of one seed (the noise floor; paired, it is this or less); `kind`: whose rounding is the least
    error.
    """
    error = max(noise.sd * math.sqrt(2 / seeds), ROUNDING[kind])
    return tukey(configurations, noise.df) * error


def smallest_detectable(sd: float, seeds: int, configurations: int = 2) -> float | None:
    """The true difference of two of the configurations that at least 80% of sweeps find; None at one seed.

    `sd`: the standard deviation of the noise of one seed of one configuration, beyond what all share at that
    seed.
    """
    return None if seeds < 2 else sd * _unit(seeds, configurations)


@lru_cache(maxsize=256)
def _unit(seeds: int, configurations: int) -> float:
    """For noise of standard deviation 1: where the power, averaged over simulated errors, is as aimed for.

    The errors are simulated, since a pair's is the largest of three; given the error, the power is exact,
    because under normal noise means and variances are independent.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtr

    draws = np.random.default_rng(0).standard_normal((DRAWS, configurations, seeds))
    reach = all_pairs(draws, 0.0, None, ALPHA).reach[..., 0]
    spread = math.sqrt(2 / seeds)

    def lacking(difference: float) -> float:
        power = ndtr((difference - reach) / spread) + ndtr((-difference - reach) / spread)
        return float(power.mean()) - POWER

    return brentq(lacking, 0.0, 100.0 * spread, xtol=1e-4)


def seeds_to_settle(difference: float, reach: float, seeds: int, configurations: int = 2) -> int | None:
    """How many seeds are likely to tell two configurations apart by themselves, if they truly differ as seen.

    `reach`: how far the interval of `difference` reached to either side, among `configurations` at `seeds`
    seeds. None if that takes more than the largest of SEED_COUNTS.
    """
    quantile = tukey(configurations, (configurations - 1) * (seeds - 1))
    sd = reach / (quantile * math.sqrt(2 / seeds))
    return next((n for n in SEED_COUNTS if n > seeds and smallest_detectable(sd, n) <= abs(difference)), None)


def in_words(trait: Noise, coherence: Noise, seeds: int, configurations: int = 2, unit: str = "nats of trait") -> str:
    """The noise floor as one sentence: trait in its `unit`, coherence in millinats (thousandths)."""
    least = least_significant(trait, seeds, configurations, "gain")
    milli = 1000 * least_significant(coherence, seeds, configurations, "coherence")
    among = "" if configurations == 2 else f" among {configurations} configurations"
    return (
        f"differences below {least:.2g} {unit} or {milli:.2g} millinats of coherence cannot be told "
        f"from noise at {seeds} seeds{among}"
    )
