"""What a diagnosis says in words, whichever writer lays it out."""

from dataclasses import replace

import diagnoses
import pytest

from ruleout import modes
from ruleout._records import AlignedChange, Diagnosis, NotChecked, RuledOut, Subject
from ruleout.postmortem import _story as story
from ruleout.postmortem import _words as words
from ruleout.postmortem import html, markdown


def first(diagnosis: Diagnosis, **changed: object) -> Diagnosis:
    """The diagnosis with another first hypothesis."""
    head, *rest = diagnosis.hypotheses
    return replace(diagnosis, hypotheses=(replace(head, **changed), *rest))


def better(low: float, high: float, metric: str = "accuracy") -> Diagnosis:
    quiet = diagnoses.quiet()
    moved = replace(
        quiet.symptom, metric=metric, change=(low + high) / 2, low=low, high=high, significant=False
    )
    return replace(quiet, symptom=moved)


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (words.percent(-0.001), "0%"),
        (words.percent(0.0), "0%"),
        (words.figure(-0.01, 10), "0.0"),
        (words.signed(-0.01, 10), "0.0"),
        (words.signed(0.01, 10), "0.0"),
        (words.signed(-0.4, 10), "-0.4"),
        (words.signed(0.4, 10), "+0.4"),
        (words.figure(100.0), "100"),
        (words.figure(-100.0), "-100"),
    ],
)
def test_nothing_has_no_sign(told: str, text: str) -> None:
    """What rounds to nought is nought, without a direction; what does not keeps its sign."""
    assert told == text


def test_a_column_without_a_name_is_shown_as_one() -> None:
    """An index column that was saved under an empty name is visible in a sentence."""
    assert words.subject_text(Subject("feature", ("",))) == 'feature ""'


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        ("telemetry.metrics", "needs telemetry.metrics"),
        ("data.current: empty", "needs data.current: empty"),
        ("changes", "needs changes"),
        ("the task has no classes", "the task has no classes"),
        ("repair mature_rows: not undone", "repair mature_rows: not undone"),
    ],
)
def test_needs_are_parts_and_reasons_are_sentences(needs: str, said: str) -> None:
    """Only what the incident could supply is needed; another reason stands for itself."""
    assert words.lacking(needs) == said


def test_a_reason_is_not_called_a_need_in_any_form() -> None:
    """Neither page nor ticket says that a mode needs what cannot be given."""
    case = replace(
        diagnoses.unit_change(),
        not_checked=(NotChecked("prior_shift", "the task has no classes"),),
    )
    assert "needs the task" not in html(case)
    assert "the task has no classes" in html(case)
    assert "needs, or why not" in markdown(case)


def test_two_changes_to_one_service_are_told_apart() -> None:
    """Hypotheses about different changes to the same thing have different names."""
    base = diagnoses.services().hypotheses[0]
    one, two = (
        replace(
            base,
            failure_mode="change_regression",
            subject=Subject("service", ("rec-api",)),
            change=change,
        )
        for change in ("C7", "C13")
    )
    assert story.name(one) == "Regression by a change (C7) in service rec-api"
    assert story.name(one) != story.name(two)


def test_a_wrong_monitor_is_no_usual_variation() -> None:
    """Where the monitor is wrong, the sentence says so first."""
    found = first(
        diagnoses.quiet(), failure_mode="monitor_defect", subject=Subject("metric", ("x",))
    )
    assert story.headline(found).startswith("What is reported is wrong, not what is served")


@pytest.mark.parametrize(
    ("low", "high", "metric", "good"),
    [
        (0.1, 0.2, "accuracy", True),
        (-0.2, -0.1, "accuracy", False),
        (-0.1, 0.2, "accuracy", False),
        (-2.0, -1.0, "mae", True),
        (1.0, 2.0, "mae", False),
        (0.1, 0.2, "mean_score", False),
        (0.1, 0.2, "queue_depth", False),
    ],
)
def test_says_when_the_metric_got_better(low: float, high: float, metric: str, good: bool) -> None:
    """A metric that rose is not "within its usual variation"; the windows may be exchanged."""
    told = better(low, high, metric)
    assert ("got better" in story.headline(told)) is good
    assert ("windows are exchanged" in story.headline(told)) is good
    assert ("did not get worse" in story.since(told)) is good


def test_an_unknown_onset_says_which_reason() -> None:
    """Timestamps that are there are not called missing."""
    known = diagnoses.unit_change()
    hypotheses = tuple(replace(h, onset=None) for h in known.hypotheses)
    undated = replace(known, symptom=replace(known.symptom, onset=None), hypotheses=hypotheses)
    assert story.since(undated) == "not known (no single point in time)"
    assert story.since(replace(undated, charts={})) == "not known (no timestamps in both windows)"


def test_rows_that_stand_out_are_named_where_no_segment_does() -> None:
    """A slice by an input says who is hit when the declared segments do not."""
    worst = diagnoses.evidence(
        77,
        "worst_slices",
        "where tokens >= 1400 (2413 rows) the loss went from 0.0519 to 0.888, +0.846 [+0.8, +0.9] more than elsewhere",
    )
    case = diagnoses.unit_change()
    case = replace(case, charts={}, evidence=(*case.evidence, worst))
    assert story.struck(case) == (
        "rows where tokens >= 1400",
        "their loss went from 0.0519 to 0.888 (2413 rows)",
    )


def test_a_service_is_hit_where_its_symptom_is() -> None:
    """Telemetry has no segments; it has who reports the symptom."""
    graph = {"kind": "graph", "nodes": [{"id": "edge", "role": "symptom"}], "edges": []}
    case = replace(diagnoses.services(), charts={"graph": graph}, evidence=())
    assert story.who(case) == "edge: where the symptom is seen"


@pytest.mark.parametrize(
    ("alignments", "said"),
    [
        ((0.0, 0.001), "none of the 2 changes fits the onset"),
        ((0.0,), "the one change does not fit the onset"),
        ((0.4, 0.0), "fits the onset 40% (+1 more)"),
        ((), ""),
    ],
)
def test_changes_that_do_not_fit_are_not_offered(alignments: tuple[float, ...], said: str) -> None:
    """A change with no probability is not shown as the one that fits best."""
    changes = tuple(
        AlignedChange(f"C{i}", "2026-11-18T02:00:00Z", "deploy", "x", "y", None, a)
        for i, a in enumerate(alignments)
    )
    case = diagnoses.undecided()
    told = story.fitting(replace(case, changes=changes))
    assert said in told
    assert bool(told) is bool(said)


def test_what_another_metric_stands_for_is_said() -> None:
    """Whoever asked for a metric that cannot be had reads that, in the ticket and on the page."""
    asked = diagnoses.evidence(
        1, "metric_change", "accuracy fell; it stands for presicion, which the rows cannot give"
    )
    case = replace(diagnoses.unit_change(), evidence=(asked,))
    assert story.stands_for(case) == "presicion, which the rows cannot give"
    assert "stands for presicion" in html(case)
    assert "presicion, which the rows cannot give" in markdown(case)


def test_the_page_holds_the_whole_ledger() -> None:
    """What was ruled out is not cut on the page, however many checks ruled it out."""
    case = diagnoses.unit_change()
    told = tuple(diagnoses.evidence(100 + i, f"check_{i}", "nothing was seen") for i in range(60))
    sunk = tuple(RuledOut(f"mode_{i}", None, (f"E{100 + i}",)) for i in range(60))
    page = html(replace(case, evidence=told, ruled_out=sunk))
    assert all(f"Mode {i} <" in page for i in range(60))


def test_a_check_without_a_finding_has_a_name_that_can_be_read() -> None:
    """A mode that is ruled out "by nothing ruled out" has no reason that a reader could follow."""
    seen = diagnoses.evidence(5, "nothing_ruled_out", "the metric stays off")
    case = replace(
        diagnoses.services(),
        evidence=(seen,),
        ruled_out=(RuledOut("already_recovered", None, ("E5",)),),
    )
    assert "by the symptom&#x27;s own course" in html(case)
    assert "nothing ruled out" not in html(case)


def test_rows_with_a_loss_are_not_who_a_latency_hits() -> None:
    """Which rows are answered wrongly says nothing of which requests are slow."""
    worst = diagnoses.evidence(
        77,
        "worst_slices",
        "where x >= 1 (20 rows) the loss went from 0.1 to 0.9, +0.8 [+0.7, +0.9] more",
    )
    case = replace(diagnoses.services(), evidence=(worst,), charts={})
    case = replace(case, symptom=replace(case.symptom, metric="latency_p95_ms"))
    assert "rows where" not in story.who(case)


def test_a_table_is_headed_by_its_check() -> None:
    """A heading that says "Table" says nothing; what the check looks for does."""
    chart = {"kind": "table", "columns": ["input"], "rows": [["a"]]}
    item = diagnoses.evidence(1, "exchanged_columns", "a looks like b did", chart=chart)
    page = html(replace(diagnoses.unit_change(), evidence=(item,)))
    assert "Exchanged columns</figcaption>" in page


def test_what_follows_the_asked_metric_is_not_part_of_it() -> None:
    """A second remark about the change is no part of why another metric was measured."""
    asked = diagnoses.evidence(
        1,
        "metric_change",
        "accuracy fell; it stands for judge_accuracy; that is no worse than usual",
    )
    case = replace(diagnoses.unit_change(), evidence=(asked,))
    assert story.stands_for(case) == "judge_accuracy"


def test_hosts_are_named_once() -> None:
    """Hosts that the cause names are not told again as segments."""
    base = diagnoses.unit_change()
    rows = [
        {"name": f"srv = s{i}", "n": 99, "before": 0.9, "after": 0.4, "hit": True} for i in range(3)
    ]
    slices = {"kind": "slices", "metric": "accuracy", "rows": rows}
    case = replace(first(base, subject=Subject("host", ("s0", "s1"))), charts={"slices": slices})
    told = story.hit(case)
    assert told[0] == "hosts s0 and s1"
    assert [text.partition(" 0")[0] for text in told[1:]] == ["srv = s2"]


def test_the_planned_event_is_the_change_that_is_shown() -> None:
    """The change that the answer names comes before one that fits the onset as well."""
    changes = tuple(
        AlignedChange(f"C{i}", "2026-11-18T02:00:00Z", "chaos", f"e{i}", "y", None, a)
        for i, a in ((1, 0.6), (9, 0.3))
    )
    quiet = first(
        diagnoses.quiet(), failure_mode="planned_event", subject=Subject("change", ("C9",))
    )
    assert story.changes(replace(quiet, changes=changes))[0].id == "C9"


def test_a_corner_is_not_who_is_hit() -> None:
    """A slice of three conditions is left to the charts."""
    corner = diagnoses.evidence(
        77,
        "worst_slices",
        "where a < 1 and b < 2 and c < 3 (20 rows) the loss went from 0.1 to 0.9, +0.8",
    )
    case = replace(diagnoses.unit_change(), charts={}, evidence=(corner,))
    assert story.struck(case)[0] == "not localised"


def test_a_fault_that_may_be_is_told_beside_no_incident() -> None:
    """Whoever closes an alert reads what else remains likely."""
    quiet = diagnoses.quiet()
    other = replace(diagnoses.unit_change().hypotheses[0], rank=2, probability=0.35)
    case = replace(quiet, hypotheses=(quiet.hypotheses[0], other))
    assert "Not ruled out: Change of unit or scale in feature weight_g (35%)." in story.headline(
        case
    )
    less = replace(case, hypotheses=(quiet.hypotheses[0], replace(other, probability=0.1)))
    assert "Not ruled out" not in story.headline(less)


def test_a_step_of_the_chain_stands_once() -> None:
    """A metric does not lead to itself."""
    found = replace(diagnoses.unit_change().hypotheses[0], chain=("x", "accuracy", "accuracy"))
    assert story.chain(found) == ("x", "accuracy")


def test_a_service_that_is_its_own_cause_is_hit() -> None:
    """Where the cause lies in the service that reports, the chain says who that is."""
    graph = {"kind": "graph", "nodes": [{"id": "edge", "role": "root_cause"}], "edges": []}
    base = replace(diagnoses.services(), evidence=(), charts={"graph": graph})
    base = replace(base, symptom=replace(base.symptom, metric="rt_p95_ms"))
    case = first(base, chain=("edge", "rt_p95_ms"), role="root_cause")
    assert story.who(case) == "edge: where the symptom is seen"


def test_a_model_is_called_a_model() -> None:
    """The incident's model is "the current model", in names, chains and what to do; a column of that name is not."""
    base = diagnoses.unit_change().hypotheses[0]
    model = Subject("model", ("current",))
    told = replace(base, failure_mode="threshold_change", subject=model, chain=("current", "f1"))
    assert story.name(told) == "Changed threshold or policy in the current model"
    assert story.chain(told) == ("the current model", "f1")
    assert words.subject_text(Subject("feature", ("current",))) == "feature current"
    advice = modes.mode("threshold_change").advice(model.names, model.kind)
    assert advice[0].action == "Set the threshold of the current model back to its previous value"


def test_what_is_given_is_not_asked_for() -> None:
    """A mode that the given table cannot show is not said to need that table."""
    case = replace(
        diagnoses.unit_change(),
        not_checked=(
            NotChecked("prompt_change", "data.current"),
            NotChecked("memory_leak", "telemetry.metrics"),
        ),
    )
    page = html(case)
    assert "needs data.current" not in page
    assert "data.current does not hold what would show it" in page
    assert "needs telemetry.metrics" in page


def test_a_graph_without_anybody_concerned_is_left_out() -> None:
    """Who calls whom is drawn where it leads from the symptom to a cause, not for its own sake."""
    nodes = [{"id": "a"}, {"id": "b"}]
    graph = {"kind": "graph", "title": "Who calls whom", "nodes": nodes, "edges": [["a", "b"]]}
    case = replace(diagnoses.services(), charts={"graph": graph})
    assert "Who calls whom" not in html(case)
    nodes[0]["role"] = "symptom"
    assert "Who calls whom" in html(case)
