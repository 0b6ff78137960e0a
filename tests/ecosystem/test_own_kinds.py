"""Kinds of agents of one's own: registered in a line, checked like the model's, paid through the ledger."""

import pickle
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from agents.base import EconomicAgent
from agents.firm import Firm
from agents.kinds import KINDS, PHASES, register_kind
from agents.parameters import Parameters, param
from agents.world import World
from ecosystem.model import ValueChain
from ecosystem.spec import Spec, SpecError
from experiments import run
from experiments.runs import RunResult

LEVY = '''
from agents.base import EconomicAgent
from agents.kinds import register_kind
from agents.parameters import Parameters, param


class LevySpec(Parameters):
    """A levy."""

    region: str = param("west", unit="region", source="invented", role="fact", doc="where")
    rate: float = param(0.1, unit="USD/hour", source="invented", ge=0, le=5, span=(0, 1), role="lever", doc="how much")


class Levy(EconomicAgent):
    """Collects on hours, and announces nothing."""

    def __init__(self, world, agent_id, spec):
        super().__init__(world, agent_id)
        self.spec = spec

    def in_settlement(self):
        for cloud in self.world.firms_of("clouds", self.spec.region):
            hours = self.world.volume(cloud)
            self.world.trade(cloud, self.agent_id, "levy", self.spec.rate * hours, hours, "cost_of_sales")


register_kind("levy", LevySpec, Levy, transfers=("levy",))
'''


class HouseSpec(Parameters):
    """A firm that keeps archives."""

    name: str = param("Archive", unit="text", source="invented", role="fact", doc="name")
    region: str = param("west", unit="region", source="invented", role="fact", doc="where it is")
    fee: float = param(0.02, unit="USD/Mtok", source="invented", ge=0, le=1, span=(0, 0.1), role="lever", doc="fee")
    cash: float = param(1e6, unit="USD", source="invented", ge=0, role="fact", doc="opening cash")


class House(Firm):
    """Licenses its archive to labs; a firm with a tier of its own."""

    def __init__(self, world: World, firm_id: str, spec: HouseSpec) -> None:
        super().__init__(world, firm_id, tier="licensors", region=spec.region, group=None)
        self.spec = spec
        self.phases: list[str] = []

    def in_settlement(self) -> None:
        """Bill the labs for the tokens they served."""
        for lab in self.world.firms_of("labs", self.region):
            mtok = self.world.volume(lab)
            self.world.trade(lab, self.agent_id, "licences", self.spec.fee * mtok, mtok, "cost_of_sales")

    def settle(self) -> None:
        """Pay staff."""
        self.pay("staff", "staff", 1e4, "staff")

    def record(self) -> dict[str, float]:
        """Keep its fee as its price."""
        return {"price": self.spec.fee}

    def series(self) -> dict[str, float]:
        """Keep what it took in."""
        return {"income": self.books.revenue}


class Witness(EconomicAgent):
    """Notes in which phases it was called."""

    def __init__(self, world: World, agent_id: str, spec: Parameters) -> None:
        super().__init__(world, agent_id)
        self.seen: list[str] = []


for _phase in PHASES:
    setattr(Witness, f"in_{_phase}", lambda self, phase=_phase: self.seen.append(phase))


class Blank(Parameters):
    """Nothing to set."""


@pytest.fixture(autouse=True)
def _kinds_as_they_were() -> Iterator[None]:
    before = dict(KINDS)
    yield
    KINDS.clear()
    KINDS.update(before)


@pytest.fixture
def levy(tmp_path: Path) -> Path:
    """A scenario with a kind of its own, both in files outside of the project."""
    (tmp_path / "levy.py").write_text(LEVY, encoding="utf-8")
    scenario = tmp_path / "levied.toml"
    scenario.write_text(
        'extends = "toy"\nname = "levied"\nmonths = 8\nmodules = ["levy.py"]\n[levy.here]\nrate = 0.2\n',
        encoding="utf-8",
    )
    return scenario


def refused(name: str = "blank", spec: Any = Blank, agent: Any = Witness, **more: Any) -> str:
    with pytest.raises(ValueError) as error:
        register_kind(name, spec, agent, **more)
    return str(error.value)


# --- the table --------------------------------------------------------------------------------------------------


def test_the_models_own_kinds_are_in_the_table_too() -> None:
    tables = [kind for kind in KINDS.values() if not kind.own]
    assert [kind.name for kind in tables][:4] == ["chipmaker", "cloud", "lab", "app"]
    for kind in tables:
        assert get_args(Spec.model_fields[kind.name].annotation) == (str, kind.spec)
    chain = ValueChain("toy")
    assert {kind.agent for kind in tables} <= {type(agent) for agent in chain.agents}
    chain.release()


def test_a_kind_acts_in_every_phase_it_names() -> None:
    register_kind("witness", Blank, Witness, account=None)
    chain = ValueChain(Spec.load("toy").with_overrides({"witness.one": {}, "months": 8}))
    chain.step()
    witness: Any = chain.own.members["witness"]["one"]
    assert witness.seen == list(PHASES)
    chain.step()
    assert witness.seen == 2 * list(PHASES)
    chain.release()


def test_a_registered_kind_that_nobody_has_changes_nothing() -> None:
    plain = run("toy", months=3)
    register_kind("house", HouseSpec, House, streams=("licences",))
    again = run("toy", months=3)
    assert (plain.panel == again.panel).all()
    assert plain.spec.canonical_json() == again.spec.canonical_json()
    assert type(again.spec) is Spec


# --- bad registrations ------------------------------------------------------------------------------------------


def test_what_cannot_be_a_kind_is_refused() -> None:
    assert "lower-case" in refused("Bad Name")
    assert "Parameters" in refused(spec=dict)
    assert "EconomicAgent" in refused(agent=dict)
    assert "tuple" in refused(streams="licences")
    assert "one of the model" in refused("lab")
    house = type("Odd", (House,), {"in_setlement": lambda self: None})
    assert "did you mean 'in_settlement'?" in refused(agent=house)


def test_a_name_that_means_something_else_in_a_scenario_is_refused(tmp_path: Path) -> None:
    register_kind("market", Blank, Witness)
    scenario = tmp_path / "s.toml"
    scenario.write_text('extends = "toy"\n[zeppelin.one]\nrate = 1.0\n', encoding="utf-8")
    with pytest.raises(SpecError, match="something else of that name"):
        Spec.load("toy").with_overrides({"market.one": {}})
    with pytest.raises(SpecError, match="something else of that name"):
        Spec.load(scenario)


def test_a_file_may_register_anew_but_not_what_another_registered(levy: Path, tmp_path: Path) -> None:
    Spec.load(levy)
    (tmp_path / "other.py").write_text(LEVY, encoding="utf-8")
    other = tmp_path / "other.toml"
    other.write_text('extends = "toy"\nmodules = ["other.py"]\n', encoding="utf-8")
    with pytest.raises(SpecError, match="name is taken"):
        Spec.load(other)


# --- scenarios --------------------------------------------------------------------------------------------------


def test_tables_are_checked_by_the_kinds_own_class(levy: Path) -> None:
    spec = Spec.load(levy)
    assert "levy.here.rate" in {row.path for row in spec.parameters()}
    for path, value, words in (
        ("levy.here.rat", 0.3, "did you mean 'rate'?"),
        ("levy.here.rate", 9.0, "less than or equal to 5"),
        ("levy.here.rate", "much", "valid number"),
        ("levy.here.region", "moon", "unknown region 'moon'"),
        ("levi.here.rate", 0.3, "did you mean 'levy'?"),
    ):
        with pytest.raises(SpecError, match=re.escape(words)):
            spec.with_overrides({path: value})
    added: Any = spec.with_overrides({"levy.there": {"rate": 0.3}, "levy.there.rate": 0.4})
    assert added.levy["there"].rate == 0.4


def test_an_unknown_table_says_how_a_kind_is_named(tmp_path: Path) -> None:
    scenario = tmp_path / "s.toml"
    scenario.write_text('extends = "toy"\n[zeppelin.one]\nrate = 1.0\n', encoding="utf-8")
    with pytest.raises(SpecError, match=r"zeppelin: unknown key.*modules ="):
        Spec.load(scenario)


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ('["none.py"]', "there is no file"),
        ('["broken.py"]', "SyntaxError"),
        ('["fails.py"]', "ZeroDivisionError"),
        ('"levy.py"', "must be a list"),
        ("[1]", "must be a list"),
        ("3", "must be a list"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_named(levy: Path, modules: str, words: str) -> None:
    (levy.parent / "broken.py").write_text("def", encoding="utf-8")
    (levy.parent / "fails.py").write_text("1 / 0", encoding="utf-8")
    levy.write_text(f'extends = "toy"\nmodules = {modules}\n', encoding="utf-8")
    with pytest.raises(SpecError, match=rf"levied.toml: modules.*{words}"):
        Spec.load(levy)


def test_saved_and_sent_scenarios_find_their_kinds(levy: Path) -> None:
    spec = Spec.load(levy)
    text, sent = spec.canonical_json(), pickle.dumps(spec)
    KINDS.pop("levy")
    assert pickle.loads(sent) == Spec.from_json(text)
    assert Spec.from_json(text).canonical_json() == text
    assert '"levy": {"here": {"rate": 0.2, "region": "west"}}' in text


def test_other_code_is_another_scenario(levy: Path) -> None:
    spec = Spec.load(levy)
    sent = pickle.dumps(spec)
    module = levy.parent / "levy.py"
    module.write_text(LEVY + "\n# a comment\n", encoding="utf-8")
    assert Spec.load(levy).canonical_json() == spec.canonical_json()
    module.write_text(LEVY.replace("self.spec.rate * hours", "2 * self.spec.rate * hours"), encoding="utf-8")
    assert Spec.load(levy).canonical_json() != spec.canonical_json()
    with pytest.raises(SpecError, match="not the code with which"):
        pickle.loads(sent)


def test_modules_bring_ways_of_earning_too(tmp_path: Path) -> None:
    from agents.monetisation import WAYS

    before = dict(WAYS)
    (tmp_path / "gift.py").write_text(
        textwrap.dedent("""
            from agents.monetisation import WAYS, Commission

            class Gift(Commission):
                name = "gift"

            WAYS["gift"] = Gift()
        """),
        encoding="utf-8",
    )
    scenario = tmp_path / "s.toml"
    scenario.write_text(
        'extends = "toy"\nmodules = ["gift.py"]\n[app.chat.earning.gift]\nrate = 0.01\n', encoding="utf-8"
    )
    try:
        assert "gift" in Spec.load(scenario).app["chat"].earning
    finally:
        WAYS.clear()
        WAYS.update(before)


# --- runs -------------------------------------------------------------------------------------------------------


def levied(scenario: Path, rate: float = 0.2) -> RunResult:
    return run(scenario, overrides={"levy.here.rate": rate})


def test_what_is_collected_is_paid_through_the_ledger(levy: Path) -> None:
    result, twin = levied(levy), run("toy", months=8)
    trades = result.edges()
    paid = trades[trades.good == "levy"]
    assert paid.value.sum() == pytest.approx(0.2 * paid.quantity.sum())
    clouds = result.members("clouds")
    gap = twin.field("gross_profit")[0, clouds].sum() - result.field("gross_profit")[0, clouds].sum()
    assert gap == pytest.approx(paid[paid.month == 0].value.sum(), rel=1e-6)
    assert (levied(levy, 0.0).panel == twin.panel).all()


def test_a_charge_is_priced_in() -> None:
    class Announcer(EconomicAgent):
        def __init__(self, world: World, agent_id: str, spec: Parameters) -> None:
            super().__init__(world, agent_id)

        def in_events(self) -> None:
            for firm in (*self.world.firms_of("clouds"), *self.world.firms_of("labs")):
                self.world.set_charge(self.agent_id, firm, 0.3)

    register_kind("announcer", Blank, Announcer, account=None)
    peace = {"mechanisms.price_war": False}
    charged: dict[str, Any] = peace | {"announcer.a": {}, "announcer.b": {}}
    twin, result = (run("toy", months=12, overrides=each) for each in (peace, charged))
    for tier in ("clouds", "labs"):
        firms = result.members(tier)
        gap = result.field("unit_cost")[0, firms] - twin.field("unit_cost")[0, firms]
        assert gap == pytest.approx(0.6, abs=0.2), "two collectors ask 0.3 each"
        assert (result.field("price")[-1, firms] >= twin.field("price")[-1, firms]).all()


def test_a_firm_of_an_own_kind_is_a_firm(tmp_path: Path) -> None:
    register_kind("house", HouseSpec, House, streams=("licences",))
    result = run("toy", months=13, overrides={"house.archive": {"cash": 5e6}})
    info = result.firm_list[-1]
    assert (info.id, info.name, info.tier) == ("archive", "Archive", "licensors")
    revenue = result.of("archive", "revenue")
    assert (revenue > 0.0).all()
    assert (result.markets["archive.income"] == revenue).all()
    assert result.of("archive", "cash")[0] == pytest.approx(5e6 + revenue[0] - 1e4, rel=0.3)
    assert result.of("archive", "price")[0] == 0.02
    back = RunResult.load(result.save(tmp_path / "saved", report=True))
    assert back.spec == result.spec and (back.panel == result.panel).all()


def test_two_firms_of_one_id_are_refused() -> None:
    register_kind("house", HouseSpec, House, streams=("licences",))
    with pytest.raises(SpecError, match="have this id"):
        Spec.load("toy").with_overrides({"house.chat": {}})


def test_a_field_that_the_panel_has_not_is_refused() -> None:
    from experiments.errors import RunFailure

    class Odd(House):
        def record(self) -> dict[str, float]:
            return {"prise": 1.0}

    register_kind("house", HouseSpec, Odd, streams=("licences",))
    with pytest.raises(RunFailure, match="no field 'prise'"):
        run("toy", months=1, overrides={"house.archive": {}})


def test_sweeps_take_the_kind_to_their_processes(levy: Path) -> None:
    from experiments.designs import Design
    from experiments.sweeps import replay, sweep

    design = Design.parse(
        {"scenario": str(levy), "method": "random", "n": 2, "months": 2, "levers": {"levy.here.rate": "span"}}
    )
    result = sweep(design, levy.parent / "store", workers=2)
    assert (result.finished, result.failed) == (2, 0)
    key = result.table()["key"][0]
    KINDS.pop("levy")
    assert replay(levy.parent / "store", key).identical


def test_the_dashboard_turns_and_saves_it(levy: Path, tmp_path: Path) -> None:
    from experiments.dashboards.scenario_file import scenario_toml
    from experiments.dashboards.session import Session

    session = Session(str(levy))
    session.change({"levy.here.rate": 0.5})
    session.step()
    saved = tmp_path / "saved.toml"
    saved.write_text(scenario_toml(session), encoding="utf-8")
    assert (run(saved, months=2).panel == session.result().panel).all()
    assert Spec.load(saved).modules == session.spec.modules
    session.close()


def test_experiments_take_it(levy: Path) -> None:
    from experiments import monetise, shock

    assert monetise(str(levy), arms=["free"], months=2, replicates=2, workers=2).to_html(levy.parent / "m.html")
    assert shock("funding-drought", str(levy), month=1, months=4, replicates=2, workers=1).to_html(
        levy.parent / "s.html"
    )
