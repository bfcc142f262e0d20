"""Data sets: labelled images. Add one: a file here, a line below."""

from trainables.datasets.afhq import AFHQ
from trainables.datasets.base import Dataset
from trainables.datasets.celeba import CelebA
from trainables.datasets.cifar10 import CIFAR10
from trainables.datasets.facescrub import FaceScrub
from trainables.datasets.fashion_mnist import FashionMNIST
from trainables.datasets.ffhq import FFHQ
from trainables.datasets.image_folder import ImageFolder
from trainables.datasets.imagenet import ImageNet
from trainables.datasets.lfw import LFW
from trainables.datasets.mnist import MNIST
from trainables.datasets.ms_celeb import MSCeleb
from trainables.datasets.pubfig83 import PubFig83
from trainables.datasets.stanford_cars import StanfordCars
from trainables.datasets.stanford_dogs import StanfordDogs
from trainables.datasets.synthetic_faces import SyntheticFaces
from trainables.datasets.vggface2 import VGGFace2

DATASETS: dict[str, type[Dataset]] = {
    "synthetic_faces": SyntheticFaces,
    "image_folder": ImageFolder,
    "celeba": CelebA,
    "facescrub": FaceScrub,
    "ffhq": FFHQ,
    "vggface2": VGGFace2,
    "pubfig83": PubFig83,
    "ms_celeb": MSCeleb,
    "lfw": LFW,
    "imagenet": ImageNet,
    "stanford_dogs": StanfordDogs,
    "stanford_cars": StanfordCars,
    "afhq": AFHQ,
    "cifar10": CIFAR10,
    "mnist": MNIST,
    "fashion_mnist": FashionMNIST,
}
