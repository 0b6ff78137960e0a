"""Running a scenario: one run, or replicates with bands, and what can be done with the result.

from experiments import run
result = run("2025")
result.plot("operating_profit")
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.conditions import one_thread, patient_collector
from experiments.errors import RunFailure, UserError
from experiments.outcomes import outcomes, outcomes_of, tier_figures

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

    from ecosystem.flows import Flows
    from ecosystem.model import ValueChain
    from ecosystem.opening import Plug
    from ecosystem.spec import Spec

__all__ = ["FirmInfo", "Replicates", "RunResult", "outcomes", "replicates", "run"]

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]
"""Called with the months done and the months in all."""


@dataclass(frozen=True, slots=True)
class FirmInfo:
    """What does not change of a firm."""

    id: str
    name: str
    tier: str
    region: str
    group: str | None


@dataclass(frozen=True)
class RunResult:
    """One finished run.

    `panel`: (months, firms, fields), the fields of `ecosystem.record.FIRM_FIELDS`. `markets`: market series
    by name, (months,). `flows`: every payment of the run. `plugs`: what the opening solved for.
    `failures`: (month, firm).
    """

    spec: "Spec"
    seed: int
    replicate: int
    firm_list: tuple[FirmInfo, ...]
    panel: Floats
    markets: Mapping[str, Floats]
    flows: "Flows"
    plugs: "tuple[Plug, ...]"
    failures: tuple[tuple[int, str], ...]

    @property
    def months(self) -> int:
        """Months that were run."""
        return len(self.panel)

    @property
    def dates(self) -> "NDArray[np.datetime64]":
        """First day of every month, (months,)."""
        first = np.datetime64(self.spec.start, "M")
        return (first + np.arange(self.months).astype("timedelta64[M]")).astype("datetime64[D]")

    def members(self, tier: str) -> list[int]:
        """Return the places of a tier's firms in the panel."""
        return [i for i, firm in enumerate(self.firm_list) if firm.tier == tier]

    def field(self, name: str) -> Floats:
        """Return (months, firms) of one field; KeyError with the known names for an unknown one."""
        if name not in self._columns:
            raise KeyError(f"no field {name!r}; there are {', '.join(self._columns)}")
        found: Floats = self.panel[:, :, self._columns[name]]
        return found

    def of(self, firm: str, name: str) -> Floats:
        """Return (months,) of one field of one firm."""
        if firm not in self._places:
            raise KeyError(f"no firm {firm!r}; there are {', '.join(self._places)}")
        found: Floats = self.field(name)[:, self._places[firm]]
        return found

    def name(self, account: str) -> str:
        """Return the name that people know a firm by; other accounts are called by their id."""
        return self._names.get(account, account)

    def short_name(self, account: str) -> str:
        """Return the name without what stands in brackets, at most 26 letters, for the labels of charts."""
        return self._short_names.get(account, account)

    @cached_property
    def _short_names(self) -> dict[str, str]:
        short = {firm.id: firm.name.partition(" (")[0] for firm in self.firm_list}
        taken = Counter(short.values())
        full = {firm: name if taken[name] == 1 else self._names[firm] for firm, name in short.items()}
        return {firm: name if len(name) <= 26 else f"{name[:25].rstrip()}…" for firm, name in full.items()}

    @cached_property
    def _names(self) -> dict[str, str]:
        return {firm.id: firm.name for firm in self.firm_list}

    @cached_property
    def _places(self) -> dict[str, int]:
        return {firm.id: i for i, firm in enumerate(self.firm_list)}

    @cached_property
    def _columns(self) -> dict[str, int]:
        from ecosystem.record import FIRM_FIELDS

        return {name: i for i, name in enumerate(FIRM_FIELDS)}

    def flows_of(self, span: slice) -> "Flows":
        """Return the payments of some months."""
        from dataclasses import replace

        flows = self.flows
        rows = (flows.month >= span.start) & (flows.month < span.stop)
        columns = ("payer", "payee", "kind", "amount", "quantity", "month", "since")
        return replace(flows, **{name: getattr(flows, name)[rows] for name in columns})

    # --- tables -------------------------------------------------------------------------------------------

    def table(self, *, whole: bool = False) -> "pd.DataFrame":
        """Return the tier table: a row a figure, a column a tier, and the unit; the last year or the whole run."""
        import pandas as pd

        from experiments.outcomes import TIER_UNITS

        figures = tier_figures(self, whole=whole)
        columns = {tier: [getattr(f, name) for name in TIER_UNITS] for tier, f in figures.items()}
        index = pd.Index(list(TIER_UNITS), name="figure")
        return pd.DataFrame(columns | {"unit": list(TIER_UNITS.values())}, index=index)

    def firms(self) -> "pd.DataFrame":
        """Return the firm panel: a row a month and firm, all fields."""
        import pandas as pd

        months, firms = self.panel.shape[:2]
        keys = {
            "month": np.repeat(np.arange(months), firms),
            "date": np.repeat(self.dates.astype("datetime64[s]"), firms),
        }
        info = {
            "firm": [f.id for f in self.firm_list] * months,
            "name": [f.name for f in self.firm_list] * months,
            "tier": [f.tier for f in self.firm_list] * months,
            "region": [f.region for f in self.firm_list] * months,
            "group": [f.group for f in self.firm_list] * months,
        }
        values = self.panel.reshape(months * firms, -1)
        fields = {name: values[:, i] for name, i in self._columns.items()}
        return pd.DataFrame({**keys, **info, **fields})

    def edges(self) -> "pd.DataFrame":
        """Return who supplied whom with what: a row a month, supplier, buyer and good, all payments included.

        In funding the one who gives the money supplies it. `since`: month of the first trade; `internal`:
        inside a group; `unit_price` is missing where no quantity is known.
        """
        import pandas as pd

        flows = self.flows
        accounts = np.array([account.id for account in flows.accounts], dtype=object)
        tiers = np.array([account.tier or account.id for account in flows.accounts], dtype=object)
        goods = np.array([kind.name for kind in flows.kinds], dtype=object)
        supplier = np.where(flows.funding, flows.payer, flows.payee)
        buyer = np.where(flows.funding, flows.payee, flows.payer)
        price = np.full(len(flows.amount), np.nan)
        np.divide(flows.amount, flows.quantity, out=price, where=flows.quantity > 0.0)
        return pd.DataFrame(
            {
                "month": flows.month.astype(np.int64),
                "date": self.dates.astype("datetime64[s]")[flows.month],
                "supplier": accounts[supplier],
                "buyer": accounts[buyer],
                "good": goods[flows.kind],
                "quantity": flows.quantity,
                "value": flows.amount,
                "unit_price": price,
                "since": flows.since.astype(np.int64),
                "internal": flows.internal,
                "supplier_tier": tiers[supplier],
                "buyer_tier": tiers[buyer],
            }
        )

    def series(self) -> "pd.DataFrame":
        """Return the market series: a row a month, a column a series."""
        import pandas as pd

        keys = {"month": np.arange(self.months), "date": self.dates.astype("datetime64[s]")}
        return pd.DataFrame({**keys, **self.markets})

    def outcomes(self) -> dict[str, float]:
        """Return the outcomes by name, as sweeps store them."""
        return outcomes_of(self)

    # --- pictures and files ---------------------------------------------------------------------------------

    def plot(self, what: str = "operating_profit") -> "alt.LayerChart":
        """Draw a field of the panel by tier, or one market series, over time; KeyError for an unknown name."""
        from experiments.charts import plot

        return plot(self, what)

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one HTML file that needs no network."""
        from experiments.run_report import run_report

        return run_report(self).write(path)

    def save(self, folder: str | Path, *, csv: bool = False, report: bool = False) -> Path:
        """Write the results folder in place of an earlier one; RunFailure where the disk refuses."""
        from experiments.run_folders import save

        return save(self, Path(folder), csv=csv, report=report)

    @classmethod
    def load(cls, folder: str | Path) -> "RunResult":
        """Read a results folder back; UserError if it is none."""
        from experiments.run_folders import load

        return load(Path(folder))


@dataclass(frozen=True)
class Replicates:
    """The same scenario run several times, with other draws: the first run whole, and of all the outcomes.

    `values`: (replicates, outcomes) in the order of `names`. `markets`: market series by name,
    (replicates, months). `profits`: operating profit by tier, USD/month, (replicates, months).
    """

    first: RunResult
    names: tuple[str, ...]
    values: Floats
    markets: Mapping[str, Floats]
    profits: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.values)

    def table(self) -> "pd.DataFrame":
        """Return the outcomes, a row a replicate."""
        import pandas as pd

        index = pd.RangeIndex(len(self), name="replicate")
        return pd.DataFrame(self.values, index=index, columns=list(self.names))

    def bands(self) -> dict[str, tuple[float, float, float]]:
        """Return median, 5 % and 95 % quantile of every outcome, over the replicates where it is known."""
        known = [column[np.isfinite(column)] for column in self.values.T]
        nothing = (np.nan, np.nan, np.nan)
        quantiles = (
            tuple(np.quantile(column, (0.5, 0.05, 0.95)).tolist()) if len(column) else nothing for column in known
        )
        return dict(zip(self.names, quantiles, strict=True))

    def plot(self, what: str = "operating_profit") -> "alt.LayerChart":
        """Draw the band of a market series, or of operating profit by tier, over time."""
        from experiments.charts import plot_bands

        return plot_bands(self, what)


def run(
    spec: "Spec | str | Path" = "2025",
    *,
    seed: int | None = None,
    replicate: int = 0,
    months: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Run a scenario, by its name, from a TOML file or as a Spec, and return what happened.

    `months` ends the run earlier than the scenario does, so that it is the beginning of the whole run, or
    lengthens it. `overrides`: dotted path -> value. SpecError for a scenario that cannot be run, RunFailure
    for a run that breaks off.
    """
    from ecosystem.model import ValueChain

    loaded = resolved(spec, overrides, months)
    with one_thread(), patient_collector():
        chain = ValueChain(loaded, rng=seed, replicate=replicate)
        last = loaded.months if months is None else months
        try:
            while chain.month < last:
                chain.step()
                if progress is not None:
                    progress(chain.month, last)
            return result_of(chain)
        except Exception as error:  # any failure gets its month, seed and replicate
            where = f"month {chain.month}, seed {chain.root_seed}, replicate {replicate}"
            raise RunFailure(f"{loaded.name}: the run broke off in {where}: {_words(error)}") from error
        finally:
            chain.release()


def replicates(
    spec: "Spec | str | Path" = "2025",
    count: int = 10,
    *,
    seed: int | None = None,
    months: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Replicates:
    """Run replicates 0 to count - 1 of a scenario; `progress` is called with the months done of all."""
    if count < 1:
        raise UserError(f"replicates must be at least 1, not {count}")
    loaded = resolved(spec, overrides, months)
    first: RunResult | None = None
    rows: list[dict[str, float]] = []
    markets: list[Mapping[str, Floats]] = []
    profits: list[dict[str, Floats]] = []
    for replicate in range(count):

        def tell(done: int, total: int, before: int = replicate) -> None:
            if progress is not None:
                progress(before * total + done, count * total)

        result = run(loaded, seed=seed, replicate=replicate, months=months, progress=tell)
        first = first or result
        rows.append(result.outcomes())
        markets.append(result.markets)
        profit = result.field("operating_profit")
        profits.append({t: profit[:, result.members(t)].sum(axis=1) for t in ("chips", "clouds", "labs", "apps")})
    assert first is not None
    names = tuple(rows[0])
    return Replicates(
        first,
        names,
        np.array([[row[name] for name in names] for row in rows]),
        {name: np.stack([each[name] for each in markets]) for name in markets[0]},
        {tier: np.stack([each[tier] for each in profits]) for tier in profits[0]},
    )


def _words(error: Exception) -> str:
    """Say what an error is and where it arose."""
    import traceback

    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = "/".join(Path(frame.filename).parts[-2:])
    return f"{type(error).__name__}: {error} ({place}, line {frame.lineno})"


def resolved(
    spec: "Spec | str | Path", overrides: Mapping[str, Any] | None = None, months: int | None = None
) -> "Spec":
    """Return the scenario that a run is about to use; SpecError if it cannot be run."""
    from ecosystem.spec import Spec

    loaded = spec if isinstance(spec, Spec) else Spec.load(spec)
    if overrides:
        loaded = loaded.with_overrides(overrides)
    if months is not None and not 1 <= months <= 1200:
        raise UserError(f"months must be from 1 to 1200, not {months}")
    if months is not None and months > loaded.months:
        loaded = loaded.with_overrides({"months": months})
    return loaded


def firm_list(spec: "Spec", firms: Mapping[str, Any]) -> tuple[FirmInfo, ...]:
    """Return what is fixed of a model's firms, in their order."""
    from ecosystem.own_kinds import own_firms

    named: dict[str, Any] = {**spec.chipmaker, **spec.cloud, **spec.lab, **spec.app, **own_firms(spec)}
    return tuple(FirmInfo(i, getattr(named[i], "name", i), f.tier, f.region, f.group) for i, f in firms.items())


def result_of(chain: "ValueChain", *, copied: bool = True) -> RunResult:
    """Return what a model has recorded so far: copied out of it, or its own arrays."""
    recorded = chain.recorder.recorded
    panel, markets = chain.recorder.panel[:recorded], dict(chain.recorder.series)
    if copied:
        panel, markets = panel.copy(), {name: values.copy() for name, values in sorted(markets.items())}
    return RunResult(
        spec=chain.spec,
        seed=chain.root_seed,
        replicate=chain.replicate,
        firm_list=firm_list(chain.spec, chain.firms),
        panel=panel,
        markets=markets,
        flows=chain.ledger.flows(),
        plugs=tuple(chain.plugs),
        failures=tuple(chain.failures),
    )
