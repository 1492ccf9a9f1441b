"""Tables in files: Parquet, Arrow, CSV and JSON lines; one file or a glob of them."""

from __future__ import annotations

import codecs
import csv
import difflib
import glob
import gzip
import io
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from ruleout._errors import SourceError
from ruleout.sources._frames import refuse_repeated

_TEXTS = ("csv", "tsv")
_MISSING = ("NA", "N/A", "NaN", "nan", "null", "NULL", "None", "-")
"""What exporters write in the gaps of a column of numbers. In a column of texts these stay texts."""

_DAMAGE = (
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
    OSError,
    ValueError,
    EOFError,
    zlib.error,
)


def scan_files(uri: str, folder: Path, name: str) -> tuple[pl.LazyFrame, int | None]:
    """The files that a path or glob names, one below the other, and their rows where the files say so.

    Columns that only some files have are null in the others.

    Raises:
        SourceError: nothing is there, or a file is a folder, empty, damaged, of an unknown kind, not UTF-8, or
            repeats a column.
    """
    files = find_files(uri, folder, name)
    frames = [_scan(file, name) for file in files]
    with readable(f"{name}: {uri}"):
        frame = frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal_relaxed")
        frame.collect_schema()
        parquet = all(_kind(file) == "parquet" for file in files)
        rows = int(frame.select(pl.len()).collect().item()) if parquet else None
    return frame, rows


def find_files(uri: str, folder: Path, name: str) -> tuple[Path, ...]:
    """The files that a path or a glob names, sorted.

    Raises:
        SourceError: there are none.
    """
    path = folder / uri.removeprefix("file://")
    if path.is_file():
        return (path,)
    if path.is_dir():
        inside = sorted(entry.name for entry in path.iterdir())[:3]
        raise SourceError(
            f"{name}: {path} is a folder ({', '.join(inside) or 'empty'}); name a file, or a glob such as {uri}/*.parquet"
        )
    # `Path.glob` refuses absolute patterns, and uris are often absolute.
    found = sorted(Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207
    files = tuple(file for file in found if file.is_file())
    if not files:
        what = "matches no file" if glob.has_magic(uri) else f"does not exist{nearest_file(path)}"
        raise SourceError(f"{name}: {path} {what}")
    return files


def nearest_file(path: Path) -> str:
    """The way out of a path that does not exist: the nearest name beside it, if there is a near one."""
    if not path.parent.is_dir():
        return f"; nor does the folder {path.parent}"
    if not os.access(path.parent, os.R_OK):
        return ""
    # By their stems: one ending in common does not make two names alike.
    stems = {entry.stem: entry.name for entry in sorted(path.parent.iterdir(), reverse=True)}
    near = difflib.get_close_matches(path.stem, stems, n=1)
    return f"; the nearest file is {stems[near[0]]!r}" if near else ""


@contextmanager
def readable(where: str) -> Iterator[None]:
    """What polars raises about damaged data inside becomes a `SourceError` that names `where`.

    A panic is how polars' readers meet damage that they did not foresee; it is not an `Exception`. A compressed
    file that is cut off or garbled ends in an `EOFError` or a `zlib.error`.
    """
    try:
        yield
    except _DAMAGE as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SourceError(f"{where}: cannot be read: {reason}") from error


def _kind(file: Path) -> str:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1].lstrip(".") if suffixes else ""


def _scan(file: Path, name: str) -> pl.LazyFrame:
    where = f"{name}: {file}"
    kind = _kind(file)
    if kind not in _TEXTS and kind not in _SCANNERS:
        known = ", ".join(f".{known}" for known in (*_TEXTS, *_SCANNERS))
        raise SourceError(f"{where}: files of this kind are not read; known: {known}")
    if file.stat().st_size == 0:
        raise SourceError(f"{where}: is empty (0 bytes)")
    with readable(where):
        frame = _scan_csv(file, where) if kind in _TEXTS else _SCANNERS[kind](file)
        frame.collect_schema()
    return frame


def _scan_csv(file: Path, where: str) -> pl.LazyFrame:
    """A CSV file whose types are inferred from all of its rows, so that no later row contradicts them."""
    beginning = _beginning(file, where)
    header = next(csv.reader(io.StringIO(beginning, newline="")), [])
    separator = "\t" if _kind(file) == "tsv" else _separator(header)
    names = next(csv.reader(io.StringIO(beginning, newline=""), delimiter=separator), [])
    refuse_repeated(names, where)
    frame = pl.scan_csv(
        file, separator=separator, infer_schema_length=None, try_parse_dates=True, glob=False
    )
    found = frame.collect_schema().names()
    if len(found) == len(names):
        # polars leaves the doubled quotes of a quoted name doubled.
        frame = frame.rename({a: b for a, b in zip(found, names, strict=True) if a != b and b})
    return _numbers_with_gaps(frame)


def _beginning(file: Path, where: str) -> str:
    """The first few million letters, after all of the file has been found to be UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    opener = gzip.open if file.suffix.lower() == ".gz" else open
    first, offset = b"", 0
    with opener(file, "rb") as stream:
        while chunk := stream.read(1 << 22):
            first = first or chunk
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                utf16 = first[:2] in (b"\xff\xfe", b"\xfe\xff")
                kind, code = ("UTF-16", "UTF-16") if utf16 else ("another encoding", "LATIN1")
                raise SourceError(
                    f"{where}: byte {offset + error.start} is not UTF-8 (it looks like {kind}); "
                    f"convert it, for example: iconv -f {code} -t UTF-8"
                ) from error
            offset += len(chunk)
    return first.decode("utf-8-sig", errors="ignore")


def _separator(header: list[str]) -> str:
    """A comma, unless the header has none outside of quotes, and has one of the other usual signs."""
    if len(header) != 1:
        return ","
    return next((sign for sign in ("\t", ";", "|") if sign in header[0]), ",")


def _numbers_with_gaps(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Columns of numbers with `NA` and the like in their gaps, as numbers."""
    schema = frame.collect_schema()
    # By position: a column may be called `*` or `^a$`, which a name would expand.
    texts = {name: i for i, (name, dtype) in enumerate(schema.items()) if dtype == pl.String}
    if not texts:
        return frame
    bare = {
        name: pl.when(pl.nth(i).is_in(_MISSING)).then(None).otherwise(pl.nth(i))
        for name, i in texts.items()
    }
    numbers = {name: text.cast(pl.Float64, strict=False) for name, text in bare.items()}
    fits = frame.select(
        (
            (number.is_not_null() == bare[name].is_not_null()).all() & number.is_not_null().any()
        ).alias(str(texts[name]))
        for name, number in numbers.items()
    ).collect()
    chosen = [numbers[name].alias(name) for name, i in texts.items() if fits[str(i)].item()]
    return frame.with_columns(chosen) if chosen else frame


_SCANNERS: dict[str, Callable[[Path], pl.LazyFrame]] = {
    "parquet": lambda file: pl.scan_parquet(file, glob=False),
    "pq": lambda file: pl.scan_parquet(file, glob=False),
    "arrow": pl.scan_ipc,
    "feather": pl.scan_ipc,
    "ipc": pl.scan_ipc,
    "jsonl": lambda file: pl.scan_ndjson(file, infer_schema_length=None),
    "ndjson": lambda file: pl.scan_ndjson(file, infer_schema_length=None),
}
