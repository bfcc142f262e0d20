"""All that a card is checked for, and what it is worth, without pytest: ``python tests/gpu``.

Needs torch, torchvision, numpy, pillow, pydantic, pyyaml and safetensors alone. Prints a line for each check,
then the throughput of GMI, KEDMI and LOMMA for 300 people at 64 pixels against the loops as published, where
ten times is the goal. Under eight minutes on a card; exit code 1 if a check fails.

    python tests/gpu                    # on the card that is here
    python tests/gpu --device card      # on a pretended one, on the CPU: whether the checks themselves work
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import torch  # noqa: E402
from device_checks import (  # noqa: E402
    ASKS_PER_STEP,
    CASES,
    EXACT,
    ROUNDED,
    compare,
    in_two_shards,
    memory_left,
    resumed,
    short_of_memory,
    waits_per_step,
    whole_trial,
)

GOAL = ["--image-size", "64", "--identities", "300", "--restarts", "5", "--width", "64"]
SETTINGS = {
    "gmi": ["--architecture", "vgg16_bn", "--iterations", "30"],
    "kedmi": ["--architecture", "vgg16_bn", "--iterations", "60"],
    "lomma": [
        *("--architecture", "vgg16_bn", "--iterations", "10", "--repeats", "1"),
        *("--students", "efficientnet_b0", "efficientnet_b1", "efficientnet_b2"),
    ],
}


def within(gap: float, most: float) -> None:
    """Raise AssertionError unless ``gap <= most`` and `most` means something."""
    assert most > 0, "the results do not depend on their inputs"
    assert gap <= most, f"differs by {gap:.2e} from the CPU; at most {most:.2e} is rounding"


def checks(device: str) -> dict[str, Callable[[], None]]:
    """Return all checks of `device`, by name."""
    share = EXACT if device == "card" else ROUNDED
    named: dict[str, Callable[[], None]] = {}
    for name, (case, other) in CASES.items():

        def same(case=case, other=other):
            within(*compare(case, device, others=other("cpu", 1), share=share))

        def quiet(case=case):
            waits = waits_per_step(case, device)
            assert not waits, f"waits in each step: {waits}"

        def freed(case=case):
            left = memory_left(case, device)
            assert left <= 0, f"leaves {left} bytes behind"

        named[f"{name}: the CPU's results"] = same
        if name.removeprefix("attack ") not in ASKS_PER_STEP:
            named[f"{name}: no step waits"] = quiet
        if device == "cuda":
            named[f"{name}: memory given back"] = freed

    def in_folder(check: Callable[[str, Path], tuple[float, float]]) -> Callable[[], None]:
        def run() -> None:
            with tempfile.TemporaryDirectory() as folder:
                within(*check(device, Path(folder)))

        return run

    def trial() -> None:
        with tempfile.TemporaryDirectory() as folder:
            whole_trial("cpu" if device == "card" else device, Path(folder))

    named["a killed attack goes on"] = in_folder(resumed)
    named["two parts give what one gives"] = in_folder(in_two_shards)
    named["a full memory halves the images at once"] = lambda: within(*short_of_memory(device, 2)[:2])
    named["a whole trial by python -m trainables"] = trial
    return named


def main() -> int:
    """Run the checks and the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "card"])
    parser.add_argument("--match", default="", help="only checks with this in their name")
    parser.add_argument("--part", choices=["checks", "benchmark", "all"], default="all")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("error: expected a CUDA device; none is here (--device card pretends one)", file=sys.stderr)
        return 2
    card = torch.cuda.get_device_name() if options.device == "cuda" else "a pretended card"
    print(f"{card}, torch {torch.__version__}", flush=True)
    failed = 0
    for name, check in checks(options.device).items() if options.part != "benchmark" else ():
        if options.match not in name:
            continue
        begin = time.perf_counter()
        try:
            check()
        except Exception as error:
            failed += 1
            reason = f"FAILED: {str(error)[:2000]}"
            if not isinstance(error, AssertionError):
                reason += "\n" + traceback.format_exc(limit=-4)
        else:
            reason = "ok"
        print(f"{time.perf_counter() - begin:6.1f} s  {name}: {reason}", flush=True)
    if options.part != "checks" and options.device == "cuda":
        script = ROOT / "tests" / "benchmarks" / "attack_throughput.py"
        for attack, settings in SETTINGS.items():
            command = [sys.executable, str(script), "--device", "cuda", "--attack", attack, *GOAL, *settings]
            failed += (
                subprocess.run(command, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode
                != 0
            )
    print(f"{failed} failed" if failed else "all passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
