"""What the running statistics of frozen batch norm tell of who was in the training set.

    OMP_NUM_THREADS=1 python tests/benchmarks/batch_norm_leak.py [--study rendered_faces] [--seeds 3]
        [--points STAGE ...] [-S PATH=VALUE ...]

Targets are frozen up to the first stage, or to each that `--points` names, with `target.frozen_batchnorm:
train`; for each, the analysis `batch_norm` runs with each seed of training, on the same pre-training and the
same split. Nothing is trained but that. SWEEPER_HOME keeps the stages.
"""

import argparse
import copy
import os
import tempfile
from statistics import mean

import torch

from sweeper.storage.home import open_home
from sweeper.study.loading import load_study
from trainables.analyses.batch_norm import BatchNorm
from trainables.architectures import freeze_points
from trainables.config import load_trial
from trainables.stages.analysis import make_training_analysis
from trainables.storage.store import Store


def main() -> None:
    """Print a line for each seed of each freeze point, and the mean over seeds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", default="rendered_faces")
    parser.add_argument("--points", nargs="+", default=[], metavar="STAGE")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("-S", dest="overrides", action="append", default=[], metavar="PATH=VALUE")
    options = parser.parse_args()
    study = load_study(options.study, overrides=options.overrides, check=False)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as temporary:
        home = open_home(os.environ.get("SWEEPER_HOME", temporary))
        home.prepare()
        store = Store(home.store.root)
        for point in options.points or freeze_points(study.trial["target"]["architecture"])[1:2]:
            found = []
            for seed in range(options.seeds):
                document = copy.deepcopy(study.trial) | {"replicate": seed, "defense": {"kind": "none"}}
                document["target"] |= {"freeze_point": point, "frozen_batchnorm": "train"}
                figures = make_training_analysis(
                    load_trial(document), BatchNorm(), store=store, device=device
                ).result
                low, high = figures["auc_interval"]
                print(
                    f"frozen to {point}, seed {seed}: AUC {figures['auc']:.3f} [{low:.3f}, {high:.3f}], "
                    f"eval {figures['auc_eval']}, {figures['statistics']} statistics, "
                    f"{figures['people']} people, {figures['targets']} targets",
                    flush=True,
                )
                found.append(figures["auc"])
            print(f"frozen to {point}: mean AUC {mean(found):.3f}", flush=True)


if __name__ == "__main__":
    main()
