"""Where a trained model comes from: commit and versions of the code, and the record of its model folder."""

import datetime
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from smallvit.config import changed_fields
from smallvit.device import backend
from smallvit.evaluation.metrics import metrics, unsure_threshold
from smallvit.files import hide_outside_path
from smallvit.model_folder.record import Record
from smallvit.version import __version__


def git_commit() -> str | None:
    """The commit of the running code, with "-dirty" if files differ from it; None outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        status = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}-dirty" if status else commit


def software_versions() -> dict[str, str]:
    """The versions of what computes: this package, Python, Keras, its backend and NumPy."""
    return {
        "smallvit": __version__,
        "python": platform.python_version(),
        "keras": version("keras"),
        "backend": backend.backend_version(),
        "numpy": version("numpy"),
    }


def provenance(command: str, commit: str | None) -> dict[str, Any]:
    """How a result came about: the fields of that meaning of `RunSummary`."""
    return {
        "command": command,
        "hardware": backend.describe_device(),
        "versions": software_versions(),
        "commit": commit,
        "date": datetime.date.today().isoformat(),
    }


def make_record(run, ready, fitted, splits, validation_logits, test_logits) -> Record:
    """The `Record` of a trained model: how it came about, and what it reaches.

    Args:
        run: the `Run`.
        ready: the `Ready` experiment.
        fitted: the `FitResult`.
        splits: the training, validation and test split.
        validation_logits, test_logits: [n, K], of the fitted model.
    """
    train, validation, test = splits
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
            "validation": metrics(validation_logits, validation.labels),
            "test": metrics(test_logits, test.labels),
        },
        unsure_below=unsure_threshold(validation_logits, validation.labels),
        epochs_trained=len(history),
        epoch=fitted.best.epoch,
        averaged=fitted.best.averaged,
        overrides=changed_fields(ready.plan.preset, run.model, run.training),
        seconds=sum(epoch["seconds"] for epoch in history),
        images_per_second=len(history) / sum(1 / epoch["images_per_second"] for epoch in history),
        **provenance(ready.options.command, ready.commit),
        started_from=run.initial and hide_outside_path(run.initial.name),
        test_sha256=test.sha256(),
        value_range=ready.dataset.value_range and list(ready.dataset.value_range),
        fold=None if run.fold is None else run.fold + 1,
        num_folds=ready.plan.source.folds,
        findings=ready.dataset.findings and ready.dataset.findings.counts(),
    )
