"""What a process and its children use, read from /proc."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """The process and everything that it started, as far as it runs."""
    found = [pid]
    for each in found:
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            found += [int(child) for child in _text(children).split()]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and its children so far, the ended ones that were waited for included."""
    ticks = 0
    for each in family(pid):
        fields = _text(Path(f"/proc/{each}/stat")).rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15])) if each == pid else sum(map(int, fields[11:13])) if fields else 0
    return ticks / _TICKS


def memory(pid: int) -> int:
    """Proportional set size of the process and its children, in bytes."""
    total = 0
    for each in family(pid):
        for line in _text(Path(f"/proc/{each}/smaps_rollup")).splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def highest_memory(pid: int) -> int:
    """The largest resident size that the process (not its children) ever had, in bytes."""
    for line in _text(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""  # it has ended
