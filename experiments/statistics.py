"""Comparisons of replicates: differences, bootstrap intervals, several comparisons at once, verdicts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from experiments.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

Verdict = Literal["supported", "refuted", "inconclusive"]
RESAMPLES = 4_999
FEWEST_FOR_BCA = 10
FEWEST_FOR_VARIANCES = 5
MOST_OUTCOMES = 1_000_000
"""More outcomes than anybody runs: a share so close to the threshold is not told from it."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its interval, `n` values behind it; `level` of such intervals hold the truth."""

    estimate: float
    low: float
    high: float
    n: int
    level: float

    @property
    def half_width(self) -> float:
        """Half the length of the interval."""
        return (self.high - self.low) / 2.0


@dataclass(frozen=True, slots=True)
class Difference:
    """A treated arm minus its control.

    `p_value` is that of no difference (t test, paired or Welch's); `variance_ratio` is the variance that an
    unpaired comparison of the same replicates would have over the paired one: the gain of common chance.
    """

    interval: Interval
    p_value: float
    variance_ratio: float

    @property
    def differs(self) -> bool:
        """Whether the interval excludes zero."""
        return self.interval.low > 0.0 or self.interval.high < 0.0


def mean_interval(values: "ArrayLike", *, level: float = 0.95, seed: int = 0) -> Interval:
    """The mean with its bias-corrected and accelerated (BCa) bootstrap interval (Efron 1987).

    Below ten values, where the bootstrap is too narrow, the interval is Student's. One value has an infinite
    interval; equal values have one without length. The order of the values does not matter.
    """
    import numpy as np

    x = np.sort(_finite(values))
    mean = float(x.mean())
    if len(x) == 1:
        return Interval(mean, -math.inf, math.inf, 1, level)
    if np.ptp(x) <= 1e-12 * abs(mean):
        return Interval(mean, mean, mean, len(x), level)
    if len(x) < FEWEST_FOR_BCA:
        half = _student(len(x) - 1, level) * float(x.std(ddof=1)) / math.sqrt(len(x))
        return Interval(mean, mean - half, mean + half, len(x), level)
    means = _resampled_means(x, seed)
    low, high = _bca_limits(x, means, level)
    return Interval(mean, low, high, len(x), level)


def share_interval(outcomes: "ArrayLike", *, level: float = 0.95) -> Interval:
    """The share of ones among outcomes that are 0 or 1, with its exact interval (Clopper and Pearson 1934).

    Outcomes that are all the same have an interval too: its length says how few they are.
    """
    from scipy.stats import binomtest

    x = _finite(outcomes)
    if not ((x == 0.0) | (x == 1.0)).all():
        raise UserError("a share is of outcomes that are 0 or 1")
    ends = binomtest(int(x.sum()), len(x)).proportion_ci(level, "exact")
    return Interval(float(x.mean()), float(ends.low), float(ends.high), len(x), level)


def paired_difference(
    treated: Mapping[int, float], control: Mapping[int, float], *, level: float = 0.95, seed: int = 0
) -> Difference:
    """Mean of treated minus control over the replicates that both have, by replicate id.

    With common random numbers the replicates of both share their chance, and most of it cancels.
    Raises UserError if no replicate is in both.
    """
    import numpy as np

    shared = sorted(set(treated) & set(control))
    if not shared:
        raise UserError("the two arms share no replicates: compare them with independent_difference")
    a = _finite([treated[replicate] for replicate in shared])
    b = _finite([control[replicate] for replicate in shared])
    differences = a - b
    interval = mean_interval(differences, level=level, seed=seed)
    if len(shared) == 1:
        return Difference(interval, 1.0, math.nan)
    spread = float(np.var(differences, ddof=1))
    unpaired = float(np.var(a, ddof=1) + np.var(b, ddof=1))
    if interval.low == interval.high:
        certain = 0.0 if interval.estimate else 1.0
        return Difference(interval, certain, math.inf if unpaired > 0.0 else math.nan)
    statistic = interval.estimate / math.sqrt(spread / len(shared))
    return Difference(interval, _two_sided(statistic, len(shared) - 1), unpaired / spread)


def variance_reduction(
    treated: "ArrayLike", control: "ArrayLike", *, level: float = 0.95, seed: int = 0
) -> Interval | None:
    """How many times the variance of a difference is larger with other replicates in each arm than with the same.

    `treated` and `control` belong to the same replicates, in the same order. Over all pairs of two different
    replicates, which share no chance, the variance of treated minus control is the sum of both variances; over
    the pairs of the same replicate it is that of the paired difference. The interval is the percentile interval of
    resampled replicates, widened like that of a mean. None where either variance is zero, or below five replicates.
    """
    import numpy as np

    a, b = _finite(treated), _finite(control)
    if len(a) != len(b):
        raise UserError("the arms of a paired comparison have the same replicates")
    order = np.lexsort((b, a))
    a, b = a[order], b[order]

    def ratios(x: "NDArray[np.float64]", y: "NDArray[np.float64]") -> "NDArray[np.float64]":
        with np.errstate(divide="ignore", invalid="ignore"):
            found: NDArray[np.float64] = (x.var(axis=-1) + y.var(axis=-1)) / (x - y).var(axis=-1)
        return found

    scale = float(np.abs(a).max() + np.abs(b).max())
    if len(a) < FEWEST_FOR_VARIANCES or min(np.ptp(a - b), max(np.ptp(a), np.ptp(b))) <= 1e-12 * scale:
        return None
    rows = np.random.default_rng(seed).integers(0, len(a), (RESAMPLES, len(a)))
    resampled = ratios(a[rows], b[rows])
    tail = _expanded_tail(level, len(a) - 1, len(a))
    low, high = np.quantile(resampled[np.isfinite(resampled)], [tail, 1.0 - tail]).tolist()
    return Interval(float(ratios(a, b)), low, high, len(a), level)


def independent_difference(
    treated: "ArrayLike", control: "ArrayLike", *, level: float = 0.95, seed: int = 0
) -> Difference:
    """Mean of treated minus mean of control for arms without common replicates.

    The interval is the percentile interval of means resampled within each arm, widened for small arms by
    Student's quantile over the normal one (Hesterberg 2015); the p value is Welch's.
    """
    import numpy as np

    a, b = np.sort(_finite(treated)), np.sort(_finite(control))
    if min(len(a), len(b)) < 2:
        raise UserError("an arm of a comparison needs at least two replicates")
    estimate = float(a.mean() - b.mean())
    parts = float(a.var(ddof=1)) / len(a), float(b.var(ddof=1)) / len(b)
    n = min(len(a), len(b))
    if sum(parts) == 0.0:
        return Difference(Interval(estimate, estimate, estimate, n, level), float(estimate == 0.0), 1.0)
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (len(a) - 1) + parts[1] ** 2 / (len(b) - 1))
    differences = _resampled_means(a, seed) - _resampled_means(b, seed + 1)
    tail = _expanded_tail(level, freedom, n)
    low, high = np.quantile(differences, [tail, 1.0 - tail]).tolist()
    p_value = _two_sided(estimate / math.sqrt(sum(parts)), freedom)
    return Difference(Interval(estimate, low, high, n, level), p_value, 1.0)


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted so that one false alarm among all of them is as rare as claimed (Holm 1979)."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def replicates_needed(values: "ArrayLike", half_width: float, *, level: float = 0.95) -> int:
    """How many replicates in all bring the mean's interval to a half width, by the spread seen so far."""
    x = _finite(values)
    if half_width <= 0.0:
        raise UserError("the half width must be above zero")
    if len(x) < 2:
        raise UserError("the spread of one replicate is unknown: run at least two")
    spread = float(x.std(ddof=1))
    low, high = 1, 2
    while _student(high - 1, level) * spread / math.sqrt(high) > half_width:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if _student(middle - 1, level) * spread / math.sqrt(middle) > half_width:
            low = middle
        else:
            high = middle
    return high


def outcomes_needed(share: float, threshold: float, *, level: float = 0.95) -> int:
    """How many outcomes in all tell a share from a threshold if it stays as seen; 0 where it is at the threshold."""
    if share == threshold:
        return 0
    low, high = 0, 1
    while not _told_apart(share, threshold, high, level):
        low, high = high, 2 * high
        if high > MOST_OUTCOMES:
            return MOST_OUTCOMES
    while high - low > 1:
        middle = (low + high) // 2
        if _told_apart(share, threshold, middle, level):
            high = middle
        else:
            low = middle
    return high


def fewest_unanimous(threshold: float, *, level: float = 0.95) -> int:
    """How many outcomes decide on a threshold between 0 and 1 where all of them are the same, whichever way."""
    if not 0.0 < threshold < 1.0:
        return 1
    return max(outcomes_needed(share, threshold, level=level) for share in (0.0, 1.0))


def _told_apart(share: float, threshold: float, n: int, level: float) -> bool:
    """Whether the exact interval of a share of `n` outcomes excludes a threshold."""
    from scipy.special import betaincinv

    tail, ones = (1.0 - level) / 2.0, share * n
    if share > threshold:
        return float(betaincinv(ones, n - ones + 1.0, tail)) > threshold
    return float(betaincinv(ones + 1.0, n - ones, 1.0 - tail)) < threshold


def verdict(interval: Interval, threshold: float, direction: Literal["above", "below"] = "above") -> Verdict:
    """What an interval says of the claim that the effect lies above (below) a threshold.

    Supported if it lies wholly beyond the threshold, refuted if wholly short of it, else inconclusive.
    """
    beyond = interval.low > threshold if direction == "above" else interval.high < threshold
    short = interval.high < threshold if direction == "above" else interval.low > threshold
    return "supported" if beyond else "refuted" if short else "inconclusive"


def _finite(values: "ArrayLike") -> "NDArray[np.float64]":
    import numpy as np

    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not len(x):
        raise UserError("replicates must be a list of at least one number")
    if not np.isfinite(x).all():
        raise UserError("a replicate's outcome is not a finite number: leave it out or choose another outcome")
    return x


def _resampled_means(x: "NDArray[np.float64]", seed: int) -> "NDArray[np.float64]":
    """Means of resamples with replacement, shape (RESAMPLES,)."""
    import numpy as np

    rng = np.random.default_rng(seed)
    block = max(1, 2_000_000 // len(x))
    sizes = [min(block, RESAMPLES - start) for start in range(0, RESAMPLES, block)]
    return np.concatenate([x[rng.integers(0, len(x), (size, len(x)))].mean(axis=1) for size in sizes])


def _bca_limits(x: "NDArray[np.float64]", means: "NDArray[np.float64]", level: float) -> tuple[float, float]:
    """BCa limits of the mean, whose acceleration is its skewness over six (Efron and Tibshirani 1993)."""
    import numpy as np
    from scipy.special import ndtr, ndtri

    centred = x - x.mean()
    acceleration = float((centred**3).sum() / (6.0 * (centred**2).sum() ** 1.5))
    below = float((means < x.mean()).mean() + 0.5 * (means == x.mean()).mean())
    bias = float(ndtri(min(max(below, 1.0 / len(means)), 1.0 - 1.0 / len(means))))
    tail = _expanded_tail(level, len(x) - 1, len(x))
    z = bias + ndtri(np.array([tail, 1.0 - tail]))
    limits = np.quantile(means, ndtr(bias + z / (1.0 - acceleration * z)))
    return float(limits[0]), float(limits[1])


def _expanded_tail(level: float, freedom: float, n: int) -> float:
    """The tail that makes a bootstrap of `n` values as wide as Student's interval (Hesterberg 2015)."""
    from scipy.special import ndtr

    return float(ndtr(-math.sqrt(n / (n - 1)) * _student(freedom, level)))


def _student(freedom: float, level: float) -> float:
    """Student's two-sided quantile."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + level / 2.0))


def _two_sided(statistic: float, freedom: float) -> float:
    """P value of a t statistic."""
    from scipy.special import stdtr

    return float(2.0 * stdtr(freedom, -abs(statistic)))
