"""`ruleout demo`: a product-image classifier loses fifteen points in two days.

A new build of the Android app uploads photographs with red and blue exchanged. Four hours before, the
classifier's version 7 went live, and everybody looks there.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.bench.demos import photo_classifier as network
from ruleout.bench.demos._drawing import photographs
from ruleout.bench.demos._scene import (
    Floats,
    Mask,
    Rng,
    Texts,
    draw,
    instant,
    rhythm,
    times,
    write_text,
)
from ruleout.profile._pixels import encode_png

_RELEASE = "2026-11-18T02:40:00"
_PROMOTED = "2026-11-17T22:10:00"
_REFERENCE_ROWS, _CURRENT_ROWS, _HIDDEN = 2700, 1100, 800
_TRAINING_ROWS = {"v6": 2600, "v7": 3000}
_USUAL = {"shirt": 26, "sneaker": 20, "mug": 15, "handbag": 15, "lamp": 13, "watch": 11}
_WINTER = {"shirt": 22, "sneaker": 18, "mug": 18, "handbag": 14, "lamp": 18, "watch": 10}
_CLIENTS = {"android-app": 39, "ios-app": 31, "web": 30}
_REGIONS = {"eu-west": 52, "us-east": 33, "ap-south": 15}


_Weights = Mapping[str, dict[str, NDArray[np.float32]]]


class _Uploads(NamedTuple):
    """Photographs as they reached the classifier, and what they show."""

    pixels: NDArray[np.uint8]
    category: Texts
    client: Texts
    at: Floats


def write(folder: Path, seed: int) -> None:
    """Write the incident's tables, model, changes and `incident.yaml` into `folder`."""
    rng = np.random.default_rng([seed, 1])
    before = _uploads(rng, "2026-11-12", 6, _REFERENCE_ROWS, _USUAL)
    after = _uploads(rng, "2026-11-18", 2, _CURRENT_ROWS, _WINTER)
    weights = _trained(rng)
    for version, arrays in weights.items():
        with (folder / f"weights_{version}.npz").open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
    shutil.copy(Path(network.__file__), folder / "photo_classifier.py")
    for name, uploads in (("reference", before), ("current", after)):
        _table(uploads, weights, rng).write_parquet(folder / f"{name}.parquet")
    write_text(folder, "changes.csv", _CHANGES)
    write_text(folder, "incident.yaml", INCIDENT)


def _uploads(rng: Rng, start: str, days: int, rows: int, mix: Mapping[str, float]) -> _Uploads:
    category = draw(rng, mix, rows)
    pixels = photographs(category, rng)
    client = draw(rng, _CLIENTS, rows)
    at = rhythm(rng, instant(start), days, rows)
    wrong: Mask = (client == "android-app") & (at >= instant(_RELEASE))
    pixels[wrong] = pixels[wrong][..., ::-1]
    return _Uploads(pixels, category, client, at)


def _trained(rng: Rng) -> _Weights:
    """Weights by version; the newer one has seen more photographs and another random layer."""
    category = rng.choice(np.array(network.CLASSES), max(_TRAINING_ROWS.values()))
    seen = network.see(photographs(category, rng))
    return {
        version: _fitted(seen[:rows], category[:rows], rng)
        for version, rows in _TRAINING_ROWS.items()
    }


def _fitted(seen: NDArray[np.float32], category: Texts, rng: Rng) -> dict[str, NDArray[np.float32]]:
    """A network with one random hidden layer and a ridge regression on top."""
    names = np.array(network.CLASSES)
    width = seen.shape[1]
    inner = (rng.normal(0, 1.5, (width, _HIDDEN)) / np.sqrt(width)).astype(np.float32)
    inner_bias = rng.normal(0, 0.3, _HIDDEN).astype(np.float32)
    hidden = np.maximum(seen @ inner + inner_bias, 0).astype(np.float64)
    centre = hidden.mean(axis=0)
    wanted = (category[:, None] == names) - 1 / len(names)
    curve = (hidden - centre).T @ (hidden - centre) + 3.0 * np.eye(_HIDDEN)
    outer = 6.0 * np.linalg.solve(curve, (hidden - centre).T @ wanted)
    return {
        "inner": inner,
        "inner_bias": inner_bias,
        "outer": outer.astype(np.float32),
        "outer_bias": (-centre @ outer).astype(np.float32),
    }


def _table(uploads: _Uploads, weights: _Weights, rng: Rng) -> pl.DataFrame:
    """One row an upload: what was logged when it was served, and the category somebody verified."""
    rows = len(uploads.at)
    new = uploads.at >= instant(_PROMOTED)
    answers = np.where(
        new[:, None],
        network.classify(uploads.pixels, weights["v7"]),
        network.classify(uploads.pixels, weights["v6"]),
    )
    number = rng.choice(9_000_000, size=rows, replace=False) + 1_000_000
    return pl.DataFrame(
        {
            "upload_id": [f"u{n}" for n in number],
            "ts": times(uploads.at),
            "photo": [encode_png(picture, level=4) for picture in uploads.pixels],
            "client": uploads.client,
            "region": draw(rng, _REGIONS, rows),
            "served_by": draw(rng, {f"vision-{i}": 1 for i in range(1, 5)}, rows),
            "model_version": np.where(new, "v7", "v6"),
            "predicted": np.array(network.CLASSES)[answers.argmax(axis=1)],
            **{f"p_{name}": answers[:, i] for i, name in enumerate(network.CLASSES)},
            "category": uploads.category,
        }
    )


_CHANGES = """
    timestamp,kind,entity,description,ref
    2026-11-12T09:02:00Z,deploy,search-service,Ranker config bump,search@4.18.2
    2026-11-13T13:47:00Z,config,cdn,Raise the cache lifetime of thumbnails to 24 h,cdn#2210
    2026-11-16T10:31:00Z,deploy,catalogue-api,Add paging to /products,catalogue@2.9.0
    2026-11-17T22:10:00Z,model,category-classifier,Promote version 7 to production,classifier@v7
    2026-11-18T02:40:00Z,deploy,android-app,Release 5.2.0: faster photo upload without a second conversion,android@5.2.0
    2026-11-18T15:12:00Z,scale,vision,Add a fourth replica before the evening peak,vision#881
    2026-11-19T00:00:00Z,calendar,shop,Winter sale starts,
    2026-11-19T11:05:00Z,deploy,search-service,Roll out synonyms for winter wear,search@4.19.0
"""

INCIDENT = """
    version: 1
    title: Category classifier lost 15 points of accuracy
    task: multiclass

    symptom:
      metric: accuracy
      noticed_at: 2026-11-20T08:30:00Z

    data:
      reference: reference.parquet
      current: current.parquet
      columns:
        id: upload_id
        timestamp: ts
        target: category          # verified by the catalogue team
        prediction: predicted
        scores:
          handbag: p_handbag
          lamp: p_lamp
          mug: p_mug
          shirt: p_shirt
          sneaker: p_sneaker
          watch: p_watch
        features: [photo]
        image: photo              # PNG files as they reached the classifier
        segments: [client, region, served_by]

    models:                       # Python code: replayed only with --trust-model
      current: {uri: "python:photo_classifier:v7", version: "7", deployed_at: 2026-11-17T22:10:00Z}
      previous: {uri: "python:photo_classifier:v6", version: "6"}

    changes: changes.csv
"""
