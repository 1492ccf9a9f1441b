"""Telemetry as tables: metrics, spans, logs and topology, whatever they were written in."""

from ruleout.sources.telemetry._read import read_telemetry
from ruleout.sources.telemetry._records import Telemetry, empty_logs, empty_metrics, empty_spans

__all__ = ["Telemetry", "empty_logs", "empty_metrics", "empty_spans", "read_telemetry"]
