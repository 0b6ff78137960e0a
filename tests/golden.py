"""The golden table: a short toy run without sampling, to be the same on every Python, Mesa and numpy.

Write it anew after a change of the economics with `python -m tests.golden`.
"""

import json
from pathlib import Path

from ecosystem.model import ValueChain
from ecosystem.spec import Spec

GOLDEN = Path(__file__).parent / "data" / "golden_toy.json"
MONTHS = 12
SHOWN = (0, 5, 11)
FIELDS = ("revenue", "operating_profit", "cash", "price", "unit_cost", "volume", "orders", "quality")

Table = dict[str, dict[str, list[float]]]


def golden_table() -> Table:
    """Return fields by firm in some months, and market series, of `toy` run in expectation."""
    chain = ValueChain(Spec.load("toy").with_overrides({"sampling": False, "months": MONTHS})).run()
    recorder = chain.recorder
    table: Table = {
        firm: {field: [float(recorder.of(firm, field)[month]) for month in SHOWN] for field in FIELDS}
        for firm in chain.firms
    }
    table["markets"] = {
        name: [float(values[month]) for month in SHOWN] for name, values in sorted(recorder.series.items())
    }
    chain.release()
    return table


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(golden_table(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"wrote {GOLDEN}")
