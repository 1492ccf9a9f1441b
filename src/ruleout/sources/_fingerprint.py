"""One hash of everything that a diagnosis is made from."""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ruleout.incident import Incident
from ruleout.incident._document import is_frame
from ruleout.sources._databases import database_file, without_secret
from ruleout.sources._files import readable
from ruleout.sources._frames import as_polars
from ruleout.sources._tables import TableSource

_APART = (".folder", ".file", ".data.graph_file")
"""Fields of an incident that say where it was written, not what it is."""

_NAMES_FILES = re.compile(r"\.uri$|^\.telemetry\.(metrics|traces|logs)\b")
"""Where in an incident a text is the name of a file."""


def fingerprint(incident: Incident, tables: Mapping[str, TableSource | None] | None = None) -> str:
    """SHA-256, in hexadecimal, over what the incident says and over the bytes of its inputs.

    It does not depend on where the folder is or on times of files. Frames in memory are hashed by content. A missing file
    counts as missing. A database counts by its address and query, and by content if its table is among `tables`.

    Args:
        incident: the incident.
        tables: tables that have been opened already, by name; those in databases are hashed by content.
    """
    digest = hashlib.sha256()
    for path, leaf in _leaves(incident, ""):
        digest.update(f"{path}\0".encode())
        _add(digest, path, leaf, incident.folder)
    for name, table in sorted((tables or {}).items()):
        if table is not None and "://" in table.place:
            digest.update(f"{name}\0".encode())
            _add_frame(digest, table.read())
    return digest.hexdigest()


def input_files(incident: Incident) -> Iterator[Path]:
    """Every file that the incident is read from: its own, tables, databases, models, telemetry, a graph."""
    if incident.data.graph_file is not None:
        yield incident.folder / incident.data.graph_file
    if Path(incident.file).is_file():
        yield Path(incident.file)
    for path, leaf in _leaves(incident, ""):
        if not isinstance(leaf, str) or not _NAMES_FILES.search(path):
            continue
        scheme, _, place = leaf.partition("://")
        if scheme in ("sqlite", "duckdb"):
            yield database_file(leaf, incident.folder)
        elif leaf.startswith("python:"):
            yield incident.folder / f"{leaf.split(':')[1].replace('.', '/')}.py"
        elif not place or scheme == "file":
            yield from _files(place or leaf, incident.folder)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every value of a record with its path, in a fixed order."""
    if is_dataclass(value):
        for entry in fields(value):
            if (place := f"{path}.{entry.name}") not in _APART:
                yield from _leaves(getattr(value, entry.name), place)
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield from _leaves(value[key], f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, entry in enumerate(value):
            yield from _leaves(entry, f"{path}[{index}]")
    else:
        yield path, value


def _add(digest: hashlib._Hash, path: str, leaf: Any, folder: Path) -> None:
    if is_frame(leaf):
        _add_frame(digest, as_polars(leaf, "a frame").collect())
        return
    if callable(leaf):
        digest.update(
            f"{getattr(leaf, '__module__', '')}:{getattr(leaf, '__qualname__', '')}".encode()
        )
        return
    digest.update(without_secret(str(leaf)).encode("utf-8", "surrogatepass"))
    if isinstance(leaf, str) and _NAMES_FILES.search(path) and "://" not in leaf:
        _add_files(digest, leaf, folder)


def _add_files(digest: hashlib._Hash, uri: str, folder: Path) -> None:
    for file in _files(uri, folder):
        with readable(str(file)), file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())


def _files(uri: str, folder: Path) -> Iterator[Path]:
    """The file, the files in a folder (a saved model), or those that a glob matches; sorted."""
    direct = folder / uri
    if direct.is_file():
        yield direct
        return
    pattern = glob.escape(str(direct)) + "/**" if direct.is_dir() else str(direct)
    found = (Path(match) for match in sorted(glob.glob(pattern, recursive=True)))  # noqa: PTH207 - absolute patterns
    yield from (file for file in found if file.is_file())


def _add_frame(digest: hashlib._Hash, frame: pl.DataFrame) -> None:
    """The content of a frame, whatever chunks, buffers and category codes it is kept in."""
    for column in frame.iter_columns():
        digest.update(f"{column.name}\0{column.dtype}\0{len(column)}\0".encode())
        # Under another name: polars takes `^a$` for a pattern in some methods of a series.
        _add_column(digest, column.alias("x"))


def _too_wide(dtype: pl.DataType) -> bool:
    """Whether NumPy has no such integer, so that its spelling is hashed."""
    return dtype.is_integer() and str(dtype).endswith("128")


def _add_column(digest: hashlib._Hash, column: pl.Series) -> None:
    """Which values are null, then the values, by a layout of bytes that is the same for the same values."""
    dtype = column.dtype
    digest.update(column.is_null().to_numpy().tobytes())
    if isinstance(dtype, pl.List | pl.Array):
        lists = column.arr.to_list() if isinstance(dtype, pl.Array) else column
        _add_column(digest, lists.list.len())
        _add_column(digest, lists.drop_nulls().explode())
    elif isinstance(dtype, pl.Struct):
        for entry in column.struct.unnest().iter_columns():
            _add_column(digest, entry.alias("x"))
    elif dtype in (pl.Binary, pl.Object):
        values = [value if isinstance(value, bytes) else repr(value).encode() for value in column]
        digest.update(b"".join(len(value).to_bytes(8, "little") + value for value in values))
    elif dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum) or _too_wide(dtype):
        text = column.cast(pl.String).fill_null("")
        digest.update(text.str.len_bytes().to_numpy().tobytes())
        digest.update((text.str.join("").item() or "").encode())
    elif dtype != pl.Null:
        numbers = column.cast(pl.Float64) if isinstance(dtype, pl.Decimal) else column.to_physical()
        digest.update(
            numbers.fill_null(value=numbers.dtype == pl.Boolean or 0).to_numpy().tobytes()
        )
