"""Did the features arrive as they were meant: logged values against values recomputed from raw?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.inputs._defaults import (
    commonness,
    names_file,
    number_kind,
    source_of,
)
from ruleout.checks.inputs._key_loss import key_loss
from ruleout.checks.inputs._launch import first_served
from ruleout.checks.inputs.clock import hour_of_day
from ruleout.checks.measurement.label_audit import not_in_current
from ruleout.checks.reproduction._another_row import another_row
from ruleout.checks.reproduction._editions import bad_editions
from ruleout.checks.reproduction._locate import locate
from ruleout.checks.reproduction._relations import Relation, code_relation, numeric_relation
from ruleout.checks.reproduction._repairs import described
from ruleout.profile import Case, Which, numeric_array, text_series

Floats = NDArray[np.float64]
ON_THE_WAY = (
    "silent_nulls",
    "unit_change",
    "category_recode",
    "stale_features",
    "partial_batch",
    "join_loss",
    "time_shift",
    "precision_loss",
    "feature_swap",
    "train_serve_skew",
    "target_leakage",
    "schema_change",
)
"""Modes that let a feature arrive otherwise than it was meant."""

_WORLD = (
    "covariate_shift",
    "concept_drift",
    "prior_shift",
    "benign_mix",
    "selection_bias",
    "random_fluctuation",
)
_SUPPORTS = {
    "null": ("silent_nulls", "join_loss", "schema_change"),
    "constant": ("silent_nulls", "join_loss"),
    "cast": ("silent_nulls", "join_loss", "precision_loss"),
    "held": ("stale_features", "silent_nulls", "join_loss"),
    "kept": ("stale_features", "silent_nulls", "join_loss"),
    "defaults": ("fallback_overload", "silent_nulls", "join_loss"),
    "clipped": ("precision_loss", "train_serve_skew"),
    "rounded": ("precision_loss", "train_serve_skew"),
    "scale": ("unit_change",),
    "twice": ("join_fanout", "unit_change"),
    "offset": ("unit_change", "time_shift"),
    "hours": ("time_shift",),
    "low": ("partial_batch",),
    "never": ("train_serve_skew", "partial_batch"),
    "mirrored": ("train_serve_skew", "category_recode"),
    "curved": ("train_serve_skew",),
    "noisy": ("train_serve_skew", "stale_features"),
    "recode": ("category_recode",),
    "swap": ("feature_swap",),
    "old": ("stale_features",),
    "ahead": ("target_leakage", "train_serve_skew"),
    "otherwise": ("train_serve_skew",),
    "unrelated": ("stale_features", "train_serve_skew"),
}
_ODD = ("mirrored", "curved", "noisy", "unrelated", "otherwise")
"""Relations that no unit, rounding, default or delay brings about."""

_BENT = ("curved", "noisy")
"""Relations that shares lost at random may look like, where they differ little or much."""

_NEARLY = 0.95
_LEAST = 30
_SEEN = 0.01
_MOSTLY = 0.9


@dataclass(frozen=True, slots=True)
class _Joined:
    rows: NDArray[np.int64]
    offline: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _Differs:
    name: str
    flag: Floats
    relation: Relation
    lower: bool = False
    """Whether hardly a value that differs is larger than the right one."""


@check(
    "feature_parity",
    layer="data",
    rung="inputs",
    looks_for=ON_THE_WAY,
    needs=("probes.parity", "data.current"),
)
def feature_parity(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Join recomputed features by key and ask of each that differs what it is of the right one."""
    del rng
    joined = parity_rows(case)
    if joined is None or len(joined.rows) < _LEAST:
        n = 0 if joined is None else len(joined.rows)
        yield Abstained(
            ON_THE_WAY, f"only {n} recomputed rows belong to sampled current rows", "probes.parity"
        )
        return
    names, found = _compared(case, joined)
    if not names:
        yield Abstained(ON_THE_WAY, "the recomputed table has none of the inputs", "probes.parity")
        return
    differing = {differs.name for differs in found}
    equal = tuple(name for name in names if name not in differing)
    if equal:
        subject = (
            Subject()
            if not differing and len(equal) == len(case.features)
            else Subject("feature", equal)
        )
        told = f"{len(equal)} of {len(names)} inputs are logged as recomputed ({len(joined.rows)} rows)"
        yield Clear(ON_THE_WAY, subject, told, _SEEN, "parity.equal")
    yield from _told(case, joined, found)


def differing(case: Case) -> tuple[str, ...]:
    """Inputs whose logged values are not those recomputed, where any were recomputed."""
    joined = parity_rows(case)
    if joined is None or len(joined.rows) < _LEAST:
        return ()
    return tuple(differs.name for differs in _compared(case, joined)[1])


def off_rows(case: Case) -> Floats:
    """Current rows (n,) with an input that is not as recomputed: 1 or 0, NaN where nothing was recomputed."""
    out = np.full(case.current.rows, np.nan)
    joined = parity_rows(case)
    if joined is not None and len(joined.rows) >= _LEAST:
        flags = [differs.flag for differs in _compared(case, joined)[1]]
        out[joined.rows] = np.max(flags, axis=0) if flags else 0.0
    return out


def _compared(case: Case, joined: _Joined) -> tuple[list[str], list[_Differs]]:
    """The inputs that were recomputed, and how those that differ do; compared once for all who ask."""
    if "parity compared" not in case.cache:
        names = [n for n in case.features if n in joined.offline.columns and case.current.has(n)]
        names = [n for n in names if case.kind(n) in ("numeric", "categorical", "datetime")]
        found = [differs for name in names if (differs := _compare(case, joined, name)) is not None]
        case.cache["parity compared"] = names, _reconciled(case, found)
    told: tuple[list[str], list[_Differs]] = case.cache["parity compared"]
    return told


def _reconciled(case: Case, found: list[_Differs]) -> list[_Differs]:
    """Read features in the light of each other: partners of a swap, counts that thinned out to zero."""
    partners = {d.relation.told.removeprefix("holds ") for d in found if d.relation.kind == "swap"}
    low = [d for d in found if d.relation.kind == "low"]
    thin = {_source(case, d.name) for d in low} - {""}
    out = []
    for differs in found:
        relation = differs.relation
        if differs.name in partners and relation.kind != "swap":
            relation = Relation("swap", "holds another input")
        counts = (
            relation.kind in ("constant", "cast")
            and relation.value == 0
            and case.kind(differs.name) == "numeric"
        )
        if counts and _source(case, differs.name) in thin:
            relation = Relation("low", "is too small")
        if relation.kind in _BENT and any(_thinned_with(case, differs, one) for one in low):
            relation = Relation("low", "is too small")
        if relation.kind == "cast" and len(found) > 1:
            # Others that are off beside it: their source defaults to 0.
            relation = relation._replace(kind="constant")
        if relation.kind == "held" and any(_lost_with(case, differs, other) for other in found):
            relation = Relation("constant", relation.told, relation.value)
        out.append(replace(differs, relation=relation))
    return out


def _thinned_with(case: Case, bent: _Differs, low: _Differs) -> bool:
    """Whether an input is nowhere larger than it should be in just the rows in which another of its source lacks events."""
    if not bent.lower or _source(case, bent.name) != _source(case, low.name):
        return False
    most = max(float(bent.flag.sum()), float(low.flag.sum()))
    return float(bent.flag @ low.flag) > 0.9 * most


def _lost_with(case: Case, held: _Differs, other: _Differs) -> bool:
    """Whether another input of its source got a default in just the rows in which one stands still: then so did this."""
    same = _source(case, held.name) == _source(case, other.name)
    if other.relation.kind not in ("null", "constant") or not same:
        return False
    most = max(float(held.flag.sum()), float(other.flag.sum()))
    return float(held.flag @ other.flag) > 0.9 * most


def parity_rows(case: Case, which: Which = "current") -> _Joined | None:
    """Recomputed rows that belong to sampled rows of a window, in their order; computed once."""
    key = f"parity rows {which}"
    if key not in case.cache:
        case.cache[key] = _join(case, which)
    found: _Joined | None = case.cache[key]
    return found


def _join(case: Case, which: Which) -> _Joined | None:
    probe, frame = case.incident.parity, case.parity
    if (
        probe is None
        or frame is None
        or probe.key not in frame.columns
        or not case.table(which).has(probe.key)
    ):
        return None
    own = case.table(which).frame
    here = pl.DataFrame({"key": text_series(own, probe.key)}).with_row_index("row")
    # A repeated key is a fault of its own; its first row stands for it here.
    here = here.drop_nulls("key").unique("key", keep="first", maintain_order=True)
    there = pl.DataFrame({"key": text_series(frame, probe.key)}).with_row_index("at")
    there = there.drop_nulls("key").unique("key", keep="last", maintain_order=True)
    if which == "reference":
        there = not_in_current(case, there, probe.key)
    both = here.join(there, on="key", how="inner").sort("row")
    return _Joined(both["row"].to_numpy().astype(np.int64), frame[both["at"].to_numpy()])


def _compare(case: Case, joined: _Joined, name: str) -> _Differs | None:
    if case.kind(name) == "categorical":
        return _compare_codes(case, joined, name)
    a = case.current.numeric(name)[joined.rows]
    b = numeric_array(joined.offline, name)
    tolerance = 1e-6 * (float(np.nanstd(b)) if np.isfinite(b).any() else 1.0) + 1e-12
    with np.errstate(invalid="ignore"):
        differ = (np.abs(a - b) > np.maximum(tolerance, 1e-6 * np.abs(b))) | (
            np.isnan(a) != np.isnan(b)
        )
    if differ.mean() < _SEEN or differ.sum() < 5:
        return None
    dial = hour_of_day(case, name)
    relation = numeric_relation(
        a[differ], b[differ], clock=case.kind(name) == "datetime", dial=dial
    )
    if relation.kind in ("unrelated", "noisy", "low"):
        thin = relation.kind == "low"
        other = another_row(case, joined.rows, joined.offline, name, differ, thin=thin)
        relation = other or relation
    elif relation.kind == "scale" and _counted_twice(a[differ], b[differ]):
        relation = relation._replace(kind="twice")
    elif relation.kind == "constant":
        relation = _held((case.reference.numeric(name), b), relation)
    known = differ & np.isfinite(a) & np.isfinite(b)
    lower = known.any() and float((np.abs(a[known]) < np.abs(b[known])).mean()) > _NEARLY
    return _Differs(name, differ.astype(float), relation, lower)


def _counted_twice(logged: Floats, right: Floats) -> bool:
    """Whether whole numbers are twice what they should be: no unit is, and what came twice was counted twice."""
    known = np.isfinite(logged) & np.isfinite(right)
    whole = bool((right[known] % 1 == 0).all())
    return whole and float((logged[known] == 2 * right[known]).mean()) > _MOSTLY


def _held(usual: tuple[Floats, ...], relation: Relation) -> Relation:
    """One value whatever it should be is a default, or where it is like any other of its values, one that stood still."""
    known = [x[np.isfinite(x)] for x in usual]
    if any(number_kind(relation.value, x) != "frozen" for x in known):
        return relation
    return Relation("held", f"stands still at {relation.value:.6g}", relation.value)


def _odd(case: Case, differs: _Differs) -> bool:
    """Whether a value at which a number stands still is too rare for anybody's default."""
    if case.kind(differs.name) == "categorical":
        return False
    usual = case.reference.numeric(differs.name)
    return commonness(differs.relation.value, usual[np.isfinite(usual)]) == 0


def _compare_codes(case: Case, joined: _Joined, name: str) -> _Differs | None:
    online = (
        text_series(case.current.frame, name)[joined.rows].fill_null("\0").to_numpy().astype(str)
    )
    offline = text_series(joined.offline, name).fill_null("\0").to_numpy().astype(str)
    differ = online != offline
    if differ.mean() < _SEEN or differ.sum() < 5:
        return None
    every, codes = np.unique(np.concatenate([online, offline]), return_inverse=True)
    a, b = codes[: len(online)].astype(np.int64), codes[len(online) :].astype(np.int64)
    a[online == "\0"] = -1
    del every
    relation = code_relation(a[differ], b[differ])
    return _Differs(name, differ.astype(float), relation)


def _told(case: Case, joined: _Joined, found: list[_Differs]) -> Iterator[Outcome]:
    """One finding for all features of one relation: they came the same way."""
    groups: dict[str, list[_Differs]] = {}
    for differs in found:
        groups.setdefault(differs.relation.kind, []).append(differs)
    for kind, members in groups.items():
        for part in _parts(case, kind, members):
            finding = _finding(case, joined, kind, part)
            yield finding
            if kind in ("null", "constant"):
                yield from _by_key(case, joined, finding, part)
            yield from _by_edition(case, joined, finding, part)
    yield from _of_another_path(case, joined, found)


def _of_another_path(case: Case, joined: _Joined, found: list[_Differs]) -> Iterator[Finding]:
    """Several inputs that are each something else than meant, and each otherwise, in all rows: other code made them."""
    odd = [d for d in found if d.relation.kind in _ODD]
    if len(odd) < 2 or len(odd) < len(found) or len({d.relation.kind for d in odd}) < 2:
        return
    places = [locate(case, joined.rows, d.flag) for d in odd]
    if any(p.scope.column is not None or p.onset is not None for p in places):
        return
    names = tuple(d.name for d in odd)
    told = "; ".join(f"{d.name} {d.relation.told}" for d in odd[:4])
    yield Finding(
        "parity.several", Subject("feature", names), f"{told}: other inputs than were meant, from the first row on",
        float(len(odd)), float(len(odd)), None, 1.0, ("train_serve_skew",),
        against=("stale_features", "category_recode"),
        repairs=(RepairPlan("parity_values", Subject("feature", names)),),
    )  # fmt: skip


def _by_edition(
    case: Case, joined: _Joined, found: Finding, members: list[_Differs]
) -> Iterator[Finding]:
    """Whether the values are wrong in rows of some editions of a file: then it was written, or read, badly."""
    lost = found.signal in ("parity.null", "parity.constant")
    named = lost and names_file(found.scope.column)
    flag = np.max([differs.flag for differs in members], axis=0)
    bad = None if named else bad_editions(case, joined.rows, flag)
    told = found.statement
    if bad is not None:
        told = f"{told}: in rows of some editions of {bad[0]} ({', '.join(bad[1][:3])}, ...), and of no others"
    if named or bad is not None:
        yield replace(
            found, signal="parity.edition", statement=told, supports=("malformed_artifact",),
            against=("silent_nulls", "join_loss", "stale_features", "train_serve_skew"),
        )  # fmt: skip


def _by_key(
    case: Case, joined: _Joined, found: Finding, members: list[_Differs]
) -> Iterator[Finding]:
    """Whether how a key is written tells the rows that lost their values: then a join lost them."""
    hit, scope = (np.zeros(case.current.rows, dtype=bool) for _ in range(2))
    hit[joined.rows] = np.max([differs.flag for differs in members], axis=0) > 0
    scope[joined.rows] = True
    key = key_loss(case, hit, scope)
    if key is None or not key.pattern:
        return
    told = (
        f"which rows lost {', '.join(differs.name for differs in members[:4])} depends on how {key.column} is written: "
        f"{key.inside:.0%} of those like {key.pattern!r} did, {key.outside:.0%} of the others"
    )
    yield replace(
        found,
        signal="parity.key",
        statement=told,
        statistic=key.inside,
        effect=10 * key.inside,
        supports=("join_loss",),
        against=("silent_nulls", "schema_change"),
        repairs=(),
    )


def _parts(case: Case, kind: str, members: list[_Differs]) -> list[list[_Differs]]:
    """Swapped and lost features belong together; of the rest, those that differ on the same rows."""
    if kind in ("swap", "null", "constant", "held", "old", "low"):
        by_source: dict[str, list[_Differs]] = {}
        for differs in members:
            by_source.setdefault(_source(case, differs.name) if kind != "swap" else "", []).append(
                differs
            )
        if kind in ("null", "constant", "held"):
            return [part for group in by_source.values() for part in _of_the_same_rows(case, group)]
        return list(by_source.values())
    if kind == "unrelated":
        return _of_the_same_rows(case, members)
    return [[differs] for differs in members]


def _of_the_same_rows(case: Case, members: list[_Differs]) -> list[list[_Differs]]:
    """Features of one source that are another row's in the same rows came from that row together."""
    groups: list[list[_Differs]] = []
    for differs in sorted(members, key=lambda d: (-float(d.flag.sum()), d.name)):
        for group in groups:
            both = float((group[0].flag * differs.flag).sum())
            alike = both > 0.95 * float(differs.flag.sum())
            if alike and _source(case, group[0].name) == _source(case, differs.name):
                group.append(differs)
                break
        else:
            groups.append([differs])
    return groups


def _source(case: Case, name: str) -> str:
    owners = [s for s, columns in case.incident.data.sources.items() if name in columns]
    return owners[0] if owners else ""


def _against(kind: str) -> tuple[str, ...]:
    """The world, and where the relation is plain, the other faults on the way of these features."""
    if kind in ("noisy", "unrelated", "ahead", "otherwise"):
        return _WORLD
    return _WORLD + tuple(mode for mode in ON_THE_WAY if mode not in _SUPPORTS[kind])


def _finding(case: Case, joined: _Joined, kind: str, members: list[_Differs]) -> Finding:
    names = tuple(differs.name for differs in members)
    flag = np.max([differs.flag for differs in members], axis=0)
    place = locate(case, joined.rows, flag)
    numeric = [n for n in names if case.kind(n) == "numeric"]
    if kind in ("null", "constant") and len(numeric) >= max(3, 0.8 * len(case.numeric)):
        kind = "defaults"
    elif kind == "held" and any(_odd(case, d) for d in members):
        kind = "kept"
    elif kind == "low" and place.scope.column is None and place.onset is None:
        # Low in all rows since a model's first: never whole online, rather than published too early each time.
        kind = "never" if first_served(case) else kind
    share, n = float(flag.mean()), len(flag)
    subject = Subject("feature", names)
    if kind == "defaults":
        subject = Subject("pipeline", ())
    elif kind in ("null", "constant", "held", "kept"):
        subject = source_of(case, names)
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    told = f"{shown} {members[0].relation.told} in {share:.1%} of {n} recomputed rows{described(place.scope)}"
    features = Subject("feature", names)
    return Finding(
        f"parity.{kind}", subject, told, share, share * float(np.sqrt(n) / 0.1), None, 1.0,
        _SUPPORTS[kind],
        against=_against(kind), scope=place.scope, onset=place.onset,
        repairs=(RepairPlan("parity_values", features),),
    )  # fmt: skip
