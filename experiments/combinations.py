"""Ways to turn the values of several worlds of one replicate into one number; the first world is the treated one."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ad_response_ratio",
    "break_even_ratio",
    "crossing",
    "difference",
    "difference_of_falls",
    "elasticity",
    "excess_fall",
    "half_life",
    "integrated_above",
    "integrated_below",
    "interior",
    "kept_after_pulse",
    "left_of",
    "log_gain",
    "months_to_eighty",
    "months_to_follow",
    "months_to_recover",
    "optimum",
    "optimum_ratio",
    "path_order",
    "pulse_spike",
    "ratio",
    "relative",
    "slope_high",
    "slope_low",
    "threshold_ratio",
    "threshold_shift",
    "value",
]
Paths = Sequence[float]
Floats = NDArray[np.float64]


def value(x: float) -> float:
    """Return the value of the only world."""
    return x


def difference(treated: float, control: float) -> float:
    """Return treated minus control."""
    return treated - control


def ratio(treated: float, control: float) -> float:
    """Return treated over control."""
    return treated / control


def relative(treated: float, control: float) -> float:
    """Return treated over control, less one."""
    return treated / control - 1.0


def left_of(plain: float, equal: float) -> float:
    """Return the part of what is seen in the plain world that is left in the other."""
    return equal / plain


def difference_of_falls(treated: float, control: float, other_treated: float, other_control: float) -> float:
    """Return the relative change in one pair of worlds less that in another pair."""
    return treated / control - other_treated / other_control


def elasticity(treated: Paths, control: Paths) -> float:
    """Return the log change of a volume over that of its price, each value (volume, price)."""
    return math.log(treated[0] / control[0]) / math.log(treated[1] / control[1])


def excess_fall(treated: Paths, control: Paths) -> float:
    """Return by how much more the first of two values falls than the second, as shares of the control."""
    return (1.0 - treated[0] / control[0]) - (1.0 - treated[1] / control[1])


# --- paths -------------------------------------------------------------------------------------------------------

EVENT = 6
"""Month of the event in all worlds whose paths are compared."""


def _gain(treated: Paths, control: Paths) -> Floats:
    """Return treated minus control, in the months that both have."""
    months = min(len(treated), len(control))
    found: Floats = np.array(treated[:months]) - np.array(control[:months])
    return found


def months_to_follow(treated: Paths, control: Paths) -> float:
    """Return the months from the event until log prices have fallen by half of their largest fall; 99 if below 5 %."""
    fall = -_gain(treated, control)[EVENT:]
    if fall.max() < 0.05:
        return 99.0
    return float(np.flatnonzero(fall >= 0.5 * fall.max())[0])


def months_to_recover(treated: Paths, control: Paths, within: float = 0.05) -> float:
    """Return the months from the lowest quarter until quarterly margins are near those of the control; 99 if never."""
    gap = -_gain(treated, control)
    if gap.max() <= within:
        return 0.0
    lowest = int(np.argmin(treated))
    back = np.flatnonzero(gap[lowest:] <= within)
    return 3.0 * float(back[0]) if len(back) else 99.0


def ad_response_ratio(treated: Paths, control: Paths) -> float:
    """Return the log response of use twelve months after the event over that of the first month."""
    change = _gain(np.log(treated).tolist(), np.log(control).tolist())
    return float(change[EVENT + 12] / change[EVENT])


def pulse_spike(treated: Paths, control: Paths) -> float:
    """Return the highest use after the event over that of the month before it."""
    return max(treated[EVENT:]) / treated[EVENT - 1]


def kept_after_pulse(treated: Paths, control: Paths) -> float:
    """Return the share of the gain at its peak that is lost two months later."""
    gain = _gain(treated, control)
    top = int(gain[EVENT:].argmax()) + EVENT
    return float(1.0 - gain[top + 2] / gain[top])


def _release(treated: Paths, control: Paths) -> Floats:
    gain = _gain(treated, control)[EVENT:]
    if gain.max() <= 1e-4:
        raise ValueError("the release gains nothing")
    return gain


def months_to_eighty(treated: Paths, control: Paths) -> float:
    """Return the months from a release until its gain in share is at 80 % of the largest gain."""
    gain = _release(treated, control)
    return float(np.flatnonzero(gain >= 0.8 * gain.max())[0] + 1)


def half_life(treated: Paths, control: Paths) -> float:
    """Return the months from the largest gain in share until half of it is gone; 99 if it does not go."""
    gain = _release(treated, control)
    after = gain[int(gain.argmax()) :]
    gone = np.flatnonzero(after <= 0.5 * gain.max())
    return float(gone[0]) if len(gone) else 99.0


def path_order(treated: Sequence[Paths], control: Sequence[Paths]) -> float:
    """Return 1 where paths first fall by 2 % in the order in which they are given, else 0."""
    firsts = []
    for with_it, without in zip(treated, control, strict=True):
        fallen = np.flatnonzero(np.array(with_it) < 0.98 * np.array(without))
        firsts.append(float(fallen[0]) if len(fallen) else math.inf)
    return float(math.isfinite(firsts[-1]) and firsts == sorted(firsts))


# --- sweeps ------------------------------------------------------------------------------------------------------


def log_gain(treated: float, control: float) -> float:
    """Return the decimal logarithm of treated over control."""
    return math.log10(treated / control)


ELASTICITIES = (0.6, 0.8, 1.0, 1.2, 1.4)


def crossing(*worlds: float) -> float:
    """Return the elasticity at which a saving leaves compute as it was; worlds: (treated, control) by elasticity."""
    gains = [math.log(a / b) for a, b in zip(worlds[::2], worlds[1::2], strict=True)]
    for i in range(1, len(gains)):
        if gains[i - 1] < 0.0 <= gains[i]:
            step = -gains[i - 1] / (gains[i] - gains[i - 1])
            return ELASTICITIES[i - 1] + step * (ELASTICITIES[i] - ELASTICITIES[i - 1])
    raise ValueError("the gain does not change its sign")


LOADS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)


def _profits(worlds: Sequence[float]) -> Floats:
    if len(worlds) != len(LOADS):
        raise ValueError("a world a load is needed")
    return np.array(worlds)


def interior(*worlds: float) -> float:
    """Return 1 where profit is highest at neither end of the swept ad loads, else 0."""
    return float(0 < int(_profits(worlds).argmax()) < len(LOADS) - 1)


def optimum(*worlds: float) -> float:
    """Return the ad load of the highest profit, by a parabola in log load through the best three."""
    profits = _profits(worlds)
    best = int(profits.argmax())
    if not 0 < best < len(LOADS) - 1:
        return LOADS[best]
    low, top, high = profits[best - 1 : best + 2].tolist()
    shift = 0.5 * (low - high) / (low - 2.0 * top + high)
    return float(LOADS[best] * 2.0**shift)


def optimum_ratio(*worlds: float) -> float:
    """Return the optimal load of the first half of the worlds over that of the second half."""
    half = len(worlds) // 2
    return optimum(*worlds[:half]) / optimum(*worlds[half:])


# --- more users --------------------------------------------------------------------------------------------------


def _points(worlds: Sequence[Paths]) -> list[tuple[float, float, float]]:
    """Return (paid share, contribution, break-even share) of the users added, one for each pair of worlds."""
    found = []
    for more, fewer in zip(worlds[::2], worlds[1::2], strict=True):
        users, payers, contribution = (more[i] - fewer[i] for i in range(3))
        found.append((payers / users, contribution / users, fewer[3]))
    return sorted(found)


def slope_low(*worlds: Paths) -> float:
    """Return what an added user brings where the fewest pay, USD a month."""
    return _points(worlds)[0][1]


def slope_high(*worlds: Paths) -> float:
    """Return what an added user brings where the most pay, USD a month."""
    return _points(worlds)[-1][1]


def break_even_ratio(*worlds: Paths) -> float:
    """Return the paid share at which an added user brings nothing, over the one that unit costs imply."""
    points = _points(worlds)
    for before, after in itertools.pairwise(points):
        if before[1] < 0.0 <= after[1]:
            step = -before[1] / (after[1] - before[1])
            share = before[0] + step * (after[0] - before[0])
            return share / (before[2] + step * (after[2] - before[2]))
    raise ValueError("added users bring no loss, or no profit, at any paid share")


# --- make or buy -------------------------------------------------------------------------------------------------


def _found_threshold(apps: Sequence[Paths]) -> float:
    """Return the volume between the largest app that buys below all that make, and the smallest that makes."""
    making = [app[0] for app in apps if app[2] > 0.5]
    if not making:
        raise ValueError("nobody integrates")
    smallest = min(making)
    buying = [app[0] for app in apps if app[2] < 0.5 and app[0] < smallest]
    return math.sqrt(max(buying) * smallest) if buying else smallest


def threshold_ratio(apps: Sequence[Paths], computed: float) -> float:
    """Return the volume at which apps begin to self-host over the computed one."""
    return _found_threshold(apps) / computed


def threshold_shift(treated: Sequence[Paths], control: Sequence[Paths]) -> float:
    """Return the threshold of the treated world over that of the control."""
    return _found_threshold(treated) / _found_threshold(control)


def integrated_above(treated: Sequence[Paths], control: Sequence[Paths], large: float = 7e7) -> float:
    """Return by how much the share of large buyers (queries a month) that integrate rises."""
    return _integrated(treated, large, above=True) - _integrated(control, large, above=True)


def integrated_below(treated: Sequence[Paths], control: Sequence[Paths], small: float = 7e7) -> float:
    """Return by how much the share of small buyers (queries a month) that integrate rises."""
    return _integrated(treated, small, above=False) - _integrated(control, small, above=False)


def _integrated(apps: Sequence[Paths], size: float, *, above: bool) -> float:
    chosen = [app[2] for app in apps if (app[1] >= size) == above]
    return float(np.mean(chosen)) if chosen else math.nan
