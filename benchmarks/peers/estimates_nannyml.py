"""NannyML 0.13: CBPE of accuracy, F1 and AUC, the current window as one chunk."""

import os

os.environ["NML_DISABLE_USAGE_LOGGING"] = "True"

import pandas as pd
from _lines import answer, timed
from nannyml import CBPE

NAMED = {"accuracy": "accuracy", "f1": "f1", "roc_auc": "auc"}


def tell(folder):
    reference, current = (
        pd.read_parquet(folder / f"{w}.parquet") for w in ("reference", "current")
    )
    estimator = CBPE(
        metrics=list(NAMED),
        y_pred_proba="score_",
        y_pred="said_",
        y_true="label_",
        problem_type="classification_binary",
        chunk_number=1,
    )
    estimator.fit(reference)
    told = estimator.estimate(current).filter(period="analysis").to_df()
    return {ours: float(told[(theirs, "value")].iloc[0]) for theirs, ours in NAMED.items()}


answer(timed(tell))
