"""How much too good the accuracy of the best of many trials looks, by which images chose it.

``python tests/benchmarks/winners_curse.py [studies]`` prints a row for each number of images.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from winners_curse import too_good

if __name__ == "__main__":
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print("| test images, validation images | chosen by | looks too good by | true accuracy of the choice |")
    print("|---|---|---|---|")
    for images, checked in ((240, 120), (1086, 543)):
        for by in ("test", "validation"):
            excess, truth = too_good(by, studies=studies, images=images, checked=checked)
            print(f"| {images}, {checked} | {by} images | {excess:+.4f} | {truth:.4f} |")
