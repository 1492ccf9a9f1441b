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
from ruleout.checks.inputs import image_transform, text_damage, text_tokens
from ruleout.checks.inputs._foreign import foreign
from ruleout.checks.inputs._image_undo import WORDS
from ruleout.checks.inputs._locate import Located, locate
from ruleout.profile import Case, Outputs
from ruleout.profile._image import sample_rows
from ruleout.profile._pixels import Picture, decode, encode_like
from ruleout.stats._garble import GARBLINGS
from ruleout.stats._picture import EXACT

Floats = NDArray[np.float64]
Column = Callable[[pl.Series], pl.Series]

MODES = ("tokenizer_mismatch", "context_truncation", "image_preprocessing")
_TEXTS = 800
_IMAGES = 160
_SCREENED = {"text": 150, "image": 48}
_TRIED = 3
_LEAST_ROWS = 60
_BEHIND = (
    "wrong_version",
    "bad_retrain",
    "runtime_numerics",
    "calibration_change",
    "class_weight_change",
    "threshold_change",
    "class_map_mismatch",
    "fallback_overload",
)
_LEAST_SLOPE = 0.5
_LEAST_Z = 5.0
_BETTER = 0.96
_SAME = 1e-4
_LEAST_EXACT = 0.2
_PICTURES = ("channels_bgr", "rotate_90", "rotate_180", "rotate_270", "flip_vertical", "invert")


class View(NamedTuple):
    """One damage that the model may have seen."""

    words: str
    mode: str
    change: Column
    repair: str
    options: dict[str, object]


def _shown_text(case: Case, name: str) -> bool:
    """Whether the log itself shows what happened to the texts."""
    seen = text_damage.look(case, name)
    damaged = not isinstance(seen, int) and seen.damage is not None
    return damaged or text_tokens.look(case, name) is not None


def _shown_image(case: Case, name: str) -> bool:
    seen = image_transform.look(case, name)
    return not isinstance(seen, int) and seen.found is not None


class Looked(NamedTuple):
    """The rows that are compared, with what was served and what is replayed for the log."""

    name: str
    before: NDArray[np.int64]
    now: NDArray[np.int64]
    old: tuple[Floats, Floats]
    new: tuple[Floats, Floats]
    where: Located
    """Where the current answers left the line."""


class Fit(NamedTuple):
    """How well one view explains what was served."""

    view: View
    slope: float
    """Share of the way from the answers for sound inputs to those for damaged ones."""

    usual: float
    """The same in the reference."""

    z: float
    gain: float
    """Share of what the best line from the replayed log leaves that the best line from the damaged inputs
    does not; or of answers that are met to the digit, if that is more."""

    where: Located


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
        if not (_shown_text(case, name) if kind == "text" else _shown_image(case, name)):
            yield from _column(case, name, kind)


def _column(case: Case, name: str, kind: str) -> Iterator[Outcome]:
    most = _TEXTS if kind == "text" else _IMAGES
    held = np.sort(np.asarray(case.cache.get("surrogate held", np.arange(case.reference.rows))))
    before = held[sample_rows(len(held), most)]
    known = np.flatnonzero(~foreign(case))
    now = known[sample_rows(len(known), most)]
    old, new = _answered(case, "reference", before), _answered(case, "current", now)
    if old is None or new is None or min(len(before), len(now)) < _LEAST_ROWS:
        return
    # Where answers left the line they were on is where the damage is looked for.
    away = [((served - said) ** 2).sum(axis=1) for served, said in (old, new)]
    beyond = away[1] > np.quantile(away[0], 0.95) + 1e-6
    where = locate(case, now, (beyond - 0.05) / 0.95)
    if where.rows.sum() >= _LEAST_ROWS / 2:
        now, new = now[where.rows], (new[0][where.rows], new[1][where.rows])
        away[1] = away[1][where.rows]
    # Answers to spoilt inputs often lie nearer to the middle than before, so either way counts.
    if abs(np.log((away[1].mean() + 1e-9) / (away[0].mean() + 1e-9))) < 0.14:
        text = f"answers follow from the logged {name} as in the reference"
        modes = MODES[2:] if kind == "image" else MODES[:1]
        yield Clear(modes, Subject("feature", (name,)), text, 0.15, "served_as.none")
        return
    looked = Looked(name, before, now, old, new, where)
    fits = [_fit(case, looked, view) for view in _likeliest(case, looked, kind)]
    sure = [fit for fit in fits if fit is not None]
    if sure:
        best = max(sure, key=lambda fit: fit.gain)
        yield _finding(case, name, kind, best)
        yield _acquittal(name, best)


def _likeliest(case: Case, looked: Looked, kind: str) -> list[View]:
    """The few damages that come nearest to the answers of some of the rows."""
    some = sample_rows(len(looked.now), _SCREENED[kind])
    served, said = looked.new[0][some], looked.new[1][some]
    told = []
    for place, view in enumerate(_views(case, looked.name, kind)):
        damaged = _answered(case, "current", looked.now[some], (looked.name, view.change))
        if damaged is not None and float(((damaged[1] - said) ** 2).sum()) > 1e-9:
            told.append((float(((served - damaged[1]) ** 2).sum()), place, view))
    return [view for _, _, view in sorted(told, key=lambda t: t[:2])[:_TRIED]]


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


def _fit(case: Case, looked: Looked, view: View) -> Fit | None:
    parts = [("current", looked.now, looked.new)]
    if case.predictor is not None and case.predictor.kind == "surrogate":
        parts.append(("reference", looked.before, looked.old))
    slopes = []
    for which, rows, (served, said) in parts:
        damaged = _answered(case, which, rows, (looked.name, view.change))
        if damaged is None:
            return None
        way = damaged[1] - said
        if (way**2).sum() <= 1e-9:
            return None
        slopes.append(((served - said) * way, way**2, damaged[1]))
    cross, square, replayed = slopes[0]
    slope, error, usual = float(cross.sum() / square.sum()), _error(cross, square), 0.0
    if len(slopes) > 1:
        usual = float(slopes[1][0].sum() / slopes[1][1].sum())
        error = float(np.hypot(error, _error(slopes[1][0], slopes[1][1])))
    z = (slope - usual) / max(error, 1e-6)
    left, spared = _shrunk(looked.new[0], replayed), _shrunk(*looked.new)
    exact = _hits(looked.new[0], replayed, looked.new[1])
    far = slope - usual < _LEAST_SLOPE
    if z < _LEAST_Z or far or (left > _BETTER * spared and exact < _LEAST_EXACT):
        return None
    weight = square.sum(axis=1)
    moved = weight > 0.25 * weight.mean()
    where = looked.where
    if where.rows.all():
        member = np.where(moved, cross.sum(axis=1) / np.where(moved, weight, 1.0) - usual, np.nan)
        where = locate(case, looked.now, np.clip(member, -2.0, 3.0))
    gain = float(np.clip(1.0 - left / spared, 0.0, 1.0)) if spared > 0 else 0.0
    return Fit(view, slope, usual, z, max(gain, exact), where)


def _hits(served: Floats, replayed: Floats, said: Floats) -> float:
    """Share of answers that are those for the damaged input to the digit, and not those for the log."""
    same = np.abs(served - replayed).max(axis=1) < _SAME
    return float((same & (np.abs(served - said).max(axis=1) > 10 * _SAME)).mean())


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
            yield View(
                words, MODES[2], _painted(case, name, EXACT[transform][0]), "image_inverse", options
            )
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


def _painted(case: Case, name: str, change: Callable[[Floats], Floats]) -> Column:
    fitted = case.representations.get(name)
    real = case.predictor is not None and case.predictor.kind == "model"

    def paint(series: pl.Series) -> pl.Series:
        values = series.to_list()
        pictures = [_changed(decode(data), change) for data in values]
        if real or fitted is None:
            values = [
                data if p is None else encode_like(p.pixels, p.form)
                for data, p in zip(values, pictures, strict=True)
            ]
        else:
            values = fitted.stand_ins(pictures)
        return pl.Series(series.name, values, dtype=series.dtype)

    return paint


def _changed(picture: Picture | None, change: Callable[[Floats], Floats]) -> Picture | None:
    if picture is None:
        return None
    pixels = np.clip(change(picture.pixels.astype(float)) + 0.5, 0, 255).astype(np.uint8)
    return picture._replace(pixels=pixels)


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
    return Finding(
        signal=f"served_as.{kind}",
        subject=subject,
        statement=text,
        statistic=fit.slope,
        effect=fit.z,
        p_value=None,
        strength=float(
            np.clip((fit.slope - fit.usual) / 0.8, 0.2, 1.0) * np.clip(0.7 + fit.gain, 0.3, 1.0)
        ),
        supports=(view.mode,),
        against=("concept_drift", "corrupted_labels"),
        scope=fit.where.scope,
        onset=fit.where.onset,
        repairs=(RepairPlan(view.repair, subject, fit.where.scope, view.options),),
    )


def _acquittal(name: str, fit: Fit) -> Finding:
    """Whoever is blamed for the answers: the model is as it was, what it read is not."""
    text = f"answers are those of the same model for {name} that is {fit.view.words}"
    return Finding(
        "served_as.model_is_sound", Subject(), text, fit.gain, fit.z, None, min(1.0, 0.6 + fit.gain), (),
        against=_BEHIND,
    )  # fmt: skip
