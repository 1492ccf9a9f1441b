"""The story of `ruleout demo fraud` as a page: `python -m ruleout.bench.demos.fraud_page docs` writes `fraud.md` and its figures.

Every figure and sentence of the page that tells a result comes from the run that writes it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ruleout._diagnose import run
from ruleout._records import Diagnosis, Explained
from ruleout.bench.demos._story import introduction
from ruleout.bench.demos._write import write
from ruleout.incident import load
from ruleout.postmortem.draw import svg

_FIGURES = ("metric", "undo", "parts", "slices")

_PAGE = """# Precision fell: a fraud ring, or a pipeline?

```bash
ruleout demo fraud
```

{introduction}

This page goes through the answer step by step. It is written by `python -m ruleout.bench.demos.fraud_page docs`; every number is from that
run.

## 1. What happened

{symptom}

![precision over time](figures/fraud-metric.svg)

## 2. Did the inputs drift?

{drift}

| processor | median amount before | median amount now |
|---|---|---|
{amounts}

Drift alone proves nothing: Singles' Day and the season move inputs too. So the change itself is taken apart:

{parts}

![parts of the change](figures/fraud-parts.svg)

## 3. Do decisions rest on other inputs?

{drivers}

## 4. Is the model the same, on cases that are known?

A holdout of known fraud with the scores stored at release is the steadiest witness there is: it goes through today's model without
passing today's pipeline.

{golden}

The model answers as it did. What reaches it does not look as it did.

## 5. Adversaries, or a pipeline error?

Adversaries concentrate: few devices, few merchants, scores just below the threshold, a beginning without a deploy. A pipeline error hits
whole segments at one instant, whoever pays.

{adversaries}

![who is hit](figures/fraud-slices.svg)

## 6. Undo it, and see

{undo}

![undone](figures/fraud-undo.svg)

| hypothesis | likely | undoing it restores | status |
|---|---|---|---|
{hypotheses}

{ruled_out} failure modes are ruled out by what was measured, among them {ruled_out_some}.

## 7. What to do

{remedies}

## Without the model

The demo's model is Python code, and code is not run unless you say so: `ruleout demo fraud` trusts the model that it wrote itself, and
`ruleout diagnose` does not until it gets `--trust-model`. Without it, a surrogate learned from the logged scores stands in. The cause
stays the same, and less of it can be shown:

| | likely | undoing it restores | status |
|---|---|---|---|
| with the model | {with_model} |
| with a surrogate | {with_surrogate} |

A model in ONNX, LightGBM's or XGBoost's own format, or behind an HTTP endpoint needs no trust.
"""


def page(folder: Path) -> tuple[str, Mapping[str, str]]:
    """The page's text and its figures as SVG by name, from a demo written into `folder`."""
    told = run(load(folder), trust_model=True)
    unaided = run(load(folder))
    first, other = told.hypotheses[0], unaided.hypotheses[0]
    named = [h for h in told.hypotheses[:4] if h.failure_mode]
    text = _PAGE.format(
        introduction=_quoted(introduction("fraud", Path("demo-fraud"))),
        symptom=_facts(told, ("metric_change", "label_maturity", "season", "volume")),
        drift=_facts(told, ("quantile_relation", "missing_and_defaults", "schema")),
        amounts=_amounts(folder),
        parts=_facts(told, ("shift_decomposition", "selection", "benign_mix")),
        drivers=_facts(told, ("decision_drivers",)),
        golden=_facts(told, ("golden_set", "model_reproduction", "decision_policy")),
        adversaries=_facts(told, ("adversaries", "worst_slices", "label_residual")),
        undo=_change(told),
        hypotheses="\n".join(
            f"| {h.failure_mode.replace('_', ' ')}: {', '.join(h.subject.names)} | {_likely(h.probability)} | "
            f"{_share(h.explained)} | {h.status.replace('_', ' ')} |"
            for h in named
        ),
        ruled_out=len(told.ruled_out),
        ruled_out_some=_some(told),
        remedies="\n".join(f"- {r.kind}: {r.action}" for r in first.remedies),
        with_model=f"{first.probability:.0%} | {_share(first.explained)} | {first.status}",
        with_surrogate=f"{other.probability:.0%} | {_share(other.explained)} | {other.status}",
    )
    return text, {name: svg(told.charts[name]) for name in _FIGURES if name in told.charts}


def _quoted(text: str) -> str:
    story = text.strip().partition("\n\n")[0].replace("\n", " ")
    return f"> {story}"


def _facts(told: Diagnosis, checks: Sequence[str]) -> str:
    """What some checks found, as a list, each with the number under which the diagnosis cites it."""
    return "\n".join(
        f"- {e.statement} (`{e.check}`, {e.id})"
        for check in checks
        for e in told.evidence
        if e.check == check
    )


def _amounts(folder: Path) -> str:
    before, now = (
        dict(
            pl.read_parquet(folder / f"{which}.parquet")
            .group_by("processor")
            .agg(pl.col("amount").median())
            .iter_rows()
        )
        for which in ("reference", "current")
    )
    return "\n".join(
        f"| {name} | {before[name]:.2f} | {now[name]:.2f} |" for name in sorted(before)
    )


def _share(explained: Explained | None) -> str:
    if explained is None:
        return "not testable"
    value, low, high = (
        f"{round(100 * v) + 0}%" for v in (explained.fraction, explained.low, explained.high)
    )
    return f"{value} [{low}, {high}]"


def _likely(probability: float) -> str:
    return "<1%" if probability < 0.01 else f"{probability:.0%}"


def _change(told: Diagnosis) -> str:
    first = told.hypotheses[0]
    cause = f"{first.failure_mode.replace('_', ' ')} in {', '.join(first.subject.names)}"
    undone = f"takes away {_share(first.explained)} of the change."
    lines = [f"Undoing the {cause}, and letting the model answer again, {undone}"]
    lines += [
        f"It began at {first.onset.at}, and of {len(told.changes)} changes the one that fits is `{c.entity}`: {c.description}."
        for c in told.changes
        if c.id == first.change and first.onset is not None
    ]
    return " ".join(lines)


def _some(told: Diagnosis) -> str:
    wanted = ("adversarial_shift", "covariate_shift", "bad_retrain", "label_delay", "prior_shift")
    named: dict[str, Any] = {r.failure_mode: r.because for r in told.ruled_out}
    return ", ".join(
        f"{mode.replace('_', ' ')} (by {', '.join(named[mode])})"
        for mode in wanted
        if named.get(mode)
    )


def main(place: str) -> None:
    """Write `fraud.md` and `figures/fraud-*.svg` into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        text, figures = page(write("fraud", Path(folder) / "demo"))
    home = Path(place)
    (home / "figures").mkdir(parents=True, exist_ok=True)
    (home / "fraud.md").write_text(text, encoding="utf-8")
    for name, drawn in figures.items():
        (home / "figures" / f"fraud-{name}.svg").write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
