"""Evidently 0.7: columns by the drift of its DataDriftPreset, with its own choice of test for each column.

Mapping: drifted input -> covariate_shift of that feature; drifted target -> prior_shift; calm when nothing drifts.
Order: by how far a score is beyond its own threshold.
"""

from _lines import CALM, answer, frames, tabular
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset


def guess(folder):
    reference, current, roles = frames(folder)
    numeric, categorical = tabular(roles, reference, current)
    target = roles["target"]
    numbers = [*numeric]
    if target in reference.columns and target in current.columns:
        (numbers if roles["task"] == "regression" else categorical).append(target)
    for name in categorical:
        reference[name], current[name] = reference[name].astype(str), current[name].astype(str)
    for name in numbers:
        reference[name], current[name] = reference[name].astype(float), current[name].astype(float)
    columns = [*numbers, *categorical]
    shape = DataDefinition(numerical_columns=numbers, categorical_columns=categorical)
    report = Report([DataDriftPreset(columns=columns)])
    done = report.run(
        Dataset.from_pandas(current[columns], data_definition=shape),
        Dataset.from_pandas(reference[columns], data_definition=shape),
    )
    scored = []
    for metric in done.dict()["metrics"]:
        told = metric.get("config", {})
        if "column" not in told or not isinstance(metric["value"], (int, float)):
            continue
        method, limit, value = str(told["method"]), float(told["threshold"]), float(metric["value"])
        beyond = limit - value if "p_value" in method else value - limit
        if beyond > 0:
            scored.append((beyond / max(limit, 1e-9), told["column"]))
    named = []
    for _, column in sorted(scored, reverse=True):
        mode, kind = (
            ("prior_shift", "label") if column == target else ("covariate_shift", "feature")
        )
        named.append([mode, kind, [column]])
    return named or [CALM]


answer(guess)
