"""Text as numbers: lengths, character classes, signs of damage, and hashed words."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

SAMPLE = 20_000
"""Texts looked at per window, evenly spread over the rows."""

LONGEST = 20_000
"""Characters of one text that are looked at."""

_TRAIL = "\\x{80}-\\x{BF}€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"

PATTERNS = {
    "upper": r"\p{Lu}",
    "lower": r"\p{Ll}",
    "digit": r"\p{Nd}",
    "punctuation": r"[\p{P}\p{S}]",
    "whitespace": r"\s",
    "non_ascii": r"[^\x00-\x7F]",
    "accented": r"[\p{Latin}--[a-zA-Z]]",
    "cjk": r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]",
    "other_script": r"[\p{L}--\p{Latin}]",
    "mojibake": rf"[\x{{C2}}-\x{{F4}}][{_TRAIL}]",
    "replacement": r"\x{FFFD}|\p{L}\?+\p{L}",
    "control": r"[\p{Cc}--[\n\r\t]]",
    "escape": r"""\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[ntr"'\\])""",
    "entity": r"&(?:#\d+|#x[0-9a-fA-F]+|[a-zA-Z]{2,8});",
    "percent": r"%[0-9A-Fa-f]{2}",
    "subword": r"##\p{L}|\x{2581}|\x{120}|@@ |</w>|\[UNK\]|<unk>",
}
"""What is counted per character of text, by name."""

STATISTICS = (
    "empty",
    "length",
    "tokens",
    "token_length",
    *PATTERNS,
    "repetition",
    "ends_open",
    "double_space",
    "spaced_punctuation",
)

_ENDS_OPEN = r"[\p{L}\p{N},;:-]$"
_SPACED = r"(?:^|\s)[.,!?;:](?:\s|$)"


class TextSample(NamedTuple):
    """The texts of one window that were looked at."""

    rows: np.ndarray
    """(m,) int64, ascending: which rows of the table."""

    texts: pl.Series
    """(m,) strings as they came, nulls included."""

    statistics: dict[str, np.ndarray]
    """Each of `STATISTICS` as (m,) float64; shares are per character; NaN for empty texts."""

    total: int


def text_sample(series: pl.Series, *, limit: int = SAMPLE) -> TextSample:
    """Measure up to `limit` texts of a column, evenly spread over it."""
    total = len(series)
    rows = (
        np.arange(total)
        if total <= limit
        else np.floor((np.arange(limit) + 0.5) * (total / limit)).astype(np.int64)
    )
    texts = series.gather(rows).cast(pl.String, strict=False)
    return TextSample(rows, texts, text_statistics(texts), total)


def text_statistics(texts: pl.Series) -> dict[str, np.ndarray]:
    """Each of `STATISTICS` for n texts, (n,) float64; shares are per character of the text.

    Null and blank texts have `empty` 1, `length` 0 and NaN elsewhere.
    """
    column = pl.col("t")
    tokens = column.str.extract_all(r"\S+")
    frame = pl.DataFrame({"t": texts.cast(pl.String).str.slice(0, LONGEST)}).select(
        length=column.str.len_chars().fill_null(0),
        tokens=tokens.list.len(),
        distinct=tokens.list.n_unique(),
        ends_open=column.str.contains(_ENDS_OPEN),
        double_space=column.str.count_matches("  +|\t"),
        spaced_punctuation=column.str.count_matches(_SPACED),
        empty=column.is_null() | (column.str.strip_chars() == ""),
        **{name: column.str.count_matches(pattern) for name, pattern in PATTERNS.items()},
    )
    counts = {name: frame[name].cast(pl.Float64).to_numpy() for name in frame.columns}
    return _shares(counts)


def derive_text(series: pl.Series, *, limit: int = SAMPLE) -> dict[str, np.ndarray]:
    """Numeric columns `text:<statistic>`, one value per row; NaN where a row was not looked at."""
    sample = text_sample(series, limit=limit)
    out: dict[str, np.ndarray] = {}
    for name, values in sample.statistics.items():
        column = np.full(sample.total, np.nan)
        column[sample.rows] = values
        out[f"text:{name}"] = column
    return out


def _shares(counts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    empty = counts["empty"] > 0
    length = np.where(empty, np.nan, counts["length"])
    tokens = np.where(empty, np.nan, counts["tokens"])
    out = {
        "empty": empty.astype(float),
        "length": np.where(empty, 0.0, counts["length"]),
        "tokens": tokens,
        "repetition": 1.0 - counts["distinct"] / tokens,
        "ends_open": np.where(empty, np.nan, counts["ends_open"]),
    }
    for name in (*PATTERNS, "double_space", "spaced_punctuation"):
        out[name] = counts[name] / length
    out["token_length"] = length * (1.0 - out["whitespace"]) / tokens
    return {name: out[name] for name in STATISTICS}


class Words(NamedTuple):
    """Hashed words of n texts, in reading order."""

    codes: np.ndarray
    """(w,) uint64: one code per word."""

    text: np.ndarray
    """(w,) int64: which text each word belongs to."""

    texts: int
    """n."""


def words(texts: pl.Series, *, fold: bool = True) -> Words:
    """Split n texts at everything that is not a letter, digit or apostrophe, and hash each word.

    The hash is a polynomial over UTF-8 bytes modulo 2**64: the same on every machine. With `fold`
    the text is lower-cased first.
    """
    clean = texts.cast(pl.String).fill_null("").str.slice(0, LONGEST)
    if fold:
        clean = clean.str.to_lowercase()
    lengths = clean.str.len_bytes().to_numpy().astype(np.int64)
    data = np.frombuffer("\n".join(clean.to_list()).encode(), np.uint8)
    return _hash_words(data, lengths)


def _hash_words(data: np.ndarray, lengths: np.ndarray) -> Words:
    inside = _WORD_BYTE[data]
    flanks = np.diff(np.concatenate([[0], inside.view(np.int8), [0]]))
    starts, ends = np.flatnonzero(flanks == 1), np.flatnonzero(flanks == -1)
    if not len(starts):
        return Words(np.zeros(0, np.uint64), np.zeros(0, np.int64), len(lengths))
    sizes = ends - starts
    place = _places(len(data), starts)
    powers = _powers(int(sizes.max()))
    value = np.where(inside, data.astype(np.uint64) + np.uint64(1), np.uint64(0))
    value *= powers[np.clip(place, 0, len(powers) - 1)]
    codes = np.add.reduceat(value, starts)
    text = np.searchsorted(np.cumsum(lengths + 1), starts, side="right")
    return Words(codes, text, len(lengths))


def _places(size: int, starts: np.ndarray) -> np.ndarray:
    """Offset of each byte from the last word start at or before it; 0 before the first."""
    last = np.zeros(size, np.int64)
    last[starts] = starts
    return np.arange(size) - np.maximum.accumulate(last)


def _powers(size: int) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.cumprod(np.full(max(size, 1), 0x100000001B3, np.uint64), dtype=np.uint64)


_WORD_BYTE = np.zeros(256, bool)
_WORD_BYTE[[*range(48, 58), *range(65, 91), *range(97, 123), 39, *range(128, 256)]] = True


def hashed(bag: Words, dimension: int, *, bigrams: bool = False) -> np.ndarray:
    """(n, dimension) float32 counts of hashed words (and of neighbouring pairs), signed hashing.

    Weinberger et al. 2009: the sign bit keeps collisions from adding up.
    """
    codes, text = bag.codes, bag.text
    if bigrams and len(codes) > 1:
        near = text[1:] == text[:-1]
        pairs = (codes[:-1] * np.uint64(0x9E3779B97F4A7C15) + codes[1:])[near]
        codes = np.concatenate([codes, pairs])
        text = np.concatenate([text, text[1:][near]])
    mixed = codes * np.uint64(0x9E3779B97F4A7C15)
    slot = ((mixed >> np.uint64(40)) % np.uint64(dimension)).astype(np.int64)
    sign = np.where((mixed >> np.uint64(63)).astype(bool), 1.0, -1.0)
    flat = np.bincount(text * dimension + slot, weights=sign, minlength=bag.texts * dimension)
    return np.asarray(flat.reshape(bag.texts, dimension), dtype=np.float32)


def unknown_share(bag: Words, vocabulary: np.ndarray) -> np.ndarray:
    """(n,) share of each text's words whose code is not in the sorted vocabulary; NaN if wordless."""
    place = np.minimum(np.searchsorted(vocabulary, bag.codes), max(len(vocabulary) - 1, 0))
    known = vocabulary[place] == bag.codes if len(vocabulary) else np.zeros(len(bag.codes), bool)
    total = np.bincount(bag.text, minlength=bag.texts).astype(float)
    missing = np.bincount(bag.text, weights=~known, minlength=bag.texts)
    share = np.full(bag.texts, np.nan)
    np.divide(missing, total, out=share, where=total > 0)
    return share
