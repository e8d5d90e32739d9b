"""The training, validation and test images of a run."""

from smallvit.config import TrainConfig
from smallvit.data import Dataset, Split, hold_out
from smallvit.experiment.plan import Run


def train_validation_splits(dataset: Dataset, train_config: TrainConfig) -> tuple[Split, Split]:
    """The training and validation splits: those of the data set, or drawn by the recipe from its training images."""
    if dataset.validation is not None:
        return dataset.train, dataset.validation
    train, validation = hold_out(
        dataset.train.labels,
        train_config.validation_split,
        train_config.split,
        train_config.seed,
        dataset.train.group_ids,
    )
    return dataset.train.take(train), dataset.train.take(validation)


def run_splits(dataset: Dataset, run: Run) -> tuple[Split, Split, Split]:
    """The training, validation and test split of a run."""
    dataset = dataset.of_fold(run.fold_index)
    return *train_validation_splits(dataset, run.training), dataset.test
