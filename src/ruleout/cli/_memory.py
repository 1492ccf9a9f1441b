"""Memory that the process keeps between arrays."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt`."""

_KEPT = 256 * 2**20
_LARGE = 32 * 2**20


def keep_freed() -> None:
    """Reuse freed memory instead of handing it back; no effect where the C library has no such setting.

    Arrays of a diagnosis come and go by the thousand, most of some 100 kB. By default each is mapped from the
    system and unmapped again, and every page of it costs a fault. For processes of our own alone: a library has
    no business with its host's memory.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _KEPT)
