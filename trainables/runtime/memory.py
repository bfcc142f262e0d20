"""Memory of the C library: what large tensors give back is kept for the next ones."""

import ctypes
import functools

# Names of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
TRIM = 2**31 - 1


@functools.cache
def keep_freed_memory() -> bool:
    """Let this process keep the memory that freed tensors held, and return whether the C library can.

    glibc maps every block of more than 32 MB anew, page by page, and gives it back when it is freed; networks
    of large activations then spend up to half of their time in that. The process holds as much as it ever
    needed at once, and some more where blocks of several sizes leave gaps. Nothing is computed differently.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, TRIM))
