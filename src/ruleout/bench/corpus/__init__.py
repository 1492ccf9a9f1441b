"""The incident corpus: real and generated systems with known faults, written as incident folders."""

from ruleout.bench.corpus._make import Kitchen, cook, make
from ruleout.bench.corpus._plan import Recipe, manifest, modes, places

__all__ = ["Kitchen", "Recipe", "cook", "make", "manifest", "modes", "places"]
