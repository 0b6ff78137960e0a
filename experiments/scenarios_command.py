"""`watersellers scenarios`: what there is, every parameter with unit, range and source, a first own one, a check."""

import json
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from experiments.errors import RunFailure, UserError

if TYPE_CHECKING:
    from ecosystem.spec import Spec

app = App(name="scenarios", help="Scenarios: list, show, start an own one, check.")

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON on standard output instead.")]
PARTS = ("chipmaker", "cloud", "lab", "app")


@app.default
def list_scenarios(*, as_json: Json = False) -> None:
    """List the scenarios that come with the program."""
    from ecosystem.spec import SCENARIOS, Spec

    rows = []
    for path in sorted(SCENARIOS.glob("*.toml")):
        spec = Spec.load(path.stem)
        firms = sum(len(getattr(spec, part)) for part in PARTS)
        rows.append({"name": path.stem, "months": spec.months, "firms": firms, "title": spec.title})
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    from rich.console import Console

    from experiments.tables import print_scenarios

    print_scenarios(Console(), rows)


@app.command
def show(name: str, prefix: str = "", /, *, as_json: Json = False) -> None:
    """Show every parameter of a scenario: value, unit, plausible range, role, source, meaning.

    Example: `watersellers scenarios show 2025 lab.openai`

    Parameters
    ----------
    name
        A scenario's name or a TOML file.
    prefix
        Show only parameters whose path begins so, or matches a pattern with stars such as `lab.*.price_output`.
    """
    from ecosystem.spec import Spec

    spec = Spec.load(name)
    rows = parameters(spec, prefix)
    if not rows:
        known = sorted({row["path"].split(".")[0] for row in parameters(spec)})
        raise UserError(f"no parameter of {name} begins with {prefix!r}; there are {', '.join(known)}")
    if as_json:
        from experiments.summaries import plain

        print(json.dumps(plain(rows), indent=2))
        return
    from rich.console import Console

    from experiments.tables import print_parameters

    print_parameters(Console(), rows)


@app.command
def new(name: str, /, *, origin: Annotated[str, Parameter(name="--from")] = "2025") -> None:
    """Start an own scenario: a TOML file that builds on another one and holds only what differs.

    Example: `watersellers scenarios new cheap-chips --from 2025`

    Parameters
    ----------
    name
        Name of the new scenario; the file is NAME.toml in this folder.
    origin
        The scenario that it builds on.
    """
    from ecosystem.spec import Spec

    name = name.removesuffix(".toml")
    if not re.fullmatch(r"[A-Za-z0-9][\w-]*", name):
        raise UserError(f"a scenario's name holds letters, digits, - and _, not {name!r}")
    path = Path(f"{name}.toml")
    text = template(name, origin, Spec.load(origin))
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{path} is there already; choose another name or remove it") from None
    except OSError as error:
        raise RunFailure(f"cannot write {path}: {error.strerror}") from error
    print(f"wrote {path}: edit it, then `watersellers scenarios check {path}` and `watersellers run {path}`")


@app.command
def check(file: str, /, *, as_json: Json = False) -> int:
    """Check a scenario: every error with file, line, key, value and what is allowed; then its opening month.

    Example: `watersellers scenarios check my.toml`

    Parameters
    ----------
    file
        A TOML file, or a scenario's name.
    """
    problems = find_problems(file)
    notes = [] if problems else unmet_payers(file)
    if as_json:
        print(json.dumps({"file": file, "valid": not problems, "problems": problems, "notes": notes}, indent=2))
        return 2 if problems else 0
    if not problems:
        print(*notes, f"{file}: in order; it can be run", sep="\n")
        return 0
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in {file}", file=sys.stderr)
    return 2


def parameters(spec: "Spec", prefix: str = "") -> list[dict[str, Any]]:
    """Return the parameters of a scenario whose path begins with, or matches, the prefix."""
    from fnmatch import fnmatchcase

    def wanted(path: str) -> bool:
        if "*" in prefix:
            return fnmatchcase(path, prefix)
        return path.startswith(prefix)

    return [
        {
            "path": row.path,
            "value": row.value,
            "unit": row.unit,
            "range": None if row.span is None else list(row.span),
            "role": row.role,
            "source": row.source,
            "doc": row.doc,
        }
        for row in spec.parameters()
        if wanted(row.path)
    ]


def template(name: str, origin: str, spec: "Spec") -> str:
    """Return the text of a scenario that builds on another, with examples of what can be changed."""
    lab, application = next(iter(spec.lab)), next(iter(spec.app))
    large = spec.lab[lab].models["large"]
    fund = spec.investors[spec.regions[0]].fund
    return f'''# {name}: built on {origin}. Only what differs stands here; all else is as in {origin}.
#   watersellers scenarios show {origin}        every parameter with its unit, range and source
#   watersellers scenarios check {name}.toml
#   watersellers run {name}.toml

extends = "{origin}"
name = "{name}"
title = "{origin}, changed"

# Remove the # before a line to use it.

# months = {spec.months}

# [lab.{lab}.models.large]
# price_output = {large.price_output / 2:g}        # USD/Mtok; {large.price_output:g} in {origin}

# [investors.{spec.regions[0]}]
# fund = {fund / 2:.3g}        # USD; {fund:.3g} in {origin}

# [mechanisms]
# price_war = false

# [events.my_scandal]
# kind = "ad_scandal"
# month = {min(12, spec.months - 1)}
# app = "{application}"
# trust_lost = 0.3

# Say where your numbers come from: reports and `scenarios show` repeat it.
# [sources]
# "lab.{lab}.models.large.price_output" = "price list of ..."
'''


# --- check ----------------------------------------------------------------------------------------------------


def find_problems(file: str) -> list[str]:
    """Return all that is wrong with a scenario, each with file, line where it is known, key and reason."""
    from pydantic import ValidationError

    from ecosystem.spec import SpecError, read_scenario, scenario_path, spec_class

    try:
        path = scenario_path(file)
        model, data = spec_class(read_scenario(path), path.name)
    except SpecError as error:
        return [str(error)]
    except OSError as error:
        return [f"{file}: cannot be read: {error.strerror}"]
    text = path.read_text(encoding="utf-8")
    try:
        spec = model.model_validate(data)
    except ValidationError as error:
        found = [_problem(each, data) for each in error.errors(include_url=False)]
        return [_placed(path.name, text, key, reason) for key, reason in dict.fromkeys(found)]
    return [_placed(path.name, text, key, reason) for key, reason in _opening_problems(spec)]


def unmet_payers(file: str) -> list[str]:
    """Say of which apps the opening has other payers than the scenario states (by 10 %), and what would give them."""
    from ecosystem.model import ValueChain
    from ecosystem.spec import Spec

    chain = ValueChain(Spec.load(file))
    notes = []
    for market in chain.consumer_markets.values():
        extras = market.fitted_extras()
        for app in market.apps:
            stated, found = app.spec.payers, market.usage(app).payers
            if app.agent_id in extras and abs(found - stated) > 0.1 * stated:
                notes.append(
                    f"note: app.{app.agent_id}.payers: {stated:,.0f} are stated, terms and tastes give {found:,.0f} "
                    f"at the opening; paid_extras = {extras[app.agent_id]:.4f} would give those stated"
                )
    chain.release()
    return notes


def _opening_problems(spec: "Spec") -> list[tuple[str, str]]:
    """Return why the opening month does not balance, if it does not."""
    from ecosystem.model import ValueChain
    from ecosystem.spec import SpecError

    try:
        ValueChain(spec).release()
    except (SpecError, ValueError) as error:
        key, _, reason = str(error).partition(": ")
        return [(key, reason) if reason else ("", key)]
    return []


def _problem(error: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[str, str]:
    """Return key and reason of one error of the scenario's types."""
    from ecosystem.spec import nearest, siblings

    loc: tuple[int | str, ...] = error["loc"]
    key = _key(loc, data)
    if error["type"] == "extra_forbidden":
        return key, f"unknown key{nearest(str(loc[-1]), siblings(loc[:-1]))}"
    if error["type"] == "value_error":
        reason = str(error.get("ctx", {}).get("error", error["msg"]))
        if not key and ": " in reason:
            key, _, reason = reason.partition(": ")
        return key, reason
    if error["type"] == "missing":
        return key, "is missing"
    return key, f"{error['input']!r} is refused: {error['msg'][0].lower()}{error['msg'][1:]}"


def _key(loc: tuple[int | str, ...], data: Any) -> str:
    """Return the dotted path of an error in the file; the name of a kind of event is no key."""
    parts = []
    place = data
    for part in loc:
        is_kind = isinstance(place, Mapping) and part not in place and place.get("kind") == part
        if is_kind:
            continue
        parts.append(str(part))
        place = place.get(part) if isinstance(place, Mapping) else None
    return ".".join(parts)


def _placed(file: str, text: str, key: str, reason: str) -> str:
    line = line_of(text, key)
    where = f"{file}:{line}" if line else file
    return f"{where}: {key}: {reason}" if key else f"{where}: {reason}"


def line_of(text: str, key: str) -> int | None:
    """Return the line of a TOML text (from 1) that sets a dotted key, or the nearest table around it."""
    wanted = key.split(".") if key else []
    best, depth = None, 0
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if heading := re.match(r"\[\[?\s*([^\]]+?)\s*\]", stripped):
            here = table = _parts(heading[1])
        elif setting := re.match(
            r"""((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""", stripped
        ):
            here = [*table, *_parts(setting[1])]
        else:
            continue
        if len(here) > depth and here == wanted[: len(here)]:
            best, depth = number, len(here)
    return best


def _parts(dotted: str) -> list[str]:
    """Split a TOML key at its dots."""
    try:
        node: Any = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:
        return [dotted]
    parts = []
    while isinstance(node, dict):
        name, node = next(iter(node.items()))
        parts.append(name)
    return parts
