"""What a logged image, text or vector is of the one that it should have been."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.checks.inputs._image_undo import WORDS
from ruleout.profile._embedding import embedding_sample
from ruleout.profile._image import ImageSample, image_sample
from ruleout.stats._garble import GARBLINGS
from ruleout.stats._picture import EXACT

Mask = NDArray[np.bool_]

_MOST = 0.5
_LEVELS = 6.0
"""Grey levels by which two decodings of one picture may differ on average."""

_CLOSE = 1e-3


class RawRelation(NamedTuple):
    """Which rows differ, and what most of those are."""

    differ: Mask
    mode: str
    words: str
    sure: float
    """1 when the relation is known exactly, less when it only shows that something differs."""


def text_relation(logged: pl.Series, right: pl.Series) -> RawRelation:
    """Compare n texts as logged with n as they should be."""
    a = [_plain(v) for v in logged.to_list()]
    b = [_plain(v) for v in right.to_list()]
    differ = np.array([x != y for x, y in zip(a, b, strict=True)], bool)
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if x != y]
    if not pairs:
        return RawRelation(differ, "", "", 0.0)
    told = [
        ("silent_nulls", "empty", _share(not x for x, _ in pairs)),
        ("context_truncation", "cut short", _share(_cut(x, y) for x, y in pairs)),
    ]
    told += [
        ("tokenizer_mismatch", g.words, _share(_plain(g.damage(y)) == x for x, y in pairs))
        for g in GARBLINGS.values()
    ]
    others = set(b)
    told.append(
        ("stale_features", "those of other rows", _share(bool(x) and x in others for x, _ in pairs))
    )
    mode, words, share = max(told, key=lambda t: t[2])
    if share < _MOST:
        return RawRelation(differ, "tokenizer_mismatch", "written otherwise", 0.6)
    return RawRelation(differ, mode, words, 1.0)


def _plain(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _cut(short: str, whole: str) -> bool:
    return 0 < len(short) < len(whole) and (whole.startswith(short) or whole.endswith(short))


def _share(hits: Any) -> float:
    return float(np.mean(list(hits)))


def image_relation(logged: pl.Series, right: pl.Series) -> RawRelation:
    """Compare n images as logged with n as they should be, by their thumbnails."""
    a, b = (image_sample(series, limit=len(series)) for series in (logged, right))
    missing = np.array([not value for value in logged.to_list()], bool)
    known = b.statistics["decoded"] > 0
    broken = (a.statistics["decoded"] == 0) & ~missing
    apart = _apart(a.thumbnails, b.thumbnails)
    differ = known & (missing | broken | ~(apart <= _LEVELS))
    if not differ.any():
        return RawRelation(differ, "", "", 0.0)
    blank = np.nan_to_num(a.statistics["blank"]) > 0
    told = [
        ("silent_nulls", "missing", float(missing[differ].mean())),
        ("image_preprocessing", "unreadable", float(broken[differ].mean())),
        ("image_preprocessing", "blank", float((blank & ~missing)[differ].mean())),
        ("stale_features", "those of other rows", _elsewhere(a, b, differ)),
    ]
    whole = differ & ~missing & ~broken & ~blank
    if whole.any():
        right_ones = b.thumbnails[whole].astype(float)
        for name, (damage, _) in EXACT.items():
            near = _apart(a.thumbnails[whole], damage(right_ones)) <= _LEVELS
            told.append(
                ("image_preprocessing", WORDS.get(name, name), float(near.sum() / differ.sum()))
            )
    mode, words, share = max(told, key=lambda t: t[2])
    if share < _MOST:
        return RawRelation(differ, "image_preprocessing", "prepared otherwise", 0.8)
    return RawRelation(differ, mode, words, 1.0)


def _apart(a: np.ndarray, b: np.ndarray) -> NDArray[np.float64]:
    return np.asarray(np.abs(a.astype(float) - b).mean(axis=(1, 2, 3)))


def _elsewhere(a: ImageSample, b: ImageSample, differ: Mask) -> float:
    """Share of the differing images that are the right ones of other rows."""
    seen = a.marks[differ]
    return float((np.isin(seen, b.marks) & (seen != 0)).mean())


def vector_relation(logged: pl.Series, right: pl.Series) -> RawRelation:
    """Compare n vectors as logged with n as they should be."""
    b = embedding_sample(right, limit=len(right))
    width = b.vectors.shape[1]
    a = embedding_sample(logged, limit=len(logged), dimension=width)
    size = np.linalg.norm(b.vectors, axis=1)
    apart = np.linalg.norm(a.vectors - b.vectors, axis=1)
    known = np.isfinite(size)
    differ = known & ~(apart <= _CLOSE * (size + 1e-9))
    if not differ.any():
        return RawRelation(differ, "", "", 0.0)
    empty = (a.dimensions == 0) | (np.nan_to_num(a.vectors) == 0).all(axis=1)
    if float(empty[differ].mean()) >= _MOST:
        return RawRelation(differ, "silent_nulls", "missing or zero", 1.0)
    if _of_others(a.vectors[differ], b.vectors[known]) >= _MOST:
        return RawRelation(differ, "stale_features", "those of other rows", 1.0)
    ratio = np.linalg.norm(a.vectors[differ], axis=1) / np.maximum(size[differ], 1e-12)
    middle = float(np.nanmedian(ratio)) if np.isfinite(ratio).any() else float("nan")
    words = f"those of another encoder (length {middle:.2g} times the right one)"
    return RawRelation(differ, "embedding_mismatch", words, 1.0)


def _of_others(a: np.ndarray, b: np.ndarray) -> float:
    """Share of vectors that are among others."""
    known = {row.tobytes() for row in np.round(b, 5) + 0.0}
    return float(np.mean([row.tobytes() in known for row in np.round(a, 5) + 0.0]))
