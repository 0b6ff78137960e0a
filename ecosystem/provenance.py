"""Where every value of a scenario comes from: one row a parameter."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel

from agents.monetisation import WAYS


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """One parameter of a scenario with all that is known of it."""

    path: str
    value: Any
    unit: str
    span: tuple[float, float] | None
    role: str
    source: str
    doc: str


def parameter_rows(node: Any, path: str, sources: Mapping[str, str]) -> Iterator[ParameterRow]:
    """Yield the leaf parameters below `node`, in order; `sources` are the scenario's own, by path or prefix."""
    if isinstance(node, BaseModel):
        for name, field in type(node).model_fields.items():
            if path == "" and name in {"modules", "sources"}:
                continue
            child = f"{path}.{name}" if path else name
            value = getattr(node, name)
            if name == "earning" and isinstance(value, dict):
                for way, terms in value.items():
                    yield from parameter_rows(WAYS[way].spec.model_validate(terms), f"{child}.{way}", sources)
                continue
            if isinstance(value, BaseModel) or (
                isinstance(value, dict) and any(isinstance(v, BaseModel) for v in value.values())
            ):
                yield from parameter_rows(value, child, sources)
                continue
            if field.json_schema_extra is None:
                continue  # the tag that says which kind of event this is
            extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
            span = extra.get("span")
            limits = (float(str(span[0])), float(str(span[1]))) if isinstance(span, list) else None
            source = _source(child, sources) or str(extra.get("source", ""))
            yield ParameterRow(
                child,
                value,
                str(extra.get("unit", "")),
                limits,
                str(extra.get("role", "")),
                source,
                field.description or "",
            )
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from parameter_rows(value, f"{path}.{key}", sources)


def _source(path: str, sources: Mapping[str, str]) -> str | None:
    """Return the scenario's own source of a path: exact, else with * for one name, else the longest prefix before *."""
    if path in sources:
        return sources[path]
    for pattern, source in sources.items():
        if ".*." in pattern and fnmatchcase(path, pattern) and path.count(".") == pattern.count("."):
            return source
    for length in range(len(path), -1, -1):
        found = sources.get(f"{path[:length]}*")
        if found is not None:
            return found
    return None
