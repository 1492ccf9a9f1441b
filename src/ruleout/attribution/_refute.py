"""A second opinion on an effect from DoWhy (Sharma and Kiciman 2020): identified, estimated and refuted by its own code."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._errors import need
from ruleout.stats._boosting import Floats

_SIMULATIONS = 100
_DATA_SUBSET = 0.8


class Refutation(NamedTuple):
    """One attempt to refute an estimate."""

    name: str
    """`placebo`, `random_cause`, `subset` or `hidden_cause`."""

    effect: float
    """The estimate under the attempt: near zero for a placebo, else near the estimate unless it is fragile."""

    p_value: float | None
    """Of what was expected; None where the attempt has no test."""


class SecondOpinion(NamedTuple):
    """What DoWhy says of an effect."""

    value: float
    """Average effect, by linear regression on what is adjusted for (its weighting estimators do not stand a placebo)."""

    adjusted_for: tuple[str, ...]
    """The backdoor set that its identification chose."""

    refutations: tuple[Refutation, ...]

    @property
    def refuted(self) -> tuple[str, ...]:
        """Names of the tests that the estimate failed at the 5% level."""
        return tuple(r.name for r in self.refutations if r.p_value is not None and r.p_value < 0.05)


def second_opinion(
    cause: NDArray[np.bool_],
    outcome: Floats,
    adjust: Floats,
    *,
    rng: np.random.Generator,
    hidden: float = 0.1,
) -> SecondOpinion:
    """Let DoWhy identify, estimate and try to refute the effect of `cause` (n,) on `outcome` (n,).

    Args:
        cause: rows that have the suspected cause.
        outcome: the loss or another number, finite.
        adjust: common causes (n, F), finite.
        rng: seeds its simulations, but for the hidden cause, which it draws from numpy's global state.
        hidden: strength of a simulated hidden common cause: the share of causes that it flips, and its effect on the
            outcome in the outcome's standard deviations.

    Raises:
        MissingExtra: without the extra `causal`.
        ValueError: fewer than 20 rows have the cause, or have it not.
    """
    if min(int(cause.sum()), int((~cause).sum())) < 20:
        raise ValueError(
            f"{int(cause.sum())} of {len(cause)} rows have the cause; 20 on either side are needed"
        )
    dowhy, pandas = need("dowhy", extra="causal"), need("pandas", extra="causal")
    causes = [f"w{k}" for k in range(adjust.shape[1])]
    table = pandas.DataFrame(adjust, columns=causes).assign(cause=cause, outcome=outcome)
    model = dowhy.CausalModel(table, treatment="cause", outcome="outcome", common_causes=causes)
    identified = model.identify_effect(proceed_when_unidentifiable=True)
    estimate = model.estimate_effect(identified, method_name="backdoor.linear_regression")
    return SecondOpinion(
        value=float(estimate.value),
        adjusted_for=tuple(sorted(identified.get_backdoor_variables())),
        refutations=tuple(
            _attempt(model, (identified, estimate), name, method, options)
            for name, method, options in _attempts(rng, hidden, float(np.std(outcome)))
        ),
    )


def _attempts(
    rng: np.random.Generator, hidden: float, scale: float
) -> tuple[tuple[str, str, dict[str, Any]], ...]:
    # the legacy generator is what it takes; an int would draw the same subset every time
    legacy = np.random.RandomState(int(rng.integers(2**31)))
    many = {"num_simulations": _SIMULATIONS, "random_state": legacy}
    return (
        ("placebo", "placebo_treatment_refuter", {**many, "placebo_type": "permute"}),
        ("random_cause", "random_common_cause", many),
        ("subset", "data_subset_refuter", {**many, "subset_fraction": _DATA_SUBSET}),
        (
            "hidden_cause",
            "add_unobserved_common_cause",
            {
                "simulation_method": "direct-simulation",
                "confounders_effect_on_treatment": "binary_flip",
                "confounders_effect_on_outcome": "linear",
                "effect_strength_on_treatment": hidden,
                "effect_strength_on_outcome": hidden * scale,
                "plotmethod": None,
            },
        ),
    )


def _attempt(
    model: Any, held: tuple[Any, Any], name: str, method: str, options: dict[str, Any]
) -> Refutation:
    told = model.refute_estimate(*held, method_name=method, **options)
    tested = getattr(told, "refutation_result", None)
    p_value = None if not isinstance(tested, dict) else float(tested["p_value"])
    return Refutation(name, float(np.mean(told.new_effect)), p_value)
