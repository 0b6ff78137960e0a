"""Damped-trend (Holt) expectations, so that a growing market is not under-ordered for ever."""

import math

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


class Trend:
    """Level and growth of one series, smoothed; forecasts with a trend that fades."""

    __slots__ = ("growth", "level", "spec")

    def __init__(self, level: float, growth: float, spec: ExpectationSpec) -> None:
        self.level = level
        self.growth = growth
        self.spec = spec

    def observe(self, value: float) -> float:
        """Take in this month's value; return the surprise, (value - expected) / expected."""
        expected = self.level * (1.0 + self.growth)
        if expected <= 0.0 or self.level <= 0.0:
            self.level = max(value, 0.0)
            return 0.0
        surprise = value / expected - 1.0
        seen = min(max(value / self.level - 1.0, -MAX_MONTHLY_GROWTH), MAX_MONTHLY_GROWTH)
        self.level = expected + self.spec.level_speed * (value - expected)
        self.growth += self.spec.trend_speed * (seen - self.growth)
        return surprise

    def forecast(self, months_ahead: float, sentiment: float = 1.0) -> float:
        """Return the level expected `months_ahead` from now: D (1 + S g) to the power phi + phi^2 + ...

        The damped multiplicative trend of Taylor (2003): an additive one under-orders for ever where levels
        grow by several per cent a month.
        """
        phi = self.spec.damping
        steps = phi * (1.0 - phi**months_ahead) / (1.0 - phi) if phi < 1.0 else months_ahead
        growth = max(1.0 + sentiment * self.growth, 0.5)
        return self.level * math.exp(steps * math.log(growth))
