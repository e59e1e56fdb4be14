"""Memory this process holds, and the most it ever held."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import psutil
import torch

__all__ = ["free_memory", "held_memory", "peak_memory"]

_STATUS = Path("/proc/self/status")


def free_memory(device: torch.device) -> int:
    """Return the bytes that are free on the GPU, or in the machine."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def held_memory(device: torch.device) -> int:
    """Return the bytes held now: on the GPU by tensors, else by the process."""
    if device.type == "cuda":
        torch.cuda.init()  # without it there are no statistics to reset
        torch.cuda.reset_peak_memory_stats(device)
        return int(torch.cuda.memory_allocated(device))
    return int(psutil.Process().memory_info().rss)


def peak_memory(device: torch.device) -> int:
    """Return the most bytes held since `held_memory` (GPU) or the process's start."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    # Linux counts into ru_maxrss what the parent held when it started this process: the
    # high-water mark of /proc is this program's alone.
    if _STATUS.is_file():
        found = re.search(r"^VmHWM:\s*(\d+) kB$", _STATUS.read_text("ascii"), re.MULTILINE)
        if found is not None:
            return int(found.group(1)) * 1024
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
