"""How sure an interval is, and the quantiles that follow.

Every interval is built at a nominal 96%. That is what keeps the promises that are made: no more than 5% of
sweeps without a real difference call one real (7% under skew), and 90% intervals of a slope cover in at least
87% of cases. Taken at face value, t intervals at 90% cover 81% under lognormal noise (sigma 0.75, 5 seeds),
and simultaneous ones at 95% err in 5% of sweeps by construction, more when variances differ (`python -m
analysis.calibrate`).
"""

import math
from functools import lru_cache

ALPHA = 0.04
# The standard error of a difference is not taken for smaller than this, in nats and in units of coherence:
# two runs of one seed differ by rounding, perhaps in the same direction in every seed. On the built-in model in
# float32, re-runs in other packs differ by 2e-7 nats and 7e-9, a floor (`means.rerun_floor`) of 1.4e-7 and 5e-9
# (analysis/EXPERIMENTS.md; `python -m analysis.rounding` measures it anew); other precisions are given more room.
ROUNDING = {"gain": 1e-4, "coherence": 1e-6}
# Differences inside these do not matter, even if they are real: nats, units of coherence, centinats per nat.
MARGIN = {"gain": 0.05, "coherence": 0.002, "slope": 0.1}


@lru_cache(maxsize=1024)
def student(df: float, alpha: float = ALPHA) -> float:
    """Two-sided quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(df, 1 - alpha / 2))


@lru_cache(maxsize=1024)
def tukey(configurations: int, df: float, alpha: float = ALPHA) -> float:
    """Standard errors that the largest of all pairs' differences exceeds with probability alpha (Tukey 1953).

    The best is picked from the same data as it is compared with, so that its largest difference is the range
    of all configurations: this quantile, not Dunnett's (whose control is fixed beforehand), is the one
    against the best.
    """
    if configurations == 2:
        return student(df, alpha)
    # Takes a second to import, which a trial's process should not pay.
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(1 - alpha, configurations, df)) / math.sqrt(2)
