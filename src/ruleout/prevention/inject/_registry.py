"""The register of injectors: one function a failure mode, found by the mode's id."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import polars as pl

from ruleout._errors import RuleoutError
from ruleout.incident._document import nearest
from ruleout.prevention.inject._scene import Base, Scene
from ruleout.prevention.inject._schedule import Schedule


class InjectionError(RuleoutError):
    """This system has nothing that the fault could hit, such as no clock for a time shift."""


@dataclass(frozen=True, slots=True)
class Dosage:
    """How hard, where and when."""

    dose: float = 0.5
    """In [0, 1]: 0 leaves the data alone, 1 is the hardest the injector knows."""

    target: tuple[str, ...] = ()
    """Columns to hit; empty lets the injector choose columns that matter."""

    schedule: Schedule = field(default_factory=Schedule)
    variant: str | None = None
    """One of the injector's variants; None draws one."""


class Injector(Protocol):
    """What every registered function looks like."""

    def __call__(self, scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
        """Return the scene with the fault and its truth added."""


@dataclass(frozen=True, slots=True)
class Registered:
    """An injector and what it can do."""

    mode: str
    inject: Injector
    variants: tuple[str, ...]
    slices: bool
    """Whether it obeys a schedule over time, entities, hosts and slices."""


_INJECTORS: dict[str, Registered] = {}


def injector(
    mode: str, *, variants: tuple[str, ...] = ("default",), slices: bool = True
) -> Callable[[Injector], Injector]:
    """Register the function below as the injector of `mode`."""

    def keep(function: Injector) -> Injector:
        _INJECTORS[mode] = Registered(mode, function, variants, slices)
        return function

    return keep


def injectors() -> Mapping[str, Registered]:
    """Every injector by its failure mode, in order of the modes' names."""
    return dict(sorted(_INJECTORS.items()))


def inject(
    mode: str,
    system: Base | Scene,
    *,
    rng: np.random.Generator,
    dose: float = 0.5,
    target: tuple[str, ...] = (),
    schedule: Schedule | None = None,
    variant: str | None = None,
) -> Scene:
    """Inject one fault into a healthy system, or into one that has faults already.

    Args:
        mode: failure mode, an id of the catalogue.
        system: a `Base`, or a `Scene` for a second fault.
        rng: the only source of chance; the same state gives the same scene.
        dose: in [0, 1]; 0 leaves the data alone and adds no truth.
        target: columns to hit; default: the injector's choice.
        schedule: when and for whom; default: the whole window.
        variant: one of the injector's variants; default: drawn.

    Raises:
        InjectionError: when the mode has no injector, the dose is outside [0, 1], a column does not
            exist or is of a type that the fault cannot be done to, or the system has nothing that the fault could hit.
    """
    scene = Scene.of(system) if isinstance(system, Base) else system
    known = _INJECTORS.get(mode)
    if known is None:
        near = difflib.get_close_matches(mode, _INJECTORS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InjectionError(f"no injector for failure mode {mode!r}{hint}")
    if not 0.0 <= dose <= 1.0:
        raise InjectionError(f"dose is {dose}; it must lie in [0, 1]")
    if variant is not None and variant not in known.variants:
        raise InjectionError(f"{mode} has no variant {variant!r}; choose from {known.variants}")
    when = schedule or Schedule()
    _require_columns(scene, (*target, *(() if when.column is None else (when.column,))))
    if dose == 0.0:
        return scene
    chosen = variant or known.variants[int(rng.integers(len(known.variants)))]
    try:
        return known.inject(scene, rng, Dosage(dose, target, when, chosen))
    except pl.exceptions.PolarsError as error:
        if not target:
            raise
        # The injectors choose columns of types that they can change; a named target may be of any.
        kinds = ", ".join(f"{name} ({scene.base.current.schema[name]})" for name in target)
        raise InjectionError(f"{mode} cannot be done to {kinds}; name another target") from error


def _require_columns(scene: Scene, names: tuple[str, ...]) -> None:
    known = scene.base.current.columns
    for name in names:
        if name not in known:
            raise InjectionError(
                f"{scene.base.name} has no column {name!r}; {nearest(name, known)}"
            )
