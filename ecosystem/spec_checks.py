"""Checks of a scenario that look beyond one value: tables of amounts, and the cards that it names."""

from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from ecosystem.inference.cards import load_accelerators, load_models

if TYPE_CHECKING:
    from ecosystem.spec import Spec


_NUMBERS = (int, float)
_NODES = (dict, BaseModel)
_SINGLE = (bool, int, float, str, NoneType)


def check_amounts(node: Any, path: str = "") -> None:
    """Refuse a negative amount in any table of numbers (fleets, purchases, shares by firm); ValueError."""
    if not isinstance(node, dict):
        part: type[BaseModel] = type(node)
        for name in _wide_fields(part):
            value = getattr(node, name)
            if isinstance(value, _NODES):
                check_amounts(value, _joined(path, name))
        return
    for name, value in node.items():
        if isinstance(value, _NUMBERS):
            if value < 0.0:
                raise ValueError(f"{_joined(path, name)}: {value:g} is negative; amounts in this table are 0 or more")
        elif value is not None and not isinstance(value, str) and isinstance(value, _NODES):
            check_amounts(value, _joined(path, name))


@cache
def _wide_fields(part: type[BaseModel]) -> tuple[str, ...]:
    """Return the fields of a part of a scenario that may hold more than a single value, such as a table."""
    return tuple(name for name, field in part.model_fields.items() if not _is_single(field.annotation))


def _is_single(annotation: Any) -> bool:
    """Return whether only numbers, texts, switches and None are of a type."""
    if get_origin(annotation) in (Union, UnionType):
        return all(_is_single(each) for each in get_args(annotation))
    return annotation in _SINGLE or get_origin(annotation) is Literal


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else str(name)


def named_cards(spec: "Spec") -> list[tuple[str, str, list[str]]]:
    """Return (path, name, known names) of every accelerator and model card that a scenario names."""
    accelerators, models = list(load_accelerators()), list(load_models())
    named = []
    for firm, maker in spec.chipmaker.items():
        for region, line in maker.lines.items():
            for key, product in line.products.items():
                path = f"chipmaker.{firm}.lines.{region}.products.{key}.accelerator"
                named.append((path, product.accelerator, accelerators))
    for firm, cloud in spec.cloud.items():
        named += [(f"cloud.{firm}.fleet", accelerator, accelerators) for accelerator in cloud.fleet]
    for firm, lab in spec.lab.items():
        named += [(f"lab.{firm}.models.{size}.card", model.card, models) for size, model in lab.models.items()]
    return named
