"""Standard streams that are closed, or that nothing can be written to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = f'{sys.executable} -c "import sys; from ruleout.cli._main import main; sys.exit(main())"'

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")


def shell(words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"{COMMAND} {words}"], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("words", ["modes", "modes --help", "bench --help", "--version"])
@pytest.mark.parametrize("buffered", ["", "PYTHONUNBUFFERED=1 "])
def test_a_full_disk_is_no_bug(words: str, buffered: str) -> None:
    """What cannot be printed ends with status 2 and the reason, whether Python buffers it or not."""
    done = subprocess.run(
        ["bash", "-c", f"{buffered}{COMMAND} {words} >/dev/full"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "ruleout: standard output cannot be written: No space left on device; send it elsewhere\n"
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-", "2>/dev/full"])
def test_a_closed_stream_is_done_without(closed: str) -> None:
    """The status is that of the command, and nothing is said about the stream."""
    done = shell(f"modes unit_change {closed}")
    assert (done.returncode, done.stderr) == (0, "")
    assert (done.stdout == "") is (">&-" in closed.replace("2>&-", ""))
    failed = shell(f"modes unit_chang {closed}")
    assert failed.returncode == 2
    assert "Traceback" not in failed.stdout + failed.stderr
