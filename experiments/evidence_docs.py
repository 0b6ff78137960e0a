"""The two pages of the documentation that a scoreboard writes: docs/evidence.md and docs/sources.md."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from experiments.provenance import corrections, facts
from experiments.worlds import read_evidence

if TYPE_CHECKING:
    from experiments.checks import Row
    from experiments.validation import Scoreboard

COMMAND = "watersellers validate --docs docs"
Stance = Literal["agree", "differ", "conditional", "not computed"]


class Claim(BaseModel):
    """What a news document says, the checks that speak to it, and how they are read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    rows: list[str]
    says: str
    checks: list[str]
    condition: str = ""
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A claim, the rows of the scoreboard that speak to it, and where the model stands."""

    claim: Claim
    rows: "tuple[Row, ...]"
    stance: Stance


@cache
def claims() -> tuple[Claim, ...]:
    """Return the claims of the news documents that the model can speak to."""
    return tuple(Claim.model_validate(each) for each in read_evidence("sources.toml")["claim"])


def verdicts(board: "Scoreboard") -> list[Verdict]:
    """Return where the model stands on every claim."""
    known = {f"{row.section}/{row.id}": row for row in board.rows}
    return [_verdict(claim, tuple(known[c] for c in claim.checks if c in known)) for claim in claims()]


def _verdict(claim: Claim, rows: "tuple[Row, ...]") -> Verdict:
    computed = [row for row in rows if row.status != "not computed"]
    agreeing = sum(row.status == "pass" for row in computed)
    stance: Stance
    if not computed:
        stance = "not computed"
    elif claim.condition:
        stance = "conditional" if agreeing else "differ"
    else:
        stance = "agree" if agreeing == len(computed) else "conditional" if agreeing else "differ"
    return Verdict(claim, rows, stance)


def write_docs(board: "Scoreboard", folder: str | Path) -> list[Path]:
    """Write docs/evidence.md and docs/sources.md anew and return their paths; RunFailure where the disk refuses."""
    from experiments.parts import write_text

    pages = {"evidence.md": evidence_page(board), "sources.md": sources_page(board)}
    Path(folder).mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in pages.items():
        path = Path(folder) / name
        write_text(path, text)
        paths.append(path)
    return paths


def evidence_page(board: "Scoreboard") -> str:
    """Return the page on calibration and validation."""
    from experiments.scoreboards import markdown

    head = (Path(__file__).parent / "templates" / "evidence.md").read_text(encoding="utf-8")
    return head.replace("{made}", _made(board)) + "\n" + markdown(board)


def sources_page(board: "Scoreboard") -> str:
    """Return the table source by source, the corrections, and the rows of the fact table."""
    from experiments.scoreboards import markdown_table

    heads = ("rows", "the source says", "the model says", "", "why")
    rows = [_cells(verdict) for verdict in verdicts(board)]
    parts = [
        "# Source by source",
        "",
        _made(board),
        "",
        "What the five news documents that started this project say, and what the model says of it. Figures and "
        "verdicts of checks are those of the scoreboard ([evidence](evidence.md)). *agree*: all checks of the claim "
        "pass; *differ*: none does; *conditional*: some do, or at least one does and we read the claim as holding "
        "under a condition only, which is then named: that reading is ours. *not computed*: the model cannot test it.",
        "",
        *markdown_table(heads, rows),
        "## Figures that are wrong or simplified",
        "",
        *markdown_table(
            ("row", "figure", "what is wrong", "instead", "in this project"),
            [[c.id, c.figure, c.problem, c.instead, c.use] for c in corrections().values()],
        ),
        "## The rows",
        "",
        "Sources of parameters (`watersellers scenarios show`) name these rows. Quality: A primary, B major press or "
        "research house, C blog or aggregator, D rumour, M general knowledge that was not re-read.",
        "",
        *markdown_table(
            ("row", "says", "date", "note or source", "quality"),
            [[f.id, f.says, f.date, f.note, f.quality] for f in facts().values()],
        ),
    ]
    return "\n".join(parts)


def _cells(verdict: Verdict) -> list[str]:
    claim = verdict.claim
    found = "; ".join(f"{row.title}: {row.found or 'not computed'}" for row in verdict.rows)
    why = f"{claim.condition}. {claim.why}" if claim.condition else claim.why
    return [", ".join(claim.rows), claim.says, found or "not computed", verdict.stance, f"{why}."]


def _made(board: "Scoreboard") -> str:
    """Say what made a page."""
    code = f"code {board.fingerprint[:12]}"
    return f"Written by `{COMMAND}`, {board.seeds} replicates, scenario {board.scenario}, {code}; do not edit."


def plain(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain data."""
    return {
        "rows": verdict.claim.rows,
        "says": verdict.claim.says,
        "stance": verdict.stance,
        "checks": {f"{row.section}/{row.id}": row.found for row in verdict.rows},
        "why": verdict.claim.why,
    }
