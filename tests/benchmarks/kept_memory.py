"""What keeping freed memory gains: milliseconds an image with and without it, in turns of fresh processes.

    OMP_NUM_THREADS=1 python tests/benchmarks/kept_memory.py [ARCHITECTURE:SIZE ...]

For each network: a forward pass of 64 images without gradient and a training step of 32, in ms an image, with
the C library as it is and with `keep_freed_memory`, medians over turns; the ratio; the most memory held, MB.
"""

import json
import resource
import statistics
import subprocess
import sys
import time

TURNS, PASSES = 3, 6
NETWORKS = ("mobilefacenet:64", "vgg16_bn:64", "mobilenet_v2:64", "small_cnn:32")


def measure(network: str, keep: bool) -> dict[str, float]:
    """Return ms an image of both kinds of passes, and the most memory in MB, in this process."""
    import torch

    from trainables.runtime.memory import keep_freed_memory
    from trainables.training.classifier import build_classifier

    if keep:
        keep_freed_memory()
    name, size = network.split(":")
    classifier = build_classifier(name, 200, int(size), "none", seed=0)
    images, labels = torch.rand(64, 3, int(size), int(size)), torch.arange(32)

    def forward() -> None:
        with torch.no_grad():
            classifier.eval()(images)

    def step() -> None:
        torch.nn.functional.cross_entropy(classifier.train()(images[:32]), labels).backward()

    found = {}
    for kind, work, count in (("forward", forward, 64), ("step", step, 32)):
        work()
        began = time.perf_counter()
        for _ in range(PASSES):
            work()
        found[kind] = 1000 * (time.perf_counter() - began) / PASSES / count
    return found | {"megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main() -> None:
    """Print a line for each network; started with ``--one``, measure in this process."""
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(sys.argv[2], sys.argv[3] == "kept")))
        return
    for network in sys.argv[1:] or NETWORKS:
        runs: dict[str, list[dict[str, float]]] = {"usual": [], "kept": []}
        for _ in range(TURNS):
            for how, own in runs.items():
                command = [sys.executable, __file__, "--one", network, how]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                own.append(json.loads(done.stdout))
        for kind in ("forward", "step"):
            usual, kept = (statistics.median(run[kind] for run in runs[how]) for how in runs)
            print(f"{network}, {kind}: {usual:.2f} and {kept:.2f} ms an image, ratio {kept / usual:.2f}")
        print(
            f"{network}: at most", {how: round(max(r["megabytes"] for r in own)) for how, own in runs.items()}
        )


if __name__ == "__main__":
    main()
