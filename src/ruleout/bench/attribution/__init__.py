"""How right the attribution is: shares, slices and estimates against what is known, beside other products."""

from ruleout.bench.attribution._cases import KINDS, PARTS, Case, Pool, cases, generated, make
from ruleout.bench.attribution._shares import METHODS, Told, ours

__all__ = [
    "KINDS",
    "METHODS",
    "PARTS",
    "Case",
    "Pool",
    "Told",
    "cases",
    "generated",
    "make",
    "ours",
]
