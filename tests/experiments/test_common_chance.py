"""What common random numbers are worth, against comparisons that really use other replicates."""

import io

import numpy as np
import pytest
from rich.console import Console

from ecosystem.spec import Spec
from experiments.common_chance import variance_gains
from experiments.errors import UserError
from experiments.experiment_tables import print_monetisation
from experiments.monetisation import monetise
from experiments.paired import Job, simulate

OUTCOMES = ("labs_revenue", "apps_operating_profit")
CHANGES = {"app.search.earning.ads.load": 1.0}
MEASURE = "experiments.common_chance:measure"


def test_the_gain_on_toy_is_that_of_replicates_that_share_nothing() -> None:
    found = {each.outcome: each.ratio for each in variance_gains("toy", OUTCOMES, CHANGES, months=8, workers=1)}
    spec = Spec.load("toy")
    worlds = [spec.with_overrides(CHANGES), spec]
    treated, control = (
        np.array([simulate(Job(world, spec.seed, r, 8, MEASURE, (OUTCOMES,))) for r in range(32)]) for world in worlds
    )
    for i, name in enumerate(OUTCOMES):
        ratio = found[name]
        assert ratio is not None and ratio.estimate > 5.0
        apart = np.var(treated[:16, i] - control[16:, i], ddof=1)
        paired = np.var(treated[:, i] - control[:, i], ddof=1)
        assert 0.3 < (apart / paired) / ratio.estimate < 3.0


def test_an_outcome_without_chance_has_no_gain() -> None:
    (found,) = variance_gains("toy", ["failures"], CHANGES, months=2, replicates=5, workers=1)
    assert found.ratio is None


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(UserError, match="no outcome 'profits'"):
        variance_gains("toy", ["profits"], CHANGES, months=2, replicates=5, workers=1)
    with pytest.raises(UserError, match="at least 5"):
        variance_gains("toy", OUTCOMES, CHANGES, replicates=4)


def test_monetise_says_what_common_chance_is_worth() -> None:
    result = monetise("toy", arms=["free"], months=6, replicates=5, workers=1)
    rows = {row["outcome"]: row for row in result.to_dict()["variance_reduction"]}
    profit = rows["operating_profit"]
    assert profit["low"] < profit["ratio"] < profit["high"]
    assert rows["survived"]["ratio"] is None
    console = Console(record=True, width=400, file=io.StringIO())
    print_monetisation(console, result)
    assert "Common random numbers" in console.export_text()
