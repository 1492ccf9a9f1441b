"""The next cheapest observation: what would move the probabilities most."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from ruleout import modes
from ruleout._records import NextEvidence
from ruleout.hypotheses._propose import Candidate


@cache
def observations() -> Mapping[str, Mapping[str, object]]:
    """Observation -> reliability and, by mode or layer, which answer it would give."""
    text = files("ruleout.hypotheses").joinpath("observations.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def next_evidence(
    candidates: Sequence[Candidate], missing: Sequence[str]
) -> tuple[NextEvidence, ...]:
    """Observations that the incident lacks, by expected information gain in bits.

    Each observation would give one of a few answers, depending on which hypothesis is true; the
    gain is the entropy of the answers, times how often such an observation is right.
    """
    live = [c for c in candidates if c.probability >= 0.01]
    out = []
    for name in missing:
        told = observations().get(name)
        if told is None:
            continue
        gain, parted = _gain(live, told)
        if gain >= 0.01:
            out.append(NextEvidence(name, parted, round(gain, 4)))
    return tuple(sorted(out, key=lambda n: (-n.information_gain_bits, n.gather))[:5])


def _gain(live: Sequence[Candidate], told: Mapping[str, object]) -> tuple[float, tuple[str, ...]]:
    answers: dict[str, float] = {}
    leaders: dict[str, tuple[float, str]] = {}
    for candidate in live:
        answer = _answer(candidate.mode, told)
        answers[answer] = answers.get(answer, 0.0) + candidate.probability
        leaders[answer] = max(
            leaders.get(answer, (0.0, "")), (candidate.probability, candidate.mode)
        )
    total = sum(answers.values())
    if total <= 0 or len(answers) < 2:
        return 0.0, ()
    shares = [v / total for v in answers.values()]
    entropy = -sum(p * math.log2(p) for p in shares if p > 0)
    parted = [mode for _, mode in sorted(leaders.values(), reverse=True)]
    return float(str(told["reliability"])) * entropy * min(1.0, total), tuple(dict.fromkeys(parted))


def _answer(mode: str, told: Mapping[str, object]) -> str:
    """What the observation would say if `mode` were true."""
    answers = told["answers"]
    for answer, who in dict(answers).items():  # type: ignore[call-overload]
        if mode in who or modes.mode(mode).layer in who:
            return str(answer)
    return "silent"
