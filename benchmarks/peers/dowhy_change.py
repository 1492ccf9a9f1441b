"""DoWhy 0.14: `gcm.distribution_change` of the row-wise error over a graph "inputs -> error".

Mapping: an input's mechanism changed -> covariate_shift of that feature; the error's own mechanism changed ->
concept_drift. Categories become codes; the ten inputs that move most with the error and 800 rows a window are
used, or one incident would take minutes. It gives no calm answer: it is asked for the cause of a change.
"""

import networkx as nx
import numpy as np
import pandas as pd
from _lines import answer, frames, tabular
from dowhy import gcm

ROWS, INPUTS = 800, 10


def errors(frame, roles):
    target = frame[roles["target"]]
    said = frame[roles["prediction"]] if roles["prediction"] in frame.columns else None
    if roles["task"] == "regression":
        return (target.astype(float) - said.astype(float)).abs()
    if said is None:
        return (target.astype(float) - frame[roles["score"]].astype(float)).abs()
    return (target.astype(str) != said.astype(str)).astype(float)


def coded(reference, current, numeric, categorical):
    out = [pd.DataFrame(index=f.index) for f in (reference, current)]
    for name in numeric:
        middle = float(np.nanmedian(reference[name].astype(float)))
        for frame, source in zip(out, (reference, current)):
            frame[name] = source[name].astype(float).fillna(middle)
    for name in categorical:
        known = {
            v: k
            for k, v in enumerate(
                sorted(set(reference[name].astype(str)) | set(current[name].astype(str)))
            )
        }
        for frame, source in zip(out, (reference, current)):
            frame[name] = source[name].astype(str).map(known).astype(float)
    return out


def guess(folder):
    reference, current, roles = frames(folder)
    numeric, categorical = tabular(roles, reference, current)
    tables = coded(reference, current, numeric, categorical)
    for table, source in zip(tables, (reference, current)):
        table["__error"] = errors(source, roles)
    tables = [t.dropna().sample(min(ROWS, len(t.dropna())), random_state=0) for t in tables]
    inputs = [c for c in (*numeric, *categorical) if tables[0][c].std() > 0]
    both = pd.concat(tables)
    strength = {c: abs(np.nan_to_num(both[c].corr(both["__error"]))) for c in inputs}
    inputs = sorted(inputs, key=lambda c: -strength[c])[:INPUTS]
    graph = nx.DiGraph([(c, "__error") for c in inputs])
    model = gcm.ProbabilisticCausalModel(graph)
    gcm.auto.assign_causal_mechanisms(model, tables[0], quality=gcm.auto.AssignmentQuality.GOOD)
    gcm.util.general.set_random_seed(0)
    shares = gcm.distribution_change(
        model,
        tables[0][[*inputs, "__error"]],
        tables[1][[*inputs, "__error"]],
        "__error",
        num_samples=500,
        difference_estimation_func=lambda a, b: float(np.mean(b) - np.mean(a)),
        shapley_config=gcm.shapley.ShapleyConfig(
            approximation_method=gcm.shapley.ShapleyApproximationMethods.PERMUTATION,
            num_permutations=10,
        ),
    )
    named = []
    for node in sorted(shares, key=lambda n: -shares[n]):
        if node == "__error":
            named.append(["concept_drift", "label", [roles["target"]]])
        else:
            named.append(["covariate_shift", "feature", [node]])
    return named


gcm.config.disable_progress_bars()
answer(guess)
