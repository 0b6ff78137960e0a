"""Expectations: a damped trend (Holt), so that a growing market is not under-ordered for ever, or a moving average."""

import math
from collections import deque

from agents.bounds import at_least, between
from agents.parameters import Parameters, param

MAX_MONTHLY_GROWTH = 0.5


class ExpectationSpec(Parameters):
    """How firms forecast; the same for all of them."""

    level_speed: float = param(
        0.5, unit="1/month", source="judgement", ge=0, le=1, span=(0.3, 0.8), doc="smoothing of the level"
    )
    trend_speed: float = param(
        0.15,
        unit="1/month",
        source="judgement",
        ge=0,
        le=1,
        span=(0.05, 0.3),
        doc="smoothing of the monthly growth rate",
    )
    damping: float = param(
        0.96,
        unit="1/month",
        source="judgement",
        ge=0,
        le=1,
        span=(0.9, 0.99),
        doc="how fast an expected trend is believed to fade, per month ahead",
    )
    window: int = param(
        0,
        unit="months",
        source="Chen et al. 2000",
        ge=0,
        le=120,
        doc="with a window, expect the moving average of that many months; 0 is the damped trend",
    )


def coloured(growth: float, sentiment: float) -> float:
    """Return the growth expected in this mood: optimists see more growth and less decline, pessimists the reverse."""
    return growth * sentiment if growth > 0.0 else growth / sentiment


class Trend:
    """Level and growth of one series, smoothed; forecasts with a trend that fades (with a window: the mean of it)."""

    __slots__ = ("damping", "growth", "level", "level_speed", "seen", "trend_speed", "window")

    def __init__(self, level: float, growth: float, spec: ExpectationSpec) -> None:
        self.level = level
        self.growth = growth
        self.level_speed = spec.level_speed
        self.trend_speed = spec.trend_speed
        self.damping = spec.damping
        self.window = spec.window
        self.seen: deque[float] = deque(maxlen=spec.window)

    def observe(self, value: float) -> float:
        """Take in this month's value; return the surprise, (value - expected) / expected."""
        if self.window > 0:
            return self._average(value)
        expected = self.level * (1.0 + self.growth)
        if expected <= 0.0 or self.level <= 0.0:
            self.level = at_least(value, 0.0)
            return 0.0
        surprise = value / expected - 1.0
        seen = between(value / self.level - 1.0, -MAX_MONTHLY_GROWTH, MAX_MONTHLY_GROWTH)
        self.level = expected + self.level_speed * (value - expected)
        self.growth += self.trend_speed * (seen - self.growth)
        return surprise

    def _average(self, value: float) -> float:
        """Take `value` into the moving average; return the surprise."""
        surprise = value / self.level - 1.0 if self.level > 0.0 else 0.0
        self.seen.append(value)
        self.level, self.growth = math.fsum(self.seen) / len(self.seen), 0.0
        return surprise

    def forecast(self, months_ahead: float, sentiment: float = 1.0) -> float:
        """Return the level expected `months_ahead` from now: D (1 + g_S) to the power phi + phi^2 + ...

        g_S is the trend coloured by sentiment. The damped multiplicative trend of Taylor (2003): an additive one
        under-orders for ever where levels grow by several per cent a month.
        """
        phi = self.damping
        steps = phi * (1.0 - phi**months_ahead) / (1.0 - phi) if phi < 1.0 else months_ahead
        growth = at_least(1.0 + coloured(self.growth, sentiment), 0.5)
        return self.level * math.exp(steps * math.log(growth))
