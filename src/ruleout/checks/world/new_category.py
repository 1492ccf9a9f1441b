"""Values and classes that the reference never had, and the loss that came with them.

Rule: a value that is common now and absent before, while the old values stay (in a recode they vanish), and that carries
a share of the rise in loss. Columns that always bring new values (identifiers) are judged by how many they
usually bring: the second half of the reference against the first. Needs no labels to see the values, labels to see
the harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Scope, Subject
from ruleout._registry import check
from ruleout.checks.inputs._defaults import names_served
from ruleout.checks.reproduction._generation import log_of
from ruleout.checks.world._view import NO_HARM
from ruleout.checks.world.adversaries import LEAST_ACTORS
from ruleout.profile import Case

MODES = ("new_category",)
_LEAST_SHARE = 0.005
_LEAST_ROWS = 10
_BLANK = frozenset(
    {
        "",
        "null",
        "nan",
        "none",
        "na",
        "nil",
        "unknown",
        "missing",
        "undefined",
        "default",
        "0",
        "-1",
    }
)
"""What a data path writes where it has no value, after `plain`."""


@check("new_category", layer="data", rung="world", looks_for=MODES)
def new_category(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Look for unseen classes and unseen values of categorical inputs and segments."""
    del rng
    if case.significant is False:
        return [Abstained(MODES, NO_HARM)]
    found = [*_classes(case), *_values(case)]
    if found:
        return found
    text = f"no class and no value of {len(case.categorical)} categorical columns is new"
    return [Clear(MODES, Subject(), text, _LEAST_SHARE, "new_category.none")]


def loss_share(case: Case, rows: NDArray[np.bool_]) -> float | None:
    """Share of the rise in mean loss that current rows (n,) carry; None without labels or without a rise."""
    if not (case.labelled("reference") and case.labelled("current")):
        return None
    before, now = case.loss("reference"), case.loss("current")
    known = np.isfinite(now)
    base = float(np.nanmean(before))
    rise = float((now[known] - base).sum())
    if rise <= 0 or not (rows & known).any():
        return None
    return float((now[rows & known] - base).sum() / rise)


def _classes(case: Case) -> Iterator[Outcome]:
    before, now = case.truth("reference"), case.truth("current")
    if before.dtype.kind == "f" or len(case.classes) < 2:
        return
    size = len(case.classes)
    old, new = (
        np.bincount(t[t >= 0], minlength=size)
        for t in (before.astype(np.int64), now.astype(np.int64))
    )
    if not old.any():
        return
    fresh = np.flatnonzero((old == 0) & (new >= max(_LEAST_ROWS, _LEAST_SHARE * new.sum())))
    if not len(fresh):
        return
    gone = float(old[(new == 0)].sum() / max(old.sum(), 1))
    mass = float(new[fresh].sum() / new.sum())
    if gone > 0.5 * mass:
        return  # classes were renamed, not added
    names = tuple(case.classes[k] for k in fresh)
    subject = Subject("class", names)
    rows = np.isin(now, fresh)
    share = loss_share(case, rows)
    target = case.incident.data.columns.target or "label"
    carried = "" if share is None else f"; they carry {share:.0%} of the rise in loss"
    yield Finding(
        signal="new_category.class",
        subject=subject,
        statement=f"labels {', '.join(names[:5])} never occurred before and are {mass:.1%} of the rows now{carried}",
        statistic=mass,
        effect=mass,
        p_value=None,
        strength=_strength(share, mass),
        supports=MODES,
        against=("concept_drift", "label_noise", "prior_shift"),
        scope=Scope(column=target, values=names),
        repairs=(RepairPlan("keep", subject, Scope(column=target, values=names)),),
    )


def _strength(share: float | None, mass: float) -> float:
    if share is None:
        return float(np.clip(mass / 0.1, 0.2, 0.6))
    return float(np.clip(share / 0.6, 0.0, 1.0))


def _values(case: Case) -> Iterator[Outcome]:
    log = log_of(case)
    logged = set() if log is None else {n for names in log.roles.values() for n in names}
    for name in dict.fromkeys([*case.categorical, *case.segments]):
        if name in logged or (name not in case.features and names_served(name)):
            continue  # a new edition of what served is no new kind of what came in
        if case.reference.has(name) and case.current.has(name) and not _names_actors(case, name):
            yield from _column(case, name)


def _names_actors(case: Case, name: str) -> bool:
    """Whether a dimension holds who acted, not what was seen: someone new is no new category."""
    return name not in case.features and len(case.vocabulary(name)) >= LEAST_ACTORS


def _column(case: Case, name: str) -> Iterator[Outcome]:
    before, now = case.codes("reference", name), case.codes("current", name)
    size = len(case.vocabulary(name))
    if size == 0 or not (before >= 0).any():
        return
    old, new = (np.bincount(c[c >= 0], minlength=size) for c in (before, now))
    # a rare value that the sample of the reference missed by chance is no news
    least = max(_LEAST_ROWS, _LEAST_SHARE * len(now))
    fresh = np.flatnonzero((old == 0) & (new >= least))
    if not len(fresh):
        return
    mass = float(new[fresh].sum() / len(now))
    gone = float(old[(new == 0) & (old >= _LEAST_SHARE * len(before))].sum() / len(before))
    if gone > 0.5 * mass or mass < 3 * _usual(before, size):
        return
    vocabulary = case.vocabulary(name)
    known = {plain(vocabulary[k]) for k in np.flatnonzero(old > 0)}
    fresh = np.array(
        [k for k in fresh if plain(vocabulary[k]) not in known | _BLANK], dtype=np.int64
    )
    if not len(fresh):
        return  # a default, or an old value spelt anew: the data path's doing
    mass = float(new[fresh].sum() / len(now))
    values = tuple(vocabulary[k] for k in fresh)
    share = loss_share(case, np.isin(now, fresh))
    if share is not None and share < 0.1:
        return  # new, and harmless
    subject = Subject("feature", (name,))
    carried = "" if share is None else f"; these rows carry {share:.0%} of the rise in loss"
    shown = ", ".join(repr(v) for v in values[:4]) + (" ..." if len(values) > 4 else "")
    yield Finding(
        signal="new_category.value",
        subject=subject,
        statement=f"{name} has values it never had, {shown}, in {mass:.1%} of the rows, while the old ones stay{carried}",
        statistic=mass,
        effect=mass,
        p_value=None,
        strength=_strength(share, mass),
        supports=MODES,
        against=("concept_drift", "covariate_shift"),
        scope=Scope(column=name, values=values[:200]),
        repairs=(RepairPlan("keep", subject, Scope(column=name, values=values[:200])),),
        chart={
            "kind": "bars",
            "categories": list(values[:20]),
            "format": "share",
            "reference": [0.0] * len(values[:20]),
            "current": (new[fresh[:20]] / len(now)).tolist(),
            "title": f"New values of {name}",
        },
    )


def plain(value: str) -> str:
    """A value without what systems add or drop: case, blanks, quotes, padding zeros, a trailing `.0`."""
    bare = "".join(c for c in value.casefold() if c.isalnum() or c in ".-+")
    try:
        return f"{float(bare):g}"
    except ValueError:
        return "".join(c for c in bare if c.isalnum())


def _usual(codes: NDArray[np.int32], size: int) -> float:
    """Share of rows in the second half of the reference whose value the first half did not have."""
    half = len(codes) // 2
    if half < 50:
        return 0.0
    seen = np.bincount(codes[:half][codes[:half] >= 0], minlength=size) > 0
    later = codes[half:]
    return float((~seen[later[later >= 0]]).sum() / len(later))
