"""`--folds`: the answers of the models of all folds, put together, so that each image was tested once."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from smallvit.data import Dataset
from smallvit.experiment.train import FinishedRun
from smallvit.report.evaluated_model import EvaluatedModel
from smallvit.report.published_results import group_by_key


def pool_folds(finished: Sequence[FinishedRun], dataset: Dataset) -> list[EvaluatedModel]:
    """Put the answers of the folds of each variant and seed together, as if one model had answered for all images.

    Args:
        finished: the runs of all folds, in the order of their folds.
        dataset: a data set with folds.

    Returns:
        One `EvaluatedModel` for each variant and seed. Its record is that of the first fold with the metrics over all
        images and the time of all folds.
    """
    assert dataset.folds is not None
    by_model = group_by_key(((each.run.variant, each.run.training.seed), each) for each in finished)
    pooled = []
    for runs in by_model.values():
        predicted = np.zeros(len(dataset.folds), runs[0].model.predicted.dtype)
        confidence, in_top5 = np.zeros(len(dataset.folds)), np.zeros(len(dataset.folds), bool)
        for one in runs:
            of_fold = dataset.folds == one.run.fold_index
            predicted[of_fold], confidence[of_fold] = one.model.predicted, one.model.confidence
            in_top5[of_fold] = one.model.in_top5
        records = [one.model.record for one in runs]
        record = dataclasses.replace(
            records[0],
            fold=None,
            num_test=len(dataset.folds),
            metrics={split: _mean(records, split) for split in records[0].metrics},
            seconds=sum(record.seconds for record in records),
            train_sha256=None,
            test_sha256=None,
        )
        pooled.append(EvaluatedModel(record, predicted, confidence, in_top5))
    return pooled


def _mean(records, split):
    """The mean of each metric, weighted by the number of images that each was computed on."""
    counts = [record.num_test if split == "test" else record.num_validation for record in records]
    return {
        key: float(np.average([record.metrics[split][key] for record in records], weights=counts))
        for key in records[0].metrics[split]
    }
