"""Images as numbers: statistics of encoded pictures and small thumbnails to replay transforms on."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout.profile._pixels import Picture, decode

SIDE = 16
"""Thumbnails are (SIDE, SIDE, 3)."""

SAMPLE = 1_000
"""Images looked at per window, evenly spread over the rows."""

EDGES = 8 * 8 * 4
"""Strengths of edges per image: four directions in 8 x 8 cells."""

_CHUNK = 32
_BLANK_STD = 2.0
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

STATISTICS = (
    "decoded",
    "width",
    "height",
    "aspect",
    "bytes_per_pixel",
    "orientation",
    "mean_red",
    "mean_green",
    "mean_blue",
    "std_red",
    "std_green",
    "std_blue",
    "luminance",
    "contrast",
    "luminance_p05",
    "luminance_p50",
    "luminance_p95",
    "saturation",
    "sharpness",
    "noise",
    "edge_orientation",
    "top_bottom",
    "left_right",
    "centre_border",
    "entropy",
    "flat",
    "bars",
    "blank",
    "blockiness",
)


class ImageSample(NamedTuple):
    """The images of one window that were looked at."""

    rows: np.ndarray
    """(m,) int64, ascending: which rows of the table."""

    statistics: dict[str, np.ndarray]
    """Each of `STATISTICS` as (m,) float64; NaN where the image does not decode."""

    thumbnails: np.ndarray
    """(m, SIDE, SIDE, 3) float32 in 0..255; NaN where the image does not decode."""

    edges: np.ndarray
    """(m, 256) float32: strength of edges in four directions in 8 x 8 cells, square roots."""

    marks: np.ndarray
    """(m,) uint64: equal for the same picture; 0 where the image does not decode."""

    total: int
    """Rows of the table; larger than `len(rows)` when they were sampled."""

    def only(self, mask: np.ndarray) -> ImageSample:
        """The sample restricted to a boolean mask over its own m rows."""
        statistics = {name: values[mask] for name, values in self.statistics.items()}
        return ImageSample(
            self.rows[mask],
            statistics,
            self.thumbnails[mask],
            self.edges[mask],
            self.marks[mask],
            self.total,
        )


def sample_rows(total: int, limit: int) -> np.ndarray:
    """At most `limit` row numbers spread evenly over `total` rows; the same ones every time."""
    if total <= limit:
        return np.arange(total)
    return np.asarray(np.floor((np.arange(limit) + 0.5) * (total / limit)), dtype=np.int64)


def image_sample(series: pl.Series, *, limit: int = SAMPLE) -> ImageSample:
    """Decode up to `limit` images of a column of encoded bytes and measure them.

    Statistics are in the units of 8-bit pixels (0..255); shares and asymmetries are in -1..1.

    Raises:
        MissingExtra: when the images' format needs Pillow and it is not installed.
    """
    rows = sample_rows(len(series), limit)
    encoded = series.gather(rows).to_list()
    pictures = [decode(_as_bytes(data)) for data in encoded]
    return measure(pictures, encoded, rows, len(series))


def measure(
    pictures: Sequence[Picture | None], encoded: Sequence[object], rows: np.ndarray, total: int
) -> ImageSample:
    """Measure m decoded images, None where one does not decode, of the given rows of a table.

    Args:
        pictures: m images.
        encoded: their m files, for their sizes.
        rows: (m,) where they stand in the table.
        total: rows of the table.
    """
    statistics = {name: np.full(len(rows), np.nan) for name in STATISTICS}
    thumbnails = np.full((len(rows), SIDE, SIDE, 3), np.nan, np.float32)
    edges = np.full((len(rows), EDGES), np.nan, np.float32)
    marks = np.zeros(len(rows), np.uint64)
    statistics["decoded"] = np.array([picture is not None for picture in pictures], float)
    sizes = [len(data) if isinstance(data, bytes) else 0 for data in encoded]
    for at in _by_shape(pictures):
        chosen = [picture for picture in (pictures[i] for i in at) if picture is not None]
        stack = np.stack([picture.pixels for picture in chosen])
        small = shrink(stack, 2 * SIDE)
        thumbnails[at] = small.reshape(len(at), SIDE, 2, SIDE, 2, 3).mean(axis=(2, 4))
        edges[at] = _edges(small @ _LUMA)
        marks[at] = _marks(thumbnails[at])
        for name, values in _measure(stack, small, thumbnails[at]).items():
            statistics[name][at] = values
        _describe_files(statistics, at, chosen, sizes)
    return ImageSample(rows, statistics, thumbnails, edges, marks, total)


def image_statistics(series: pl.Series, *, limit: int = SAMPLE) -> pl.DataFrame:
    """One row of numeric statistics per image looked at, plus `row`, its place in the column."""
    sample = image_sample(series, limit=limit)
    return pl.DataFrame({"row": sample.rows, **sample.statistics})


def derive_image(series: pl.Series, *, limit: int = SAMPLE) -> dict[str, np.ndarray]:
    """Numeric columns `image:<statistic>`, one value per row; NaN where a row was not looked at."""
    sample = image_sample(series, limit=limit)
    return {f"image:{name}": spread(sample, values) for name, values in sample.statistics.items()}


def spread(sample: ImageSample, values: np.ndarray) -> np.ndarray:
    """(m, ...) values of the sample -> (total, ...) with NaN in the rows not looked at."""
    out = np.full((sample.total, *values.shape[1:]), np.nan, values.dtype)
    out[sample.rows] = values
    return out


def shrink(stack: np.ndarray, side: int) -> np.ndarray:
    """(n, h, w, 3) -> (n, side, side, 3) float32 by averaging areas."""
    n, height, width, _ = stack.shape
    flat = stack.reshape(n, height, width * 3).astype(np.float32)
    tall = (_areas(height, side) @ flat).reshape(n, side, width, 3)
    return np.asarray(np.einsum("sw,nhwc->nhsc", _areas(width, side), tall, optimize=True))


def _areas(length: int, side: int) -> np.ndarray:
    """(side, length) weights: how much of each input pixel falls into each output cell."""
    edges = np.linspace(0, length, side + 1)
    starts = np.arange(length)
    low = np.maximum(edges[:-1, None], starts)
    high = np.minimum(edges[1:, None], starts + 1)
    cover = np.clip(high - low, 0, None)
    return np.asarray(cover / cover.sum(axis=1, keepdims=True), dtype=np.float32)


def _as_bytes(value: object) -> bytes | None:
    return value if isinstance(value, bytes) else None


def _by_shape(pictures: Sequence[Picture | None]) -> list[np.ndarray]:
    """Indices of decoded images in chunks of one shape each."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for i, picture in enumerate(pictures):
        if picture is not None:
            groups.setdefault(picture.pixels.shape, []).append(i)
    return [
        np.array(at[start : start + _CHUNK])
        for at in groups.values()
        for start in range(0, len(at), _CHUNK)
    ]


def _describe_files(
    statistics: dict[str, np.ndarray], at: np.ndarray, chosen: list[Picture], sizes: list[int]
) -> None:
    width = np.array([picture.width for picture in chosen], float)
    height = np.array([picture.height for picture in chosen], float)
    statistics["width"][at] = width
    statistics["height"][at] = height
    statistics["aspect"][at] = width / height
    statistics["bytes_per_pixel"][at] = np.array([sizes[i] for i in at]) / (width * height)
    statistics["orientation"][at] = [picture.orientation for picture in chosen]


def _measure(stack: np.ndarray, small: np.ndarray, thumbs: np.ndarray) -> dict[str, np.ndarray]:
    luma = _luminance(stack)
    out = _colour(small)
    out.update(_texture(luma))
    light = thumbs @ _LUMA
    centre = light[:, SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4].mean(axis=(1, 2))
    whole = light.mean(axis=(1, 2))
    half = SIDE // 2
    out["top_bottom"] = (light[:, :half] - light[:, half:]).mean(axis=(1, 2)) / 255.0
    out["left_right"] = (light[:, :, :half] - light[:, :, half:]).mean(axis=(1, 2)) / 255.0
    out["centre_border"] = (centre - (4.0 * whole - centre) / 3.0) / 255.0
    out["blank"] = (luma.std(axis=(1, 2)) < _BLANK_STD).astype(float)
    return out


def _edges(light: np.ndarray) -> np.ndarray:
    """(n, 32, 32) luminance -> (n, 256) edge strengths, in the manner of Dalal and Triggs (2005).

    Sums and differences of the two slopes stand for the diagonals, which spares an arc tangent.
    """
    n, side, _ = light.shape
    down, right = np.gradient(light, axis=(1, 2))
    four = (down, right, 0.7 * (right + down), 0.7 * (right - down))
    cell = side // 8
    strength = [np.abs(d).reshape(n, 8, cell, 8, cell).mean(axis=(2, 4)) for d in four]
    return np.asarray(np.sqrt(np.stack(strength, axis=-1) + 1.0).reshape(n, -1), dtype=np.float32)


def _luminance(stack: np.ndarray) -> np.ndarray:
    # Three scaled planes are several times faster than a matrix product with three columns.
    red, green, blue = (stack[..., i].astype(np.float32) for i in range(3))
    return np.asarray(_LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue)


def _colour(small: np.ndarray) -> dict[str, np.ndarray]:
    n = len(small)
    flat = small.reshape(n, -1, 3)
    # One plane a channel: sums along three neighbours are slow.
    planes = np.ascontiguousarray(np.moveaxis(flat, 2, 0))
    mean, std = planes.mean(axis=2), planes.std(axis=2)
    light = flat @ _LUMA
    peak, least = planes.max(axis=0), planes.min(axis=0)
    p05, p50, p95 = _row_quantiles(light, (0.05, 0.5, 0.95))
    out = {
        "luminance": light.mean(axis=1),
        "contrast": light.std(axis=1),
        "luminance_p05": p05,
        "luminance_p50": p50,
        "luminance_p95": p95,
        "saturation": ((peak - least) / np.maximum(peak, 1.0)).mean(axis=1),
        "entropy": _entropy(light),
    }
    for i, name in enumerate(("red", "green", "blue")):
        out[f"mean_{name}"], out[f"std_{name}"] = mean[i], std[i]
    return out


def _row_quantiles(values: np.ndarray, probs: Sequence[float]) -> list[np.ndarray]:
    """Quantiles of each row of (n, m): `np.quantile`'s, by one sort."""
    ordered = np.sort(values, axis=1)
    found = []
    for exact in (p * (values.shape[1] - 1) for p in probs):
        before = int(exact)
        low, high = ordered[:, before], ordered[:, min(before + 1, values.shape[1] - 1)]
        part = exact - before
        step = (high - low).astype(float)
        found.append(low + step * part if part < 0.5 else high - step * (1 - part))
    return found


def _entropy(light: np.ndarray, bins: int = 32) -> np.ndarray:
    """Shannon entropy in bits of each row's luminance histogram."""
    n, size = light.shape
    cells = np.clip(light * (bins / 256.0), 0, bins - 1).astype(np.int64)
    counts = np.bincount(
        (cells + np.arange(n)[:, None] * bins).ravel(), minlength=n * bins
    ).reshape(n, bins)
    share = counts / size
    return np.asarray(-np.sum(share * np.log2(np.where(share > 0, share, 1.0)), axis=1))


def _texture(luma: np.ndarray) -> dict[str, np.ndarray]:
    """Sharpness and noise in grey levels (log scale), edges, flatness, bars and JPEG blocks."""
    n = len(luma)
    if min(luma.shape[1:]) < 3:
        return dict.fromkeys(_TEXTURES, np.full(n, np.nan))
    across, down = np.abs(np.diff(luma, axis=2)), np.abs(np.diff(luma, axis=1))
    inner = luma[:, 1:-1, 1:-1]
    laplace = (
        luma[:, :-2, 1:-1] + luma[:, 2:, 1:-1] + luma[:, 1:-1, :-2] + luma[:, 1:-1, 2:]
    ) - 4.0 * inner
    # Immerkaer 1996: the second difference along both axes sees noise and hardly any edge.
    both = np.diff(np.diff(luma, 2, axis=1), 2, axis=2)
    steps = across.mean(axis=1)
    energy_x, energy_y = steps.mean(axis=1), down.mean(axis=(1, 2))
    calm = (across[:, :-1, :] <= 2.0) & (down[:, :, :-1] <= 2.0)
    return {
        "sharpness": np.log(laplace.std(axis=(1, 2)) + 0.1),
        "noise": np.log(np.abs(both).mean(axis=(1, 2)) + 0.1),
        "edge_orientation": (energy_x - energy_y) / (energy_x + energy_y + 1e-6),
        "flat": np.array([np.count_nonzero(one) / one.size for one in calm]),
        "bars": _bars(luma),
        "blockiness": _blockiness(steps),
    }


_TEXTURES = ("sharpness", "noise", "edge_orientation", "flat", "bars", "blockiness")


def _bars(luma: np.ndarray) -> np.ndarray:
    """Share of the picture taken by uniform bars along its edges (letterbox, padding)."""
    steady = np.concatenate([luma.std(axis=2), luma.std(axis=1)], axis=1) < 1.5
    height = luma.shape[1]
    share = np.zeros(len(luma))
    for lines in (steady[:, :height], steady[:, height:]):
        lead = np.cumprod(lines, axis=1).sum(axis=1)
        tail = np.cumprod(lines[:, ::-1], axis=1).sum(axis=1)
        share = np.maximum(share, np.minimum(lead + tail, lines.shape[1]) / lines.shape[1])
    return share


def _blockiness(steps: np.ndarray) -> np.ndarray:
    """Log ratio of horizontal steps on the 8-pixel grid of JPEG to those off it, from means by column (n, w)."""
    grid = np.arange(steps.shape[1]) % 8 == 7
    if not grid.any():
        return np.zeros(len(steps))
    on, off = steps[:, grid].mean(axis=1), steps[:, ~grid].mean(axis=1)
    return np.asarray(np.log((on + 0.5) / (off + 0.5)))


def _marks(thumbs: np.ndarray) -> np.ndarray:
    """(n,) uint64 of thumbnails rounded to whole grey levels: equal for the same picture."""
    whole = np.rint(thumbs).astype(np.uint8).reshape(len(thumbs), -1)
    digests = b"".join(blake2b(row.tobytes(), digest_size=8).digest() for row in whole)
    return np.frombuffer(digests, np.uint64)
