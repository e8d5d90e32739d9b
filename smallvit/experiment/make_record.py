"""The record of a trained model, which smallvit.json holds."""

import numpy as np

from smallvit.config import changed_fields
from smallvit.data import Split
from smallvit.evaluation.metrics import compute_metrics, unsure_threshold
from smallvit.experiment.plan import Run
from smallvit.experiment.preflight import Ready
from smallvit.experiment.provenance import provenance
from smallvit.files import hide_outside_path
from smallvit.model_folder.record import Record
from smallvit.training.fit import FitResult


def make_record(
    run: Run,
    ready: Ready,
    fitted: FitResult,
    splits: tuple[Split, Split, Split],
    validation_logits: np.ndarray,
    test_logits: np.ndarray,
) -> Record:
    """The `Record` of a trained model: how it came about, and what it reaches.

    Args:
        run: what was trained.
        ready: the experiment.
        fitted: what the training gave.
        splits: the training, validation and test split.
        validation_logits, test_logits: [n, K], of the fitted model.
    """
    train, validation, test = splits
    findings = ready.dataset.findings
    history = fitted.history
    return Record(
        preset=ready.plan.preset_name,
        variant=run.variant,
        model=run.model,
        training=run.training,
        data=ready.dataset.name,
        data_image_size=train.images.shape[1],
        class_names=ready.dataset.class_names,
        num_train=len(train.labels),
        num_validation=len(validation.labels),
        num_test=len(test.labels),
        parameters=fitted.model.count_params(),
        metrics={
            "validation": compute_metrics(validation_logits, validation.labels),
            "test": compute_metrics(test_logits, test.labels),
        },
        unsure_below=unsure_threshold(validation_logits, validation.labels),
        epochs_trained=len(history),
        epoch=fitted.best.epoch,
        averaged=fitted.best.averaged,
        overrides=changed_fields(ready.plan.preset, {**ready.plan.overrides, "seed": run.training.seed}),
        seconds=sum(epoch["seconds"] for epoch in history),
        images_per_second=len(history) / sum(1 / epoch["images_per_second"] for epoch in history),
        **provenance(ready.options.repeat_command, ready.commit),
        started_from=run.initial and hide_outside_path(run.initial.name),
        train_sha256=train.sha256(),
        test_sha256=test.sha256(),
        value_range=ready.dataset.value_range and list(ready.dataset.value_range),
        fold=None if run.fold_index is None else run.fold_index + 1,
        num_folds=ready.plan.source.folds,
        limit=ready.plan.source.limit,
        findings=None if findings is None else findings.counts(),
    )
