"""Images that are missing, do not decode, are blank, repeat one picture, or changed their format.

Rule: shares of such images against the reference, and where they concentrate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.inputs._image_chart import images_chart
from ruleout.checks.inputs._locate import locate
from ruleout.profile import Case
from ruleout.profile._image import ImageSample
from ruleout.profile._unstructured import images
from ruleout.stats._twosample import proportions

Mask = NDArray[np.bool_]

MODES = ("image_preprocessing", "silent_nulls")
_LEAST_RISE = 0.01
_TYPICAL = 0.95
_BLANK = "image.blank"
_NEARLY_ALL = 0.9
_WHOLESALE = ("image.bars", "image.size", "image.orientation")
"""What a pipeline does to every image that passes it; here and there it is how pictures are."""


class Fault(NamedTuple):
    """A way in which a file can be wrong."""

    signal: str
    words: str
    supports: tuple[str, ...]
    before: Mask
    now: Mask
    option: dict[str, float | str]


@check(
    "image_files",
    layer="data",
    rung="inputs",
    looks_for=MODES,
    needs=("data.reference", "data.current", "data.columns.image"),
)
def image_files(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Look for missing, unreadable, blank, repeated, resized and turned files."""
    del rng
    for name in case.of_kind("image"):
        if case.reference.has(name) and case.current.has(name):
            yield from _column(case, name)


def _column(case: Case, name: str) -> Iterator[Outcome]:
    before, now = images(case, "reference", name), images(case, "current", name)
    if not len(before.rows) or not len(now.rows):
        return
    found = [
        finding
        for fault in faults(case, name, before, now)
        if (finding := _rise(case, name, now, fault)) is not None
    ]
    yield from found
    if not found:
        text = (
            f"no more missing, unreadable, blank or repeated images in {name} than before, and "
            f"their sizes and orientations are the same"
        )
        yield Clear(
            ("silent_nulls",), Subject("feature", (name,)), text, _LEAST_RISE, "image.files"
        )


def faults(case: Case, name: str, before: ImageSample, now: ImageSample) -> Iterator[Fault]:
    """Every way in which files can be wrong, as masks over the sampled images."""
    absent = [
        _absent(case, which, name, s) for which, s in (("reference", before), ("current", now))
    ]
    broken = [
        (s.statistics["decoded"] == 0) & ~a for s, a in zip((before, now), absent, strict=True)
    ]
    blank = [np.nan_to_num(s.statistics["blank"]) > 0 for s in (before, now)]
    yield Fault("image.missing", "missing", ("silent_nulls",), absent[0], absent[1], {})
    yield Fault(
        "image.undecodable", "unreadable", ("image_preprocessing",), broken[0], broken[1], {}
    )
    yield Fault(_BLANK, "blank", MODES, blank[0], blank[1], {})
    turned = [np.nan_to_num(s.statistics["orientation"], nan=1.0) != 1 for s in (before, now)]
    words = "stored sideways with an EXIF orientation"
    yield Fault("image.orientation", words, MODES[:1], turned[0], turned[1], {"fix": "orientation"})
    barred = [np.nan_to_num(s.statistics["bars"]) > 0.08 for s in (before, now)]
    barred = [b & ~k for b, k in zip(barred, blank, strict=True)]
    yield Fault(
        "image.bars", "framed by uniform bars", MODES[:1], barred[0], barred[1], {"fix": "bars"}
    )
    yield from _resized(before, now)
    yield from _repeated(before, now, blank)


def _absent(case: Case, which: str, name: str, sample: ImageSample) -> Mask:
    series = case.table(which).frame.get_column(name).gather(sample.rows)  # type: ignore[arg-type]
    return np.array([not value for value in series.to_list()], bool)


def _resized(before: ImageSample, now: ImageSample) -> Iterator[Fault]:
    """Other sizes than the one size that (nearly) all reference images have."""
    old = _sizes(before)
    known = old[old >= 0]
    if not len(known):
        return
    values, counts = np.unique(known, return_counts=True)
    top = values[np.argmax(counts)]
    if counts.max() < _TYPICAL * len(known):
        return
    width, height = int(top) // 100_000, int(top) % 100_000
    new = _sizes(now)
    odd = (old != top) & (old >= 0), (new != top) & (new >= 0)
    if odd[1].any():
        sizes, often = np.unique(new[odd[1]], return_counts=True)
        most = int(sizes[np.argmax(often)])
        words = f"{most // 100_000} x {most % 100_000} pixels instead of {width} x {height}"
        option: dict[str, float | str] = {"fix": "size", "width": width, "height": height}
        yield Fault("image.size", words, MODES[:1], odd[0], odd[1], option)


def _sizes(sample: ImageSample) -> NDArray[np.int64]:
    width = np.nan_to_num(sample.statistics["width"], nan=-1.0).astype(np.int64)
    height = np.nan_to_num(sample.statistics["height"], nan=0.0).astype(np.int64)
    return np.where(width > 0, width * 100_000 + height, -1)


def _repeated(before: ImageSample, now: ImageSample, blank: list[Mask]) -> Iterator[Fault]:
    """One picture in place of many: a placeholder or a cached image."""
    plain = np.nan_to_num(now.statistics["bars"]) < 0.08
    usable = (now.statistics["decoded"] > 0) & ~blank[1] & plain
    if not usable.any():
        return
    marks, counts = np.unique(now.marks[usable], return_counts=True)
    top = marks[np.argmax(counts)]
    old = (before.marks == top) & (before.statistics["decoded"] > 0)
    if counts.max() >= 8:
        words = "one and the same picture"
        yield Fault(
            "image.repeated", words, ("silent_nulls",), old, (now.marks == top) & usable, {}
        )


def _rise(case: Case, name: str, now: ImageSample, fault: Fault) -> Finding | None:
    old, new = float(fault.before.mean()), float(fault.now.mean())
    test = proportions(
        (float(fault.before.sum()), float(fault.now.sum())),
        (float(len(fault.before)), float(len(fault.now))),
    )
    if new - old < max(_LEAST_RISE, 0.3 * old) or test.p_value > 1e-4:
        return None
    where = locate(case, now.rows, fault.now.astype(float))
    if fault.signal in _WHOLESALE and where.inside < 0.5:
        return None
    subject = Subject("feature", (name,))
    options = {"signal": fault.signal, **fault.option}
    scattered = "" if where.rows.all() else f" ({where.inside:.1%} {where.words})"
    # What empties a part of the frames, the others sound, is a default for those that never came.
    some = fault.signal == _BLANK and where.inside < _NEARLY_ALL
    return Finding(
        signal="image.blank_some" if some else fault.signal,
        subject=subject,
        statement=f"{new:.1%} of the images in {name} are {fault.words}{scattered}; {old:.1%} were",
        statistic=new - old,
        effect=(new - old) / max(np.sqrt(new * (1 - new) / len(fault.now)), 1e-3),
        p_value=test.p_value,
        strength=float(np.clip((new - old) / 0.08, 0.15, 1.0)),
        supports=fault.supports,
        against=("concept_drift", "covariate_shift", "fallback_overload", "adversarial_shift"),
        scope=where.scope,
        onset=where.onset,
        repairs=(RepairPlan("image_files", subject, where.scope, options),),
        chart=images_chart(case, name, now.rows[fault.now]),
    )
