"""Vectors from another encoder, another normalisation, or none at all.

Rule: each encoder fills its own directions at its own length. Norms, the share of a vector inside
the reference's leading axes, the distance to its centre and the similarity to its nearest
reference vector are compared, balanced by class. A new mix of topics moves vectors inside the
space; another encoder leaves it: typical vectors have no neighbours any more. Rescaling to the
reference's norm, or one exchange of dimensions, is tried as the undoing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.inputs._balance import balance
from ruleout.checks.inputs._defaults import names_served
from ruleout.checks.inputs._foreign import outlandish
from ruleout.checks.inputs._locate import Located, locate
from ruleout.profile import Case
from ruleout.profile._embedding import (
    EmbeddingSample,
    EmbeddingSpace,
    embedding_statistics,
    unit,
)
from ruleout.profile._unstructured import embeddings, space
from ruleout.stats._twosample import proportions
from ruleout.stats._views import weighted_auc

Floats = NDArray[np.float64]

MODES = ("embedding_mismatch", "silent_nulls", "stale_features")
_LEAST_VECTORS = 60
_LEAST_RISE = 0.01
_LEAST_AUC = 0.75
_LEAST_STRANGE = 0.08
_NEARLY_ALL = 0.9
_RESCALED = 0.3
"""Dimensions whose spread changed by less (in logarithms) were not rescaled: a mix or a rotation did it."""
_TOLD = ("norm", "in_span", "typicality", "nearest", "centre_cosine", "spread", "mean")
_WORDS = {
    "norm": "length",
    "in_span": "share inside the reference's leading axes",
    "typicality": "distance along the leading axes",
    "nearest": "similarity to the nearest reference vector",
    "centre_cosine": "angle to the reference's centre",
    "spread": "spread over dimensions",
    "mean": "mean over dimensions",
}


class Moved(NamedTuple):
    """The statistic that parts the windows best."""

    name: str
    auc: float
    before: float
    now: float


@check(
    "embedding_space",
    layer="integration",
    rung="inputs",
    looks_for=MODES,
    needs=("data.reference", "data.current", "data.columns.embedding"),
)
def embedding_space(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Look for vectors that left the reference's space, zero vectors and repeated vectors."""
    del rng
    for name in case.of_kind("embedding"):
        if case.reference.has(name) and case.current.has(name):
            yield from _column(case, name)


def _column(case: Case, name: str) -> Iterator[Outcome]:
    before, now = embeddings(case, "reference", name), embeddings(case, "current", name)
    if not len(before.rows) or not len(now.rows):
        return
    found = [f for f in _losses(case, name, before, now) if f is not None]
    yield from found
    width = before.vectors.shape[1]
    odd = (now.dimensions != width) & (now.dimensions > 0)
    if odd.mean() > _LEAST_RISE:
        yield _dimension(case, name, now, odd)
        return
    yield from _space(case, name, before, now)


def _losses(
    case: Case, name: str, before: EmbeddingSample, now: EmbeddingSample
) -> Iterator[Finding | None]:
    for signal, words, mode, mask in (
        ("embedding.zero", "missing or zero", "silent_nulls", _empty),
        ("embedding.frozen", "one and the same vector", "stale_features", _frozen),
    ):
        old, new = mask(before), mask(now)
        sizes = float(len(old)), float(len(new))
        test = proportions((float(old.sum()), float(new.sum())), sizes)
        rise = float(new.mean() - old.mean())
        if rise < max(_LEAST_RISE, 0.5 * old.mean()) or test.p_value > 1e-4:
            continue
        where = locate(case, now.rows, new.astype(float))
        text = f"{new.mean():.1%} of the vectors in {name} are {words}; {old.mean():.1%} were"
        yield _finding(
            case,
            name,
            (signal, mode),
            text,
            where,
            (rise, min(1.0, rise / 0.08)),
            {"signal": signal},
        )


def _empty(sample: EmbeddingSample) -> NDArray[np.bool_]:
    return np.asarray((sample.dimensions == 0) | (np.nan_to_num(sample.vectors) == 0).all(axis=1))


def _frozen(sample: EmbeddingSample) -> NDArray[np.bool_]:
    """Vectors equal to the commonest one that is not empty, when it occurs three times or more."""
    full = ~_empty(sample) & np.isfinite(sample.vectors).all(axis=1)
    out = np.zeros(len(full), bool)
    if full.any():
        _, codes, counts = np.unique(
            sample.vectors[full], axis=0, return_inverse=True, return_counts=True
        )
        if counts.max() >= 3:
            out[np.flatnonzero(full)[codes.ravel() == np.argmax(counts)]] = True
    return out


def _dimension(case: Case, name: str, now: EmbeddingSample, odd: NDArray[np.bool_]) -> Finding:
    width = embeddings(case, "reference", name).vectors.shape[1]
    where = locate(case, now.rows, odd.astype(float))
    other = int(np.median(now.dimensions[odd]))
    text = f"{odd.mean():.1%} of the vectors in {name} have {other} numbers, not {width} as before"
    return _finding(
        case,
        name,
        ("embedding.space", "embedding_mismatch"),
        text,
        where,
        (float(odd.mean()), 1.0),
        {},
    )


def _space(
    case: Case, name: str, before: EmbeddingSample, now: EmbeddingSample
) -> Iterator[Outcome]:
    known = ~_empty(before) & ~_frozen(before) & np.isfinite(before.vectors).all(axis=1)
    fresh = ~_empty(now) & ~_frozen(now) & np.isfinite(now.vectors).all(axis=1)
    weights = balance(case, before.rows[known], now.rows[fresh])
    used, kept = weights.reference > 0, weights.current > 0
    if min(used.sum(), kept.sum()) < _LEAST_VECTORS:
        return
    fitted = space(case, name)
    rows = now.rows[fresh][kept]
    new = now.vectors[fresh][kept]
    old = embedding_statistics(before.vectors[known][used], fitted, own=True)
    told = embedding_statistics(new, fitted)
    weight = weights.reference[used]
    moved = _most_moved(old, told, weight)
    subject = Subject("feature", (name,))
    error = float(np.sqrt(1.0 / (6.0 * min(used.sum(), kept.sum()))))
    where = locate(case, rows, _outside(old, told, moved.name, weight))
    hit = where.rows
    if hit.all() and (single := strangers(case, rows, old, told)) is not None:
        hit = single if single.mean() < _NEARLY_ALL else hit
    inside = {key: values[hit] for key, values in told.items()}
    moved = _most_moved(old, inside, weight)
    dealt = _one_servers(old, told, where, weight)
    left = dealt or _left(old, inside, weight)
    if moved.auc - 0.5 > max(5.0 * error, _LEAST_AUC - 0.5) and left:
        way = undoing(new[hit], before.vectors[known][used], fitted)
        scattered = "" if hit.sum() == where.rows.sum() else f", {hit.mean():.0%} of them,"
        text = (
            f"vectors in {name} left the reference's space {where.words}{scattered}: their "
            f"{_WORDS[moved.name]} went from {moved.before:.3g} to {moved.now:.3g} "
            f"(AUC {moved.auc:.2f}){'' if way is None else way.words}"
        )
        strength = 1.0 if dealt else float(np.clip((moved.auc - 0.65) / 0.25, 0.2, 1.0))
        key = ("embedding.space", "embedding_mismatch")
        options: dict[str, object] = {"scattered": bool(scattered)}
        if way is not None:
            options |= {"gain": way.gain.tolist(), "offset": way.offset.tolist()}
        found = _finding(case, name, key, text, where, (moved.auc, strength), options)
        if dealt:
            # What the others made of the same requests is what these should have made.
            found = replace(found, repairs=(RepairPlan("keep", subject, where.scope),))
        yield found
    elif moved.auc - 0.5 < 5.0 * error:
        text = (
            f"vectors in {name} have the lengths, directions and neighbours they had "
            f"(largest AUC {moved.auc:.2f}, in {_WORDS[moved.name]})"
        )
        yield Clear(("embedding_mismatch",), subject, text, 5.0 * error, "embedding.space")


def _most_moved(old: dict[str, Floats], new: dict[str, Floats], weight: Floats) -> Moved:
    best = Moved("norm", 0.5, 0.0, 0.0)
    for key in _TOLD:
        auc = weighted_auc(old[key], weight, new[key], np.ones(len(new[key])))
        if max(auc, 1.0 - auc) > best.auc:
            before, now = float(np.median(old[key])), float(np.median(new[key]))
            best = Moved(key, max(auc, 1.0 - auc), before, now)
    return best


def _outside(old: dict[str, Floats], new: dict[str, Floats], key: str, weight: Floats) -> Floats:
    """(n,) membership by one statistic: 0 at the reference's middle, 1 at the far end's."""
    values, base = new[key], old[key]
    low, middle, high = (float(np.quantile(base, q)) for q in (0.02, 0.5, 0.98))
    beyond = (values < low) | (values > high)
    usual = float(((base < low) | (base > high)) @ weight / weight.sum())
    del middle
    return np.asarray((beyond - usual) / max(1.0 - usual, 0.1))


def _left(old: dict[str, Floats], new: dict[str, Floats], weight: Floats) -> bool:
    """Whether vectors left the space: other lengths, or no neighbours although lengths are alike."""
    ones = np.ones(len(new["norm"]))
    norm = weighted_auc(old["norm"], weight, new["norm"], ones)
    spread = float(
        np.log(np.median(new["norm"]) / max(float(np.median(old["norm"])), 1e-12) + 1e-12)
    )
    near = weighted_auc(old["nearest"], weight, new["nearest"], ones)
    span = weighted_auc(old["in_span"], weight, new["in_span"], ones)
    return (abs(norm - 0.5) > 0.4 and abs(spread) > 0.3) or near < 0.15 or span < 0.15


def _one_servers(
    old: dict[str, Floats], new: dict[str, Floats], where: Located, weight: Floats
) -> bool:
    """Whether vectors moved that some machines or builds made, and all others are as they were: requests are dealt by lot."""
    rest = ~where.rows
    if not names_served(where.scope.column) or rest.sum() < _LEAST_VECTORS:
        return False
    spared = _most_moved(old, {key: values[rest] for key, values in new.items()}, weight)
    return spared.auc - 0.5 < 5.0 * float(np.sqrt(1.0 / (6.0 * rest.sum())))


class Way(NamedTuple):
    """A way back into the reference's space: vector * gain + offset."""

    gain: Floats
    """(d,)"""

    offset: Floats
    """(d,)"""

    words: str


def undoing(new: Floats, old: Floats, fitted: EmbeddingSpace) -> Way | None:
    """What brings vectors back to where the reference has neighbours; None if no rescaling does."""
    lengths = [float(np.median(np.linalg.norm(side, axis=1))) for side in (old, new)]
    scale = lengths[0] / max(lengths[1], 1e-12)
    width = old.shape[1]
    spread = old.std(axis=0) / np.maximum(new.std(axis=0), 1e-12)
    shift = old.mean(axis=0) - new.mean(axis=0) * spread
    ways = []
    if float(np.median(np.abs(np.log(np.maximum(spread, 1e-12))))) > _RESCALED:
        ways.append(Way(spread, shift, "; rescaled dimension by dimension they are near it again"))
    if abs(np.log(max(scale, 1e-12))) >= 0.05:
        words = f"; scaled by {scale:.3g} they have the directions of the reference"
        ways.insert(0, Way(np.full(width, scale), np.zeros(width), words))
    usual = np.sort(unit(old[:500]) @ fitted.anchors.T, axis=1)[:, -2]
    for way in ways:
        near = (unit(new[:500] * way.gain + way.offset) @ fitted.anchors.T).max(axis=1)
        if np.median(near) >= np.quantile(usual, 0.35):
            return way
    return None


def strangers(
    case: Case, rows: NDArray[np.int64], old: dict[str, Floats], new: dict[str, Floats]
) -> NDArray[np.bool_] | None:
    """Current vectors that are strange one by one, here and there; None if they may be a new topic.

    Args:
        case: knows the classes.
        rows: (n,) rows of the current window.
        old: statistics of the reference's vectors.
        new: statistics of the current ones, (n,) each.

    Another encoder spoils rows of all classes; what is new in the world has a class of its own.
    """
    usual = old["nearest"] < np.quantile(old["nearest"], 0.01)
    odd = outlandish(old, new)
    if odd.mean() < max(_LEAST_STRANGE, 5.0 * float(usual.mean())):
        return None
    truth = case.truth("current")[rows]
    if truth.dtype.kind == "f":
        return None
    codes = truth.astype(np.int64)
    sizes = np.bincount(codes[codes >= 0], minlength=2)
    hits = np.bincount(codes[(codes >= 0) & odd], minlength=2)
    large = sizes >= 15
    if large.sum() < 2:
        return None
    rates = hits[large] / sizes[large]
    return odd if float(np.quantile(rates, 0.1)) > 0.4 * float(odd.mean()) else None


def _finding(
    case: Case,
    name: str,
    key: tuple[str, str],
    text: str,
    where: Located,
    size: tuple[float, float],
    options: Mapping[str, object],
) -> Finding:
    del case
    subject = Subject("feature", (name,))
    return Finding(
        signal=key[0],
        subject=subject,
        statement=text,
        statistic=size[0],
        effect=size[0],
        p_value=None,
        strength=float(np.clip(size[1], 0.15, 1.0)),
        supports=(key[1],),
        against=("covariate_shift", "concept_drift", "fallback_overload"),
        scope=where.scope,
        onset=where.onset,
        repairs=(RepairPlan("vectors", subject, where.scope, options),),
    )
