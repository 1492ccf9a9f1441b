"""Encoded image bytes to pixels and back.

PNG (8 bits, not interlaced) needs the standard library alone, so that the base install can look at
images; every other format goes through Pillow (extra `images`).
"""

from __future__ import annotations

import struct
import zlib
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ruleout._errors import MissingExtra, need

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST_PIXELS = 64_000_000
"""Images that claim more pixels than this are treated as undecodable (decompression bombs)."""

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_LARGEST_SIDE = 256


class Picture(NamedTuple):
    """One decoded image."""

    pixels: np.ndarray
    """(h, w, 3) uint8, at most 256 on the longer side when it was decoded for statistics."""

    width: int
    """Of the file, before any reduction."""

    height: int
    orientation: int
    """EXIF orientation 1..8; 1 when there is none. The pixels are as stored, not turned."""

    form: str
    """`png`, `jpeg`, ... in lower case."""


@cache
def _pillow() -> Any | None:
    try:
        return need("PIL.Image", extra="images")
    except MissingExtra:
        return None


def decode(data: bytes | None, *, reduce: bool = True) -> Picture | None:
    """Pixels of an encoded image, or None when it does not decode.

    Args:
        data: the file's bytes; None and empty bytes do not decode.
        reduce: shrink to at most 256 on the longer side, which is enough for statistics.

    Raises:
        MissingExtra: when the format needs Pillow and Pillow is not installed.
    """
    if not data:
        return None
    pillow = _pillow()
    if pillow is not None:
        return _decode_pillow(pillow, data, reduce=reduce)
    if data.startswith(PNG_SIGNATURE):
        return _decode_png(data, reduce=reduce)
    if _known_form(data):
        raise MissingExtra(
            f"{_known_form(data)} images need Pillow; run: pip install 'ruleout[images]'"
        )
    return None


def encode_png(pixels: np.ndarray, *, level: int = 6) -> bytes:
    """(h, w, 3) numbers in 0..255 -> PNG bytes, by the standard library alone.

    Args:
        pixels: are cut to whole numbers.
        level: of compression, 1 (fast) to 9 (small).
    """
    height, width = pixels.shape[:2]
    body = np.ascontiguousarray(pixels, dtype=np.uint8).reshape(height, width * 3)
    above = np.vstack([np.zeros((1, body.shape[1]), np.uint8), body[:-1]])
    filtered = np.hstack([np.full((height, 1), 2, np.uint8), body - above])
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [
        _chunk(b"IHDR", header),
        _chunk(b"IDAT", zlib.compress(filtered.tobytes(), level)),
        _chunk(b"IEND", b""),
    ]
    return PNG_SIGNATURE + b"".join(parts)


def encode_like(pixels: np.ndarray, form: str) -> bytes:
    """Encode (h, w, 3) uint8 in the form it came in: JPEG (quality 92) stays JPEG, the rest PNG."""
    pillow = _pillow()
    if form != "jpeg" or pillow is None:
        return encode_png(pixels)
    import io

    out = io.BytesIO()
    pillow.fromarray(np.ascontiguousarray(pixels, dtype=np.uint8)).save(
        out, format="JPEG", quality=92
    )
    return out.getvalue()


def _chunk(kind: bytes, body: bytes) -> bytes:
    crc = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


def _known_form(data: bytes) -> str | None:
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data[:6] in {b"GIF87a", b"GIF89a"}:
        return "GIF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    return None


def _decode_pillow(pillow: Any, data: bytes, *, reduce: bool) -> Picture | None:
    import io

    try:
        with pillow.open(io.BytesIO(data)) as image:
            width, height = image.size
            if width * height > LARGEST_PIXELS:
                return None
            orientation = _orientation(image) if b"Exif" in data[:4096] else 1
            if reduce and image.format == "JPEG":
                image.draft("RGB", (_LARGEST_SIDE, _LARGEST_SIDE))
            rgb = _flatten(pillow, image)
            factor = max(rgb.size) // _LARGEST_SIDE
            if reduce and factor > 1:
                rgb = rgb.reduce(factor)
            pixels = np.asarray(rgb, dtype=np.uint8)
            return Picture(pixels, width, height, orientation, str(image.format or "").lower())
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error):
        return None
    except pillow.DecompressionBombError:
        return None


def _orientation(image: Any) -> int:
    value = image.getexif().get(0x0112, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _flatten(pillow: Any, image: Any) -> Any:
    """RGB, with transparency laid over white as browsers and most pipelines show it."""
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        layered = image.convert("RGBA")
        ground = pillow.new("RGBA", layered.size, (255, 255, 255, 255))
        return pillow.alpha_composite(ground, layered).convert("RGB")
    return image.convert("RGB")


def _decode_png(data: bytes, *, reduce: bool) -> Picture | None:
    try:
        pixels = _png_pixels(data)
    except (struct.error, zlib.error, ValueError, IndexError):
        return None
    if pixels is None:
        return None
    height, width = pixels.shape[:2]
    factor = max(height, width) // _LARGEST_SIDE
    if reduce and factor > 1:
        pixels = pixels[::factor, ::factor]
    return Picture(pixels, width, height, 1, "png")


def _png_pixels(data: bytes) -> np.ndarray | None:
    """(h, w, 3) uint8 of an 8-bit PNG without interlace, else None (ISO/IEC 15948, section 9)."""
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", data[16:29])
    if depth != 8 or interlace or colour not in _CHANNELS or width * height == 0:
        return None
    if width * height > LARGEST_PIXELS:
        return None
    packed, palette = _png_chunks(data)
    channels = _CHANNELS[colour]
    inflate = zlib.decompressobj()
    raw = inflate.decompress(packed, height * (width * channels + 1))
    lines = np.frombuffer(raw, np.uint8).reshape(height, width * channels + 1)
    values = _unfilter(lines, channels).reshape(height, width, channels)
    if colour == 3:
        return np.asarray(palette[values[:, :, 0]])
    return _to_rgb(values)


def _png_chunks(data: bytes) -> tuple[bytes, np.ndarray]:
    """The joined image data and the palette, (256, 3) uint8."""
    packed: list[bytes] = []
    palette = np.zeros((256, 3), np.uint8)
    at = len(PNG_SIGNATURE)
    while at + 8 <= len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        if kind == b"IDAT":
            packed.append(body)
        elif kind == b"PLTE":
            entries = np.frombuffer(body, np.uint8).reshape(-1, 3)
            palette[: len(entries)] = entries
        at += 12 + size
    return b"".join(packed), palette


def _unfilter(lines: np.ndarray, channels: int) -> np.ndarray:
    """Undo the five row filters of PNG; (h, 1 + w * c) -> (h, w * c)."""
    out = np.zeros((len(lines), lines.shape[1] - 1), np.uint8)
    above = np.zeros(lines.shape[1] - 1, np.uint8)
    for row, line in enumerate(lines):
        kind, body = int(line[0]), line[1:]
        if kind == 0:
            above = body
        elif kind == 1:
            sums = body.reshape(-1, channels).cumsum(axis=0, dtype=np.uint64)
            above = sums.astype(np.uint8).ravel()
        elif kind == 2:
            above = body + above
        else:
            above = _predicted_row(body.tolist(), above.tolist(), channels, kind)
        out[row] = above
    return out


def _predicted_row(body: list[int], above: list[int], step: int, kind: int) -> np.ndarray:
    """Rows filtered by the average (3) or by Paeth's predictor (4)."""
    row = [0] * step + body
    up = [0] * step + above
    for at in range(step, len(row)):
        left, over, corner = row[at - step], up[at], up[at - step]
        if kind == 3:
            guess = (left + over) // 2
        else:
            to_left, to_over = abs(over - corner), abs(left - corner)
            to_corner = abs(left + over - 2 * corner)
            if to_left <= to_over and to_left <= to_corner:
                guess = left
            else:
                guess = over if to_over <= to_corner else corner
        row[at] = (row[at] + guess) & 255
    return np.array(row[step:], np.uint8)


def _to_rgb(values: np.ndarray) -> np.ndarray:
    """Gray, gray + alpha, RGB or RGBA -> RGB over white."""
    colour = values[:, :, :1].repeat(3, axis=2) if values.shape[2] <= 2 else values[:, :, :3]
    if values.shape[2] in {1, 3}:
        return colour
    alpha = values[:, :, -1:].astype(np.float32) / 255.0
    return np.asarray(colour * alpha + 255.0 * (1.0 - alpha) + 0.5, dtype=np.uint8)
