"""WhyShift 0.1.4: `degradation_decomp` (DISDE): X on the way to the shared rows, Y|X on them, and X on the way back.

The two ways are the part "covariates", what happens on the shared rows is "conditional"; class balance is not answered.
The served decision rides along as the last column, where the model's answers are read.
"""

import numpy as np
import pandas as pd
from _lines import answer, timed
from whyshift.disde import degradation_decomp


class Served:
    """The served decisions behind the face of a model."""

    def predict(self, x):  # noqa: D102
        return x[:, -1]

    def score(self, x, y):  # noqa: D102
        return float(np.mean(x[:, -1] == y))


def tell(folder):
    sides = []
    for window in ("reference", "current"):
        table = pd.read_parquet(folder / f"{window}.parquet")
        inputs = [c for c in table if c.startswith("x")]
        sides += [table[[*inputs, "said_"]].to_numpy(), table["label_"].to_numpy()]
    np.random.seed(0)  # noqa: NPY002, TID251 - the package draws from the global state
    before, after, shared_before, shared_after = degradation_decomp(*sides, Served())
    moved = (shared_before - before) + (after - shared_after)
    return {"covariates": float(moved), "conditional": float(shared_after - shared_before)}


def told(folder):
    said = timed(tell)(folder)
    return {**said, "answer": {"whyshift": {**said["answer"], "seconds": said["seconds"]}}}


answer(told)
