"""Images that lost or gained fine detail: blur, coarse resampling, noise, compression.

Rule: first a two-sample test of sharpness, noise, flatness and block edges, balanced by class. Only
if it fires, reference images are degraded in known ways, and the degradation whose statistics the
current images have is named. Images enlarged by repeating pixels are made of cells, which are looked
for as such. Blur cannot be undone, so harm is measured by doing the same to the
reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._records import Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.inputs._image_chart import images_chart
from ruleout.checks.inputs._locate import locate
from ruleout.checks.inputs.image_transform import comparable, look, too_few
from ruleout.profile import Case
from ruleout.profile._image import ImageSample, image_sample
from ruleout.profile._pixels import decode, encode_like
from ruleout.stats._degrade import LOSSES
from ruleout.stats._mosaic import find_mosaic
from ruleout.stats._views import AS_IS, Recogniser, Separation, fit_recogniser, restored, separation

Floats = NDArray[np.float64]

MODES = ("image_preprocessing",)
TEXTURES = ("sharpness", "noise", "flat", "blockiness", "edge_orientation")
_DEGRADED = 90
"""Reference images that are degraded; each costs a decoding and a dozen measurements."""

_LOOKED = 300
"""Current images in which cells are looked for."""

_LEAST_LOOKED = 30
_LEAST_SEPARATION = 0.08


@check(
    "image_texture",
    layer="model",
    rung="inputs",
    looks_for=MODES,
    needs=("data.reference", "data.current", "data.columns.image"),
)
def image_texture(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Look for lost detail, noise and compression in each image column."""
    for name in case.of_kind("image"):
        if case.reference.has(name) and case.current.has(name):
            yield from _column(case, name, rng)


def textures(sample: ImageSample) -> Floats:
    """(m, 5) texture statistics; scale-free ones, so that they do not see brightness."""
    contrast = np.log(np.maximum(sample.statistics["contrast"], 1.0))
    columns = [sample.statistics[name] for name in TEXTURES]
    columns[0] = columns[0] - contrast
    columns[1] = columns[1] - contrast
    return np.asarray(np.nan_to_num(np.column_stack(columns)))


def _column(case: Case, name: str, rng: np.random.Generator) -> Iterator[Outcome]:
    looked = look(case, name)
    if isinstance(looked, int):
        yield too_few(name, looked)
        return
    before, now, weight = comparable(case, name)
    if looked.found is not None or _width(before) != _width(now):
        return  # a transform or another size moves textures too, and has been told
    apart = separation(textures(before), textures(now), rng, weight)
    subject = Subject("feature", (name,))
    least = max(4.0 * apart.error, _LEAST_SEPARATION)
    if apart.auc - 0.5 >= least:
        cells = _cells(case, name, before, now)
        if cells is not None:
            yield cells
            return
        # The same scenes in another grain were processed; other scenes may just come in another.
        same = float(np.clip(1.6 - (looked.apart.auc - 0.5) / 0.15, 0.3, 1.0))
        yield from _named(case, name, (before, now), apart, same)
    elif looked.apart.auc - 0.5 < 3.0 * looked.apart.error:
        text = (
            f"sharpness, noise and block edges of {name} are as in the reference "
            f"(AUC {apart.auc:.2f}), and so are its colours and shapes (AUC {looked.apart.auc:.2f})"
        )
        # Images may still be damaged behind the log; only their answers can clear that.
        yield Clear((), subject, text, looked.smallest, "image.texture")


def _width(sample: ImageSample) -> float:
    return float(np.median(sample.statistics["width"]))


def degraded(case: Case, name: str, sample: ImageSample) -> dict[str, Floats]:
    """Textures of some reference images as they are and under each loss, re-encoded like them."""
    rows = sample.rows[np.linspace(0, len(sample.rows) - 1, _DEGRADED).astype(int)]
    encoded = case.reference.frame.get_column(name).gather(rows).to_list()
    pictures = [p for p in map(decode, encoded) if p is not None]
    plain = image_sample(pl.Series(name, encoded, dtype=pl.Binary), limit=len(encoded))
    views = {AS_IS: textures(plain)}
    for loss, (_, damage) in LOSSES.items():
        changed = [
            encode_like(np.clip(damage(p.pixels.astype(float)) + 0.5, 0, 255), p.form)
            for p in pictures
        ]
        sampled = image_sample(pl.Series(name, changed, dtype=pl.Binary), limit=len(changed))
        views[loss] = textures(sampled)
    return views


def _named(
    case: Case,
    name: str,
    samples: tuple[ImageSample, ImageSample],
    apart: Separation,
    same: float,
) -> Iterator[Outcome]:
    before, now = samples
    views = degraded(case, name, before)
    rng = case.rng(f"texture {name}")
    recogniser = fit_recogniser(views, rng)
    shares = recogniser.shares(textures(now), rng)
    losses = [n for n in shares.names if n != AS_IS]
    total = 1.0 - shares.of(AS_IS)[0]
    top = max(losses, key=lambda n: shares.of(n)[0])
    if total < 0.15 or shares.of(AS_IS)[1] > 0.7:
        return
    where = locate(case, now.rows, _member(recogniser, textures(now)))
    inside = now.only(where.rows)
    after = separation(views[top], textures(inside), case.rng(f"texture after {name}"))
    subject = Subject("feature", (name,))
    text = (
        f"images in {name} are {LOSSES[top][0]} {where.words}: sharpness, noise and block edges "
        f"tell them from the reference (AUC {apart.auc:.2f}); the reference treated the same way "
        f"looks like them (AUC {after.auc:.2f})"
    )
    share = float(np.clip(max(where.inside, total), 0.0, 1.0))
    yield Finding(
        signal="image.texture",
        subject=subject,
        statement=text,
        statistic=apart.auc,
        effect=(apart.auc - 0.5) / apart.error,
        p_value=None,
        strength=float(np.clip((apart.auc - 0.55) / 0.25, 0.1, 1.0))
        * (0.8 + 0.2 * restored(apart, after))
        * share
        * same,
        supports=MODES,
        against=("concept_drift",),
        scope=where.scope,
        onset=where.onset,
        repairs=(RepairPlan("image_damage", subject, where.scope, {"loss": top}),),
        chart=images_chart(case, name, inside.rows),
    )


def _cells(case: Case, name: str, before: ImageSample, now: ImageSample) -> Finding | None:
    """Images enlarged from fewer pixels: whatever scenes they show, they are made of cells."""
    was, _ = _grey(case.reference.frame, name, before.rows, _DEGRADED)
    pictures, rows = _grey(case.current.frame, name, now.rows, _LOOKED)
    if was.shape[1:] != pictures.shape[1:] or min(len(was), len(pictures)) < _LEAST_LOOKED:
        return None
    found = find_mosaic(was, pictures)
    if found is None:
        return None
    where = locate(case, rows, found.made)
    subject = Subject("feature", (name,))
    share = float(np.nanmean(found.made))
    text = (
        f"images in {name} are made of {found.cells} cells across {where.words}, {pictures.shape[2]} pixels wide as "
        f"they are ({share:.0%} of those looked at, none in the reference): they were shrunk and enlarged again"
    )
    return Finding(
        signal="image.mosaic",
        subject=subject,
        statement=text,
        statistic=float(found.cells),
        effect=share,
        p_value=None,
        strength=float(np.clip(0.4 + where.inside, 0.0, 1.0)),
        supports=MODES,
        against=("concept_drift", "covariate_shift"),
        scope=where.scope,
        onset=where.onset,
        repairs=(
            RepairPlan(
                "image_damage", subject, where.scope, {"loss": "mosaic", "cells": found.cells}
            ),
        ),
        chart=images_chart(case, name, now.only(np.isin(now.rows, rows)).rows),
    )


def _grey(
    frame: pl.DataFrame, name: str, rows: NDArray[np.int64], most: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Grey pictures (k, h, w) of the commonest size among at most so many of the rows, and their rows (k,)."""
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, most).astype(int))]
    encoded = frame.get_column(name).gather(rows).to_list()
    grey = [None if p is None else p.pixels.mean(axis=2) for p in map(decode, encoded)]
    sizes = [p.shape for p in grey if p is not None]
    if not sizes:
        return np.zeros((0, 1, 1)), rows[:0]
    size = max(sorted(set(sizes)), key=sizes.count)
    kept = [i for i, p in enumerate(grey) if p is not None and p.shape == size]
    return np.stack([np.asarray(grey[i], dtype=float) for i in kept]), rows[kept]


def _member(recogniser: Recogniser, x: Floats) -> Floats:
    """(n,) 0 on average for images as they are, 1 for degraded ones."""
    at = recogniser.names.index(AS_IS)
    sound_mean = recogniser.means[at, at]
    other = np.delete(recogniser.means[:, at], at).mean()
    return np.asarray((recogniser.answers(x)[:, at] - sound_mean) / (other - sound_mean))
