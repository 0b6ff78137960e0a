"""The mathematics of consumer taste: strata, nested logit, inertia, quotas, adoption, draws.

Shapes: R rows (taste strata, one per consumer slot), O options (tiers of apps), A apps. All arrays are
float64. Arrays with a row per stratum lie column by column in memory (numpy's order F) where a month handles
many of them: what is the same for all rows or all columns then meets long contiguous columns.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Matrix = Any
"""An `Array`, or a sparse one of scipy."""

MOST_DENSE = 50
"""Columns beyond which a matrix of ones and zeros is kept sparse, so that the work grows with the ones in it."""
_TINY = 1e-300
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(24)


@dataclass(frozen=True, slots=True)
class WtpMixture:
    """WTP as a mixture of log-normal classes: share of people, median in $/month, sigma of the log."""

    shares: tuple[float, ...]
    medians: tuple[float, ...]
    sigmas: tuple[float, ...]

    def density(self, log_wtp: Array) -> Array:
        """Return the density of ln WTP."""
        scores = [(log_wtp - math.log(m)) / s for m, s in zip(self.medians, self.sigmas, strict=True)]
        terms = zip(self.shares, scores, self.sigmas, strict=True)
        return np.asarray(sum(w * np.exp(-0.5 * z * z) / (s * math.sqrt(2 * math.pi)) for w, z, s in terms))

    def cumulative(self, log_wtp: Array) -> Array:
        """Return the share of people whose ln WTP is below `log_wtp`."""
        terms = zip(self.shares, self.medians, self.sigmas, strict=True)
        return np.asarray(sum(w * ndtr((log_wtp - math.log(m)) / s) for w, m, s in terms))

    def log_quantile(self, rank: float) -> float:
        """Return ln WTP at a rank in (0, 1), by bisection."""
        reach = 12.0 * max(self.sigmas)
        low, high = math.log(min(self.medians)) - reach, math.log(max(self.medians)) + reach
        for _ in range(80):
            middle = 0.5 * (low + high)
            below = float(self.cumulative(np.array([middle]))[0]) < rank
            low, high = (middle, high) if below else (low, middle)
        return 0.5 * (low + high)


@dataclass(frozen=True, slots=True)
class Strata:
    """Cells of taste; each array has one entry per cell.

    people: share of all people, sums to 1. wtp: $/month for a tier of value 1 (geometric mean of the cell).
    usage: mean queries a month at full appetite. ad_dislike: loss of value per unit of ad exposure, as a
    share of WTP. usage_bin: index into `usage_edges`, the ranks (0 to 1) between which the cell's usage lies.
    """

    people: Array
    wtp: Array
    usage: Array
    ad_dislike: Array
    usage_bin: Index
    usage_edges: Array


def tail_edges(count: int, tail: float) -> Array:
    """Return `count` + 1 ranks from 0 to 1, finer towards 1; the last cell holds the share `tail`."""
    if count == 1:
        return np.array([0.0, 1.0])
    inner = 1.0 - tail ** (np.arange(count) / (count - 1))
    return np.append(inner, 1.0)


def lognormal_bin_means(edges: Array, median: float, sigma: float) -> Array:
    """Return the mean of a log-normal variable between each two ranks of `edges`."""
    mean = median * math.exp(0.5 * sigma * sigma)
    return np.asarray(mean * np.diff(ndtr(ndtri(edges) - sigma)) / np.diff(edges))


@lru_cache(maxsize=64)
def build_strata(
    wtp: WtpMixture,
    usage: tuple[float, float],
    correlation: float,
    ad_dislike: tuple[float, float],
    counts: tuple[int, int, int],
) -> Strata:
    """Cut the joint distribution of (WTP, usage, ad dislike) into cells.

    `usage` and `ad_dislike` are (median, sigma) of log-normals; `correlation` is that of a Gaussian copula
    between usage and WTP; `counts` are the numbers of WTP, usage and ad-dislike cells. WTP cells are equally
    wide in ln WTP (the logit in price is a function of price / WTP), usage and dislike cells are finer in the
    upper tail. Masses and usage means are integrals over the cells, so that the marginal of usage is exact at
    any number of cells. Remembered: most runs of a sweep share their tastes.
    """
    lowest = wtp.log_quantile(min(0.5, 6.0 / counts[0]))
    inner = np.linspace(lowest, wtp.log_quantile(0.9999), max(counts[0] - 1, 1))[: counts[0] - 1]
    edges = np.concatenate([[wtp.log_quantile(1e-10)], inner, [wtp.log_quantile(1 - 1e-10)]])
    half = 0.5 * np.diff(edges)[:, None]
    nodes = edges[:-1, None] + half * (_NODES + 1.0)
    weight = half * _NODE_WEIGHTS * wtp.density(nodes)
    score = ndtri(np.clip(wtp.cumulative(nodes), 1e-14, 1 - 1e-14))

    usage_edges = tail_edges(counts[1], 0.01)
    spread = math.sqrt(1.0 - correlation * correlation)
    cut = (ndtri(usage_edges) - correlation * score[..., None]) / spread
    mass = np.einsum("wn,wnu->wu", weight, np.diff(ndtr(cut)))
    log_wtp = np.einsum("wn,wn,wnu->wu", weight, nodes, np.diff(ndtr(cut))) / mass
    tilt = usage[0] * np.exp(usage[1] * correlation * score + 0.5 * (usage[1] * spread) ** 2)
    amount = np.einsum("wn,wn,wnu->wu", weight, tilt, np.diff(ndtr(cut - usage[1] * spread)))

    ad_edges = tail_edges(counts[2], 0.1)
    shape = (*mass.shape, counts[2])
    spread_out = [np.broadcast_to(a[..., None], shape).ravel() for a in (log_wtp, amount / mass)]
    return Strata(
        people=(mass[..., None] * np.diff(ad_edges)).ravel() / mass.sum(),
        wtp=np.exp(spread_out[0]),
        usage=spread_out[1].copy(),
        ad_dislike=np.broadcast_to(lognormal_bin_means(ad_edges, *ad_dislike), shape).ravel(),
        usage_bin=np.broadcast_to(np.arange(counts[1])[:, None], shape).ravel(),
        usage_edges=usage_edges,
    )


def membership(app: Index, apps: int | None = None) -> Matrix:
    """Return the (A, O) matrix that is 1 where the option belongs to the app; nowhere for an `app` of -1.

    There are as many apps as are named, unless `apps` says how many. Read-only, for it is remembered.
    """
    return _membership(app.tobytes(), apps)


@lru_cache(maxsize=256)
def _membership(app: bytes, apps: int | None) -> Matrix:
    columns = np.frombuffer(app, dtype=np.intp)
    rows = int(columns.max()) + 1 if apps is None else apps
    if rows > MOST_DENSE:
        from scipy.sparse import csr_array  # slow to import, and small markets do without

        some = (columns >= 0).nonzero()[0]
        return csr_array((np.ones(len(some)), (some, columns[some])), shape=(len(columns), rows)).T
    matrix = np.vstack([np.eye(rows), np.zeros(rows)])[columns]
    matrix.flags.writeable = False
    return matrix.T


def by_column(amounts: Array, into: Matrix) -> Array:
    """Return amounts (..., C) added up by the matrix `into` (D, C) to (..., D), column by column in memory."""
    return np.asarray((into @ amounts.T).T)


def of_options(amounts: Array, app: Index) -> Array:
    """Return amounts by app (R, A) for each option (R, O), column by column in memory."""
    return amounts.T.take(app, axis=0).T


def total_of_rows(amounts: Array) -> Array:
    """Return (..., R, C) summed over the rows (..., C): a product with ones, faster than numpy's own sum."""
    return _ones(amounts.shape[-2]) @ amounts


def total_of_columns(amounts: Array) -> Array:
    """Return (R, C) summed over the columns (R,)."""
    return amounts @ _ones(amounts.shape[-1])


@lru_cache(maxsize=64)
def _ones(size: int) -> Array:
    ones = np.ones(size)
    ones.flags.writeable = False
    return ones


def nested_logit_shares(
    v: Array,
    app_of_option: Index,
    lambda_tier: float,
    lambda_app: float,
    outside: Array | float = 0.0,
    available: Array | float = 1.0,
) -> tuple[Array, Array]:
    """Return choice probabilities of the nested logit: tiers inside apps inside {any app, none}.

    `v` (R, O) are utilities in units of the top level; 0 < lambda_tier <= lambda_app <= 1, all 1 is the plain
    logit (McFadden 1978). `outside` is the utility of none, `available` (O,) the share of people to whom the
    option is open. Returns shares (R, O + 1), the last column none, and the expected maximum utility (R,).
    """
    in_app = membership(app_of_option)
    top = np.maximum.reduce(v, axis=1, keepdims=True)
    tier = v - top
    tier *= 1.0 / lambda_tier
    np.exp(tier, out=tier)
    tier *= available
    tier_sum = by_column(tier, in_app)
    tier_sum += _TINY
    app_weight = np.log(tier_sum)
    app_weight *= lambda_tier / lambda_app
    np.exp(app_weight, out=app_weight)
    app_sum = total_of_columns(app_weight)[:, None]
    any_app = top + lambda_app * np.log(app_sum)
    none = 1.0 / (1.0 + np.exp(np.minimum(any_app - outside, 700.0)))
    some = 1.0 / (1.0 + np.exp(np.minimum(outside - any_app, 700.0)))
    shares = np.empty((len(v), v.shape[1] + 1), order="F")
    app_weight *= some / app_sum
    app_weight /= tier_sum
    np.multiply(tier, of_options(app_weight, app_of_option), out=shares[:, :-1])
    shares[:, -1] = none[:, 0]
    return shares, (outside - np.log(np.maximum(none, _TINY)))[:, 0]


def leaving_propensity(share: Array, switching_cost: float, out: Array | None = None) -> Array:
    """Return theta, the chance that a reviewing consumer gives up an option whose choice probability is
    `share`.

    theta = e^-c / (q + (1 - q) e^-c). Followed by a redraw from q in which the old option may be drawn again,
    a plain logit gives exactly the switching-cost logit: staying has probability e^v / (e^v + e^-c sum of
    others).
    """
    friction = math.exp(-switching_cost)
    chance = np.multiply(1.0 - friction, share, out=out)
    chance += friction
    return np.divide(friction, chance, out=chance)


def bass_step(adopted: float, innovation: float, imitation: float) -> float:
    """Return the adopted share one month on: the exact solution of dA/dt = (p + q A)(1 - A) (Bass 1969)."""
    drive = innovation + imitation * adopted
    if drive <= 0.0:
        return adopted
    left = (1.0 - adopted) / drive * math.exp(-(innovation + imitation))
    return (1.0 - innovation * left) / (1.0 + imitation * left)


def quota_use(usage: Array, quota: Array, variation: float) -> tuple[Array, Array]:
    """Return the expected served share of appetite and the chance of hitting the quota, both (R, O).

    A consumer's use in one month is log-normal with mean `usage` (R,) and sigma `variation`; `quota` (O,) is
    in queries a month, infinity for none. The served share is E[min(X, quota)] / E[X].
    """
    with np.errstate(divide="ignore"):
        room = np.log(quota) - np.log(usage)[:, None]
    ratio = np.exp(np.minimum(room, 700.0))
    hit = ndtr((-room - 0.5 * variation * variation) / variation)
    served = ndtr((room - 0.5 * variation * variation) / variation) + np.where(hit > 0, ratio * hit, 0.0)
    return np.minimum(served, 1.0), hit


def metered_share(base: Array, worth: Array, cost: Array, curvature: float) -> Array:
    """Return the share of appetite a metered consumer buys: up to where marginal value meets the price.

    Value is worth * x^curvature, cost per unit of x is `cost` ($/month for the whole appetite), and `base` is
    the share that the quota covers already. Result lies in [base, 1].
    """
    best = (curvature * worth / np.maximum(cost, _TINY)) ** (1.0 / (1.0 - curvature))
    return np.minimum(np.maximum(best, base), 1.0)


def draw_binomial(rng: np.random.Generator | None, people: Array, chance: Array | float) -> Array:
    """Return how many of `people` an event happens to; the expectation when `rng` is None.

    `chance`: one for each entry of `people`, or one for all.
    """
    if rng is None:
        return people * chance
    cells = people.ravel()
    some = cells.nonzero()[0]
    chances = chance.ravel()[some] if isinstance(chance, np.ndarray) else chance
    drawn = np.zeros(len(cells))
    drawn[some] = rng.binomial(cells[some].astype(np.int64), chances)
    return np.asfortranarray(drawn.reshape(people.shape))


def draw_multinomial(rng: np.random.Generator | None, people: Array, shares: Array) -> Array:
    """Return `people` (R,) spread over the columns of `shares`, (R, C) or (C,); the expectation when `rng` is None."""
    if rng is None:
        return np.multiply(people[:, None], shares, order="F")
    return rng.multinomial(people.astype(np.int64), shares).astype(np.float64, order="F")


def whole_people(expected: Array) -> Array:
    """Round to whole people with the total kept (largest remainders)."""
    whole = np.floor(expected)
    missing = round(float(expected.sum() - whole.sum()))
    order = np.argsort(whole - expected, kind="stable")
    whole[order[:missing]] += 1.0
    return whole


def usage_overlap(bin_edges: Array, band_edges: Array, sigma: float) -> tuple[Array, Array]:
    """Return the shares of each usage bin's people and usage that fall in each band of ranks, both (U, B)."""

    def overlap(cumulative: Array, bands: Array) -> Array:
        low = np.maximum(cumulative[:-1, None], bands[:-1])
        high = np.minimum(cumulative[1:, None], bands[1:])
        return np.asarray(np.maximum(high - low, 0.0) / np.diff(cumulative)[:, None])

    usage_bins, usage_bands = (ndtr(ndtri(edges) - sigma) for edges in (bin_edges, band_edges))
    return overlap(bin_edges, band_edges), overlap(usage_bins, usage_bands)
