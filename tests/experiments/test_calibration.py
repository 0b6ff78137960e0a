"""Calibration: parameters inside their ranges, weights, a search that finds known values and goes on."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from ecosystem.spec import Spec
from experiments.calibration import (
    CalibrationResult,
    Distance,
    Fit,
    Free,
    Gain,
    free_parameters,
    guards,
    moments,
    overrides,
    path_fits,
    rounded,
    targets,
)
from experiments.calibration_report import calibration_report, lead, place
from experiments.calibration_search import Search
from experiments.calibration_statistics import estimate
from experiments.checks import Check, load
from experiments.errors import UserError
from experiments.provenance import kinds, unknown_rows
from experiments.reports import ChartBlock
from experiments.workers import LocalPool
from experiments.worlds import EVIDENCE, read_evidence

Floats = NDArray[np.float64]
FREE = tuple(Free(name, (), 0.0, 2.0, 0.5, 0.8, False, "") for name in ("a", "b", "idle"))
TRUTH = {"a": 1.4, "b": 0.6}


def _check(name: str, centre: float) -> Check:
    band = [centre - 0.15, centre + 0.15]
    content = {"id": name, "ref": "1", "title": name, "worlds": ["toy"], "moment": "gini", "source": "F-A1"}
    return Check.model_validate({**content, "band": band})


CHECKS = (_check("a", TRUTH["a"]), _check("b", TRUTH["b"]), _check("both", TRUTH["a"] * TRUTH["b"]))


class KnownSearch(Search):
    """A search whose moments are known functions of the parameters."""

    simulated = 0

    def __init__(self, journal: Path | None = None) -> None:
        super().__init__("toy", FREE, 2, journal, 1)
        self.checks = CHECKS

    def sample(self, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        row = [values["a"], values["b"], values["a"] * values["b"]]
        return np.array([[x, x + 1e-3] for x in row])

    def many(self, points: Sequence[Mapping[str, float]]) -> list[Floats]:
        for point in points:
            key = self._key(point)
            if key not in self._known:
                type(self).simulated += 1
                self._known[key] = self.distance.deviations(self.sample(point, ()))
                self._write_journal(key)
        return [self._known[self._key(point)] for point in points]


def test_the_search_finds_known_parameters() -> None:
    with KnownSearch() as search:
        best = search.run(300, None)
        found = {each.name: each for each in estimate(search, best)}
    assert best["a"] == pytest.approx(TRUTH["a"], abs=0.1)
    assert best["b"] == pytest.approx(TRUTH["b"], abs=0.1)
    assert found["a"].pinned
    assert found["a"].low < TRUTH["a"] < found["a"].high
    assert not found["idle"].pinned


def test_what_no_target_sees_goes_to_its_prior_and_not_to_an_end_of_its_range() -> None:
    with KnownSearch() as search:
        best = search.run(300, None)
        assert search.pull({"a": 0.8, "b": 0.8, "idle": 0.8}) == pytest.approx(0.0, abs=1e-12)
        assert search.pull({"a": 0.8, "b": 0.8, "idle": 1.8}) == pytest.approx(0.5**2 * 12.0)
    assert best["idle"] == pytest.approx(0.8, abs=0.05)


class FarSearch(KnownSearch):
    """A search with two more targets, `far` above and below another, so that no parameter can reach them all."""

    def __init__(self, far: float) -> None:
        super().__init__()
        self.checks = (*CHECKS, _check("high", TRUTH["a"] + far), _check("low", TRUTH["a"] - far))

    def sample(self, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        known = super().sample(values, names)
        return np.concatenate([known, known[[0, 0]]])


def test_a_distance_above_its_degrees_of_freedom_widens_intervals() -> None:
    widths, scales, found = [], [], []
    for far in (0.0, 0.6):
        with FarSearch(far) as search:
            best = search.run(200, None)
            (b,) = (each for each in estimate(search, best) if each.name == "b")
            widths.append(b.high - b.low)
            scales.append(search.misfit)
            found.append(best["b"])
    assert scales[0] == 1.0
    assert scales[1] == pytest.approx(2.0 * 6.0**2 / 2.0, rel=0.05), "five targets less three parameters"
    assert widths[1] == pytest.approx(widths[0] * np.sqrt(scales[1]), rel=0.25)
    assert found[1] == pytest.approx(found[0], abs=0.02), "what is out of reach does not make the rest count less"
    assert TRUTH["b"] < found[0] < 0.8, "the prior is at 0.8"


def test_how_much_intervals_are_widened_is_said(shipped: CalibrationResult) -> None:
    assert "9.00 times its degrees of freedom" in lead(replace(shipped, misfit=9.0))
    assert "3.00 times as large as the bands say" in lead(replace(shipped, misfit=9.0))
    assert "not above its degrees of freedom" in lead(replace(shipped, misfit=1.0))


def test_least_squares_finds_the_bottom_of_the_valley_soon() -> None:
    with KnownSearch() as search:
        best = search.run(40, None)
    assert {name: round(best[name], 1) for name in TRUTH} == TRUTH


def test_the_search_keeps_where_it_came_nearer() -> None:
    with KnownSearch() as search:
        best = search.run(40, None)
        gains = search.gains
        nearest = search.distance.of(search.deviations(best)) + search.pull(best)
    assert gains[0].evaluation == 1
    assert all(a.evaluation < b.evaluation and a.distance > b.distance for a, b in pairwise(gains))
    assert gains[-1].distance == pytest.approx(nearest)


def test_a_stopped_search_goes_on_from_its_journal(tmp_path: Path) -> None:
    journal = tmp_path / "search.journal"
    with KnownSearch(journal) as search:
        search.run(60, None)
        first = search.evaluations
    with journal.open("a") as file:
        file.write('{"search": "cut sho')
    before = KnownSearch.simulated
    with KnownSearch(journal) as search:
        search.run(60, None)
        assert search.evaluations == first > 40
    assert KnownSearch.simulated == before


def test_a_journal_is_that_of_its_scenario_and_ranges_and_of_any_prior() -> None:
    def digest(free: tuple[Free, ...], scenario: str = "toy") -> str:
        return Search(scenario, free, 2, None, 1)._digest_now()

    assert digest(tuple(replace(each, prior=0.9) for each in FREE)) == digest(FREE)
    others = [tuple(replace(each, high=3.0) for each in FREE), tuple(replace(each, shipped=0.6) for each in FREE)]
    assert len({digest(FREE), digest(FREE, "2025"), *map(digest, others)}) == 4


def test_free_parameters_stay_inside_their_declared_ranges() -> None:
    for each in free_parameters("2025"):
        assert each.low <= each.shipped <= each.high
        assert each.low <= each.prior <= each.high
        assert each.value(0.0) == pytest.approx(each.low)
        assert each.value(1.0) == pytest.approx(each.high)
        assert each.place(each.value(0.3)) == pytest.approx(0.3)


def test_every_prior_has_a_source() -> None:
    for name, each in read_evidence("free.toml").items():
        assert kinds(each["source"]), name
        assert not unknown_rows(each["source"]), name


@pytest.mark.parametrize("scenario", ["2025", "2023"])
def test_every_free_parameter_is_set_somewhere(scenario: str) -> None:
    free = free_parameters("2025")
    spec = Spec.load(scenario)
    values = {each.name: each.value(0.5) for each in free}
    changes = overrides(spec, values, free)
    assert changes
    spec.with_overrides(changes)
    paths = {row.path for row in spec.parameters()}
    assert set(changes) == {p for p in paths for each in free if any(path_fits(p, one) for one in each.paths)}
    everywhere = {*changes, *overrides(Spec.load("2025"), values, free)}
    assert len(everywhere) >= len(free)


def test_deviations_count_in_units_of_the_band() -> None:
    distance = Distance(CHECKS[:1], np.array([[1.4, 1.4]]))
    assert_allclose(distance.deviations(np.array([[1.55, 1.55]])), [1.5])
    assert_allclose(distance.deviations(np.array([[99.0, 99.0]])), [10.0])
    assert_allclose(distance.deviations(np.array([[np.nan, np.nan]])), [10.0])
    assert distance.of(np.array([2.0])) == pytest.approx(4.0, rel=1e-6)


def test_guards_count_from_the_end_of_their_band() -> None:
    (guard,) = (each for each in guards() if each.id == "tokens")
    low, high = guard.band
    distance = Distance((guard,), np.array([[low, low]]))
    for value, expected in ((low, 0.0), (high, 0.0), (0.5 * (low + high), 0.0)):
        assert_allclose(distance.deviations(np.array([[value, value]])), [expected], atol=1e-9)
    assert distance.deviations(np.array([[0.5 * low] * 2]))[0] < -0.1
    assert distance.deviations(np.array([[2.0 * high] * 2]))[0] > 0.1
    found = moments("2025", {each.name: each.shipped for each in free_parameters("2025")}, range(2), ("tokens",))
    assert len(found) == 1


class TwoProcesses:
    """Two processes that say which replicates of which point they were given."""

    slots = 2

    def __init__(self) -> None:
        self.given: list[tuple[float, list[int]]] = []

    def call(
        self, function: object, scenario: str, values: dict[str, float], replicates: list[int], names: tuple[str, ...]
    ) -> "Future[list[list[float]]]":
        self.given.append((values["a"], replicates))
        done: Future[list[list[float]]] = Future()
        done.set_result([[10.0 * values["a"] + r for r in replicates] for _ in names])
        return done


def test_points_that_are_too_few_for_all_processes_are_shared_out_by_replicate() -> None:
    search, pool = Search("toy", FREE, 5, None, 2), TwoProcesses()
    search._pool = cast(LocalPool, pool)
    found = list(search._samples([{"a": 1.0}, {"a": 2.0}, {"a": 3.0}], ("x", "y")))
    assert pool.given == [(1.0, [0, 1, 2, 3, 4]), (2.0, [0, 1, 2, 3, 4]), (3.0, [0, 1, 2]), (3.0, [3, 4])]
    for a, sample in zip((1.0, 2.0, 3.0), found, strict=True):
        assert_allclose(sample, [[10.0 * a + r for r in range(5)]] * 2)


def test_noisy_targets_count_less() -> None:
    calm = Distance(CHECKS[:1], np.array([[1.4, 1.4, 1.4]]))
    noisy = Distance(CHECKS[:1], np.array([[1.0, 1.4, 1.8]]))
    assert noisy.of(np.array([2.0])) < calm.of(np.array([2.0]))


def test_moments_of_a_target() -> None:
    found = moments("2025", {each.name: each.shipped for each in free_parameters("2025")}, range(2), ("ramp",))
    assert len(found) == 1
    assert len(found[0]) == 2
    assert all(value > 1.0 for value in found[0])


def test_a_point_at_which_a_world_cannot_open_says_nothing_of_that_world_only() -> None:
    values = {each.name: each.shipped for each in free_parameters("2025")} | {"usage-sigma": 4.0}
    tokens, ramp = moments("2025", values, range(1), ("tokens", "ramp"))[::-1]
    assert np.isnan(tokens).all()
    assert np.isfinite(ramp).all()


def test_targets_that_are_searched_on_are_cheap() -> None:
    fast, every = targets(searched=True), targets(searched=False)
    assert 15 <= len(fast) < len(every)


def test_too_small_a_budget_is_refused() -> None:
    from experiments.calibration import calibrate

    with pytest.raises(UserError, match="at least one evaluation"):
        calibrate(budget=0)


class _Line:
    """A search whose only target is ten times the parameter."""

    scenario = "2025"

    def sample(self, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        """Return the target by replicate."""
        return np.full((len(names), 2), 10.0 * values["alone"])


@pytest.mark.parametrize(("band", "expected"), [((4.0, 6.0), 0.5), ((20.0, 30.0), 1.0), ((-3.0, -2.0), 0.0)])
def test_a_parameter_of_one_target_is_solved_for_it(
    monkeypatch: pytest.MonkeyPatch, band: tuple[float, float], expected: float
) -> None:
    import experiments.calibration_alone as alone

    free = Free("alone", ("x",), 0.0, 1.0, 0.2, 0.3, False, "a line", "line")
    check = _check("line", 0.0).model_copy(update={"band": band})
    monkeypatch.setattr(alone, "free_parameters", lambda scenario: (free,))
    monkeypatch.setattr(alone, "targets", lambda *, searched: (check,))
    (found,) = alone.solve_alone(cast(Search, _Line()), {"other": 1.0})
    assert found.value == pytest.approx(expected, abs=0.02)
    assert found.pinned == (expected == 0.5)
    if found.pinned:
        assert found.low == pytest.approx(0.4, abs=0.02)
        assert found.high == pytest.approx(0.6, abs=0.02)


def test_a_parameter_whose_target_says_nothing_has_the_value_of_its_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    import experiments.calibration_alone as alone

    class Silent(_Line):
        def sample(self, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
            return np.full((1, 2), np.nan if values["alone"] > 0.4 else 1.0)

    class Half(_Line):
        def sample(self, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
            return np.array([[10.0 * values["alone"], np.nan]])

    free = Free("alone", ("x",), 0.0, 1.0, 0.2, 0.3, False, "a line", "line")
    check = _check("line", 5.0).model_copy(update={"band": (4.0, 6.0)})
    monkeypatch.setattr(alone, "free_parameters", lambda scenario: (free,))
    monkeypatch.setattr(alone, "targets", lambda *, searched: (check,))
    (found,) = alone.solve_alone(cast(Search, Silent()), {})
    assert (found.value, found.low, found.high) == (0.3, 0.0, 1.0)
    assert not found.pinned
    (found,) = alone.solve_alone(cast(Search, Half()), {})
    assert found.value == pytest.approx(0.5, abs=0.02)


def test_a_parameter_of_one_target_names_one_that_is_computed() -> None:
    known = {check.id for check in targets(searched=False)}
    alone = [each for each in free_parameters() if each.alone is not None]
    assert alone and {each.alone for each in alone} <= known


def test_no_guard_has_the_name_of_a_target() -> None:
    assert not {check.id for check in guards()} & {check.id for check in load("targets")}


def test_the_opening_can_be_fitted_all_over_the_ranges() -> None:
    from scipy.stats.qmc import LatinHypercube

    from ecosystem.model import ValueChain

    base, free = Spec.load("2025"), free_parameters("2025")
    for row in LatinHypercube(len(free), rng=1).random(24).tolist():
        values = {each.name: each.value(place) for each, place in zip(free, row, strict=True)}
        more = {f"consumers.{r}.price_scale": 0.05 + 0.25 * row[i] for i, r in enumerate(("west", "china"))}
        chain = ValueChain(base.with_overrides(overrides(base, values, free) | more))
        for market in chain.consumer_markets.values():
            for app in market.apps:
                assert not app.alive or market.usage(app).users == pytest.approx(app.spec.users, rel=1e-9)
        chain.release()


# --- the report --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> CalibrationResult:
    return CalibrationResult.load(EVIDENCE / "calibration.toml")


def test_the_estimates_are_what_the_scenarios_ship(shipped: CalibrationResult) -> None:
    free = {each.name: each for each in free_parameters(shipped.scenario)}
    assert {each.name: each.value for each in shipped.estimates} == {n: rounded(f.shipped) for n, f in free.items()}
    for scenario in ("2023", "2025"):
        rows = Spec.load(scenario).parameters()
        for each in shipped.estimates:
            values = {row.value for row in rows if any(path_fits(row.path, path) for path in each.paths)}
            assert values <= {each.value}, f"{scenario}: {each.name}"


def test_sources_of_calibrated_values_say_so(shipped: CalibrationResult) -> None:
    parts = {"2025": ("",), "2023": ("chipmaker.", "cloud.", "research.")}
    for scenario, beginnings in parts.items():
        rows = [row for row in Spec.load(scenario).parameters() if row.path.startswith(beginnings)]
        paths = [path for each in shipped.estimates for path in each.paths]
        calibrated = [row for row in rows if any(path_fits(row.path, path) for path in paths)]
        assert len(calibrated) >= 20
        assert [row.path for row in calibrated if "calibrated" not in row.source] == []


def test_a_result_is_read_back_as_it_was_saved(shipped: CalibrationResult, tmp_path: Path) -> None:
    unknown = replace(shipped.fit[0], fitted=np.nan, ends=(0.1, 0.2))
    whole = replace(shipped, fit=(unknown, *shipped.fit[1:]), gains=(Gain(1, 9.0), Gain(4, 3.0)))
    found = CalibrationResult.load(whole.save(tmp_path / "found.toml"))
    assert np.isnan(found.fit[0].fitted)
    assert found.fit[0].ends == (0.1, 0.2)
    assert replace(found, fit=found.fit[1:]) == replace(whole, fit=whole.fit[1:])


def test_what_is_no_calibration_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    for content in ("a = 1", "a = ", 'estimates = [{name = "a"}]\nfit = []'):
        file.write_text(content)
        with pytest.raises(UserError, match=r"not a saved calibration|another version"):
            CalibrationResult.load(file)
    with pytest.raises(UserError, match="not a saved calibration"):
        CalibrationResult.load(tmp_path / "none.toml")


def test_places_in_a_band() -> None:
    row = Fit("a", "a", (1.0, 3.0), 2.0, 2.0, inside=True, searched=True)
    assert [place(row, x) for x in (1.0, 2.0, 3.0)] == [-1.0, 0.0, 1.0]
    assert place(row, 99.0) == pytest.approx(10.0 / 1.5)
    wide = replace(row, band=(1.0, 100.0))
    assert place(wide, 10.0) == pytest.approx(0.0)


def test_the_report_says_what_the_result_says(shipped: CalibrationResult) -> None:
    page = calibration_report(replace(shipped, gains=(Gain(1, 9.0), Gain(4, 4.0), Gain(7, 3.0))))
    inside, held = ([row.inside for row in shipped.fit if row.guard is kind] for kind in (False, True))
    assert f"{sum(inside)} of {len(inside)} targets lie inside" in lead(shipped)
    assert f"{sum(held)} of {len(held)} guards hold" in lead(shipped)
    charts = [block for section in page.sections for block in section.blocks if isinstance(block, ChartBlock)]
    assert len(charts) == 3
    assert charts[2].title.startswith(f"The best of {shipped.evaluations} evaluations is number 7; half of the way")
    assert charts[2].title.endswith("by number 4")
    text = page.html()
    for each in (*(e.name for e in shipped.estimates), *(row.target for row in shipped.fit)):
        assert f"<code>{each}</code>" in text
    assert "USD/hour" in text
    assert "keeps no record of the search" in calibration_report(replace(shipped, gains=())).html()
