"""A generated ranking: offers shown for searches, clicked or not, ordered by a score alone."""

from __future__ import annotations

import numpy as np
import polars as pl

from ruleout.bench.corpus._dataset import DataSet, data_set


@data_set("search_results")
def search_results(n: int = 50_000, seed: int = 13) -> DataSet:
    """Clicks on search results: text match, price, rating, stock, freshness."""
    rng = np.random.default_rng(seed)
    category = rng.choice(["shoes", "books", "toys", "garden"], size=n, p=[0.4, 0.3, 0.2, 0.1])
    device = rng.choice(["app", "web", "tablet"], size=n, p=[0.5, 0.4, 0.1])
    match = rng.beta(2.5, 2.0, n).round(4)
    price = np.exp(rng.normal(3.2 + 0.4 * (category == "garden"), 0.7, n)).round(2)
    rating = np.clip(rng.normal(3.9, 0.6, n), 1, 5).round(1)
    sold = rng.poisson(np.exp(rng.normal(1.6, 0.8, n)))
    age = rng.gamma(1.3, 90, n).round(0).astype(np.int64)
    logit = (
        -3.2
        + 4.2 * match
        - 0.7 * (np.log(price) - 3.2)
        + 0.8 * (rating - 3.9)
        + 0.45 * np.log1p(sold)
        - 0.004 * np.minimum(age, 400)
        + 0.5 * (device == "app")
        + 0.6 * (category == "toys")
    )
    clicked = (rng.random(n) < 1 / (1 + np.exp(-1.5 * logit))).astype(np.int64)
    frame = pl.DataFrame(
        {
            "match": match,
            "price": price,
            "rating": rating,
            "sold_7d": sold,
            "listing_age_days": age,
            "category": category.tolist(),
            "device": device.tolist(),
            "clicked": clicked,
        }
    )
    return DataSet(
        "search_results",
        "search ranker",
        "ranking",
        ("roc_auc",),
        frame,
        ("match", "price", "rating", "sold_7d", "listing_age_days"),
        ("category", "device"),
        "clicked",
        (0, 1),
        ("boosted", "linear", "forest"),
        {
            "index": ("match", "listing_age_days"),
            "catalogue": ("price", "category", "rating"),
            "sales-store": ("sold_7d",),
            "gateway": ("device",),
        },
        counts=("sold_7d",),
    )
