import subprocess
import sys

import pytest

from trainables.runtime.memory import keep_freed_memory

FAULTS = """
import resource, sys
import torch
from trainables.runtime.memory import keep_freed_memory

torch.set_num_threads(1)
if sys.argv[1] == "kept":
    keep_freed_memory()
torch.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(40):
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how):
    """Return how many pages 40 tensors of 64 MB, one after the other, take from the system."""
    run = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc is told to keep memory")
def test_large_tensors_reuse_the_memory_of_those_before():
    if not keep_freed_memory():
        pytest.skip("this C library has no mallopt")
    # The first few may lie beside each other, where something small was put between them.
    assert faults("kept") < faults("usual") / 2
