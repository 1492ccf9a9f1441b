import dataclasses
from collections import Counter
from pathlib import Path

import pytest

from ruleout import modes
from ruleout.modes import Mode

ALL = tuple(modes.load().values())
PAGE = Path(__file__).parents[2] / "docs" / "modes.md"


def test_all_modes_and_nulls_are_there() -> None:
    """There are 65 failure modes in four layers and 6 nulls, each with its own id and code."""
    families = Counter(m.code[0] for m in ALL)
    assert families == {"N": 6, "D": 21, "M": 13, "F": 12, "I": 13, "L": 6}
    assert len({m.code for m in ALL}) == len({m.title for m in ALL}) == 71


def test_layer_follows_the_code() -> None:
    """The code's letter gives the layer; language-model modes integrate, but a provider's model is a model."""
    layer = {"N": "none", "D": "data", "M": "model", "F": "infrastructure", "I": "integration"}
    for m in ALL:
        expected = layer.get(
            m.code[0], "model" if m.id == "provider_model_change" else "integration"
        )
        assert m.layer == expected, m.id


@pytest.mark.parametrize("m", ALL, ids=lambda m: m.id)
class TestEveryMode:
    def test_points_at_other_modes(self, m: Mode) -> None:
        """What a mode is mistaken for exists, is not itself and is named once."""
        assert m.confusable_with
        assert set(m.confusable_with) <= set(modes.load()) - {m.id}
        assert len(set(m.confusable_with)) == len(m.confusable_with)

    def test_says_what_to_do(self, m: Mode) -> None:
        """A fault has something to do now and for good; every mode has a prevention and a safeguard."""
        kinds = {r.kind for r in m.remedies}
        assert kinds == ({"fix"} if m.is_null else {"mitigate", "fix"})
        assert m.prevention
        assert m.safeguards

    def test_says_how_it_shows(self, m: Mode) -> None:
        """A mode says what is seen, what is not, and what it needs; an unobservable one says why."""
        assert m.present
        assert m.absent
        assert m.needs
        assert m.observable == (m.unobservable_because == "")

    def test_reads_as_sentences(self, m: Mode) -> None:
        """Definition and tie-break are sentences; lists and actions carry no full stop of their own."""
        assert m.definition.endswith(".")
        assert m.tie_break.endswith(".")
        for text in (*m.present, *m.absent, *m.prevention, *(r.action for r in m.remedies)):
            assert not text.endswith("."), text
            assert text == text.strip()

    def test_rates_its_risk(self, m: Mode) -> None:
        """FMEA ratings lie between 1 and 10, and priors stay within a factor of five of even."""
        assert all(1 <= rate <= 10 for rate in (m.severity, m.occurrence, m.detection))
        assert -1.6 <= m.prior <= 1.6

    def test_advises_about_the_subject(self, m: Mode) -> None:
        """Advice names the subject of the diagnosis, or says what is meant where there is none."""
        for names, expected in ((("weight_g",), "weight_g"), ((), m.subject)):
            told = m.advice(names)
            assert any(expected in remedy.action for remedy in told)
            assert not any("{" in remedy.action for remedy in told)
        assert [r.kind for r in m.advice()][-1] == "prevent"


def test_measurement_and_data_path_come_before_the_model() -> None:
    """On average, priors put the data path above the model."""

    def mean(ids: list[str]) -> float:
        return sum(modes.mode(i).prior for i in ids) / len(ids)

    path = ["silent_nulls", "unit_change", "stale_features", "evaluation_bug", "immature_labels"]
    model = [m.id for m in ALL if m.layer == "model"]
    assert mean(path) > mean(model) + 0.3


def test_unknown_mode_names_the_nearest() -> None:
    """Asking for a mode that does not exist names the nearest that does."""
    with pytest.raises(KeyError, match="did you mean 'unit_change'"):
        modes.mode("unit_chnage")
    with pytest.raises(KeyError, match=r"docs/modes\.md"):
        modes.mode("qqqq")


def test_modes_cannot_be_changed() -> None:
    """Neither a mode nor the catalogue can be changed by whoever loads it."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        ALL[0].prior = 1.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        modes.load()["x"] = ALL[0]  # type: ignore[index]


def test_page_is_generated() -> None:
    """`docs/modes.md` is what `python -m ruleout.modes` prints."""
    assert PAGE.read_text(encoding="utf-8") == modes.catalogue()
