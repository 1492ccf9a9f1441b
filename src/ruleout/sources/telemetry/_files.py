"""Files of telemetry: paths and globs resolved, each read as rows with a status of its own."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ruleout._errors import SourceError
from ruleout.sources._files import nearest_file

TEXT = (".jsonl", ".ndjson", ".json")


def resolve(item: Any, folder: Path) -> list[Path]:
    """The files that a path or a glob names, relative to the incident's folder.

    Raises:
        SourceError: when it is not a path, or names no file.
    """
    if isinstance(item, Mapping):
        raise SourceError(
            f"{{{', '.join(item)}}} is a live source, and this release reads telemetry from files alone; "
            "export what it holds to CSV, Parquet or JSON lines, and name that file"
        )
    if not isinstance(item, str | Path):
        raise SourceError(f"{item!r} is not a path; write a path, a glob or a list of them")
    path = Path(item) if Path(item).is_absolute() else folder / item
    if path.is_file():
        return [path]
    found = sorted(Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207 absolute patterns
    files = [name for name in found if name.is_file()]
    if not files:
        what = "matches no file" if glob.has_magic(str(item)) else "does not exist"
        raise SourceError(f"{item} {what}{nearest_file(path)}")
    return files


def read_frame(path: Path) -> pl.DataFrame:
    """A CSV, Parquet or JSON-lines file as a frame.

    Raises:
        SourceError: when the ending is unknown or the file cannot be parsed.
    """
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        if path.suffix in {".csv", ".tsv", ".txt"}:
            separator = "\t" if path.suffix == ".tsv" else ","
            return pl.read_csv(
                path, separator=separator, infer_schema_length=10_000, ignore_errors=True
            )
        if path.suffix in TEXT:
            return pl.DataFrame(list(json_rows(path)), infer_schema_length=None, strict=False)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError, ValueError) as error:
        raise SourceError(f"{path.name}: cannot be read: {error!s}") from error
    raise SourceError(
        f"{path.name}: ending {path.suffix!r} is not one of .parquet, .csv, .jsonl; convert it"
    )


def json_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file, one a line, or of one JSON list or object; bad lines are left out."""
    with path.open(encoding="utf-8", errors="replace") as file:
        head = file.read(1)
        file.seek(0)
        if head == "[":
            yield from _listed(file.read(), path)
            return
        parsed = 0
        for line in file:
            row = _parse(line)
            if row is not None:
                parsed += 1
                yield row
    if not parsed:
        row = _parse(path.read_text(encoding="utf-8", errors="replace"))
        if row is not None:
            yield row


def _listed(text: str, path: Path) -> list[dict[str, Any]]:
    try:
        whole = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise SourceError(f"{path.name}: the JSON list cannot be read: {error}") from error
    return [row for row in whole if isinstance(row, dict)]


def _parse(text: str) -> dict[str, Any] | None:
    if not text.strip():
        return None
    try:
        row = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
