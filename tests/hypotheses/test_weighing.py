import math
from dataclasses import replace

import pytest

from ruleout import experiments, modes
from ruleout._records import (
    Abstained,
    Checked,
    Clear,
    Explained,
    Finding,
    RepairPlan,
    Scope,
    Subject,
    Symptom,
)
from ruleout._registry import load_all
from ruleout.hypotheses import (
    Candidate,
    Numbered,
    join_second,
    load_calibration,
    load_weights,
    next_evidence,
    not_checked,
    number,
    observations,
    propose,
    rank,
    ruled_out,
    settled,
    touches,
    undo_weight,
    verdict,
    weigh,
    weight,
)

AMOUNT, AGE = Subject("feature", ("amount",)), Subject("feature", ("age",))
NONE = Subject()
QUIET = Symptom("accuracy", 0.9, 0.8, -0.1, -0.12, -0.08, True, None, "mature")


def seen(
    *supports: str,
    subject: Subject = AMOUNT,
    signal: str = "quantile_relation.unit",
    strength: float = 1.0,
    against: tuple[str, ...] = (),
    repairs: tuple[RepairPlan, ...] = (),
) -> Finding:
    return Finding(
        signal, subject, "told", 1.0, 5.0, 1e-9, strength, supports, against, repairs=repairs
    )


def clear(*gone: str, subject: Subject = NONE) -> Clear:
    return Clear(gone, subject, "nothing there", 0.05, "scales.none")


def rows(*outcomes: Finding | Clear) -> list[Numbered]:
    return number([Checked("one", "data", "inputs", outcomes)])


def weighed(*outcomes: Finding | Clear) -> tuple[dict[str, Candidate], float]:
    numbered = rows(*outcomes)
    candidates = propose(numbered)
    rest = weigh(candidates, numbered)
    return {c.mode: c for c in candidates}, rest


def test_evidence_is_numbered_in_order_and_abstentions_are_none() -> None:
    """Findings and clears are numbered one by one; what did not look is no evidence."""
    told = number(
        [
            Checked(
                "one", "data", "inputs", (seen(), Abstained((), "no labels"), clear("unit_change"))
            )
        ],
        first=7,
    )
    assert [r.evidence.id for r in told] == ["E7", "E8"]


def test_one_hypothesis_for_each_mode_and_subject() -> None:
    """Findings of one mode about one subject make one hypothesis, strongest finding first."""
    found = propose(
        rows(
            seen("unit_change", strength=0.4),
            seen("unit_change", signal="other"),
            seen("unit_change", subject=AGE),
        )
    )
    assert [c.key for c in found] == [
        ("unit_change", "feature", ("amount",)),
        ("unit_change", "feature", ("age",)),
    ]
    assert [p.evidence.id for p in found[0].proposers] == ["E2", "E1"]


def test_probabilities_and_the_unknown_sum_to_one() -> None:
    """Every candidate has a share, and "something else" the rest."""
    found, rest = weighed(seen("unit_change"), seen("silent_nulls", subject=AGE, signal="s"))
    assert rest + sum(c.probability for c in found.values()) == pytest.approx(1.0)
    assert 0 < rest < 1


def test_a_probability_is_the_softmax_of_its_rows() -> None:
    """The weights listed for a hypothesis are all there is: their sum against the unknown's, on one temperature."""
    found, _ = weighed(seen("unit_change"))
    one = found["unit_change"]
    assert one.logit == pytest.approx(sum(one.weights.values()))
    how = load_calibration()
    beyond = (one.logit - how.unknown) / how.temperature
    assert one.probability == pytest.approx((1 - how.lapse) / (1 + math.exp(-beyond)))


def test_no_candidates_leave_everything_unknown() -> None:
    """Without a finding all mass stays on "something else"."""
    assert weigh([], rows(clear("unit_change"))) == 1.0


def test_a_signal_counts_once() -> None:
    """Of two findings of one signal a hypothesis hears the stronger alone."""
    once, _ = weighed(seen("unit_change"))
    twice, _ = weighed(seen("unit_change"), seen("unit_change", strength=0.5))
    assert twice["unit_change"].logit == pytest.approx(once["unit_change"].logit)


def test_strength_scales_the_weight() -> None:
    """Half the strength gives half the nats."""
    full = weighed(seen("unit_change"))[0]["unit_change"].weights["E1"]
    half = weighed(seen("unit_change", strength=0.5))[0]["unit_change"].weights["E1"]
    assert half == pytest.approx(0.5 * full)


def test_a_clear_counts_against_its_modes_only() -> None:
    """What a check looked for and did not find loses; the others do not hear it."""
    found, _ = weighed(
        seen("unit_change", "precision_loss", signal="none.such"), clear("unit_change")
    )
    assert found["unit_change"].weights["E2"] < 0
    assert "E2" not in found["precision_loss"].weights


def test_a_clear_about_one_subject_says_nothing_of_another() -> None:
    """An input that was looked at and is sound does not clear the input beside it."""
    found, _ = weighed(seen("unit_change"), clear("unit_change", subject=AGE))
    assert "E2" not in found["unit_change"].weights


def test_evidence_about_another_input_is_not_heard() -> None:
    """Each of two hypotheses of one mode hears the finding about its own input alone."""
    numbered = rows(seen("unit_change"), seen("unit_change", subject=AGE))
    both = propose(numbered)
    weigh(both, numbered)
    assert [set(c.weights) for c in both] == [{"prior", "E1"}, {"prior", "E2"}]


def test_subjects_touch_when_they_share_a_name_or_one_has_none() -> None:
    """Evidence without a subject bears on all; with one, on those that share a name."""
    assert touches(AMOUNT, Subject())
    assert touches(AMOUNT, Subject("feature", ("age", "amount")))
    assert not touches(AMOUNT, AGE)


def test_a_finding_without_a_weight_of_its_own_gets_the_usual_one() -> None:
    """A new check's signal counts for what it supports and against what it speaks against."""
    assert weight("brand.new", "unit_change", supports=True, against=False) > 0
    assert weight("brand.new", "unit_change", supports=False, against=True) < 0
    assert weight("brand.new", "unit_change", supports=False, against=False) == 0


def test_weights_speak_of_known_modes() -> None:
    """Every mode that the weight files name is in the catalogue, and every weight is a sane number."""
    known = set(modes.load())
    for signal, row in load_weights().items():
        if signal.split(".")[0] == "undo":
            continue
        assert set(row) <= known, signal
        assert all(abs(v) <= 30 for v in row.values()), signal


def explained(fraction: float, low: float, high: float, method: str = "repair_replay") -> Candidate:
    return Candidate("unit_change", AMOUNT, explained=Explained(fraction, low, high, method))


def test_a_fault_that_explains_nothing_does_not_excuse_the_population() -> None:
    """What spoke against a shift by naming a recoding is forgotten once undoing the recoding brings nothing back."""
    found = seen("category_recode", signal="recoding.mapped", against=("covariate_shift",))
    shift = seen("covariate_shift", signal="shift.covariates")
    numbered = rows(found, shift)
    candidates = {c.mode: c for c in propose(numbered)}
    weigh(list(candidates.values()), numbered)
    before = candidates["covariate_shift"].logit
    candidates["category_recode"].explained = Explained(0.0, 0.0, 0.02, "surrogate_replay")
    weigh(list(candidates.values()), numbered)
    assert candidates["covariate_shift"].logit > before
    candidates["category_recode"].explained = Explained(0.6, 0.5, 0.7, "surrogate_replay")
    weigh(list(candidates.values()), numbered)
    assert candidates["covariate_shift"].logit == before


def test_undoing_counts_for_what_it_restores() -> None:
    """A repair that brings the metric back is worth much, half of it less, nothing is dear."""
    whole, half, nothing = (
        undo_weight(explained(*f)) for f in ((1.0, 0.9, 1.1), (0.4, 0.1, 0.6), (0.0, -0.1, 0.1))
    )
    assert whole > half > 0 > nothing
    assert undo_weight(Candidate("unit_change", AMOUNT)) == 0


def test_an_unsure_undo_is_worth_less() -> None:
    """The same share with a wide interval gives fewer nats, and a failure that may be chance costs less."""
    assert undo_weight(explained(0.6, 0.5, 0.7)) > undo_weight(explained(0.6, -0.4, 1.0))
    assert undo_weight(explained(0.0, -0.1, 0.1)) < undo_weight(explained(0.0, -0.9, 0.9)) < 0


def test_a_model_of_the_model_is_trusted_less_than_the_model() -> None:
    """A surrogate's replay is worth no more than the model's own."""
    surrogate = explained(1.0, 0.9, 1.0, "surrogate_replay")
    assert undo_weight(surrogate) < undo_weight(explained(1.0, 0.9, 1.0))


def test_ranks_follow_probability() -> None:
    """The likeliest hypothesis is first, with the evidence that speaks for and against it."""
    numbered = rows(
        seen("unit_change"),
        seen("silent_nulls", subject=AGE, signal="s", strength=0.3),
        clear("silent_nulls"),
    )
    candidates = propose(numbered)
    weigh(candidates, numbered)
    told = rank(candidates, [], QUIET, {})
    assert [h.rank for h in told] == [1, 2]
    assert [h.failure_mode for h in told] == ["unit_change", "silent_nulls"]
    assert told[0].evidence_for == ("E1",)
    assert told[1].evidence_against == ("E3",)


def test_only_a_replayed_cure_confirms() -> None:
    """Without an experiment a cause is supported at most; with one that restores it is confirmed."""

    def status(one: Candidate, probability: float) -> str:
        one.probability = probability
        return rank([one], [], QUIET, {})[0].status

    assert status(Candidate("unit_change", AMOUNT), 0.99) == "supported"
    assert status(explained(0.9, 0.7, 1.0), 0.99) == "confirmed"
    assert status(explained(0.9, 0.7, 1.0, "exclusion"), 0.99) == "supported"
    assert status(explained(0.9, 0.0, 1.0), 0.99) == "supported"
    assert status(explained(0.9, 0.7, 1.0), 0.05) == "possible"
    assert status(explained(0.9, 0.7, 1.0), 0.001) == "ruled_out"


def told(mode: str, probability: float) -> Candidate:
    one = Candidate(mode, AMOUNT)
    one.probability = probability
    return one


@pytest.mark.parametrize(
    ("mode", "probability", "expected"),
    [
        ("unit_change", 0.6, "cause_found"),
        ("unit_change", 0.4, "inconclusive"),
        ("random_fluctuation", 0.9, "no_incident"),
    ],
)
def test_the_verdict_is_the_leaders(mode: str, probability: float, expected: str) -> None:
    """A likely fault is a cause, a likely null no incident, and an unlikely leader no verdict."""
    assert verdict(rank([told(mode, probability)], [], QUIET, {})) == expected
    assert verdict(()) == "inconclusive"


def test_layers_hold_all_mass() -> None:
    """The masses by layer, the unknown included, sum to one."""
    listed = rank([told("unit_change", 0.5), told("random_fluctuation", 0.2)], [], QUIET, {})
    _, masses = settled(listed, 0.3)
    assert sum(masses.values()) == pytest.approx(1.0)
    assert masses["unknown"] == pytest.approx(0.3)


def test_all_mass_is_in_the_list_or_unknown() -> None:
    """Of many equals each has its line; what is too small for one is unknown, to the last decimal that is written."""
    many = [Candidate("unit_change", Subject("feature", (f"x{i}",))) for i in range(300)]
    for one in many:
        one.probability = 0.98 / 300
    listed, masses = settled(rank(many, [], QUIET, {}), 0.02)
    assert {h.status for h in listed} == {"possible"}
    assert len(listed) == 300
    for one in many:
        one.probability = 0.3 / 300
    few, rest = settled(rank([told("schema_change", 0.6), *many], [], QUIET, {}), 0.1)
    assert len(few) == 3
    for hypotheses, layers in ((listed, masses), (few, rest)):
        known = sum(h.probability for h in hypotheses)
        assert known + layers["unknown"] == pytest.approx(1.0, abs=1e-9)
        assert sum(layers.values()) == pytest.approx(1.0, abs=1e-9)


def test_rounding_adds_no_mass() -> None:
    """Probabilities that sum to one do so as they are written."""
    thirds = [told("unit_change", p) for p in (0.3333336, 0.3333336, 0.3333328)]
    listed, masses = settled(rank(thirds, [], QUIET, {}), 0.0)
    assert sum(h.probability for h in listed) == pytest.approx(1.0, abs=1e-9)
    assert masses["data"] == pytest.approx(1.0, abs=1e-9)
    (_, tiny), _ = settled(
        rank([told("unit_change", 0.9), told("schema_change", 1e-9)], [], QUIET, {}), 0.1
    )
    assert tiny.probability > 0


def test_two_causes_share_the_layers() -> None:
    """Two causes have probabilities of their own; the layers of both still sum to one beside the unknown."""
    pair = [told("unit_change", 0.97), told("wrong_version", 0.9)]
    listed, masses = settled(rank(pair, [], QUIET, {}), 0.03)
    assert [h.probability for h in listed] == [0.97, 0.9]
    assert sum(masses.values()) == pytest.approx(1.0, abs=1e-9)
    assert masses["unknown"] == pytest.approx(0.03)
    assert masses["data"] / masses[modes.mode("wrong_version").layer] == pytest.approx(
        0.97 / 0.9, rel=1e-4
    )


def test_undoing_that_makes_it_worse_explains_nothing() -> None:
    """A share lies between none and all."""
    worse = told("unit_change", 0.4)
    worse.explained = Explained(-0.2, -0.4, 0.1, "repair_replay")
    (listed, *_), _ = settled(rank([worse], [], QUIET, {}), 0.6)
    assert listed.explained == Explained(0.0, 0.0, 0.1, "repair_replay")


def test_only_looking_rules_out() -> None:
    """A mode that was cleared is ruled out by that row; one that stands as a hypothesis is not."""
    numbered = rows(clear("unit_change", "silent_nulls"))
    gone = ruled_out([told("silent_nulls", 0.4)], numbered)
    assert [(r.failure_mode, r.because) for r in gone] == [("unit_change", ("E1",))]


def test_what_nobody_looked_for_is_listed_with_its_need() -> None:
    """An abstention names what it lacks; a failed source comes first; settled modes are left out."""
    checked = [
        Checked("c", "data", "inputs", (Abstained(("label_noise",), "no audit", "probes.audit"),))
    ]
    listed = not_checked(checked, {"unit_change"}, {"models.current": "no such file"})
    needs = {n.failure_mode: n.needs for n in listed}
    served = {m for m, why in needs.items() if why == "models.current: no such file"}
    assert served == {
        name for name, m in modes.load().items() if "models.current" in (*m.needs, *m.sharpened_by)
    }
    assert [n.failure_mode for n in listed[: len(served)]] == sorted(served)
    assert needs["label_noise"] == "probes.audit"
    assert "unit_change" not in needs


def test_a_source_of_no_mode_of_its_own_serves_its_kind() -> None:
    """What failed is told of modes, never of none: of a repair those it undoes, of a table those of the tables."""
    load_all(experiments, "ruleout.repairs")
    listed = not_checked(
        [], {"unit_change"}, {"repair rescale": "not undone: text", "data": "gone"}
    )
    why = {(n.failure_mode, n.needs) for n in listed}
    assert ("unit_change", "repair rescale: not undone: text") in why
    assert ("covariate_shift", "data: gone") in why
    assert {n.failure_mode for n in listed} <= set(modes.load())
    sunk = not_checked([], {"unit_change"}, {"data": "gone"}, {"unit_change"})
    assert "unit_change" not in {n.failure_mode for n in sunk}


def test_the_next_evidence_is_what_parts_the_leaders() -> None:
    """Of two equal rivals, the observation that tells them apart is worth near a bit times its reliability."""
    rivals = [told("unit_change", 0.5), told("corrupted_labels", 0.5)]
    (best, *others) = next_evidence(rivals, ["probes.audit", "data.columns.timestamp"])
    assert best.gather == "probes.audit"
    assert best.information_gain_bits == pytest.approx(0.95)
    assert set(best.separates) == {"unit_change", "corrupted_labels"}
    assert all(o.information_gain_bits <= best.information_gain_bits for o in others)


def test_nothing_is_gathered_where_nothing_is_open() -> None:
    """A sure answer, and an observation that nobody knows, leave nothing to gather."""
    assert next_evidence([told("unit_change", 0.995)], ["probes.audit"]) == ()
    assert next_evidence([told("unit_change", 0.5)], ["no.such"]) == ()


def test_observations_speak_of_known_modes_and_layers() -> None:
    """Every answer is given by modes of the catalogue or by layers, with a reliability in (0, 1]."""
    known = set(modes.load()) | {m.layer for m in modes.load().values()}
    for name, told_by in observations().items():
        assert 0 < float(str(told_by["reliability"])) <= 1, name
        for who in dict(told_by["answers"]).values():  # type: ignore[call-overload]
            assert set(who) <= known, name


def pair() -> tuple[Candidate, Candidate, list[Numbered]]:
    lead = replace(explained(0.6, 0.5, 0.7), probability=0.9)
    second = Candidate("silent_nulls", AGE, explained=Explained(0.8, 0.6, 1.0, "repair_replay"))
    second.probability = 0.8
    second.weights = {"prior": -3.0, "E9": 4.0}
    more = number(
        [Checked("one", "data", "inputs", (seen("silent_nulls", subject=AGE), seen()))], first=9
    )
    return lead, second, more


def test_a_second_cause_joins_with_its_evidence() -> None:
    """What leads once the first is undone joins the list, with the rows it stands on and no others."""
    lead, second, more = pair()
    candidates, numbered = [lead], rows(seen("unit_change"))
    join_second(lead, candidates, numbered, [second], more)
    assert second in candidates
    assert second.probability == pytest.approx(0.8 * 0.9)
    assert [r.evidence.id for r in numbered] == ["E1", "E9"]
    assert "once unit change of amount is undone" in numbered[1].evidence.statement


def test_two_causes_share_what_both_explain() -> None:
    """The shares of a pair sum to what undoing both takes away."""
    lead, second, more = pair()
    join_second(lead, [lead], [], [second], more)
    assert lead.explained is not None
    assert second.explained is not None
    together = 0.6 + 0.4 * 0.8
    assert lead.explained.fraction + second.explained.fraction == pytest.approx(together)


@pytest.mark.parametrize("why", ["unlikely", "null", "same"])
def test_what_is_no_second_cause_does_not_join(why: str) -> None:
    """An unlikely leader, a null, and the first cause again leave the list as it was."""
    lead, second, more = pair()
    if why == "unlikely":
        second.probability = 0.3
    other = {"null": Candidate("random_fluctuation", Subject(), probability=0.9), "same": lead}.get(
        why, second
    )
    candidates = [lead]
    join_second(lead, candidates, [], [other], more)
    assert candidates == [lead]


def test_what_the_first_cause_left_behind_makes_room_for_the_second() -> None:
    """A first cause undone incompletely shows again, and what is left of the probability is the second's."""
    lead, second, more = pair()
    again = Candidate(lead.mode, lead.subject, probability=0.6)
    second.probability = 0.3
    join_second(lead, [lead], [], [again, second], more)
    assert second.probability == pytest.approx(0.3 / 0.4 * 0.9)


def test_two_that_cannot_be_told_apart_leave_the_likelier() -> None:
    """Where some second cause is nearly sure, the likelier of two that share it joins."""
    lead, second, more = pair()
    rival = Candidate("corrupted_labels", Subject("label", ("y",)), probability=0.38)
    second.probability = 0.42
    candidates = [lead]
    join_second(lead, candidates, [], [second, rival], more)
    assert candidates == [lead, second]


def test_what_an_audit_shows_bears_on_a_change_of_the_world() -> None:
    """Labels that people turned back speak against concept drift, whichever input that drift names."""
    drift = seen("concept_drift", signal="label_residual.region")
    spoilt = seen(
        "label_noise",
        subject=Subject("label", ("y",)),
        signal="audit.diffuse",
        against=("concept_drift",),
    )

    def logit(check: str) -> float:
        numbered = number([Checked(check, "data", "measurement", (drift, spoilt))])
        candidates = propose(numbered)
        weigh(candidates, numbered)
        return next(c.logit for c in candidates if c.mode == "concept_drift")

    assert logit("label_audit") < logit("another") - 4


def test_an_audit_that_agrees_clears_the_labels() -> None:
    """The clear of an audit weighs what its table says, and more than a clear of no name."""
    told = load_weights()["clear.audit.agrees"]
    assert told["corrupted_labels"] < -4
    assert told["label_noise"] < -4


@pytest.mark.parametrize("until", [None, 5.0])
def test_nothing_is_over_while_its_cause_goes_on(until: float | None) -> None:
    """A fault that brings the whole metric back when undone, and lasts in all rows, speaks against a recovery."""
    plan = RepairPlan("rescale", AMOUNT, Scope(until=until))
    numbered = rows(
        seen("unit_change", repairs=(plan,)),
        seen("already_recovered", subject=NONE, signal="recovered.back"),
    )
    candidates = {c.mode: c for c in propose(numbered)}
    fault = candidates["unit_change"]
    fault.explained, fault.undone_by = Explained(1.0, 0.9, 1.0, "repair_replay"), plan
    weigh(list(candidates.values()), numbered)
    assert ("elsewhere" in candidates["already_recovered"].weights) is (until is None)
