import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ruleout._errors import RuleoutError
from ruleout.bench import attribution as bench
from ruleout.bench.attribution import (
    _details,
    _graphs,
    _labels,
    _losses,
    _shares,
    _slices,
    _wider,
)
from ruleout.bench.attribution._peers import Peer
from ruleout.bench.attribution._write import markdown, place


@pytest.fixture(scope="module")
def pool() -> bench.Pool:
    return bench.generated(np.random.default_rng(1), "additive", 0.0)


@pytest.mark.parametrize("kind", ["conditional", "covariates+conditional", "balance+conditional"])
def test_true_parts_are_what_the_windows_show(pool: bench.Pool, kind: str) -> None:
    """The stages' parts sum to the change of accuracy that the drawn windows show, within sampling error."""
    case = next(
        c for s in range(9) if (c := bench.make(pool, kind, np.random.default_rng(s))) is not None
    )
    accuracy = [float((f["label_"] == f["said_"]).mean()) for f in (case.reference, case.current)]
    assert sum(case.truth.values()) == pytest.approx(accuracy[1] - accuracy[0], abs=0.025)
    assert set(case.truth) == set(kind.split("+"))


def test_ours_is_near_the_truth_and_the_halves_are_scored(pool: bench.Pool) -> None:
    """On a mixed change the decomposition's shares are within 15 points, and every method tells all parts."""
    case = next(
        c
        for s in range(9)
        if (c := bench.make(pool, "covariates+conditional", np.random.default_rng(s))) is not None
    )
    whole = sum(case.truth.values())
    for method, tell in bench.METHODS.items():
        told = tell(case)
        assert set(told.value) == set(bench.PARTS), method
    mine = bench.ours(case)
    assert all(
        abs((mine.value[p] or 0.0) - case.truth.get(p, 0.0)) / abs(whole) < 0.15
        for p in bench.PARTS
    )
    assert set(mine.held) >= {"covariates", "conditional"}


def test_true_weights_show_what_sampling_costs(pool: bench.Pool) -> None:
    """Given the true weights, the parts are the truth but for the sampling of the windows, and sum to the change that is seen."""
    case = next(
        c
        for s in range(9)
        if (c := bench.make(pool, "balance+conditional", np.random.default_rng(s))) is not None
    )
    told = _shares.true_weights(case).value
    assert sum(v or 0.0 for v in told.values()) == pytest.approx(_shares._seen(case))
    for part in bench.PARTS:
        assert told[part] == pytest.approx(case.truth.get(part, 0.0), abs=0.025)


ECHO = """
import json, sys
for folder in sys.stdin:
    print(json.dumps({"answer": [{"0": [1, 1]}], "seconds": 0.25}), flush=True)
"""


def test_a_peer_is_asked_in_its_own_process() -> None:
    """A peer's slices and CPU seconds come into the table beside those of `ruleout`."""
    peer = Peer(f"echo={sys.executable} -c '{ECHO}'")
    told = _slices.run(2, 5, [peer])
    peer.close()
    assert told["method"].to_list() == ["ruleout", "echo"] * 2
    assert told.filter(pl.col("method") == "echo")["seconds"].to_list() == [0.25, 0.25]
    assert told.filter(pl.col("method") == "ruleout")["found"].all()


def test_a_peer_that_ends_is_an_error() -> None:
    """A process that answers nothing is named; a peer without a command is refused."""
    peer = Peer(f"mute={sys.executable} -c pass")
    with pytest.raises(RuleoutError, match="'mute' ended without an answer"):
        peer.ask(lambda _: None)
    with pytest.raises(RuleoutError, match="NAME=COMMAND"):
        Peer("nothing")


def test_a_method_is_judged_on_what_it_has_names_for() -> None:
    """A case with a part that a method has no name for counts as not answered, not as an error."""
    rows = [
        {"case": c, "method": m, "part": p, "true": t, "told": v, "asked": a, "held": None}
        for c, m, p, t, v, a in (
            (0, "ruleout", "balance", 1.0, 0.9, True),
            (0, "peer", "balance", 1.0, None, False),
            (1, "ruleout", "balance", 0.0, 0.1, True),
            (1, "peer", "balance", 0.0, None, True),
        )
    ]
    told = pl.DataFrame(rows).with_columns(
        (pl.col("told").fill_null(0.0) - pl.col("true")).abs().alias("error"), seconds=pl.lit(1.0)
    )
    peer = _shares.by_method(told).row(1, named=True)
    assert peer["cannot answer"] == 1
    assert peer["mean error of a share"] == 0.0
    assert peer["ruleout's mean error on the same cases"] == pytest.approx(0.1)


def test_tables_find_their_place_in_a_page(tmp_path: Path) -> None:
    """A table replaces what stood between its marks; a page without them is refused."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- shares -->\nold\n<!-- end shares -->\nafter\n", encoding="utf-8")
    place(page, "shares", markdown(pl.DataFrame({"method": ["a"], "mean error": [0.1234]})))
    text = page.read_text(encoding="utf-8")
    assert "| a | 0.123 |" in text
    assert "old" not in text
    assert text.startswith("before")
    assert text.endswith("after\n")
    with pytest.raises(RuleoutError, match="no place <!-- slices -->"):
        place(page, "slices", "")


def test_an_audit_tells_a_changed_world_from_spoilt_labels(
    monkeypatch: pytest.MonkeyPatch, pool: bench.Pool
) -> None:
    """The same rows are undecided without an audit; one that confirms them and one that turns them back each decide rightly."""
    monkeypatch.setattr(_labels, "pools", lambda _: [pool])
    monkeypatch.setattr(_labels, "AUDITED", (300,))
    told = _labels.by_truth(_labels.run(1, 3)).rows(named=True)
    assert [row["truth"] for row in told] == ["concept drift", "spoilt labels"]
    for row in told:
        assert row["undecided without an audit"] == 1.0
        assert row["the likelier one with an audit"] == 1.0


def test_a_world_of_a_graph_has_known_blame() -> None:
    """Where one mechanism of a chain moved, the whole change is its, by the exact shares and by `ruleout`; drift points elsewhere or there."""
    told = _graphs.run(1, 2)
    moved = told.filter(pl.col("moved"), pl.col("method") == "ruleout").row(0, named=True)
    assert moved["many"] == 1
    assert moved["true"] == pytest.approx(1.0, abs=0.02)
    assert moved["told"] == pytest.approx(1.0, abs=0.15)
    assert told.group_by("method").agg(pl.col("told").sum())["told"].to_list() == pytest.approx(
        [moved["told"]] * 2, abs=0.15
    )
    rows = _graphs.by_method(told).rows(named=True)
    assert [row["method"] for row in rows] == ["ruleout", "largest drift"]
    assert rows[0]["the one that moved is first"] == 1.0


def test_errors_without_labels_are_judged_beside_the_stale_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where inputs moved, the estimated error is nearer to the real one than the reference's is; warnings come where labels moved."""
    made = _losses._generated(np.random.default_rng(3), "uneven", 0.5)
    monkeypatch.setattr(_losses, "pools", lambda _: [made, made])
    told = _losses.run(4, 8)
    rows = {row["method"]: row for row in _losses.by_method(told).rows(named=True)}
    moved = "mean error, inputs moved"
    assert rows["ruleout"][moved] < rows["the reference's metric"][moved]
    assert rows["ruleout"]["warned, inputs moved"] == 0.0
    assert rows["ruleout"]["warned, relation changed"] > 0.0


GRAPH_PEER = """
import json, sys
from pathlib import Path
for line in sys.stdin:
    edges = json.loads((Path(line.strip()) / "edges.json").read_text())
    said = {"blames the first": {edges[0][0]: 1.0, "seconds": 0.5}}
    print(json.dumps({"answer": said, "seconds": 0.5}), flush=True)
"""


def test_a_peer_is_asked_for_blame_along_the_same_graph(tmp_path: Path) -> None:
    """What a peer says of nodes stands beside the others, nought for those that it does not name."""
    script = tmp_path / "peer.py"
    script.write_text(GRAPH_PEER, encoding="utf-8")
    peer = Peer(f"first={sys.executable} {script}")
    try:
        told = _graphs.run(1, 2, [peer])
    finally:
        peer.close()
    said = told.filter(pl.col("method") == "blames the first")
    assert said["node"].to_list() == told.filter(pl.col("method") == "ruleout")["node"].to_list()
    assert (said["told"] != 0).sum() == 1
    assert set(said["seconds"]) == {0.5}


@pytest.mark.parametrize("metric", ["f1", "roc_auc", "mae"])
def test_parts_of_other_metrics_are_known(
    monkeypatch: pytest.MonkeyPatch, pool: bench.Pool, metric: str
) -> None:
    """Stages, unseen inputs among them, sum to the change of any metric that the windows show; the true weights come near to each."""
    numbers = _losses._generated(np.random.default_rng(3), "uneven", 0.5)
    monkeypatch.setattr(_wider._cases, "pools", lambda _: [pool])
    monkeypatch.setattr(_wider._losses, "pools", lambda _: [numbers])
    classes, served = _wider.pools(np.random.default_rng(1))
    one = served[0] if metric == "mae" else classes[0]
    kind = "covariates+conditional" if metric == "mae" else "unseen+conditional"
    case = next(
        c
        for s in range(20)
        if (c := _wider.make(one, kind, metric, np.random.default_rng(s))) is not None
        and abs(c.seen) > 0.06
    )
    assert set(case.truth) == set(kind.split("+"))
    assert sum(case.truth.values()) == pytest.approx(case.seen, rel=0.4)
    sampled = _wider.true_weights(case)
    assert sum(s.value for s in sampled.values()) == pytest.approx(case.seen)
    for part, true in case.truth.items():
        assert sampled[part].value == pytest.approx(true, abs=0.2 * abs(case.seen))


def test_unseen_inputs_are_told_from_those_that_moved(
    monkeypatch: pytest.MonkeyPatch, pool: bench.Pool
) -> None:
    """Where rows moved and others came from beyond the reference's range, both parts are within 15 points."""
    monkeypatch.setattr(_wider._cases, "pools", lambda _: [pool])
    one = _wider.pools(np.random.default_rng(1))[0][0]
    case = next(
        c
        for s in range(40)
        if (c := _wider.make(one, "covariates+unseen", "f1", np.random.default_rng(s))) is not None
    )
    told = _wider.ours(case)
    assert told is not None
    for part in ("covariates", "unseen"):
        assert told[part].value == pytest.approx(case.truth[part], abs=0.15 * abs(case.seen))


def test_shares_of_inputs_follow_from_the_weights(
    monkeypatch: pytest.MonkeyPatch, pool: bench.Pool
) -> None:
    """Drawn by independent inputs, the true shares sum to one by input and by source, and those told are within eight points of them on average."""
    monkeypatch.setattr(_details, "pools", lambda _: [pool])
    case = next(_details.cases(1, 4))
    assert sum(case.inputs.values()) == pytest.approx(1.0)
    assert sum(case.sources.values()) == pytest.approx(1.0)
    told = _details.run(1, 4)
    mine = told.filter(pl.col("method") == "ruleout")
    assert mine["divided"].all()
    assert (mine["error"] < 0.08).all()
    assert _details.by_way(told).height == 4


def test_a_slice_that_one_half_of_the_rows_hides_is_found_in_the_other() -> None:
    """A slice of three conditions and some 200 rows is searched for in both halves of the rows, each confirmed by the other."""
    case = list(_slices.planted(30, 62))[29]
    assert len(case.conditions) == 3
    wanted = _slices.inside(case.current[0], case.conditions)
    found = [_slices.inside(case.current[0], told) for told in _slices.ours(case)]
    assert any((wanted & f).sum() >= 0.7 * (wanted | f).sum() for f in found)
