"""The search of a calibration, kept in a journal: least squares where the start is good, CMA-ES where it is not.

What is searched for is the mode of the posterior: the smallest distance to the targets together with that to the prior.

Most targets see few parameters, so that least squares on the deviations (Gauss-Newton inside the ranges) soon reaches
the bottom of the valley it starts in; CMA-ES from several starts, helped by a surrogate of the moments, looks for a
better valley, whose bottom least squares then finds.

All of it is deterministic, and an evaluation that the journal holds is not simulated again: a search that was stopped
runs through what it knows and goes on.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from experiments.calibration import Distance, Free, Gain, guards, moments, targets
from experiments.errors import RunFailure, UserError

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]
FIRST_SHARE, LAST_SHARE = 0.3, 0.25
"""Shares of the budget for least squares from the shipped values, and from the best of the search."""
STEP = 0.05
"""Step of its derivatives, as a share of a range: wide against the noise that common chance leaves."""
DESIGN_SHARE = 0.15
"""Share of the budget for a space-filling design, which shows the surrogate the whole range."""
DESIGN_MOST = 20
"""Points of the design for each parameter, at most."""
SURROGATE_EVERY = 60
"""Evaluations between two proposals of the surrogate."""
WIDTH = 0.2
"""First step of CMA-ES, as a share of a range."""


PRIOR_VARIANCE = 1.0 / 12.0
"""Of a parameter's place in its range around its prior: that of a flat one. The ends of the range cut it."""

MEASURING = ("moments*.py", "checks.py", "worlds.py", "world_runs.py", "calibration.py", "evidence/worlds.toml")
"""Files beside the model's that decide what an evaluation finds."""


class _OutOfBudgetError(Exception):
    """No evaluations are left for a step."""


class Search:
    """A search under way. A context manager; evaluations that the journal holds count."""

    def __init__(
        self, scenario: str, free: tuple[Free, ...], seeds: int, journal: str | Path | None, workers: int | None
    ) -> None:
        from experiments.workers import LocalPool, cores

        self.scenario = scenario
        self.free = free
        self.seeds = seeds
        self.checks = (*targets(searched=True), *guards())
        self.shipped = {each.name: each.shipped for each in free}
        self._prior = np.array([each.place(each.prior) for each in free])
        self._progress: Progress | None = None
        self._budget = 0
        self._names = tuple(check.id for check in self.checks)
        self._journal = None if journal is None else Path(journal)
        self._pool = LocalPool(workers or cores())
        self._stack = contextlib.ExitStack()
        self._known: dict[tuple[float, ...], Floats] = {}
        self._visited: dict[tuple[float, ...], Floats] = {}

    def __enter__(self) -> Self:
        self._stack.enter_context(self._pool)
        self._digest = self._digest_now()
        self._read_journal()
        sample = self.sample(self.shipped, self._names)
        self.distance = Distance(self.checks, sample)
        self._known[self._key(self.shipped)] = self.distance.deviations(sample)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def evaluations(self) -> int:
        """Evaluations of the search so far."""
        return len(self._visited)

    @property
    def gains(self) -> tuple[Gain, ...]:
        """The evaluations that came nearer to targets and prior than all before them, in the order of the search."""
        found: list[Gain] = []
        for count, key in enumerate(self._visited, start=1):
            distance = self._objective(key)
            if not found or distance < found[-1].distance:
                found.append(Gain(count, distance))
        return tuple(found)

    def sample(self, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        """Return targets by replicate at some parameters, (targets, replicates)."""
        (found,) = self._samples([values], names)
        return found

    def _samples(self, points: Sequence[Mapping[str, float]], names: tuple[str, ...]) -> Iterator[Floats]:
        """Yield targets by replicate at many parameters, side by side.

        Points that are too few for all processes are shared out by replicate, so that none waits for the last one.
        """
        whole = len(points) - len(points) % self._pool.slots
        work = []
        for number, point in enumerate(points):
            blocks = np.array_split(np.arange(self.seeds), 1 if number < whole else min(self._pool.slots, self.seeds))
            calls = [self._pool.call(moments, self.scenario, dict(point), each.tolist(), names) for each in blocks]
            work.append(calls)
        for calls in work:
            yield np.hstack([np.array(call.result()) for call in calls])

    def deviations(self, values: Mapping[str, float]) -> Floats:
        """Return the deviations of the searched targets at some parameters."""
        return self.many([values])[0]

    def distances(self, points: Sequence[Mapping[str, float]]) -> list[float]:
        """Return the distances at many parameters, side by side."""
        return [self.distance.of(deviations) for deviations in self.many(points)]

    def many(self, points: Sequence[Mapping[str, float]]) -> list[Floats]:
        """Return the deviations at many parameters, side by side; what the journal holds is not simulated."""
        new = {self._key(p): p for p in points if self._key(p) not in self._known}
        for key, sample in zip(new, self._samples(list(new.values()), self._names), strict=True):
            self._known[key] = self.distance.deviations(sample)
            self._write_journal(key)
        return [self._known[self._key(p)] for p in points]

    def run(self, budget: int, progress: Progress | None) -> dict[str, float]:
        """Search until the budget is used up and return the best parameters."""
        self._progress, self._budget = progress, budget
        self._visit([self.shipped])
        self._polish(self.shipped, int(FIRST_SHARE * budget))
        design = self._design(min(int(DESIGN_SHARE * budget), DESIGN_MOST * len(self.free)))
        for first in range(0, len(design), 8):
            self._visit(design[first : first + 8])
        starts = self._starts()
        asked = 0
        wide = int((1.0 - LAST_SHARE) * budget)
        while self.evaluations < wide:
            before = self.evaluations
            for optimiser in starts:
                self._generation(optimiser, wide)
            if self.evaluations // SURROGATE_EVERY > asked:
                asked = self.evaluations // SURROGATE_EVERY
                self._visit([self._proposal(asked)])
            if self.evaluations == before:
                break
        self._polish(self._best(), budget)
        return self._best()

    def _best(self) -> dict[str, float]:
        best = min(self._visited, key=self._objective)
        return dict(zip((each.name for each in self.free), best, strict=True))

    # --- what is searched for --------------------------------------------------------------------------------

    def pull(self, values: Mapping[str, float]) -> float:
        """Return the distance of parameters to the prior, in units of that to the targets."""
        return self._pull(self._key(values))

    def _pull(self, key: tuple[float, ...]) -> float:
        return float(np.sum(self._prior_deviations(np.array(self._places(key))) ** 2))

    def _prior_deviations(self, places: Floats) -> Floats:
        """Return how far places (..., parameters) are from the prior, in its standard deviations."""
        deviations: Floats = (places - self._prior) / PRIOR_VARIANCE**0.5
        return deviations

    def _objective(self, key: tuple[float, ...]) -> float:
        return self.distance.of(self._visited[key]) + self._pull(key)

    @property
    def misfit(self) -> float:
        """The smallest distance to the targets so far over its degrees of freedom, 1 where it is not above them.

        A distance far above them means that the model cannot reach the targets together, or that their bands are too
        narrow: deviations are then larger than the bands say, by the root of this ratio. Degrees of freedom are
        nominal: targets and guards less parameters, at least one.
        """
        freedom = max(len(self.distance.checks) - len(self.free), 1)
        return max(min(map(self.distance.of, self._visited.values())) / freedom, 1.0)

    # --- points ----------------------------------------------------------------------------------------------

    def _visit(self, points: Sequence[Mapping[str, float]]) -> list[float]:
        """Evaluate points as a part of the search and return their distances to targets and prior."""
        for point, deviations in zip(points, self.many(points), strict=True):
            self._visited[self._key(point)] = deviations
        if self._progress is not None:
            self._progress(self.evaluations, max(self._budget, self.evaluations))
        return [self._objective(self._key(point)) for point in points]

    def _at(self, places: Floats) -> dict[str, float]:
        return {each.name: each.value(place) for each, place in zip(self.free, places.tolist(), strict=True)}

    def _places(self, key: Sequence[float]) -> list[float]:
        return [each.place(value) for each, value in zip(self.free, key, strict=True)]

    def _key(self, values: Mapping[str, float]) -> tuple[float, ...]:
        return tuple(values[each.name] for each in self.free)

    def _design(self, points: int) -> list[dict[str, float]]:
        """Return a Latin hypercube over the ranges."""
        from scipy.stats.qmc import LatinHypercube

        return [self._at(row) for row in LatinHypercube(len(self.free), rng=0).random(max(points, 0))]

    # --- least squares ------------------------------------------------------------------------------------------

    def _polish(self, start: Mapping[str, float], most: int) -> None:
        """Descend from a point by least squares, until no step helps or `most` evaluations of the search are done."""
        from scipy.optimize import least_squares

        factor = np.linalg.cholesky(self.distance.weight).T

        def residuals(places: Floats) -> Floats:
            point = self._at(places)
            self._visit([point])
            return np.concatenate([factor @ self._visited[self._key(point)], self._prior_deviations(places)])

        def jacobian(places: Floats) -> Floats:
            if self.evaluations + len(self.free) > most:
                raise _OutOfBudgetError
            steps = np.where(places + STEP <= 1.0, STEP, -STEP)
            moved = [self._at(places + step * unit) for step, unit in zip(steps, np.eye(len(steps)), strict=True)]
            self._visit(moved)
            columns = [factor @ self._visited[self._key(point)] for point in moved]
            slopes = (np.array(columns) - residuals(places)[: len(factor)]).T / steps
            return np.vstack([slopes, np.eye(len(steps)) / PRIOR_VARIANCE**0.5])

        origin = np.clip(np.array(self._places(self._key(start))), 0.01, 0.99)
        with contextlib.suppress(_OutOfBudgetError):
            least_squares(residuals, origin, jac=jacobian, bounds=(0.0, 1.0), method="trf", xtol=1e-3, ftol=1e-3)

    # --- CMA-ES ----------------------------------------------------------------------------------------------

    def _starts(self) -> list[Any]:
        """Return optimisers that start at the shipped values, at the best so far, and at the prior."""
        try:
            from cmaes import CMA
        except ImportError as error:
            raise UserError(f"a calibration needs {error.name}: pip install 'watersellers[experiments]'") from None
        origins = [self._places(self._key(self.shipped)), self._places(self._key(self._best())), self._prior]
        bounds = np.array([[0.0, 1.0]] * len(self.free))
        return [
            CMA(mean=np.clip(np.array(origin), 0.02, 0.98), sigma=WIDTH, bounds=bounds, seed=start)
            for start, origin in enumerate(origins)
        ]

    def _generation(self, optimiser: Any, most: int) -> None:
        """Run one generation of an optimiser, unless that would be more than `most` evaluations."""
        size = optimiser.population_size
        if self.evaluations + size > most or optimiser.should_stop():
            return
        places = [np.asarray(optimiser.ask()) for _ in range(size)]
        distances = self._visit([self._at(place) for place in places])
        optimiser.tell(list(zip(places, distances, strict=True)))

    # --- surrogate -------------------------------------------------------------------------------------------

    def _proposal(self, seed: int) -> dict[str, float]:
        """Fit every target's deviation over the parameters and return the surrogate's best point."""
        from scipy.interpolate import RBFInterpolator
        from scipy.optimize import differential_evolution

        places = np.array([self._places(key) for key in self._visited])
        deviations = np.array(list(self._visited.values()))
        try:
            fitted = RBFInterpolator(places, deviations, kernel="linear", smoothing=1e-3, neighbors=200)
        except (np.linalg.LinAlgError, ValueError) as error:
            raise RunFailure(f"the surrogate cannot be fitted: {error}") from None

        def distance(columns: Floats) -> Floats:
            found = fitted(columns.T)
            total: Floats = np.einsum("ni,ij,nj->n", found, self.distance.weight, found)
            total += np.sum(self._prior_deviations(columns.T) ** 2, axis=1)
            return total

        bounds = [(0.0, 1.0)] * len(self.free)
        best = differential_evolution(
            distance, bounds, rng=seed, maxiter=60, popsize=6, polish=False, vectorized=True, updating="deferred"
        )
        return self._at(best.x)

    # --- journal ---------------------------------------------------------------------------------------------

    def _digest_now(self) -> str:
        """Return a name for all that decides an evaluation: code, scenario, targets, parameters, replicates."""
        import hashlib

        from ecosystem.spec import Spec
        from experiments.fingerprint import files_digest, fingerprint

        folder = Path(__file__).parent
        measuring = files_digest(folder, "measuring", (path for each in MEASURING for path in folder.glob(each)))
        free = [(each.name, each.paths, each.low, each.high, each.shipped, each.log) for each in self.free]
        scenario = Spec.load(self.scenario).model_dump_json()
        content = (fingerprint(), measuring, scenario, self.seeds, free, self.checks)
        return hashlib.sha256(repr(content).encode()).hexdigest()[:16]

    def _read_journal(self) -> None:
        """Take over what the journal holds of this search; a line that was cut short is none."""
        if self._journal is None or not self._journal.is_file():
            return
        for line in self._journal.read_text("utf-8").splitlines():
            with contextlib.suppress(ValueError, KeyError):
                each = json.loads(line)
                if each["search"] == self._digest:
                    self._known[tuple(each["values"])] = np.array(each["deviations"])

    def _write_journal(self, key: tuple[float, ...]) -> None:
        if self._journal is None:
            return
        self._journal.parent.mkdir(parents=True, exist_ok=True)
        line = {"search": self._digest, "values": key, "deviations": self._known[key].tolist()}
        with self._journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
