"""The pages of the documentation that are generated: parameters, mechanisms and public verbs.

    python -m experiments.docs_tables

writes docs/reference/; a test fails when a page and the code differ.
"""

import argparse
import inspect
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
WRITTEN = "<!-- Written by `python -m experiments.docs_tables`; do not edit. -->"
BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def pages() -> dict[str, str]:
    """Return the text of every generated page by file name."""
    from experiments.docs_calibration import calibration_page

    return {
        "parameters.md": parameters_page(),
        "mechanisms.md": mechanisms_page(),
        "api.md": api_page(),
        "calibration.md": f"{WRITTEN}\n\n{calibration_page()}\n",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the pages."""
    argparse.ArgumentParser(description="Write the generated pages of docs/reference anew.").parse_args(arguments)
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
        print(f"wrote {REFERENCE.name}/{name}")


# --- parameters -----------------------------------------------------------------------------------------------


def parameters_page() -> str:
    """Return a table of every parameter class with the defaults of its declaration."""
    from ecosystem.spec import Spec

    parts = [
        WRITTEN,
        "# Parameters",
        "Every parameter that a scenario can set, with the default of its declaration; `—` has none. *Range* is what "
        "is plausible (sweeps draw from it), *allowed* what is not refused. *Role*: a **lever** is decided by "
        "somebody, an **uncertainty** is known by nobody, a **fact** comes from a source, a **switch** turns "
        "something on. Sources such as F-K12 and S2-17 are rows of the fact table "
        "(`experiments/evidence/facts.toml`); M is general knowledge; *judgement* is to be varied. A scenario's own "
        "values and sources: `watersellers scenarios show 2025`.",
    ]
    for path, model in _classes(Spec, ""):
        rows = [_parameter_row(name, field) for name, field in model.model_fields.items() if not _nested(field)]
        if not rows:
            continue
        doc = " ".join((model.__doc__ or "").split())
        heads = ("parameter", "meaning", "default", "unit", "range", "allowed", "role", "source")
        parts += [f"## `{path or 'scenario'}`", doc, _table(heads, rows)]
    return "\n\n".join(parts) + "\n"


def _classes(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield every parameter class below a class with the path at which it stands; `*` is an id of one's choice."""
    from agents.monetisation import WAYS

    yield path, model
    for name, field in model.model_fields.items():
        place = f"{path}.{name}".lstrip(".")
        if name == "earning" and path.startswith("app"):
            for way in WAYS.values():
                yield f"{place}.{way.name}", way.spec
        for found in dict.fromkeys(_models(field.annotation)):
            kinds = get_args(found.model_fields["kind"].annotation) if "kind" in found.model_fields else ()
            tagged = path == "" and name == "events"
            star = ".*" if "dict" in str(field.annotation) or tagged else ""
            yield from _classes(found, f"{place}{star}" + (f" ({kinds[0]})" if tagged else ""))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _nested(field: FieldInfo) -> bool:
    return next(_models(field.annotation), None) is not None


def _parameter_row(name: str, field: FieldInfo) -> tuple[str, ...]:
    extra: dict[str, Any] = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    span = extra.get("span")
    limits = [
        f"{sign} {_plain(getattr(rule, key))}"
        for rule in field.metadata
        for key, sign in BOUNDS.items()
        if getattr(rule, key, None) is not None
    ]
    choices = [str(value) for value in get_args(field.annotation) if isinstance(value, str)]
    return (
        f"`{name}`",
        field.description or "",
        "—" if field.is_required() or field.default is PydanticUndefined else _plain(field.default),
        str(extra.get("unit", "")),
        f"{_plain(span[0])} to {_plain(span[1])}" if isinstance(span, list) else "",
        ", ".join(limits or choices),
        str(extra.get("role", "")),
        str(extra.get("source", "")),
    )


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int | float):
        return f"{value:,.10g}" if abs(value) < 1e5 else f"{value:.4g}"
    return "none" if value is None or value in ({}, []) else str(value)


# --- mechanisms and verbs -----------------------------------------------------------------------------------------


def mechanisms_page() -> str:
    """Return the registry of mechanisms as a table."""
    from ecosystem.mechanisms import table

    heads = ("mechanism", "taken out by", "seen in", "sign", "why", "source")
    rows = [(title, f"`{by}`", outcome, sign, why, source) for title, by, outcome, sign, why, source in table()]
    parts = [
        WRITTEN,
        "# Mechanisms",
        f"The {len(rows)} mechanisms of the model: how each is taken out, where that is seen, and the sign of what it "
        "does there (the outcome with it less the outcome without it). One test runs every row of "
        "`ecosystem/data/mechanisms.toml` with and without its mechanism; the planted faults of the hypotheses take "
        "them out of the model in the same way.",
        _table(heads, rows),
    ]
    return "\n\n".join(parts) + "\n"


def api_page() -> str:
    """Return the public verbs with their signatures, and the subcommands."""
    import experiments
    from experiments.cli import COMMANDS

    parts = [
        WRITTEN,
        "# Python verbs and commands",
        "Everything a user calls is imported from `experiments`: `from experiments import run`. Importing it costs "
        "nothing; a verb is loaded when it is first used. A scenario is a name (`2025`, `toy`), a TOML file, or a "
        "`Spec`. Errors: `SpecError` and `UserError` say what cannot be run and why, `RunFailure` what broke off.",
    ]
    for name in sorted(experiments.__all__):
        verb = getattr(experiments, name)
        parts += [f"## {name}", f"```python\n{name}{_signature(verb)}\n```", inspect.cleandoc(verb.__doc__ or "")]
    rows = [(f"`watersellers {name}`", line) for name, _, line in COMMANDS]
    parts += [
        "## Commands",
        "Each says more with `--help`. Exit codes: 0 it ran, 1 it failed, 2 it was asked for something that cannot "
        "be, 3 a claim fell short of `hypotheses --fail-on`, 130 stopped by Ctrl-C.",
        _table(("command", "what it does"), rows),
    ]
    return "\n\n".join(parts) + "\n"


def _signature(verb: Any) -> str:
    """Return a signature with a parameter a line where it is long."""
    signature = inspect.signature(verb)
    parts: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        parts.append(f"{parameter.name}: {_annotation(parameter.annotation)}{default}")
    returned = _annotation(signature.return_annotation)
    one_line = f"({', '.join(parts)}) -> {returned}"
    if len(one_line) < 100:
        return one_line
    body = "".join(f"    {part},\n" for part in parts)
    return f"(\n{body}) -> {returned}"


def _annotation(annotation: Any) -> str:
    """Return a type as it is written in the code, without the modules it comes from."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", text).replace("'", "").replace("NoneType", "None")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return "\n".join([line(heads), "|" + " --- |" * len(heads), *(line(row) for row in rows)])


if __name__ == "__main__":
    main()
