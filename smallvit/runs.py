"""A run of the trainer: read the data, train each variant, read the test split once, write the model folders."""

import dataclasses
import datetime
import logging
import platform
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

from smallvit import __version__, backend
from smallvit.card import model_card
from smallvit.checkpoint import Record, read_model_folder, write_model_folder
from smallvit.config import PRESETS, VARIANTS, with_variant
from smallvit.data import load_cifar100, split_validation
from smallvit.errors import UserError, readable
from smallvit.model import count_parameters
from smallvit.plots import training_curves
from smallvit.training import compile_prediction, describe_options, evaluate, fit, require_same

log = logging.getLogger(__name__)


def train_variants(preset, variants, overrides, data, output_dir, resume, limit, precision, command):
    """Train each variant under the same recipe and write its folder to `output_dir`/PRESET-VARIANT.

    Args:
        preset: one of `config.PRESETS`.
        variants: of `config.VARIANTS`.
        overrides: fields of the preset's `TrainConfig` to replace.
        data: see `data.load_cifar100`.
        output_dir: a folder; made where missing.
        resume: whether to go on with unfinished trainings, and to keep finished ones, found in `output_dir`.
        limit: use the first `limit` pictures of each split only; None uses all.
        precision: see `training.fit`.
        command: what the user typed, for the record.

    Returns:
        The `Record` of each variant.

    Raises:
        UserError: something the user gave or has cannot be used.
    """
    backend.require_supported_backend()
    try:
        train_config = dataclasses.replace(PRESETS[preset].training, **overrides)
    except ValueError as error:
        raise UserError(f"{error}.") from error
    if limit is not None and limit < 1:
        raise UserError(f"--limit is {limit}; it must be at least 1.")
    folders = {variant: Path(output_dir) / f"{preset}-{variant}" for variant in variants}
    if not resume:
        with readable(output_dir):
            _require_free(folders.values())
    commit = _git_commit()  # now: by the end the checkout may be at another

    dataset = load_cifar100(data)
    data_name = dataset.name if limit is None else f"{dataset.name}, first {limit} pictures of each split"
    train, test = (split if limit is None else split.take(slice(limit)) for split in (dataset.train, dataset.test))
    train_indices, validation_indices = split_validation(
        train.labels, train_config.validation_split, train_config.split, train_config.seed
    )
    train, validation = train.take(train_indices), train.take(validation_indices)
    models = {
        variant: dataclasses.replace(with_variant(PRESETS[preset].model, variant), num_classes=len(dataset.class_names))
        for variant in variants
    }
    # All of them before the first training: it may take hours.
    finished = {variant: read_model_folder(folder).record for variant, folder in folders.items() if folder.exists()}
    for variant, record in finished.items():
        require_same(
            {**describe_options(record.model, record.training, record.precision), "data": record.data},
            {**describe_options(models[variant], train_config, precision), "data": data_name},
            f"{folders[variant]} is a finished training",
            "another --output-dir trains anew beside it",
        )
    _require_writable(output_dir)
    log.info(
        "%s: %d training, %d validation, %d test pictures of %d classes; preset %s, %d epochs of batch %d, %s, "
        "peak learning rate %g",
        dataset.name,
        *(len(split.labels) for split in (train, validation, test)),
        len(dataset.class_names),
        preset,
        train_config.epochs,
        train_config.batch_size,
        train_config.optimizer,
        train_config.learning_rate,
    )

    records = {}
    for variant, folder in folders.items():
        checkpoint = _checkpoint_path(folder)
        if variant in finished:
            log.info("%s: finished before, in %s", variant, folder)
            checkpoint.unlink(missing_ok=True)  # killed between the two, the last run left both
            records[variant] = finished[variant]
            continue
        fitted = fit(models[variant], train_config, train, validation, checkpoint, precision, name=variant)
        # The one time that the test split is read: everything is chosen by now.
        predict = compile_prediction(fitted.model)
        metrics = {"validation": evaluate(predict, validation), "test": evaluate(predict, test)}
        record = Record(
            preset=preset,
            variant=variant,
            model=models[variant],
            training=train_config,
            data=data_name,
            picture_size=train.images.shape[1],
            class_names=dataset.class_names,
            num_train=len(train.labels),
            num_validation=len(validation.labels),
            num_test=len(test.labels),
            parameters=count_parameters(fitted.model),
            metrics=metrics,
            epochs_trained=len(fitted.history),
            seconds=sum(epoch["seconds"] for epoch in fitted.history),
            images_per_second=len(fitted.history) / sum(1 / epoch["images_per_second"] for epoch in fitted.history),
            precision=precision,
            hardware=backend.describe_device(),
            versions=_versions(),
            commit=commit,
            command=command,
            date=datetime.date.today().isoformat(),
        )
        curves = training_curves(VARIANTS[variant].title, fitted.history)
        card = model_card(record, fitted.model.taus())
        try:
            write_model_folder(folder, fitted.model, record, fitted.history, curves, card)
        except OSError as error:
            raise UserError(
                f"The model folder {folder} could not be written ({error.strerror or error}); the training is safe in "
                f"{checkpoint}: make room and repeat the command with --resume."
            ) from error
        checkpoint.unlink()
        log.info("%s: written to %s", variant, folder)
        records[variant] = record
    log.info("\n%s", results_table(records.values()))
    return records


def results_table(records):
    """Top-1 and top-5 on the test split of each record, as lines of text."""
    lines = [f"{'':20}{'parameters':>12}{'test top-1':>12}{'test top-5':>12}{'time':>12}"]
    for record in records:
        test = record.metrics["test"]
        minutes = f"{record.seconds / 60:.1f} min"
        lines.append(
            f"{VARIANTS[record.variant].title:20}{record.parameters:>12,}{test['top1']:>12.2%}{test['top5']:>12.2%}"
            f"{minutes:>12}"
        )
    return "\n".join(lines)


def _checkpoint_path(folder):
    return folder.with_name(f"{folder.name}.checkpoint.npz")


def _require_free(folders):
    for folder in folders:
        if folder.exists():
            raise UserError(
                f"{folder} is already there; --resume keeps it, another --output-dir trains anew beside it."
            )
        if _checkpoint_path(folder).exists():
            raise UserError(
                f"{_checkpoint_path(folder)} is an unfinished training; --resume goes on with it, another --output-dir "
                "trains anew beside it."
            )


def _require_writable(folder):
    """Find out before the training, not after its first epoch."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(
            f"--output-dir {folder} cannot be written to ({error.strerror}); a folder of yours would be right."
        ) from error


def _versions():
    return {
        "smallvit": __version__,
        "python": platform.python_version(),
        "keras": version("keras"),
        "backend": backend.backend_version(),
        "numpy": version("numpy"),
    }


def _git_commit():
    """The commit of the code that trained, with "-dirty" where files differ from it; None outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        status = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}-dirty" if status else commit
