"""How well one column repeats another."""

from __future__ import annotations

import numpy as np
import polars as pl

_FEW = 200
"""Up to so many values a column is compared as classes."""


def agreement(one: pl.Series, other: pl.Series) -> float:
    """Cohen's kappa of two columns of classes, correlation of two of numbers; 0 where they are of different kinds."""
    if len(one) != len(other) or not len(one) or one.dtype.is_numeric() != other.dtype.is_numeric():
        return 0.0
    if max(one.n_unique(), other.n_unique()) <= _FEW:
        return _kappa(one, other)
    return _correlation(one, other) if one.dtype.is_numeric() else 0.0


def _correlation(one: pl.Series, other: pl.Series) -> float:
    pair = np.column_stack([one.cast(pl.Float64).to_numpy(), other.cast(pl.Float64).to_numpy()])
    pair = pair[np.isfinite(pair).all(axis=1)]
    if len(pair) < 3 or (np.ptp(pair, axis=0) == 0).any():
        return 0.0
    return float(np.corrcoef(pair.T)[0, 1])


def _kappa(one: pl.Series, other: pl.Series) -> float:
    pair = pl.DataFrame({"a": one, "b": other}).drop_nulls()
    if not pair.height or pair["a"].dtype.is_float() != pair["b"].dtype.is_float():
        return _correlation(one, other) if one.dtype.is_numeric() else 0.0
    text = pair.cast(pl.String)
    agreed = float(text.select((pl.col("a") == pl.col("b")).mean()).item())
    shares = [dict(text[name].value_counts(normalize=True).iter_rows()) for name in ("a", "b")]
    chance = sum(share * shares[1].get(value, 0.0) for value, share in shares[0].items())
    return float((agreed - chance) / (1.0 - chance)) if chance < 1.0 else 0.0
