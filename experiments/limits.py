"""Exact limits for the scoreboard: identities of DeepSeek's day, and the limit tests of the source tree.

The limits of the whole model are tests (tests/ecosystem/test_exact_limits.py and test_chain_limits.py), which run
the production objects in degenerate configurations. Here they are run as they stand, one row a test; without a
source tree they are rows that are not computed.
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

TEST_FILES = ("tests/ecosystem/test_exact_limits.py", "tests/ecosystem/test_chain_limits.py")
TREE = Path(__file__).parent.parent
FAILURES_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: what is expected, what came out; `passed` is None where it was not computed."""

    id: str
    title: str
    expected: str
    found: str
    passed: bool | None
    source: str


def identities() -> list[Limit]:
    """Return calibration targets 1 to 3: cost, revenue and break-even of DeepSeek's published day."""
    from ecosystem.inference.day import account

    day = account()
    wanted = [
        ("day-cost", "cost of DeepSeek's day, USD", day.cost, 87_072.0, 0.005, "target 1; S0-2"),
        ("day-nodes", "mean nodes of that day", day.mean_nodes, 226.75, 0.005, "target 1; S0-2"),
        ("day-revenue", "theoretical revenue of that day, USD", day.revenue, 562_027.0, 0.001, "target 2; S0-3"),
        ("day-tokens", "the same from tokens and list prices", day.revenue_from_tokens, 562_027.0, 0.001, "target 2"),
        ("day-mark-up", "mark-up on cost of that day", day.markup, 5.45, 0.005, "target 2; S0-1"),
        ("day-margin", "the same as a margin on revenue", day.margin, 0.845, 0.005, "S0-1"),
        ("break-even-r1", "break-even paid share at R1 prices", day.break_even["r1"], 0.155, 0.005, "target 3"),
        ("break-even-v3", "break-even paid share at V3 prices", day.break_even["v3"], 0.310, 0.005, "target 3"),
        ("input-cost", "cost of a Mtok of input, USD", day.usd_per_mtok_input, 0.0603, 0.002, "1.6"),
        ("output-cost", "cost of a Mtok of output, USD", day.usd_per_mtok_output, 0.3003, 0.002, "1.6"),
    ]
    return [
        Limit(
            each,
            title,
            f"{expected:.6g} +-{100.0 * within:.1f} %",
            f"{found:.6g}",
            abs(found / expected - 1.0) <= within,
            source,
        )
        for each, title, found, expected, within, source in wanted
    ]


def tested_limits() -> list[Limit]:
    """Run the limit tests of the source tree in a process of their own and return a row a test."""
    files = [name for name in TEST_FILES if (TREE / name).is_file()]
    if not files:
        why = "no source tree: the limits are tests of the repository"
        return [Limit(name, name, "passes", why, None, "model.md 7") for name in TEST_FILES]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "limits.xml"
        command = [sys.executable, "-m", "pytest", *files, "-n", "0", "-p", "no:cacheprovider", f"--junitxml={report}"]
        subprocess.run(command, cwd=TREE, capture_output=True, check=False)
        if not report.is_file():
            return [Limit(name, name, "passes", "pytest did not run", None, "model.md 7") for name in files]
        return _cases(report.read_text("utf-8"))


def _cases(xml: str) -> list[Limit]:
    from xml.etree import ElementTree

    found = []
    for case in ElementTree.fromstring(xml).iter("testcase"):
        name = case.get("name", "")
        problem = next((child for child in case if child.tag in {"failure", "error"}), None)
        skipped = any(child.tag == "skipped" for child in case)
        said = (problem.get("message") or "fails")[:FAILURES_SHOWN] if problem is not None else "passes"
        title = name.removeprefix("test_").replace("_", " ")
        passed = None if skipped else problem is None
        found.append(Limit(name, title, "passes", said, passed, "model.md 7"))
    return found
