"""Checks: statements about the model that can fail, as data, and how one comes out over replicates.

    [[check]]
    id = "funding-chips"
    ref = "20"                            number of the target, the stylised fact or the size
    title = "chip revenue when investors' inflow halves"
    worlds = ["drought", "base"]          of evidence/worlds.toml; the first is the treated one
    moment = "chips_against_demand"       a function of experiments.moments; `with` are its arguments
    combine = "relative"                  how the values of the worlds of one replicate become one number
    band = [-0.5, -0.2]                   size: where the mean must lie; absent ends are open
    sign = -1                             sign: the interval of the mean lies wholly on this side of `null`
    source = "FY23 bust"

`static = "name"` in place of worlds and moment is a figure that needs no run; `why_not` says why the model
cannot speak to the statement, which then is a row that is not computed.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from experiments.moments import Lacking
from experiments.worlds import read_evidence, worlds

Status = Literal["pass", "miss", "not computed"]
Section = Literal["targets", "facts", "sizes", "readings"]
SECTIONS: tuple[Section, ...] = ("targets", "facts", "sizes", "readings")
FEWEST_RIGHT = 0.5
"""Share of replicates that have to be right on their own: a mean between two wrong answers is no right one."""
Key = tuple[str, str, str]
"""World, moment and its arguments as text: one value of a run."""


class Check(BaseModel):
    """One statement about the model."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)
    id: str
    ref: str
    title: str
    unit: str = "1"
    worlds: list[str] = []
    moment: str = ""
    arguments: dict[str, Any] = Field({}, alias="with")
    combine: str = "value"
    static: str = ""
    band: list[float] = [-math.inf, math.inf]
    sign: Literal[-1, 0, 1] = 0
    null: float = 0.0
    source: str
    note: str = ""
    given: bool = False
    """A parameter, a switch or the opening decides it: a pass is no prediction."""
    guard: bool = False
    """A calibration must not break it."""
    why_not: str = ""

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if sum(map(bool, (self.worlds, self.static, self.why_not))) != 1:
            raise ValueError(f"{self.id}: give exactly one of worlds, static and why_not")
        if self.worlds and not self.moment:
            raise ValueError(f"{self.id}: worlds need a moment")
        if unknown := [each for each in self.worlds if each not in worlds()]:
            raise ValueError(f"{self.id}: no world {unknown[0]!r}")
        if not self.why_not and (len(self.band) != 2 or not self.band[0] <= self.band[1]):
            raise ValueError(f"{self.id}: a band is [low, high]")
        return self

    def needs(self) -> list[Key]:
        """Return which values of which runs it needs."""
        return [(world, self.moment, argument_text(self.arguments)) for world in self.worlds]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the scoreboard: what is expected, what was found, the verdict, the source.

    For figures over replicates: mean `value` over `n` of them, its 95 % interval, and `right`, the share of the
    replicates whose own value is in the band and on the right side.
    """

    section: str
    id: str
    ref: str
    title: str
    expected: str
    found: str
    status: Status
    source: str
    note: str = ""
    unit: str = ""
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    right: float = math.nan
    given: bool = False


def argument_text(arguments: Mapping[str, Any]) -> str:
    """Return arguments as a stable text that can be a part of a key."""
    import json

    return json.dumps(dict(arguments), sort_keys=True)


@cache
def load(section: Section) -> tuple[Check, ...]:
    """Return the checks of one file of the evidence; ValueError names what is wrong with one."""
    found = tuple(Check.model_validate(each) for each in read_evidence(f"{section}.toml")["check"])
    if len({check.id for check in found}) != len(found):
        raise ValueError(f"{section}.toml: an id comes twice")
    return found


def evaluate(check: Check, values: Mapping[Key, Sequence[Any]]) -> list[float]:
    """Return the check's number for every replicate; NaN where a run broke off or says nothing."""
    combine = combination(check.combine)
    columns = [values[key] for key in check.needs()]
    return [_number(combine, list(row)) for row in zip(*columns, strict=True)]


def lacking(check: Check, values: Mapping[Key, Sequence[Any]]) -> str:
    """Return what the scenario has not of what a check needs, "" if nothing."""
    found = (each for key in check.needs() for each in values[key] if isinstance(each, Lacking))
    return next((each.reason for each in found), "")


def combination(name: str) -> "Callable[..., float]":
    """Return a way to turn the values of several worlds into one number."""
    from experiments import combinations

    if name not in combinations.__all__:
        raise ValueError(f"no combination {name!r}; there are {', '.join(combinations.__all__)}")
    found: Callable[..., float] = getattr(combinations, name)
    return found


def judge(section: str, check: Check, numbers: Sequence[float], problem: str = "") -> Row:
    """Return the row of a check from its numbers; without any it is not computed, and `problem` says why."""
    from experiments.statistics import mean_interval

    expected = band_text(check.band) + _sign_text(check)
    why = check.why_not or problem
    if why:
        note = "; ".join(filter(None, (why, check.note)))
        return Row(section, check.id, check.ref, check.title, expected, "", "not computed", check.source, note)
    known = [x for x in numbers if math.isfinite(x)]
    silent = len(numbers) - len(known)
    note = f"{check.note} ({silent} of {len(numbers)} replicates say nothing)".strip() if silent else check.note
    if not known:
        return Row(section, check.id, check.ref, check.title, expected, "nothing", "miss", check.source, note)
    interval = mean_interval(np.array(known))
    ends = (interval.low, interval.high) if len(known) > 1 else (interval.estimate, interval.estimate)
    right = sum(_inside(check, x) and check.sign * (x - check.null) >= 0.0 for x in known) / len(numbers)
    passed = _inside(check, interval.estimate) and _on_side(check, ends) and right >= FEWEST_RIGHT
    return Row(
        section=section,
        id=check.id,
        ref=check.ref,
        title=check.title,
        expected=expected,
        found=_found_text(interval.estimate, ends),
        status="pass" if passed else "miss",
        source=check.source,
        note=note,
        unit=check.unit,
        value=interval.estimate,
        low=ends[0],
        high=ends[1],
        n=len(known),
        right=right,
        given=check.given,
    )


def band_text(band: Sequence[float]) -> str:
    """Write a band short: 0.7 to 0.78, at most 0.5, at least 1."""
    low, high = band
    if math.isinf(low) and math.isinf(high):
        return "any"
    if math.isinf(low):
        return f"at most {high:g}"
    return f"at least {low:g}" if math.isinf(high) else f"{low:g} to {high:g}"


def _sign_text(check: Check) -> str:
    return {0: "", 1: f"; above {check.null:g}", -1: f"; below {check.null:g}"}[check.sign]


def _found_text(estimate: float, ends: tuple[float, float]) -> str:
    if ends[0] == ends[1]:
        return f"{estimate:.3g}"
    return f"{estimate:.3g} ({ends[0]:.3g} to {ends[1]:.3g})"


def _inside(check: Check, x: float) -> bool:
    return check.band[0] - 1e-9 <= x <= check.band[1] + 1e-9


def _on_side(check: Check, ends: tuple[float, float]) -> bool:
    if check.sign == 0:
        return True
    return ends[0] > check.null if check.sign > 0 else ends[1] < check.null


def _number(combine: "Callable[..., float]", row: list[Any]) -> float:
    """Combine the values of one replicate; NaN where one of them is missing or nothing can be said."""
    if any(each is None or isinstance(each, Lacking) for each in row):
        return math.nan
    try:
        return float(combine(*row))
    except (ZeroDivisionError, ValueError, IndexError):
        return math.nan
