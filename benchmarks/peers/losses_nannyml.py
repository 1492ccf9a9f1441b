"""NannyML 0.13: DLE of the mean absolute error, the current window as one chunk."""

import os

os.environ["NML_DISABLE_USAGE_LOGGING"] = "True"

import pandas as pd
from _lines import answer, timed
from nannyml import DLE


def tell(folder):
    reference, current = (
        pd.read_parquet(folder / f"{w}.parquet") for w in ("reference", "current")
    )
    estimator = DLE(
        metrics=["mae"],
        feature_column_names=[c for c in reference.columns if c.startswith("x")],
        y_pred="said_",
        y_true="label_",
        chunk_number=1,
    )
    estimator.fit(reference)
    told = estimator.estimate(current).filter(period="analysis").to_df()
    return float(told[("mae", "value")].iloc[0])


answer(timed(tell))
