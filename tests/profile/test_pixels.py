"""Images as numbers."""

from __future__ import annotations

import io

import numpy as np
import polars as pl
import pytest

from ruleout._errors import MissingExtra
from ruleout.profile import _pixels
from ruleout.profile._image import STATISTICS, image_sample, image_statistics, sample_rows, shrink
from ruleout.profile._pixels import decode, encode_png


def _picture(seed: int = 0, size: tuple[int, int] = (40, 56)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    slope = np.linspace(0, 180, size[1])[None, :, None] + rng.normal(0, 8, (*size, 3))
    return np.clip(slope, 0, 255).astype(np.uint8)


def _column(*pictures: np.ndarray | bytes | None) -> pl.Series:
    values = [encode_png(p) if isinstance(p, np.ndarray) else p for p in pictures]
    return pl.Series("photo", values, dtype=pl.Binary)


def test_png_survives_encoding_and_both_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is encoded comes back pixel by pixel, with Pillow and without it."""
    pixels = _picture()
    data = encode_png(pixels)
    with_pillow = decode(data)
    monkeypatch.setattr(_pixels, "_pillow", lambda: None)
    without = decode(data)
    assert with_pillow is not None
    assert without is not None
    assert np.array_equal(with_pillow.pixels, pixels)
    assert np.array_equal(without.pixels, pixels)
    assert (without.width, without.height) == (56, 40)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P"])
def test_every_row_filter_of_png_is_undone_without_pillow(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of other writers, with all five filters, decode as Pillow decodes them."""
    image = pytest.importorskip("PIL.Image")
    buffer = io.BytesIO()
    image.fromarray(_picture(3)).convert(mode).save(buffer, format="PNG")
    expected = decode(buffer.getvalue())
    monkeypatch.setattr(_pixels, "_pillow", lambda: None)
    found = decode(buffer.getvalue())
    assert expected is not None
    assert found is not None
    assert np.abs(found.pixels.astype(int) - expected.pixels).max() <= 1


def test_a_format_that_needs_pillow_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Pillow a JPEG is no broken image: the install line is named."""
    monkeypatch.setattr(_pixels, "_pillow", lambda: None)
    with pytest.raises(MissingExtra, match=r"ruleout\[images\]"):
        decode(b"\xff\xd8\xff\xe0 and so on")


@pytest.mark.parametrize(
    "data", [None, b"", b"no image", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\nxx"]
)
def test_what_does_not_decode_is_none(data: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty, foreign and cut bytes give None with either decoder, never an error."""
    assert decode(data) is None
    monkeypatch.setattr(_pixels, "_pillow", lambda: None)
    assert decode(data) is None


def test_cut_files_do_not_decode() -> None:
    """Half a PNG is no picture."""
    data = encode_png(_picture())
    assert decode(data[: len(data) // 2]) is None


def test_statistics_describe_what_is_there() -> None:
    """Colour, asymmetry and blankness come out as made; what does not decode is NaN."""
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 200
    table = image_statistics(_column(_picture(), red, None, b"broken"))
    assert table.columns == ["row", *STATISTICS]
    assert table["decoded"].to_list() == [1.0, 1.0, 0.0, 0.0]
    assert table["mean_red"][1] == pytest.approx(200.0)
    assert table["mean_blue"][1] == pytest.approx(0.0)
    assert table["blank"].to_list()[:2] == [0.0, 1.0]
    assert table["left_right"][0] < -0.2
    assert np.isnan(table["sharpness"][3])


def test_rows_are_sampled_evenly_and_the_same_each_time() -> None:
    """Fewer rows than the limit are all taken; more are spread over the whole column."""
    assert sample_rows(5, 10).tolist() == [0, 1, 2, 3, 4]
    rows = sample_rows(1000, 10)
    assert len(rows) == 10
    assert np.all(np.diff(rows) == 100)


def test_shrinking_keeps_the_mean() -> None:
    """Averaging areas changes no picture's mean, whatever the sizes."""
    x = np.random.default_rng(0).uniform(0, 255, (2, 37, 53, 3))
    assert np.allclose(shrink(x, 16).mean(axis=(1, 2)), x.mean(axis=(1, 2)), atol=0.01)


def test_blur_lowers_sharpness() -> None:
    """Averaging neighbours is seen as lost sharpness and noise."""
    pixels = _picture(5, (64, 64))
    soft = pixels.astype(float)
    soft[1:-1] = (soft[:-2] + soft[1:-1] + soft[2:]) / 3
    sample = image_sample(_column(pixels, soft.astype(np.uint8)))
    assert sample.statistics["sharpness"][1] < sample.statistics["sharpness"][0] - 0.2
    assert sample.statistics["noise"][1] < sample.statistics["noise"][0] - 0.2
