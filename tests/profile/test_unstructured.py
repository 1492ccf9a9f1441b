"""Representations of a case's columns: decoded once, and calm about odd columns."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ruleout.incident import Columns, DataSpec, Incident, TableSpec
from ruleout.profile import Case, _unstructured, build_case
from ruleout.profile._pixels import encode_png


def _case(before: pl.DataFrame, now: pl.DataFrame, **roles: str) -> Case:
    columns = Columns(target="label", prediction="answer", **roles)
    data = DataSpec(TableSpec(frame=before), TableSpec(frame=now), columns)
    return build_case(Incident("made", "multiclass", data=data))


def _frame(photo: list[object], dtype: pl.DataType | type[pl.DataType]) -> pl.DataFrame:
    label = ["a", "b"] * (len(photo) // 2)
    return pl.DataFrame({"label": label, "answer": label, "photo": pl.Series(photo, dtype=dtype)})


def _pictures(seed: int, count: int) -> list[object]:
    rng = np.random.default_rng(seed)
    return [encode_png(rng.integers(0, 255, (20, 20, 3))) for _ in range(count)]


def test_images_are_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transforming columns that the case has measured decodes nothing again; new pictures are."""
    before, now = _frame(_pictures(0, 40), pl.Binary), _frame(_pictures(1, 40), pl.Binary)
    case = _case(before, now, image="photo")
    fitted = case.representations["photo"]
    decoded: list[int] = []
    plain = _unstructured.image_sample

    def counting(series: pl.Series, **options: int) -> object:
        decoded.append(len(series))
        return plain(series, **options)

    monkeypatch.setattr(_unstructured, "image_sample", counting)
    first = fitted.transform(now["photo"])
    assert decoded == []
    assert first.shape == (40, len(fitted.names))
    mixed = pl.concat(
        [now["photo"].head(30), pl.Series("photo", _pictures(2, 10), dtype=pl.Binary)]
    )
    second = fitted.transform(mixed)
    assert decoded == [10]
    assert np.array_equal(second[:30], first[:30])


@pytest.mark.parametrize(
    ("photo", "dtype"),
    [([None] * 40, pl.Binary), ([b"broken"] * 40, pl.Binary), (["a.png"] * 40, pl.String)],
)
def test_columns_without_pictures_give_unknown_numbers(
    photo: list[object], dtype: type[pl.DataType]
) -> None:
    """Nulls, broken files and paths are no pictures: the case stands, their numbers are NaN."""
    case = _case(_frame(_pictures(0, 40), pl.Binary), _frame(photo, dtype), image="photo")
    numbers = case.representations["photo"].transform(case.current.frame["photo"])
    assert np.isnan(numbers).all()


def test_a_reference_without_pictures_still_makes_a_case() -> None:
    """Nothing to fit on gives a representation of no numbers."""
    case = _case(_frame([None] * 40, pl.Binary), _frame(_pictures(1, 40), pl.Binary), image="photo")
    fitted = case.representations["photo"]
    assert fitted.transform(case.current.frame["photo"]).shape == (40, len(fitted.names))
