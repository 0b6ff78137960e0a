"""Where every number comes from: sources of parameters checked against the fact table, and its corrections.

    python -m experiments.provenance 2025

A source names a row of the fact table (S2-17, F-K9), a section of it, a document of the project, a paper, or says
"judgement" or M (general knowledge that was not re-read). Anything else is a problem.
"""

import re
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from experiments.worlds import read_evidence

if TYPE_CHECKING:
    from ecosystem.spec import Spec

ROW = re.compile(r"\b(?:S\d-\d+|F-[A-Z]\d+)\b")
DOCUMENTS = (
    "opening balance",
    "accelerators.toml",
    "models.toml",
    "api_prices.csv",
    "kernel.md",
    "model.md",
    "behaviour.md",
    "behaviour",
    "doubling test",
    "scenario",
    "section 2.2",
    "S0 (",
    "1.6",
    "fiscal 2024",
)
PAPERS = re.compile(r"\b[A-Z][\w-]+(?:,? (?:and|et al\.?|[A-Z][\w-]+))*,? \d{4}")
KINDS = ("fact row", "document", "paper", "general knowledge", "judgement")


@dataclass(frozen=True, slots=True)
class Fact:
    """A row of the fact table: what a source says, when, what is known of it, and how good the source is."""

    id: str
    says: str
    date: str
    note: str
    quality: str


@dataclass(frozen=True, slots=True)
class Correction:
    """A figure of the news documents that is wrong or simplified, and what holds instead."""

    id: str
    figure: str
    problem: str
    instead: str
    use: str


@cache
def facts() -> dict[str, Fact]:
    """Return the rows of the fact table by id."""
    return {name: Fact(name, **row) for name, row in read_evidence("rows.toml").items()}


@cache
def corrections() -> dict[str, Correction]:
    """Return the corrections by row."""
    return {name: Correction(name, **row) for name, row in read_evidence("corrections.toml").items()}


def kinds(source: str) -> set[str]:
    """Return what a source text rests on; empty where it names nothing that is known."""
    found = set()
    if ROW.search(source):
        found.add("fact row")
    if any(document in source for document in DOCUMENTS):
        found.add("document")
    if PAPERS.search(source):
        found.add("paper")
    if re.search(r"\(M\b|\bM:|\bM\b", source):
        found.add("general knowledge")
    if "judgement" in source or re.search(r"\(J\)", source):
        found.add("judgement")
    return found


def unknown_rows(source: str) -> list[str]:
    """Return the rows that a source names and the fact table does not have."""
    return [row for row in ROW.findall(source) if row not in facts()]


def problems(spec: "Spec") -> list[str]:
    """Return a line for every parameter of a scenario without a source, or with one that does not exist."""
    found = []
    for row in spec.parameters():
        if unknown := unknown_rows(row.source):
            found.append(f"{row.path}: {row.source!r} names {', '.join(unknown)}, which the fact table does not have")
        elif not kinds(row.source):
            found.append(f"{row.path}: {row.source!r} is neither a fact, a document, a paper nor judgement")
    return found


def counts(spec: "Spec") -> Counter[str]:
    """Return how many parameters of a scenario rest on each kind of source; one may rest on several."""
    return Counter(kind for row in spec.parameters() for kind in kinds(row.source))


def main(scenario: str = "2025") -> None:
    """Print what the parameters of a scenario rest on, and what is wrong with their sources."""
    from ecosystem.spec import Spec

    spec = Spec.load(scenario)
    print(f"{scenario}: {len(spec.parameters())} parameters")
    for kind in KINDS:
        print(f"  {kind}: {counts(spec)[kind]}")
    print("\n".join(problems(spec)) or "every parameter has a source that exists")


if __name__ == "__main__":
    main(*sys.argv[1:])
