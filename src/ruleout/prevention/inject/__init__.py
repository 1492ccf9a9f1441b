"""Fault injection: one function a failure mode, with a dose, a target, a schedule and a seed."""

from ruleout.prevention.inject import (
    _categories,
    _fleet,
    _freshness,
    _labels,
    _missing,
    _modalities,
    _serving,
    _training,
    _values,
    _world,
)
from ruleout.prevention.inject._incident import inject_folder, system_of
from ruleout.prevention.inject._registry import (
    Dosage,
    InjectionError,
    Injector,
    Registered,
    inject,
    injector,
    injectors,
)
from ruleout.prevention.inject._scene import Answers, Base, Event, Model, Scene, Serving, Truth
from ruleout.prevention.inject._schedule import Schedule

FAMILIES = (
    _categories,
    _fleet,
    _freshness,
    _labels,
    _missing,
    _modalities,
    _serving,
    _training,
    _values,
    _world,
)
"""The modules that registered their injectors on import."""

__all__ = [
    "FAMILIES",
    "Answers",
    "Base",
    "Dosage",
    "Event",
    "InjectionError",
    "Injector",
    "Model",
    "Registered",
    "Scene",
    "Schedule",
    "Serving",
    "Truth",
    "inject",
    "inject_folder",
    "injector",
    "injectors",
    "system_of",
]
