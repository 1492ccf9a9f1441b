"""The public door as a user's type checker sees it: this file is checked, never run."""

import polars as pl

import ruleout


def first_cause(reference: pl.DataFrame, current: pl.DataFrame) -> str | None:
    answer: ruleout.Answer = ruleout.diagnose(
        reference=reference, current=current, target="y", prediction="p"
    )
    first: ruleout.Hypothesis | None = answer.hypotheses[0] if answer.hypotheses else None
    return first.failure_mode if first is not None and answer.verdict == "cause_found" else None


def report_of(folder: str) -> str:
    try:
        return ruleout.diagnose(folder, seed=1).to_html()
    except ruleout.IncidentError as error:
        return str(error)
