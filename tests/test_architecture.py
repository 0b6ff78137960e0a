"""The rules of the house: who imports whom, what agents may touch, where numbers come from, what is let go."""

import ast
import gc
import json
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mesa
import numpy as np
import pytest
from numpy.testing import assert_allclose
from pydantic import BaseModel

from agents.parameters import Parameters
from ecosystem.model import ValueChain
from ecosystem.spec import SCENARIOS, Spec
from tests.golden import GOLDEN, golden_table

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "agents": {"agents"},
    "ecosystem": {"ecosystem", "agents"},
    "experiments": {"experiments", "ecosystem", "agents"},
}
OUTSIDE_OF_AGENTS = {"numpy", "scipy", "mesa", "pydantic"}
MESAS_OWN = {
    "time", "scenario", "agents", "batch", "observe", "notify", "suppress", "subscribers", "observables",
    "data_registry", "pos",
}  # fmt: skip
DERIVED = {"mesa.Agent", "mesa.Model", "EconomicAgent", "Firm", "WorldView"}


def _modules(room: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((ROOT / room).rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def _imports(tree: ast.Module) -> Iterator[str]:
    """Yield the top-level package of every import, those for type checking included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            yield node.module.split(".")[0]


# --- rooms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_arrows_between_rooms_go_one_way(room: str) -> None:
    for path, tree in _modules(room):
        rooms = set(_imports(tree)) & {*MAY_IMPORT, "tests"}
        assert rooms <= MAY_IMPORT[room], f"{path}: imports {rooms - MAY_IMPORT[room]}"


def test_agents_import_little() -> None:
    import sys

    for path, tree in _modules("agents"):
        others = set(_imports(tree)) - set(sys.stdlib_module_names) - {"agents"}
        assert others <= OUTSIDE_OF_AGENTS, f"{path}: imports {others - OUTSIDE_OF_AGENTS}"
        assert "mesa" not in others or path.name == "base.py", f"{path}: only base.py touches mesa"


def test_agents_see_the_world_and_never_the_model() -> None:
    for path, tree in _modules("agents"):
        if path.name == "base.py":
            continue
        seen = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr == "model" and _is_self(n)]
        assert not seen, f"{path}:{seen[0]}: self.model"


def _is_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "self"


def _models_and_agents() -> Iterator[tuple[Path, ast.ClassDef]]:
    """Yield the classes that derive from Mesa's: agents and their bases, the model and its view."""
    view = ROOT / "ecosystem"
    trees = [*_modules("agents"), *((view / f, ast.parse((view / f).read_text())) for f in ("model.py", "view.py"))]
    for path, tree in trees:
        for node in ast.walk(tree):
            bases = {ast.unparse(base) for base in node.bases} if isinstance(node, ast.ClassDef) else set()
            if isinstance(node, ast.ClassDef) and (bases & DERIVED or node.name == "WorldView"):
                yield path, node


def test_no_attribute_of_mesas_is_reused() -> None:
    """On some version of Mesa these names of a model or agent mean something else."""
    found = list(_models_and_agents())
    assert len(found) >= 10
    for path, kind in found:
        own = {part.name for part in kind.body if isinstance(part, ast.FunctionDef)}
        own |= {n.attr for n in ast.walk(kind) if isinstance(n, ast.Attribute) and _is_self(n) and _is_set(n)}
        assert not own & MESAS_OWN, f"{path}: {kind.name} has {own & MESAS_OWN}"


def _is_set(node: ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Store)


def test_nothing_reads_the_design() -> None:
    for room in (*MAY_IMPORT, "tests"):
        for path, tree in _modules(room):
            if path == Path(__file__):
                continue
            texts = (n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str))
            assert not any(str(ROOT.parent) in text or "../shared" in text for text in texts), path


# --- parameters ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", sorted(path.stem for path in SCENARIOS.glob("*.toml")))
def test_every_parameter_has_a_source(scenario: str) -> None:
    about_itself = {"name", "title", "start", "months", "seed", "sampling", "regions"}
    for row in Spec.load(scenario).parameters():
        assert row.source.strip(), f"{row.path} has no source"
        assert row.source != "scenario" or row.path in about_itself, f"{row.path}: says no more than 'scenario'"
        assert row.unit.strip(), f"{row.path} has no unit"
        assert row.doc.strip(), f"{row.path} says nothing"


def _parameter_classes(kind: type[BaseModel] = Parameters) -> Iterator[type[BaseModel]]:
    for child in kind.__subclasses__():
        yield child
        yield from _parameter_classes(child)


def test_no_parameter_holds_a_margin() -> None:
    names = {f"{kind.__name__}.{field}" for kind in _parameter_classes() for field in kind.model_fields}
    assert len(names) > 200
    assert not [name for name in names if any(word in name.lower() for word in ("margin", "markup", "mark_up"))]


@pytest.mark.parametrize("kind", list(_parameter_classes()), ids=lambda kind: kind.__name__)
def test_spans_contain_their_defaults(kind: type[BaseModel]) -> None:
    for name, field in kind.model_fields.items():
        extra = field.json_schema_extra
        if not isinstance(extra, dict) or "span" not in extra or not isinstance(field.default, int | float):
            continue
        low, high = (float(str(limit)) for limit in np.array(extra["span"], dtype=object))
        assert low < high, f"{kind.__name__}.{name}: empty span"
        off = field.default == 0.0
        assert off or low <= field.default <= high, f"{kind.__name__}.{name}: {field.default} outside {low}-{high}"


# --- Mesa ------------------------------------------------------------------------------------------------------


def test_a_released_model_is_gone() -> None:
    chain = ValueChain("toy", months=8)
    chain.step()
    gone = weakref.ref(chain)
    chain.release()
    del chain
    gc.collect()
    assert gone() is None


def test_it_is_a_mesa_model() -> None:
    rows: list[dict[str, Any]] = mesa.batch_run(
        ValueChain,
        {"spec": "toy", "months": 8, "lab.commons.models.large.price_output": [1.0, 2.0], "replicate": range(2)},
        number_processes=1,
        data_collection_period=1,
        display_progress=False,
    )
    assert len(rows) >= 4 * 8
    assert {row["replicate"] for row in rows} == {0, 1}
    last = {(r["lab.commons.models.large.price_output"], r["replicate"]): r["tokens"] for r in rows}
    assert len(set(last.values())) == 4


# --- golden table ------------------------------------------------------------------------------------------------


def test_golden_table() -> None:
    """The same numbers on all versions; after a change of the economics write them anew: python -m tests.golden."""
    expected, found = json.loads(GOLDEN.read_text(encoding="utf-8")), golden_table()
    assert found.keys() == expected.keys()
    for name, fields in expected.items():
        for field, values in fields.items():
            assert_allclose(found[name][field], values, rtol=1e-9, atol=1e-6, err_msg=f"{name}.{field}")
