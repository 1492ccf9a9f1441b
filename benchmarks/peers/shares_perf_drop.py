"""expl_perf_drop 0.5: `CGExplainerDR` over the graph X -> Y with its own grid of boosted trees for the weights.

P(X) is the part "covariates" and P(Y | X) "conditional"; class balance would need the other graph and is not answered.
The package calls `numpy.math`, which is gone since numpy 1.25, and loads image data sets that are not asked for: the one is
put back and the others are left out before the import.
"""

import math
import sys
from types import SimpleNamespace

import numpy as np

np.math = math
sys.modules["expl_perf_drop.data"] = SimpleNamespace(select=None)

import pandas as pd  # noqa: E402
from _lines import answer, timed  # noqa: E402
from expl_perf_drop.explainers import CGExplainerDR  # noqa: E402
from expl_perf_drop.metrics import accuracy  # noqa: E402
from expl_perf_drop.utils import Graph  # noqa: E402
from joblib import parallel_config  # noqa: E402

ROWS = 12_000


class Served:
    """The served decisions behind the face of a model."""

    def predict(self, rows):  # noqa: D102
        return rows["said_"].to_numpy()


def tell(folder):
    halves = []
    for window in ("reference", "current"):
        table = pd.read_parquet(folder / f"{window}.parquet").sample(frac=1.0, random_state=0)
        table = table.head(ROWS).fillna(table.median()).reset_index(drop=True)
        table["Y"] = table["label_"]
        halves += [table.iloc[::2], table.iloc[1::2]]
    inputs = [c for c in halves[0] if c.startswith("x")]
    explainer = CGExplainerDR(
        Graph(["X", "Y"], [("X", "Y")]),
        *halves,
        subset_features=["said_"],
        feature_mapping={"X": inputs, "Y": ["Y"]},
        shapley_method="debug",  # the exact sum; the other ways seed with what Python 3.11 refuses
    )
    with parallel_config(backend="sequential"):
        parts = explainer.explain(Served(), accuracy)
    # its weights shrink what they explain; its own way to let the parts add up to the change
    parts = explainer.scale(parts, explainer.get_perf_on_sets(Served(), accuracy))
    return {"covariates": float(parts["P(X)"]), "conditional": float(parts["P(Y | X)"])}


def told(folder):
    said = timed(tell)(folder)
    return {**said, "answer": {"expl_perf_drop": {**said["answer"], "seconds": said["seconds"]}}}


answer(told)
