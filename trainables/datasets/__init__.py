"""Data sets: labelled images in memory. Add one: a file here, a line below."""

from trainables.datasets.base import Dataset
from trainables.datasets.celeba import CelebA
from trainables.datasets.image_folder import ImageFolder
from trainables.datasets.synthetic_faces import SyntheticFaces

DATASETS: dict[str, type[Dataset]] = {
    "synthetic_faces": SyntheticFaces,
    "image_folder": ImageFolder,
    "celeba": CelebA,
}
