"""Proposing, weighing and ranking hypotheses; the next evidence to gather."""

from ruleout.hypotheses._absorb import absorb
from ruleout.hypotheses._calibration import PLAIN, Calibration, load_calibration
from ruleout.hypotheses._changes import align_changes, leading_change, sharpest_onset
from ruleout.hypotheses._latency import along_path
from ruleout.hypotheses._masked import unmask
from ruleout.hypotheses._next import next_evidence, observations
from ruleout.hypotheses._path_nulls import as_asked, null_checks
from ruleout.hypotheses._propose import Candidate, Numbered, number, propose, touches
from ruleout.hypotheses._rank import LISTED, rank, ruled_out, verdict
from ruleout.hypotheses._second import join_second
from ruleout.hypotheses._services import beside, linked_gaps, service_hypotheses
from ruleout.hypotheses._shares import settled
from ruleout.hypotheses._unchecked import not_checked
from ruleout.hypotheses._unite import unite
from ruleout.hypotheses._weigh import heard, prior, undo_term, undo_weight, weigh
from ruleout.hypotheses._weights import load_weights, weight

__all__ = [
    "LISTED",
    "PLAIN",
    "Calibration",
    "Candidate",
    "Numbered",
    "absorb",
    "align_changes",
    "along_path",
    "as_asked",
    "beside",
    "heard",
    "join_second",
    "leading_change",
    "linked_gaps",
    "load_calibration",
    "load_weights",
    "next_evidence",
    "not_checked",
    "null_checks",
    "number",
    "observations",
    "prior",
    "propose",
    "rank",
    "ruled_out",
    "service_hypotheses",
    "settled",
    "sharpest_onset",
    "touches",
    "undo_term",
    "undo_weight",
    "unite",
    "unmask",
    "verdict",
    "weigh",
    "weight",
]
