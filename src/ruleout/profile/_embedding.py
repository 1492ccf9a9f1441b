"""Embeddings as numbers: norms, distances to the reference's centre and spectrum, neighbours."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

SAMPLE = 5_000
"""Vectors looked at per window, evenly spread over the rows."""

ANCHORS = 500
"""Reference vectors against which neighbours are sought."""


class EmbeddingSample(NamedTuple):
    """The vectors of one window that were looked at."""

    rows: np.ndarray
    """(m,) int64, ascending: which rows of the table."""

    vectors: np.ndarray
    """(m, d) float64; NaN rows where a vector is missing, has NaN or another dimension than d."""

    dimensions: np.ndarray
    """(m,) int64: length of each vector as it came, 0 for null."""

    total: int


def embedding_sample(
    series: pl.Series, *, limit: int = SAMPLE, dimension: int | None = None
) -> EmbeddingSample:
    """Read up to `limit` vectors of a list or array column.

    Args:
        series: a polars List or Array column of numbers.
        limit: vectors to look at.
        dimension: the expected length; by default the commonest in this column.
    """
    total = len(series)
    rows = (
        np.arange(total)
        if total <= limit
        else np.floor((np.arange(limit) + 0.5) * (total / limit)).astype(np.int64)
    )
    lists = _as_lists(series.gather(rows))
    dimensions = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
    width = dimension if dimension is not None else _commonest(dimensions)
    vectors = np.full((len(rows), width), np.nan)
    fits = np.flatnonzero((dimensions == width) & (width > 0))
    if len(fits):
        flat = lists.gather(fits).explode().cast(pl.Float64).to_numpy()
        vectors[fits] = flat.reshape(len(fits), width)
    vectors[~np.isfinite(vectors).all(axis=1)] = np.nan
    return EmbeddingSample(rows, vectors, dimensions, total)


def _as_lists(series: pl.Series) -> pl.Series:
    """Lists of numbers; null for what is none, so that another type is a missing vector and no crash."""
    lists = series.arr.to_list() if isinstance(series.dtype, pl.Array) else series
    if not isinstance(lists.dtype, pl.List) or lists.dtype.inner.is_nested():
        return pl.Series(series.name, [None] * len(series), dtype=pl.List(pl.Float64))
    return lists.cast(pl.List(pl.Float64), strict=False)


def _commonest(dimensions: np.ndarray) -> int:
    present = dimensions[dimensions > 0]
    if not len(present):
        return 0
    values, counts = np.unique(present, return_counts=True)
    return int(values[np.argmax(counts)])


class EmbeddingSpace(NamedTuple):
    """What the reference window says an ordinary vector looks like."""

    centre: np.ndarray
    """(d,) mean vector."""

    scale: np.ndarray
    """(d,) standard deviation of each dimension, at least a small positive number."""

    axes: np.ndarray
    """(d, k) leading principal axes."""

    variances: np.ndarray
    """(k,) their variances, descending."""

    rest: float
    """Mean variance of the dimensions outside the leading axes."""

    anchors: np.ndarray
    """(a, d) unit vectors of the reference, for neighbours."""


def fit_space(vectors: np.ndarray, *, axes: int = 16) -> EmbeddingSpace:
    """The reference's centre, spectrum and anchors from (n, d) vectors; NaN rows are left out."""
    sound = vectors[np.isfinite(vectors).all(axis=1)]
    if not len(sound):
        sound = np.zeros((1, vectors.shape[1]))
    centre = sound.mean(axis=0)
    centred = sound - centre
    covariance = centred.T @ centred / len(sound)
    values, basis = np.linalg.eigh(covariance)
    k = min(axes, len(values))
    lead = np.maximum(values[::-1][:k], 0.0)
    rest = float(np.maximum(values[::-1][k:], 0.0).mean()) if len(values) > k else 0.0
    pick = np.floor(
        (np.arange(min(ANCHORS, len(sound))) + 0.5) * len(sound) / min(ANCHORS, len(sound))
    ).astype(np.int64)
    return EmbeddingSpace(
        centre,
        np.maximum(centred.std(axis=0), 1e-9),
        _steady_signs(basis[:, ::-1][:, :k]),
        lead,
        rest,
        unit(sound[pick]),
    )


def _steady_signs(axes: np.ndarray) -> np.ndarray:
    """Fix the sign of each column by its largest entry, so that reruns agree."""
    largest = np.argmax(np.abs(axes), axis=0)
    signs = np.sign(axes[largest, np.arange(axes.shape[1])])
    return np.asarray(axes * np.where(signs == 0, 1.0, signs))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1; zero rows stay zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1.0))


def embedding_statistics(
    vectors: np.ndarray, space: EmbeddingSpace, *, own: bool = False
) -> dict[str, np.ndarray]:
    """Numbers per vector against the reference's space; NaN for missing vectors.

    Args:
        vectors: (n, d) with NaN rows where missing.
        space: fitted on the reference.
        own: the vectors are the reference's own, so that the nearest anchor may be itself and the
            second nearest is taken.
    """
    norm = np.linalg.norm(vectors, axis=1)
    centred = vectors - space.centre
    directions = unit(vectors)
    inside = centred @ space.axes
    length = np.sum(centred**2, axis=1)
    similar = directions @ space.anchors.T
    nearest = _nearest(similar, own=own)
    zero = norm == 0
    return {
        "missing": np.isnan(norm).astype(float),
        "zero": np.where(np.isnan(norm), np.nan, zero.astype(float)),
        "norm": norm,
        "mean": vectors.mean(axis=1) if vectors.shape[1] else norm,
        "spread": vectors.std(axis=1) if vectors.shape[1] else norm,
        "centre_distance": np.sqrt(length),
        "centre_cosine": directions @ unit(space.centre[None, :])[0],
        "in_span": np.sum(inside**2, axis=1) / np.where(length > 0, length, 1.0),
        "typicality": np.mean(
            inside**2 / np.maximum(space.variances, 1e-12 + 1e-6 * space.variances[:1].sum()),
            axis=1,
        ),
        "nearest": nearest,
    }


def _nearest(similar: np.ndarray, *, own: bool) -> np.ndarray:
    """Largest similarity per row; of a reference's own vectors not the one with itself."""
    if not own or similar.shape[1] < 2:
        return np.asarray(similar.max(axis=1))
    top = np.partition(similar, -2, axis=1)[:, -2:]
    return np.where(top[:, 1] > 1.0 - 1e-9, top[:, 0], top[:, 1])


STATISTICS = (
    "missing",
    "zero",
    "norm",
    "mean",
    "spread",
    "centre_distance",
    "centre_cosine",
    "in_span",
    "typicality",
    "nearest",
)


def derive_embedding(
    series: pl.Series, space: EmbeddingSpace, *, own: bool = False, limit: int = SAMPLE
) -> dict[str, np.ndarray]:
    """Numeric columns `embedding:<statistic>`, one value per row; NaN where not looked at."""
    sample = embedding_sample(series, limit=limit, dimension=len(space.centre))
    out: dict[str, np.ndarray] = {}
    for name, values in embedding_statistics(sample.vectors, space, own=own).items():
        column = np.full(sample.total, np.nan)
        column[sample.rows] = values
        out[f"embedding:{name}"] = column
    return out
