"""Numbers as people read them: money, shares, prices and counts, a dash where there is none."""

import math

NOTHING = "–"
_STEPS = ((1e12, "tn"), (1e9, "bn"), (1e6, "m"), (1e3, "k"))


def money(value: float) -> str:
    """Return dollars with three digits, such as $1.36bn."""
    if not math.isfinite(value):
        return NOTHING
    sign = "-" if value < 0.0 else ""
    return f"{sign}${count(abs(value))}"


def count(value: float) -> str:
    """Return a number with three digits and k, m, bn or tn."""
    if not math.isfinite(value):
        return NOTHING
    for step, name in _STEPS:
        if abs(value) >= 0.9995 * step:
            return f"{digits(value / step)}{name}"
    return digits(value)


def digits(value: float) -> str:
    """Return a number with three digits, without an exponent unless it is very small."""
    if not math.isfinite(value):
        return NOTHING
    if value == 0.0:
        return "0"
    if abs(value) < 1e-4:
        return f"{value:.1e}"
    places = max(2 - math.floor(math.log10(abs(value)) + 1e-9), 0)
    return f"{value:.{places}f}"


def percent(value: float) -> str:
    """Return a share in per cent."""
    return f"{_rounded(100.0 * value)} %" if math.isfinite(value) else NOTHING


def cents(value: float) -> str:
    """Return cents with one digit behind the point."""
    return f"{value:.1f} ¢" if math.isfinite(value) else NOTHING


def factor(value: float) -> str:
    """Return a yearly factor in a table: ÷ 5.99, x 1.80 or -14 %."""
    if not math.isfinite(value) or value <= 0.0:
        return NOTHING
    if value < 0.67:
        return f"÷ {digits(1.0 / value)}"
    return f"x {digits(value)}" if value > 1.5 else f"{100.0 * (value - 1.0):+.0f} %"


def fall(value: float) -> str:
    """Say what a yearly factor means: falls 5.7-fold a year, rises 12 % a year."""
    if not math.isfinite(value) or value <= 0.0:
        return NOTHING
    if value < 0.67:
        return f"falls {digits(1.0 / value)}-fold a year"
    if value > 1.5:
        return f"rises {digits(value)}-fold a year"
    change = round(100.0 * (value - 1.0))
    return "does not change" if change == 0 else f"{'rises' if change > 0 else 'falls'} {abs(change)} % a year"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it is not one: 1 run, 3 runs."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(words: "list[str]") -> str:
    """Join words as in a sentence."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else "none"


def _rounded(value: float) -> str:
    return f"{value:.1f}" if abs(value) < 9.95 else f"{value:.0f}"
