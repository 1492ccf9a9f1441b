"""What ties modes, checks, repairs and weights together: nothing may point at nothing."""

import ast
import math
from pathlib import Path

import pytest

from ruleout import experiments, modes
from ruleout._registry import REPAIRS, CheckSpec, load_all
from ruleout.attribution.services._clues import clues
from ruleout.checks._run import RUNGS, ladder
from ruleout.experiments._catalogue import catalogue
from ruleout.hypotheses._weights import load_weights

ROOT = Path(__file__).parents[2]
load_all(experiments, "ruleout.repairs")
SPECS = tuple(ladder())


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.id)
class TestEveryCheck:
    def test_looks_for_modes_that_exist(self, spec: CheckSpec) -> None:
        """What a check looks for by name, the catalogue has."""
        assert set(spec.looks_for) <= set(modes.load())

    def test_stands_on_a_rung(self, spec: CheckSpec) -> None:
        """A check stands on a rung of the ladder and belongs to a layer."""
        assert spec.rung in RUNGS
        assert spec.layer in {"data", "model", "infrastructure", "integration", "none"}

    def test_says_what_it_does(self, spec: CheckSpec) -> None:
        """A check's docstring begins with a sentence for the catalogue."""
        assert (spec.run.__doc__ or "").strip().partition("\n\n")[0].endswith((".", "?"))


@pytest.mark.parametrize("name", sorted(REPAIRS))
def test_every_repair_undoes_modes_that_exist(name: str) -> None:
    """A repair undoes something, and the catalogue has it."""
    assert REPAIRS[name].undoes
    assert set(REPAIRS[name].undoes) <= set(modes.load())


def _named_from_telemetry() -> set[str]:
    """Modes that the ranking of services and the ladder of latency can name, apart from the checks."""
    rooms = ("services", "latency")
    files = (f for room in rooms for f in (ROOT / "src/ruleout/attribution" / room).glob("*.py"))
    nodes = (n for f in files for n in ast.walk(ast.parse(f.read_text(encoding="utf-8"))))
    spelt = {str(n.value) for n in nodes if isinstance(n, ast.Constant)}
    told = {mode for clue in clues() for mode in clue.modes}
    return (spelt | told) & set(modes.load())


def test_every_mode_is_looked_for_or_says_why_not() -> None:
    """A mode that no check looks for gives the reason; one that a check looks for gives none."""
    seen = {name for spec in SPECS for name in spec.looks_for} | _named_from_telemetry()
    for m in modes.load().values():
        if m.observable:
            assert m.id in seen, f"no check looks for {m.id!r}: add one, or `observable = false`"
        else:
            assert m.id not in seen, f"{m.id!r} is looked for: it is observable after all"


MODE_WEIGHTS = sorted(s for s in load_weights() if s.partition(".")[0] != "undo")


@pytest.mark.parametrize("signal", MODE_WEIGHTS)
def test_every_weight_is_of_a_mode_that_exists(signal: str) -> None:
    """A weight is a finite number of nats for a mode of the catalogue."""
    row = load_weights()[signal]
    assert row
    assert set(row) <= set(modes.load()), signal
    assert all(math.isfinite(nats) and abs(nats) <= 30 for nats in row.values())


def _signals(path: Path) -> set[str]:
    """Signals that a file spells out in its calls of `Finding`, where they support something."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
            if any(k.arg == "supports" and ast.unparse(k.value) == "()" for k in node.keywords):
                continue  # it only describes
            given = [k.value for k in node.keywords if k.arg == "signal"] or node.args[:1]
            found |= {n.value for n in given if isinstance(n, ast.Constant)}
    return {str(name) for name in found}


def test_every_signal_has_a_weight() -> None:
    """What a check can find has a row in the weights, or it would count for nothing."""
    used = set().union(*map(_signals, (ROOT / "src/ruleout/checks").rglob("*.py")))
    assert used <= set(load_weights()), sorted(used - set(load_weights()))


def test_page_is_generated() -> None:
    """`docs/checks.md` is what `python -m ruleout.experiments._catalogue` prints."""
    page = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    assert page == catalogue(), "run: python -m ruleout.experiments._catalogue > docs/checks.md"
