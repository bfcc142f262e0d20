"""How busy this machine is with other work, by its load average."""

import os

BUSY = 0.3  # waiting or running threads a core, over the last minute


def load_average() -> float:
    """Return the runnable threads of the last minute, on average; 0 where the system does not tell."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return 0.0


def cores() -> int:
    """Return the cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def is_busy() -> bool:
    """Return whether other work would disturb a timing."""
    return load_average() > BUSY * cores()
