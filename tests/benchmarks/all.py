"""Every benchmark, one after another: ``python tests/benchmarks/all.py``. Some take an hour (screening)."""

import subprocess
import sys
from pathlib import Path

NONE = (Path(__file__).name, "side_by_side.py", "stand_in.py")  # what others import

for script in sorted(Path(__file__).parent.glob("*.py")):
    if script.name not in NONE and not script.name.startswith("test_"):
        print(f"== {script.stem}", flush=True)
        subprocess.run([sys.executable, str(script)], check=True)
