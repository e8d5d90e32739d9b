"""Reads data sets: uint8 images and integer labels in splits. Nothing here needs Keras."""

from smallvit.data.cifar100 import load_cifar100
from smallvit.data.dataset import Dataset
from smallvit.data.findings import Findings
from smallvit.data.hold_out import hold_out, index_in_class
from smallvit.data.mirroring import mirroring_problem
from smallvit.data.source import Source, load_dataset
from smallvit.data.split import Split, iter_chunks
