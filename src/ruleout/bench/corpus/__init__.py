"""The incident corpus: real and generated systems with known faults, written as incident folders."""

from ruleout.bench.corpus._batch import make, make_recipes
from ruleout.bench.corpus._make import Kitchen, cook
from ruleout.bench.corpus._manifest import (
    manifest_recipes,
    read_manifest,
    sample,
    tenth,
    write_manifest,
)
from ruleout.bench.corpus._plan import Recipe, manifest, modes, places

__all__ = [
    "Kitchen",
    "Recipe",
    "cook",
    "make",
    "make_recipes",
    "manifest",
    "manifest_recipes",
    "modes",
    "places",
    "read_manifest",
    "sample",
    "tenth",
    "write_manifest",
]
