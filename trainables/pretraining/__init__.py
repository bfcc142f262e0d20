"""Pre-training: what weights a target starts from. Add one: a file here, a line below."""

from trainables.pretraining.base import Pretraining
from trainables.pretraining.checkpoint import FromCheckpoint
from trainables.pretraining.dataset import OnDataset
from trainables.pretraining.none import Scratch
from trainables.pretraining.torchvision import Torchvision

PRETRAININGS: dict[str, type[Pretraining]] = {
    "none": Scratch,
    "dataset": OnDataset,
    "checkpoint": FromCheckpoint,
    "torchvision": Torchvision,
}
