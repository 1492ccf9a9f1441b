"""NannyML 0.13: univariate drift over ten chunks a window, inputs by its AlertCountRanker.

Mapping: input with alerts -> covariate_shift of that feature; calm when no chunk of the current window alerts.
"""

from _lines import CALM, answer, frames, tabular
from nannyml import AlertCountRanker, UnivariateDriftCalculator


def guess(folder):
    reference, current, roles = frames(folder)
    numeric, categorical = tabular(roles, reference, current)
    for name in categorical:
        reference[name], current[name] = reference[name].astype(str), current[name].astype(str)
    for name in numeric:
        reference[name], current[name] = reference[name].astype(float), current[name].astype(float)
    columns = [*numeric, *categorical]
    size = max(100, min(len(reference), len(current)) // 10)
    calculator = UnivariateDriftCalculator(
        column_names=columns,
        treat_as_categorical=categorical or None,
        chunk_size=size,
        continuous_methods=["jensen_shannon"],
        categorical_methods=["jensen_shannon"],
    )
    calculator.fit(reference[columns])
    results = calculator.calculate(current[columns])
    ranked = AlertCountRanker().rank(results.filter(methods=["jensen_shannon"]), only_drifting=True)
    named = [["covariate_shift", "feature", [c]] for c in ranked["column_name"]]
    return named or [CALM]


answer(guess)
