"""Inputs that are logged as they came, but answered as if they had been damaged on the way.

Rule: the logged texts or images look as ever, and the served answers do not follow from them any
more. Each known damage is done to some logged inputs and replayed. Where the answers moved from
those for the sound input all the way to those for one damaged input (the slope of served against
replayed differences is 1, in the reference it is 0), the model saw that damage. A retrained or
recalibrated model moves answers too, but not towards those of a damaged input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._records import Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.inputs import image_transform, text_damage
from ruleout.checks.inputs._image_undo import WORDS
from ruleout.checks.inputs._locate import Located, locate
from ruleout.profile import Case, Outputs
from ruleout.profile._image import sample_rows
from ruleout.profile._pixels import decode, encode_like
from ruleout.stats._garble import GARBLINGS
from ruleout.stats._picture import EXACT

Floats = NDArray[np.float64]
Column = Callable[[pl.Series], pl.Series]

MODES = ("tokenizer_mismatch", "context_truncation", "image_preprocessing")
_TEXTS = 800
_IMAGES = 160
_LEAST_SLOPE = 0.5
_LEAST_Z = 5.0
_BETTER = 0.97
_PICTURES = ("channels_bgr", "rotate_90", "rotate_180", "rotate_270", "flip_vertical", "invert")


class View(NamedTuple):
    """One damage that the model may have seen."""

    words: str
    mode: str
    change: Column
    repair: str
    options: dict[str, object]


class Fit(NamedTuple):
    """How well one view explains what was served."""

    view: View
    slope: float
    """Share of the way from the answers for sound inputs to those for damaged ones."""

    usual: float
    """The same in the reference."""

    z: float
    left: float
    """Mean squared distance of the served answers from those for the damaged inputs."""

    where: Located
    spared: float
    """... and from the best line through those for the inputs as logged."""


@check(
    "served_as",
    layer="model",
    rung="inputs",
    looks_for=MODES,
    needs=("data.reference", "data.current", "data.columns.prediction", "predictor"),
)
def served_as(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Ask whether served answers are those of damaged texts or images."""
    del rng
    if case.significant is False:
        return
    for name in case.of_kind("text", "image"):
        if not (case.reference.has(name) and case.current.has(name)):
            continue
        kind = case.kind(name)
        seen = text_damage.look(case, name) if kind == "text" else image_transform.look(case, name)
        shown = not isinstance(seen, int) and (
            seen.damage is not None  # type: ignore[union-attr]
            if kind == "text"
            else seen.found is not None  # type: ignore[union-attr]
        )
        if not shown:
            yield from _column(case, name, kind)


def _column(case: Case, name: str, kind: str) -> Iterator[Outcome]:
    most = _TEXTS if kind == "text" else _IMAGES
    held = np.sort(np.asarray(case.cache.get("surrogate held", np.arange(case.reference.rows))))
    before = held[sample_rows(len(held), most)]
    now = sample_rows(case.current.rows, most)
    old, new = _answered(case, "reference", before), _answered(case, "current", now)
    if old is None or new is None or min(len(before), len(now)) < 60:
        return
    plain = old, new
    off = [float(((served - said) ** 2).sum(axis=1).mean()) for served, said in plain]
    # Answers to spoilt inputs often lie nearer to the middle than before, so either way counts.
    if abs(np.log((off[1] + 1e-9) / (off[0] + 1e-9))) < 0.14:
        text = f"answers follow from the logged {name} as in the reference"
        modes = MODES[2:] if kind == "image" else MODES[:1]
        yield Clear(modes, Subject("feature", (name,)), text, 0.15, "served_as.none")
        return
    fits = [_fit(case, name, view, (before, now), plain) for view in _views(case, name, kind)]
    sure = [fit for fit in fits if fit is not None]
    if sure:
        yield _finding(case, name, kind, min(sure, key=lambda fit: fit.left))


def _answered(
    case: Case, which: str, rows: NDArray[np.int64], change: tuple[str, Column] | None = None
) -> tuple[Floats, Floats] | None:
    """Served answers and those replayed for (changed) logged inputs, each (n, K)."""
    frame = case.table(which).frame[rows]  # type: ignore[arg-type]
    if change is not None:
        frame = frame.with_columns(change[1](frame.get_column(change[0])))
    if case.predictor is None:
        return None
    served, said = case.outputs(which).take(rows), case.predictor.predict(frame)  # type: ignore[arg-type]
    pairs = [(served.scores, said.scores), (served.score, said.score)]
    for mine, other in pairs:
        if mine is not None and other is not None:
            return _matrix(mine), _matrix(other)
    if served.decision.dtype.kind == "f":
        return None
    classes = max(len(case.classes), 2)
    return _one_hot(served, classes), _one_hot(said, classes)


def _matrix(values: Floats) -> Floats:
    return np.asarray(np.nan_to_num(values.reshape(len(values), -1)))


def _one_hot(outputs: Outputs, classes: int) -> Floats:
    codes = outputs.decision.astype(np.int64)
    return np.asarray(np.eye(classes + 1)[np.where(codes < 0, classes, codes)][:, :classes])


def _fit(
    case: Case,
    name: str,
    view: View,
    rows: tuple[NDArray[np.int64], NDArray[np.int64]],
    plain: tuple[tuple[Floats, Floats], tuple[Floats, Floats]],
) -> Fit | None:
    slopes = []
    replayed = plain[1][1]
    for which, at, pair in zip(("reference", "current"), rows, plain, strict=True):
        damaged = _answered(case, which, at, (name, view.change))
        if damaged is None:
            return None
        replayed = damaged[1]
        way = replayed - pair[1]
        slopes.append(((pair[0] - pair[1]) * way, way**2))
    (cross_old, square_old), (cross_new, square_new) = slopes
    if min(square_old.sum(), square_new.sum()) <= 1e-9:
        return None
    usual = float(cross_old.sum() / square_old.sum())
    slope = float(cross_new.sum() / square_new.sum())
    error = np.hypot(_error(cross_old, square_old), _error(cross_new, square_new))
    z = (slope - usual) / max(float(error), 1e-6)
    left = float(((plain[1][0] - replayed) ** 2).sum(axis=1).mean())
    spared = _shrunk(*plain[1])
    if z < _LEAST_Z or slope - usual < _LEAST_SLOPE / 2 or left > _BETTER * spared:
        return None
    weight = square_new.sum(axis=1)
    moved = weight > 0.25 * weight.mean()
    member = np.where(moved, cross_new.sum(axis=1) / np.where(moved, weight, 1.0) - usual, np.nan)
    where = locate(case, rows[1], np.clip(member, -2.0, 3.0))
    return Fit(view, slope, usual, z, left, where, spared)


def _shrunk(served: Floats, said: Floats) -> float:
    """Mean squared distance left by the best line from replayed to served answers.

    A recalibrated or flattened model is such a line; a damaged input must explain more than it.
    """
    a, b = said - said.mean(axis=0), served - served.mean(axis=0)
    slope = float((a * b).sum() / max(float((a * a).sum()), 1e-12))
    return float(((b - slope * a) ** 2).sum(axis=1).mean())


def _error(cross: Floats, square: Floats) -> float:
    """Standard error of a ratio of sums over rows."""
    total = square.sum()
    residual = cross.sum(axis=1) - cross.sum() / total * square.sum(axis=1)
    return float(np.sqrt((residual**2).sum()) / total)


def _views(case: Case, name: str, kind: str) -> Iterator[View]:
    if kind == "image":
        for transform in _PICTURES:
            options: dict[str, object] = {"transform": transform, "served": True}
            words = WORDS[transform]
            yield View(words, MODES[2], _painted(EXACT[transform][0]), "image_inverse", options)
        return
    for damage, garbling in GARBLINGS.items():
        options = {"damage": damage, "served": True}
        yield View(garbling.words, MODES[0], _mapped(garbling.damage), "text_inverse", options)
    counts = case.reference.frame.get_column(name).cast(pl.String).str.count_matches(r"\S+")
    for share in (0.25, 0.5, 0.75):
        limit = max(2, int(counts.quantile(share) or 2))
        options = {"unit": "tokens", "limit": limit}
        words = f"cut after {limit} words"
        yield View(words, MODES[1], _mapped(_cut(limit)), "text_cut", options)


def _cut(limit: int) -> Callable[[str], str]:
    return lambda text: " ".join(text.split()[:limit])


def _mapped(change: Callable[[str], str]) -> Column:
    def apply(series: pl.Series) -> pl.Series:
        values = [None if v is None else change(str(v)) for v in series.to_list()]
        return pl.Series(series.name, values, dtype=pl.String)

    return apply


def _painted(change: Callable[[Floats], Floats]) -> Column:
    def one(data: bytes | None) -> bytes | None:
        picture = decode(data)
        if picture is None:
            return data
        pixels = np.clip(change(picture.pixels.astype(float)) + 0.5, 0, 255)
        return encode_like(pixels.astype(np.uint8), picture.form)

    return lambda s: pl.Series(s.name, [one(v) for v in s.to_list()], dtype=s.dtype)


def _finding(case: Case, name: str, kind: str, fit: Fit) -> Finding:
    view, subject = fit.view, Subject("feature", (name,))
    things = "texts" if kind == "text" else "images"
    replay = (
        "model" if case.predictor is not None and case.predictor.kind == "model" else "surrogate"
    )
    text = (
        f"{things} in {name} are logged as ever, but served answers are those for {things} that are "
        f"{view.words} {fit.where.words}: they moved {min(fit.slope - fit.usual, 1.0):.0%} of the way "
        f"there ({replay} replay, z = {fit.z:.0f})"
    )
    gain = 1.0 - fit.left / fit.spared if fit.spared > 0 else 0.0
    return Finding(
        signal=f"served_as.{kind}",
        subject=subject,
        statement=text,
        statistic=fit.slope,
        effect=fit.z,
        p_value=None,
        strength=float(
            np.clip((fit.slope - fit.usual) / 0.8, 0.2, 1.0) * np.clip(0.7 + gain, 0.3, 1.0)
        ),
        supports=(view.mode,),
        against=(
            "concept_drift",
            "wrong_version",
            "calibration_change",
            "corrupted_labels",
            "bad_retrain",
            "class_weight_change",
            "threshold_change",
        ),
        scope=fit.where.scope,
        onset=fit.where.onset,
        repairs=(RepairPlan(view.repair, subject, fit.where.scope, view.options),),
    )
