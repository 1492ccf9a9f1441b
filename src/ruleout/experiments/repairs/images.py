"""Undoing damage to images on the encoded bytes, so that any model can replay them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._errors import RuleoutError
from ruleout._records import RepairPlan
from ruleout._registry import repair
from ruleout.checks.inputs.image_files import faults
from ruleout.experiments._undone import Damaged, Undone, surrogate
from ruleout.profile import Case
from ruleout.profile._image import sample_rows, shrink
from ruleout.profile._pixels import decode, encode_like
from ruleout.profile._unstructured import LIMITS, images
from ruleout.stats._degrade import LOSSES
from ruleout.stats._mosaic import mosaic
from ruleout.stats._picture import EXACT, grayscale
from ruleout.stats._tone import Tone

Floats = NDArray[np.float64]
Change = Callable[[Floats], Floats]

_REFERENCE_ROWS = 600


@repair("image_inverse", undoes=("image_preprocessing",))
def image_inverse(case: Case, plan: RepairPlan) -> Undone:
    """Apply the inverse transform to the images in scope; what has none is done to the reference.

    Raises:
        RuleoutError: when the plan names no known transform.
    """
    name, options = plan.subject.names[0], plan.options
    transform = str(options.get("transform"))
    if transform in EXACT:
        damage, inverse = EXACT[transform]
        if surrogate(case) or options.get("served"):
            return _damaged(case, plan, name, damage)
        return _replaced(case, plan, name, inverse)
    if transform == "tone":
        tone = _tone(options)
        if surrogate(case):
            return _damaged(case, plan, name, tone.apply)
        return _replaced(case, plan, name, tone.undo)
    return _damaged(case, plan, name, _lossy(transform, options))


@repair("image_damage", undoes=("image_preprocessing",))
def image_damage(case: Case, plan: RepairPlan) -> Undone:
    """Blur, resample or roughen reference images as the current ones are, and measure the harm.

    Raises:
        RuleoutError: when the plan names no known loss.
    """
    loss = str(plan.options.get("loss"))
    if loss == "mosaic":
        cells = int(plan.options["cells"])
        return _damaged(case, plan, plan.subject.names[0], lambda x: mosaic(x, cells))
    if loss not in LOSSES:
        raise RuleoutError(f"unknown loss {loss!r}; known are {', '.join((*LOSSES, 'mosaic'))}")
    return _damaged(case, plan, plan.subject.names[0], LOSSES[loss][1])


@repair("image_files", undoes=("image_preprocessing", "silent_nulls"))
def image_files(case: Case, plan: RepairPlan) -> Undone:
    """Bring resized, framed and turned images back; leave missing and unreadable ones out.

    Raises:
        RuleoutError: when the fault is no longer there.
    """
    name, options = plan.subject.names[0], plan.options
    fix = options.get("fix")
    if fix == "size":
        size = int(options["height"]), int(options["width"])
        return _replaced(case, plan, name, lambda x: _resize(x, size))
    if fix == "bars":
        return _replaced(case, plan, name, _unframed)
    sample = images(case, "current", name)
    for fault in faults(case, name, images(case, "reference", name), sample):
        if fault.signal == options.get("signal"):
            keep = np.zeros(case.current.rows, bool)
            keep[sample.rows] = ~fault.now
            return Undone(keep=keep, method="exclusion")
    raise RuleoutError(f"no images in {name} show {options.get('signal')!r} any more")


def _rows(case: Case, plan: RepairPlan) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
    """Current rows to repair, and the rows to judge by when not all can be looked at."""
    looked = sample_rows(case.current.rows, LIMITS["image"])
    inside = case.scope_rows(plan.scope)
    keep = None
    if len(looked) < case.current.rows:
        keep = np.zeros(case.current.rows, bool)
        keep[looked] = True
    return looked[inside[looked]], keep


def _replaced(case: Case, plan: RepairPlan, name: str, change: Change) -> Undone:
    rows, keep = _rows(case, plan)
    series = case.current.frame.get_column(name)
    values = series.to_list()
    for row in rows:
        values[row] = _changed(values[row], change)
    return Undone(features={name: pl.Series(name, values, dtype=series.dtype)}, keep=keep)


def _changed(data: bytes | None, change: Change) -> bytes | None:
    """Encoded image after a change of its pixels; what does not decode stays as it is."""
    picture = decode(data, reduce=False)
    if picture is None:
        return data
    pixels = np.clip(change(picture.pixels.astype(float)) + 0.5, 0, 255).astype(np.uint8)
    return encode_like(pixels, picture.form)


def _damaged(case: Case, plan: RepairPlan, name: str, change: Change) -> Undone:
    rows = sample_rows(case.reference.rows, _REFERENCE_ROWS)
    series = case.reference.frame.get_column(name)
    spoilt = [_changed(data, change) for data in series.gather(rows).to_list()]
    column = pl.Series(name, spoilt, dtype=series.dtype)
    share = float(case.scope_rows(plan.scope).mean()) if case.current.rows else 0.0
    return Undone(
        damaged=Damaged(rows, {name: column}, share, case.scope_rows(plan.scope)),
        method="damage_replay",
    )


def _tone(options: Any) -> Tone:
    red, green, blue = (float(v) for v in options["gain"])
    shifts = [float(v) for v in options["offset"]]
    return Tone((red, green, blue), (shifts[0], shifts[1], shifts[2]), float(options["power"]))


def _lossy(transform: str, options: Any) -> Change:
    if transform == "grayscale":
        return grayscale
    if transform == "crop":
        keep = float(options["keep"])
        return lambda x: _cropped(x, keep)
    if transform == "letterbox":
        band = float(options["band"])
        return lambda x: _letterboxed(x, band)
    if transform == "shift":
        return _shifted
    raise RuleoutError(f"unknown transform {transform!r} of an image")


def _cropped(x: Floats, keep: float) -> Floats:
    height, width = x.shape[:2]
    top, left = round(height * (1 - keep) / 2), round(width * (1 - keep) / 2)
    return _resize(x[top : height - top, left : width - left], (height, width))


def _letterboxed(x: Floats, band: float) -> Floats:
    height, width = x.shape[:2]
    inner = _resize(x, (max(1, round(height * band)), width))
    out = np.zeros_like(x)
    top = (height - len(inner)) // 2
    out[top : top + len(inner)] = inner
    return out


def _shifted(x: Floats) -> Floats:
    rows = np.maximum(np.arange(x.shape[0]) - x.shape[0] // 4, 0)
    columns = np.maximum(np.arange(x.shape[1]) - x.shape[1] // 4, 0)
    return np.asarray(x[rows][:, columns])


def _resize(x: Floats, size: tuple[int, int]) -> Floats:
    """Area average when shrinking, bilinear when enlarging; (h, w, 3) -> (*size, 3)."""
    height, width = size
    if height == width and min(x.shape[:2]) >= height:
        return np.asarray(shrink(x[None].astype(np.float32), height)[0], dtype=float)
    for axis, length in ((0, height), (1, width)):
        old = x.shape[axis]
        place = np.clip((np.arange(length) + 0.5) * old / length - 0.5, 0, old - 1)
        low = np.floor(place).astype(int)
        part = (place - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        high = np.minimum(low + 1, old - 1)
        x = np.take(x, low, axis=axis) * (1 - part) + np.take(x, high, axis=axis) * part
    return x


def _unframed(x: Floats) -> Floats:
    """Without the uniform bars along the edges, at the old size."""
    light = x.mean(axis=2)
    rows = np.flatnonzero(light.std(axis=1) >= 1.5)
    columns = np.flatnonzero(light.std(axis=0) >= 1.5)
    if not len(rows) or not len(columns):
        return x
    inner = x[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return _resize(inner, (x.shape[0], x.shape[1]))
