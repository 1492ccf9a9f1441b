"""The three probes: parity, golden set, label audit."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from ruleout._errors import IncidentError
from ruleout.incident import Incident, TableSpec
from ruleout.incident._document import nearest
from ruleout.sources._tables import TableSource, open_table


def load_parity(incident: Incident) -> pl.DataFrame | None:
    """The features recomputed from raw data, with the key that joins them to the served rows; None if not given.

    Raises:
        IncidentError: the key is not a column of the table.
        SourceError: the table cannot be read.
    """
    probe = incident.parity
    if probe is None:
        return None
    return _load(incident, probe.offline, "probes.parity.offline", {"probes.parity.key": probe.key})


def load_golden(incident: Incident) -> pl.DataFrame | None:
    """The fixed inputs with their stored outputs; None if not given.

    The column of outputs served now may be missing: then only a model can be scored on the inputs.

    Raises:
        IncidentError: the column of stored outputs is not in the table.
        SourceError: the table cannot be read.
    """
    probe = incident.golden
    if probe is None:
        return None
    needed = {"probes.golden.expected": probe.expected}
    return _load(incident, probe.inputs, "probes.golden.inputs", needed)


def load_audit(incident: Incident) -> pl.DataFrame | None:
    """The re-adjudicated labels with their key; None if not given.

    Raises:
        IncidentError: the key or the label is not a column of the table.
        SourceError: the table cannot be read.
    """
    probe = incident.audit
    if probe is None:
        return None
    needed = {"probes.audit.key": probe.key, "probes.audit.label": probe.label}
    return _load(incident, probe.labels, "probes.audit.labels", needed)


def check_keys(incident: Incident, tables: Iterable[TableSource | None]) -> None:
    """Refuse a probe whose key no table of the incident has.

    Raises:
        IncidentError: names the key and the nearest column.
    """
    known = {column for table in tables if table is not None for column in table.schema}
    for name, probe in (("parity", incident.parity), ("audit", incident.audit)):
        if probe is not None and known and probe.key not in known:
            raise IncidentError(
                f"{incident.file}: probes.{name}.key is {probe.key!r}; neither data.reference nor data.current has "
                f"such a column; {nearest(probe.key, known)}"
            )


def _load(incident: Incident, spec: TableSpec, name: str, needed: dict[str, str]) -> pl.DataFrame:
    table = open_table(spec, incident.folder, name)
    for key, column in needed.items():
        if column not in table.schema:
            raise IncidentError(
                f"{incident.file}: {key} is {column!r}; {table.place} has no such column; "
                f"{nearest(column, table.schema)}"
            )
    return table.read()
