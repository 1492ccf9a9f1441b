"""A few dense numbers per image, text or embedding, for models that only take numbers.

Fitted on the reference and applied to the current and to repaired columns, so that a surrogate
of the predictor can replay them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from ruleout.profile import _embedding, _image, _text

Kind = Literal["image", "text", "embedding"]

_WORD_SLOTS = 2048
_TEXT_AXES = 96
_IMAGE_AXES = 24
_EMBEDDING_AXES = 32
_IMAGE_SIDE = 16
_IMAGE_STATISTICS = (
    "saturation",
    "sharpness",
    "noise",
    "edge_orientation",
    "flat",
    "entropy",
    "bars",
    "contrast",
)
_TEXT_STATISTICS = ("length", "tokens", "token_length", "upper", "digit", "punctuation")


class Representation(NamedTuple):
    """A linear map from raw features of one column to standardised numbers."""

    kind: Kind
    centre: np.ndarray
    """(r,) mean of the raw features on the reference."""

    axes: np.ndarray
    """(r, k): raw features to representation, scale included."""

    width: int
    """Length of the vectors of an embedding column; 0 for other kinds."""

    weight: np.ndarray
    """(r,) or (1,): multiplier of each raw feature before centring (idf for words)."""

    @property
    def size(self) -> int:
        """Numbers per row."""
        return int(self.axes.shape[1])

    def apply(self, series: pl.Series, *, limit: int | None = None) -> np.ndarray:
        """(n, k) float64 for a column of n rows; rows not looked at or unreadable are NaN."""
        raw, rows = raw_features(self.kind, series, limit, self.width)
        out = np.full((len(series), self.size), np.nan)
        out[rows] = self.project(raw)
        return out

    def project(self, raw: np.ndarray) -> np.ndarray:
        """(n, k) numbers for (n, r) raw features."""
        turned = self.axes * (self.weight[:, None] if len(self.weight) > 1 else self.weight)
        return np.asarray(raw @ turned - self.centre @ self.axes)


def fit_representation(
    kind: Kind, series: pl.Series, *, limit: int | None = None
) -> Representation:
    """Fit on a reference column: principal axes of thumbnails, of hashed words or of vectors.

    Args:
        kind: what the column holds.
        series: encoded images (Binary), text (String) or vectors (List or Array).
        limit: rows to look at; by default the sample size of each kind.

    Raises:
        MissingExtra: for images that need Pillow when it is not installed.
    """
    width = 0
    if kind == "embedding":
        width = _embedding.embedding_sample(series, limit=limit or _embedding.SAMPLE).vectors.shape[
            1
        ]
    raw, _ = raw_features(kind, series, limit, width)
    return fit_features(kind, raw, width)


def fit_features(kind: Kind, raw: np.ndarray, width: int = 0) -> Representation:
    """Fit on (n, r) raw features of the reference; rows with NaN are left out."""
    whole = np.isfinite(raw).all(axis=1)
    raw = raw if whole.all() else raw[whole]
    weight = _rarity(raw) if kind == "text" and len(raw) else np.ones(1)
    raw = raw * weight
    centre = raw.mean(axis=0) if len(raw) else np.zeros(raw.shape[1])
    size = {"image": _IMAGE_AXES, "text": _TEXT_AXES, "embedding": _EMBEDDING_AXES}[kind]
    raw -= centre  # in place: texts have a thousand features, and this is our own copy
    return Representation(kind, centre, principal_axes(raw, size), width, weight)


def principal_axes(centred: np.ndarray, size: int) -> np.ndarray:
    """(r, k) leading axes of centred (n, r) data, scaled to unit variance of the first axis.

    Randomised range finder with two power iterations (Halko, Martinsson, Tropp 2011, algorithm
    4.4), started from a fixed pattern so that the answer is the same every time.
    """
    n, r = centred.shape
    k = min(size, n, r)
    if k == 0:
        return np.zeros((r, 0))
    start = np.random.default_rng(20_111).standard_normal((r, min(k + 8, n, r)))
    sketch = centred @ start
    for _ in range(2):
        sketch = centred @ (centred.T @ np.linalg.qr(sketch)[0])
    basis = np.linalg.qr(sketch)[0]
    _, values, axes = np.linalg.svd(basis.T @ centred, full_matrices=False)
    axes, values = axes[:k].T, values[:k]
    largest = np.argmax(np.abs(axes), axis=0)
    axes = axes * np.sign(axes[largest, np.arange(k)] + 1e-300)
    scale = values[0] / np.sqrt(n) if values[0] > 0 else 1.0
    return np.asarray(axes / scale)


def _rarity(raw: np.ndarray) -> np.ndarray:
    """Inverse document frequency of hashed words; 1 for the statistics that follow them."""
    used = (raw[:, :_WORD_SLOTS] != 0).sum(axis=0)
    weight = np.ones(raw.shape[1])
    weight[:_WORD_SLOTS] = np.log((1 + len(raw)) / (1 + used)) + 1.0
    weight[:_WORD_SLOTS] /= weight[:_WORD_SLOTS].mean()
    return weight


def raw_features(
    kind: Kind, series: pl.Series, limit: int | None, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """(m, r) raw features and the (m,) rows that they belong to."""
    if kind == "image":
        pictures = _image.image_sample(series, limit=limit or _image.SAMPLE)
        return image_features(pictures), pictures.rows
    if kind == "text":
        texts = _text.text_sample(series, limit=limit or _text.SAMPLE)
        return text_features(texts), texts.rows
    vectors = _embedding.embedding_sample(
        series, limit=limit or _embedding.SAMPLE, dimension=width or None
    )
    return vectors.vectors, vectors.rows


def image_features(sample: _image.ImageSample) -> np.ndarray:
    """(m, r): thumbnail in 0..1 around its middle, plus textures weighted to be heard beside it."""
    thumbs = sample.thumbnails.astype(float).reshape(len(sample.rows), -1) / 128.0 - 1.0
    extra = np.column_stack([sample.statistics[name] for name in _IMAGE_STATISTICS])
    scale = np.array([0.3, 1.0, 1.0, 0.5, 0.3, 1.0, 0.2, 30.0])
    return np.hstack([thumbs, extra / scale])


def image_details(sample: _image.ImageSample) -> np.ndarray:
    """(m, r + 256) float32: `image_features`, then the strengths of edges."""
    return np.hstack([image_features(sample), sample.edges]).astype(np.float32)


def text_features(sample: _text.TextSample) -> np.ndarray:
    """(m, r): hashed words and pairs with length 1 per text, plus a few statistics."""
    counts = _text.hashed(_text.words(sample.texts), _WORD_SLOTS, bigrams=True)
    norms = np.linalg.norm(counts, axis=1, keepdims=True)
    statistics = [np.nan_to_num(sample.statistics[name]) for name in _TEXT_STATISTICS]
    statistics[:3] = [np.log1p(values) for values in statistics[:3]]
    return np.hstack([counts / np.where(norms > 0, norms, 1.0), 0.3 * np.column_stack(statistics)])
