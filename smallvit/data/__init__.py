"""What is trained on: pictures as uint8, labels as integers, and which of them are held out."""

from smallvit.data.cifar100 import load_cifar100
from smallvit.data.dataset import Dataset, Split
from smallvit.data.splitting import split_validation

__all__ = ["Dataset", "Split", "load_cifar100", "split_validation"]
