"""What is trained on: pictures as uint8, labels as integers, from any of the sources that `--data` takes."""

from smallvit.data.cifar100 import load_cifar100
from smallvit.data.dataset import Dataset, Split
from smallvit.data.splitting import split_validation

__all__ = ["Dataset", "Split", "load_cifar100", "split_validation"]
