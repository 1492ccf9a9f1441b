"""Where checks and repairs are registered, by decorator; built-ins and plug-ins use the same door."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ruleout._records import Layer, Outcome
from ruleout.profile import Case

if TYPE_CHECKING:
    from ruleout._records import RepairPlan

CheckFunction = Callable[[Case, np.random.Generator], Iterable[Outcome]]
RepairFunction = Callable[[Case, "RepairPlan"], Any]


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """A registered check and what the rest of the system needs to know of it."""

    id: str
    layer: Layer
    rung: str
    """`symptom`, `measurement`, `reproduction`, `inputs`, `world` or `path`."""

    looks_for: tuple[str, ...]
    """Failure modes that this check can speak for."""

    needs: tuple[str, ...]
    """Parts of the incident without which it abstains, e.g. `data.current`, `probes.audit`."""

    run: CheckFunction


@dataclass(frozen=True, slots=True)
class RepairSpec:
    """A registered repair and the modes that it undoes."""

    id: str
    undoes: tuple[str, ...]
    run: RepairFunction


CHECKS: dict[str, CheckSpec] = {}
REPAIRS: dict[str, RepairSpec] = {}


def check(
    id: str,  # noqa: A002 - the field's name for it
    *,
    layer: Layer,
    rung: str,
    looks_for: Iterable[str],
    needs: Iterable[str] = ("data.reference", "data.current"),
) -> Callable[[CheckFunction], CheckFunction]:
    """Register a function as the check `id`.

    Raises:
        ValueError: when the id is taken.
    """

    def register(run: CheckFunction) -> CheckFunction:
        _claim(CHECKS, id, run)
        CHECKS[id] = CheckSpec(id, layer, rung, tuple(looks_for), tuple(needs), run)
        return run

    return register


def repair(
    id: str,  # noqa: A002
    *,
    undoes: Iterable[str],
) -> Callable[[RepairFunction], RepairFunction]:
    """Register a function as the repair `id`.

    Raises:
        ValueError: when the id is taken.
    """

    def register(run: RepairFunction) -> RepairFunction:
        _claim(REPAIRS, id, run)
        REPAIRS[id] = RepairSpec(id, tuple(undoes), run)
        return run

    return register


def _claim(table: Mapping[str, Any], name: str, run: Callable[..., Any]) -> None:
    if name in table and table[name].run.__qualname__ != run.__qualname__:
        raise ValueError(f"{name!r} is already registered by {table[name].run.__module__}")


def load_all(package: ModuleType, group: str) -> None:
    """Import every module below `package`, then the entry points of `group`; importing registers."""
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
    for point in sorted(entry_points(group=group), key=lambda p: p.name):
        point.load()
