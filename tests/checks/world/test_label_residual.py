import numpy as np
import polars as pl
import pytest

from ruleout._records import Finding, Subject
from ruleout.checks.world import label_residual as module
from ruleout.hypotheses._weights import load_weights
from ruleout.incident._model import AuditProbe, TableSpec
from served_world import answered, case_of, cleared, findings, rule, windows


def spoilt(seed: int, how: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Windows whose current labels were changed in one manner."""
    rng = np.random.default_rng(seed)
    reference, current = windows(rng, 5000)
    label, u = current["label"].to_numpy(), rng.random(current.height)
    if how == "noise":
        label = np.where(u < 0.15, 1 - label, label)
    elif how == "polarity":
        label = 1 - label
    elif how == "region":
        label = np.where((current["age"].to_numpy() > 0.6) & (u < 0.7), 1 - label, label)
    elif how == "reversed":
        turned = current.with_columns(-pl.col("age"))
        label = (u < 1 / (1 + np.exp(-rule(turned)))).astype(int)
    elif how == "source":
        label = np.where((current["region"].to_numpy() == "west") & (u < 0.8), 1 - label, label)
    return reference, current.with_columns(pl.Series("label", label))


@pytest.mark.parametrize(
    ("how", "signal", "first"),
    [
        ("noise", "uniform", "label_noise"),
        ("polarity", "mapping", "corrupted_labels"),
        ("region", "region", "concept_drift"),
        ("reversed", "region", "concept_drift"),
        ("source", "by_source", "corrupted_labels"),
    ],
)
def test_the_manner_of_disagreement_is_told(how: str, signal: str, first: str) -> None:
    """Noise, polarity, a region, a reversed effect and a label source each leave their own signature."""
    found = findings(case_of(*spoilt(1, how)), "label_residual")
    assert found[f"label_residual.{signal}"].supports[0] == first


@pytest.mark.parametrize("how", ["region", "reversed"])
def test_the_input_that_changed_its_meaning_is_the_subject(how: str) -> None:
    """Concept drift is pinned on the input whose effect changed."""
    found = findings(case_of(*spoilt(2, how)), "label_residual")["label_residual.region"]
    assert found.subject == Subject("feature", ("age",))


@pytest.mark.parametrize("how", ["noise", "polarity", "region", "source"])
def test_concept_and_labels_stay_rivals_without_an_audit(how: str) -> None:
    """No manner of disagreement supports only one of concept drift and corrupted labels: rows cannot tell."""
    found = findings(case_of(*spoilt(3, how)), "label_residual")
    supported = {mode for f in found.values() for mode in f.supports}
    assert {"concept_drift", "corrupted_labels"} <= supported


@pytest.mark.parametrize("turned_back", [False, True])
@pytest.mark.parametrize("how", ["region", "source"])
def test_an_audit_that_confirms_labels_speaks_for_a_changed_relation(
    how: str, turned_back: bool
) -> None:
    """Confirmed labels that part from inputs support concept drift alone, the more so the more were looked at; labels turned back do not."""
    reference, current = spoilt(3, how)
    sound = spoilt(3, "none")[1]["label"]
    current = current.with_row_index("row")
    again = current["label"] if not turned_back else sound
    audit = current.select("row", again.alias("again"))
    reference = reference.with_row_index("row", offset=1_000_000)

    def told(many: int) -> dict[str, Finding]:
        few = audit.gather_every(max(audit.height // many, 1))
        probe = AuditProbe(TableSpec(frame=few), "row", "again")
        return findings(case_of(reference, current, audit=probe), "label_residual")

    if turned_back:
        assert not {"label_residual.audited", "label_residual.left"} & set(told(400))
        return
    found = told(400)["label_residual.audited"]
    assert found.supports == ("concept_drift",)
    assert found.strength > 0.9
    assert told(40)["label_residual.audited"].strength < found.strength
    assert "label_residual.audited" not in findings(case_of(reference, current), "label_residual")


def test_what_is_left_is_the_relation() -> None:
    """Confirmed labels, and a change at unchanged inputs: the relation changed, however faintly rows show it; not where inputs moved."""
    reference, current = (
        frame.with_row_index("row", offset=first)
        for frame, first in zip(spoilt(3, "region"), (1_000_000, 0), strict=True)
    )
    few = current.gather_every(10).select("row", pl.col("label").alias("again"))
    probe = AuditProbe(TableSpec(frame=few), "row", "again")

    def told(now: pl.DataFrame) -> dict[str, Finding]:
        return findings(case_of(reference, now, audit=probe), "label_residual")

    found = told(current)["label_residual.left"]
    assert found.supports == ("concept_drift",)
    assert found.strength > 0.5
    weights = load_weights()["label_residual.left"]
    assert set(weights) == {"concept_drift"}
    turned = current.with_columns(said=1 - pl.col("said"), score=1 - pl.col("score"))
    assert "label_residual.left" not in told(turned)  # other answers are no change of the relation


def test_misfit_out_of_reach_of_the_reference_says_less() -> None:
    """Noise where nearly no input is like the reference's is told with a third of the weight, and not held against the inputs."""
    reference, current = spoilt(6, "noise")
    near = findings(case_of(reference, current), "label_residual")["label_residual.uniform"]
    far = findings(
        case_of(reference, current.with_columns(pl.col("visits") + 40.0)), "label_residual"
    )["label_residual.uniform"]
    assert far.strength < 0.5 * near.strength
    assert "covariate_shift" in near.against
    assert "covariate_shift" not in far.against


def test_sound_labels_are_cleared() -> None:
    """Labels that follow from inputs as before rule out all three modes, with the size that would have shown."""
    case = case_of(*windows(np.random.default_rng(4), 5000))
    assert cleared(case, "label_residual") == {"concept_drift", "corrupted_labels", "label_noise"}


def test_noise_of_a_regression_is_seen() -> None:
    """Heavier errors of a number's labels at unchanged inputs speak of noise; sound ones are cleared."""
    from ruleout.incident._model import Columns, DataSpec, Incident, SymptomSpec, TableSpec
    from ruleout.profile import build_case

    rng = np.random.default_rng(5)
    tables = []
    for noise in (0.0, 0.25):
        x = rng.normal(size=(4000, 3))
        y = x @ [2.0, -1.0, 0.5] + rng.normal(0, 0.5, 4000)
        y = np.where(rng.random(4000) < noise, y + 6 * rng.standard_t(3, 4000), y)
        tables.append(
            pl.DataFrame(
                {"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y, "p": x @ [2.0, -1.0, 0.5]}
            )
        )
    for current, expected in (
        (tables[1], {"label_noise"}),
        (tables[0].sample(fraction=1, shuffle=True, seed=1), set()),
    ):
        case = build_case(
            Incident(
                title="t",
                task="regression",
                symptom=SymptomSpec(metric="mae"),
                data=DataSpec(
                    TableSpec(frame=tables[0]),
                    TableSpec(frame=current),
                    Columns(target="y", prediction="p"),
                ),
            )
        )
        case.significant = True
        found = findings(case, "label_residual")
        assert {f.supports[0] for f in found.values()} == expected


def test_new_class_is_confined() -> None:
    """A class that the reference never had carries the loss and is kept out by the repair's scope."""
    rng = np.random.default_rng(6)
    reference, current = windows(rng)
    labels = [
        pl.Series("label", np.where(f["label"].to_numpy() == 1, "yes", "no"))
        for f in (reference, current)
    ]
    new = rng.random(current.height) < 0.12
    reference = reference.with_columns(
        labels[0], pl.Series("said", np.where(reference["said"] == 1, "yes", "no"))
    )
    current = current.with_columns(
        pl.Series("label", np.where(new, "other", labels[1])),
        pl.Series("said", np.where(current["said"] == 1, "yes", "no")),
    )
    from ruleout.incident._model import Columns, DataSpec, Incident, TableSpec
    from ruleout.profile import build_case

    case = build_case(
        Incident(
            title="t",
            task="multiclass",
            data=DataSpec(
                TableSpec(frame=reference),
                TableSpec(frame=current),
                Columns(
                    timestamp="ts",
                    target="label",
                    prediction="said",
                    features=("amount", "age", "visits", "kind"),
                ),
            ),
        )
    )
    case.significant = True
    found = findings(case, "new_category")["new_category.class"]
    assert found.subject == Subject("class", ("other",))
    assert found.strength > 0.9
    assert found.scope.values == ("other",)


def test_new_value_is_found_and_spelling_is_not() -> None:
    """A new kind with new loss is a finding; old kinds in capitals, and blanks, are the data path's doing."""
    rng = np.random.default_rng(7)
    reference, current = windows(rng)
    new = rng.random(current.height) < 0.2
    wrong = np.where(new, 1 - current["said"].to_numpy(), current["label"].to_numpy())
    for value, seen in (("d", True), ("A", False), ("", False), ("null", False)):
        kind = np.where(new, value, current["kind"].to_numpy())
        changed = current.with_columns(pl.Series("kind", kind), pl.Series("label", wrong))
        found = findings(case_of(reference, changed), "new_category")
        assert ("new_category.value" in found) is seen, value


def test_few_actors_are_named() -> None:
    """Three accounts that send misjudged rows are the subject; spread over all accounts nobody is."""
    rng = np.random.default_rng(8)
    reference, current = windows(rng)
    bad = rng.random(current.height) < 0.15
    spoilt_rows = answered(
        current, np.where(bad, 1 - current["said"].to_numpy(), current["label"].to_numpy())
    )
    assert findings(case_of(reference, spoilt_rows), "adversaries") == {}
    who = np.where(
        bad, rng.choice(["x1", "x2", "x3"], current.height), current["account"].to_numpy()
    )
    found = findings(
        case_of(reference, spoilt_rows.with_columns(pl.Series("account", who))), "adversaries"
    )
    assert found["adversaries.concentration"].subject == Subject("segment", ("x1", "x2", "x3"))


def test_a_change_of_the_world_is_named_by_its_place() -> None:
    """What a label pipeline did is said of the label; what happened in one place, of that place."""
    found = findings(case_of(*spoilt(1, "source")), "label_residual")
    assert found["label_residual.by_source"].subject.kind == "label"
    assert found["label_residual.place"].subject.kind == "segment"
    assert (
        found["label_residual.place"].subject.names
        == found["label_residual.place"].scope.values
        != ()
    )


@pytest.mark.parametrize("least", [0.6, 0.3])
def test_a_change_at_unchanged_inputs_is_told_however_faint(
    least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where labels show no manner, but the change is surely not of inputs, no mode is cleared."""
    monkeypatch.setattr(module, "fraction", lambda *_: (0.9, least, 1.2))
    case = case_of(*windows(np.random.default_rng(4), 3000))
    found = findings(case, "label_residual")
    if least > 0.5:
        assert found["label_residual.faint"].supports[0] == "concept_drift"
        assert cleared(case, "label_residual") == set()
    else:
        assert found == {}
        assert "concept_drift" in cleared(case, "label_residual")
