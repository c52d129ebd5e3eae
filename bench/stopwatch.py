"""What one process used: seconds, processor seconds and peak memory."""

import resource
import sys
import time
from typing import Any

type Facts = dict[str, Any]


class Stopwatch:
    """Counts from its making: seconds, processor seconds, and the process's peak memory."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def stop(self) -> Facts:
        """Return what was counted so far."""
        seconds, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        # Linux counts in KiB, macOS in bytes.
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        return {"seconds": seconds, "cpu_seconds": cpu, "peak_mb": peak / 1e6}
