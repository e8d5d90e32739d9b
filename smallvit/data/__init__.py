"""What is trained on: pictures as uint8, labels as integers, and which of them are held out."""

from smallvit.data.cifar100 import load_cifar100
from smallvit.data.dataset import Dataset, Split, blocks
from smallvit.data.duplicates import find_duplicates
from smallvit.data.sources import Source, load_dataset
from smallvit.data.splitting import hold_out, place_within_class

__all__ = [
    "Dataset",
    "Source",
    "Split",
    "blocks",
    "find_duplicates",
    "hold_out",
    "load_cifar100",
    "load_dataset",
    "place_within_class",
]
