"""A stand-in for the model: a scenario of a few numbers, and runs that take no time unless asked to."""

import json
import os
import signal
import time
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

RUNNER = "tests.experiments.fake_runs:outcomes"
OTHER_RUNNER = "tests.experiments.fake_runs:other_outcomes"
SPANS = {"demand.elasticity": (0.5, 2.0)}


@dataclass(frozen=True)
class Row:
    path: str
    value: object
    span: tuple[float, float] | None
    role: str


class FakeSpec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = "fake"
    months: int = 12
    seed: int = 7
    values: dict[str, Any] = {
        "app.price": 20.0,
        "app.free": True,
        "app.kind": "search",
        "demand.elasticity": 1.0,
        "demand.delay": 3,
        "trouble.pause": 0.0,
        "trouble.kind": "none",
    }

    def with_overrides(self, overrides: dict[str, object]) -> Self:
        for path, value in overrides.items():
            if path not in self.values:
                raise ValueError(f"unknown parameter {path}; nearest is app.price")
            if path == "app.price" and isinstance(value, float) and value < 0:
                raise ValueError("app.price must not be negative")
        return self.model_copy(update={"values": {**self.values, **overrides}})

    def canonical_json(self) -> str:
        return json.dumps(self.model_dump(), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, origin: str) -> Self:
        return cls.model_validate_json(text)

    def parameters(self) -> list[Row]:
        roles = {"app": "lever", "demand": "uncertainty", "trouble": "switch"}
        return [Row(k, v, SPANS.get(k), roles[k.split(".")[0]]) for k, v in self.values.items()]


def outcomes(
    spec: FakeSpec, *, seed: int | None = None, replicate: int = 0, months: int | None = None
) -> dict[str, float]:
    time.sleep(float(os.environ.get("FAKE_PAUSE", "0")))
    _make_trouble(spec.values["trouble.kind"])
    price, elasticity = spec.values["app.price"], spec.values["demand.elasticity"]
    noise = np.random.default_rng([seed or spec.seed, replicate]).random((20, 20))
    users = price**-elasticity * (months or spec.months)
    profit = users * price + float(np.linalg.inv(noise @ noise.T + np.eye(20)).sum())
    return {"profit": profit, "users": users, "chance": float(noise[0, 0]), "missing": float("nan")}


def other_outcomes(spec: FakeSpec, **_: object) -> dict[str, float]:
    return {"profit": spec.values["app.price"]}


def ishigami(spec: FakeSpec, **_: object) -> dict[str, float]:
    x, y, z = (spec.values[path] for path in ("app.price", "demand.elasticity", "trouble.pause"))
    return {"f": float(np.sin(x) + 7 * np.sin(y) ** 2 + 0.1 * z**4 * np.sin(x))}


def _make_trouble(kind: str) -> None:
    if kind == "raise":
        raise ZeroDivisionError("asked for")
    if kind == "exit":
        raise SystemExit(3)
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "stop the sweep":
        raise KeyboardInterrupt
