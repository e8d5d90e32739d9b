"""A run of the trainer: read the data, train each variant, read the test split once, write model folders and report."""

import datetime
import logging
import platform
import re
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

from smallvit import __version__
from smallvit.config import VARIANTS, changed_fields
from smallvit.data import load_dataset
from smallvit.device import backend, distribution
from smallvit.errors import UserError, os_error_as_user_error
from smallvit.evaluation.metrics import metrics, top1_predictions, unsure_threshold
from smallvit.evaluation.predict import compile_prediction, predict_logits
from smallvit.experiment.plan import train_validation_splits
from smallvit.experiment.preflight import (
    describe,
    log_plan,
    name_faster_backend,
    warn_of_duplicates,
    warn_of_known_images,
)
from smallvit.experiment.preview import preview_augmentation
from smallvit.files import atomic_file
from smallvit.model import count_parameters
from smallvit.model_folder.card import model_card
from smallvit.model_folder.examples import choose_examples
from smallvit.model_folder.folder import find_model_folders, read_model_folder, write_model_folder
from smallvit.model_folder.record import Record
from smallvit.report import EvaluatedModel, conclusion, report
from smallvit.report.plots import training_curves
from smallvit.report.results import mean_and_deviation
from smallvit.training.checkpoint import CheckpointFiles
from smallvit.training.fit import (
    TimeLimit,
    config_dict,
    fit,
    out_of_memory_as_user_error,
    require_same_settings,
    split_sha256,
)
from smallvit.training.speed import epochs_within, measure_speed
from smallvit.training.tensorboard import require_tensorboard, tensorboard_logs
from smallvit.training.trainer import Trainer

REPORT_FILE = "report.html"

log = logging.getLogger(__name__)


def run_experiment(
    plan, command, resume=False, dry_run=False, hours=None, time_limit=None, tensorboard=None, publisher=None
):
    """Train each variant with each seed under the same recipe; each becomes a model folder.

    Those that are finished in the end are what the report there is about.

    Args:
        plan: what `planning.make_plan` returns. The model folders are PRESET-VARIANT in its `output_dir`, which is made
            where missing, or PRESET-VARIANT-seedS where there are several seeds.
        command: what the user typed, for the record.
        resume: whether to go on with unfinished trainings, and to keep finished ones, found in the output folder.
        dry_run: whether to stop before the first training, having said what it would be.
        hours: the number of epochs becomes what all trainings together do in that time on this machine; None leaves it.
        time_limit: minutes after which no epoch shall end, but for the first; None has no limit.
        tensorboard: folder for TensorBoard's logs; None writes none.
        publisher: a `hub.Publisher` that pushes each model once its folder is written, and before the first training
            finds out whether it may; None pushes nothing.

    Returns:
        The `Record`s of the finished trainings.

    Raises:
        UserError: something the user gave or has cannot be used.
    """
    limit_of_time = TimeLimit(None if time_limit is None else 60 * time_limit)
    backend.require_supported_backend()
    if time_limit is not None and not time_limit > 0:
        raise UserError(f"--time-limit is {time_limit:g}; it must be more than 0 minutes.")
    if hours is not None and not hours > 0:
        raise UserError(f"--hours is {hours:g}; it must be more than 0.")
    if tensorboard is not None:
        require_tensorboard()
    runs = plan.runs()
    if not resume and not dry_run and distribution.is_main_process():
        with os_error_as_user_error(plan.output_dir):
            _require_free(run.folder for run in runs)
    if not distribution.is_main_process():
        publisher = None
    if publisher:
        publisher.check_access([run.name for run in runs])
    commit = git_commit()  # now: by the end the checkout may be at another

    dataset = _load(plan.source)
    if tensorboard is not None:
        _require_writable(tensorboard, "--tensorboard")
    plan = plan.for_data(dataset)
    if hours is not None:
        plan = plan.with_epochs(_epochs_for(plan, dataset, hours, resume))
        command = _with_epochs(command, plan.overrides["epochs"])
    runs = plan.runs()
    if dataset.is_own and distribution.is_main_process():
        warn_of_duplicates(dataset, runs[0].training)
    if distribution.is_main_process():
        warn_of_known_images(plan, dataset)
    if resume and distribution.is_main_process():
        with os_error_as_user_error(plan.output_dir):
            begun = any(
                run.folder.exists() or CheckpointFiles.for_model_folder(run.folder).state.exists() for run in runs
            )
        if not begun:
            log.warning("--resume: there is nothing to go on with in %s", plan.output_dir)
    if dry_run:
        name_faster_backend(command)
        describe(plan, dataset)
        return []
    # All of them before the first training: it may take hours.
    finished = {}
    if distribution.is_main_process():
        with os_error_as_user_error(plan.output_dir):
            finished = {run.name: _finished(run, dataset) for run in runs if run.folder.exists()}
        _require_writable(plan.output_dir, "--output-dir")
    if publisher:  # last, because what it makes on the Hub stays there
        publisher.create_repositories([run.name for run in runs])
    finished_names = distribution.broadcast_json(list(finished))
    if len(finished_names) < len(runs):
        name_faster_backend(command)
    log_plan(plan, dataset)

    evaluated, time_is_over = [], False
    for run in runs:
        files = CheckpointFiles.for_model_folder(run.folder)
        if run.name in finished_names:
            log.info("%s: finished before, in %s", run.name, run.folder)
            if distribution.is_main_process():
                files.delete()  # killed between the two, the last run left both
                evaluated.append(_evaluate_again(finished[run.name], dataset.test))
            if publisher:
                publisher.push(run.folder, run.name)
            continue
        if time_is_over:
            continue  # to what is finished, which belongs in the report
        logs = (
            None if tensorboard is None or not distribution.is_main_process() else Path(tensorboard) / run.folder.name
        )
        with out_of_memory_as_user_error(run.training):
            repository = publisher.repository(run.name) if publisher else None
            model = _train(run, plan, dataset, files, limit_of_time, logs, command, commit, repository)
        if model is None:
            time_is_over = True
            continue
        evaluated.append(model)
        if publisher:
            publisher.push(run.folder, run.name)
    records = [model.record for model in evaluated]
    if evaluated:
        log.info("\n%s", results_table(records))
        if distribution.is_main_process():
            if sentences := conclusion(evaluated, dataset):
                log.info("%s", sentences)
            _write_report(plan.output_dir / REPORT_FILE, evaluated, dataset)
    return records


def _epochs_for(plan, dataset, hours, resume):
    """The number of epochs that all trainings of a plan do in so many hours, by measuring one of each variant.

    With `resume` it is the number of those that were begun, since a training goes on as it was begun.
    """
    runs = plan.runs()
    begun = None
    if resume and distribution.is_main_process():
        with os_error_as_user_error(plan.output_dir):
            begun = next(filter(None, (_epochs_of_begun(run) for run in runs)), None)
    begun = distribution.broadcast_json(begun)
    if begun is not None:
        return begun
    log.info("measuring the speed of this machine, which may take a minute for each variant")
    speeds = {}
    for run in runs:
        if run.variant not in speeds:
            train, validation = train_validation_splits(dataset, run.training)
            with out_of_memory_as_user_error(run.training):
                speeds[run.variant] = measure_speed(Trainer(run.model, run.training, train), validation)
    epochs = distribution.broadcast_json(epochs_within(3600 * hours, [speeds[run.variant] for run in runs]))
    log.info("--hours %g: %d epochs for each of %d models", hours, epochs, len(runs))
    return epochs


def _with_epochs(command, epochs):
    """A command with --epochs in the place of --hours, which gives other epochs on another machine."""
    return re.sub(r"--hours[ =]\S+", f"--epochs {epochs}", command)


def _epochs_of_begun(run):
    """The number of epochs of a training that was begun or finished; None where there is none."""
    if run.folder.exists():
        return read_model_folder(run.folder).record.training.epochs
    files = CheckpointFiles.for_model_folder(run.folder)
    return files.read()[0].fingerprint["epochs"] if files.state.exists() else None


def _finished(run, dataset):
    """The `ModelFolder` of a training that was finished before. Raises `UserError` if it was another one."""
    folder = read_model_folder(run.folder)
    record = folder.record
    train, validation = train_validation_splits(dataset, run.training)
    test_sha256 = split_sha256(dataset.test)
    require_same_settings(
        {
            "data": record.data,
            "classes": record.class_names,
            "start": record.started_from,
            # Of other numbers of images the splits are others: among those for the test are some that it has learned.
            "number of training images": record.num_train,
            "number of validation images": record.num_validation,
            "number of test images": record.num_test,
            "test images": record.test_sha256 or test_sha256,
            **config_dict(record.model, record.training),
        },
        {
            "data": dataset.name,
            "classes": dataset.class_names,
            "start": run.start and hide_outside_path(run.start.name),
            "number of training images": len(train.labels),
            "number of validation images": len(validation.labels),
            "number of test images": len(dataset.test.labels),
            "test images": test_sha256,
            **config_dict(run.model, run.training),
        },
        f"{run.folder} is a finished training",
        "another --output-dir trains anew beside it",
    )
    return folder


def _evaluate_again(folder, test):
    """The `EvaluatedModel` of a model folder, by the main process alone."""
    with distribution.single_device():
        logits = predict_logits(compile_prediction(folder.load_model()), test.images)
    return EvaluatedModel(folder.record, *top1_predictions(logits, test.labels))


def _load(source):
    # The main process first: it downloads or decodes the data, and the others read what it wrote.
    dataset = load_dataset(source) if distribution.is_main_process() else None
    distribution.broadcast_json(None)
    return load_dataset(source) if dataset is None else dataset


def _train(run, plan, dataset, files, time_limit, logs, command, commit, repository):
    """Train one model and write its folder; return its `EvaluatedModel`, or None where the time limit came first."""
    train, validation = train_validation_splits(dataset, run.training)
    with tensorboard_logs(logs) as on_epoch:
        fitted = fit(
            run.model,
            run.training,
            train,
            validation,
            files,
            run.name,
            time_limit,
            on_epoch,
            run.start and run.start.folder,
        )
    if fitted is None:
        return None
    predict = compile_prediction(fitted.model)
    logits = predict_logits(predict, validation.images)
    # The one time that the test split is read: everything is chosen by now.
    test_logits = predict_logits(predict, dataset.test.images)
    record = Record(
        preset=plan.preset,
        variant=run.variant,
        model=run.model,
        training=run.training,
        data=dataset.name,
        data_image_size=train.images.shape[1],
        class_names=dataset.class_names,
        num_train=len(train.labels),
        num_validation=len(validation.labels),
        num_test=len(dataset.test.labels),
        parameters=count_parameters(fitted.model),
        metrics={
            "validation": metrics(logits, validation.labels),
            "test": metrics(test_logits, dataset.test.labels),
        },
        unsure_below=unsure_threshold(logits, validation.labels),
        epochs_trained=len(fitted.history),
        epoch=fitted.best.epoch,
        averaged=fitted.best.averaged,
        overrides=changed_fields(plan.recipe, run.model, run.training),
        seconds=sum(epoch["seconds"] for epoch in fitted.history),
        images_per_second=len(fitted.history) / sum(1 / epoch["images_per_second"] for epoch in fitted.history),
        hardware=backend.describe_device(),
        versions=_versions(),
        commit=commit,
        command=command,
        date=datetime.date.today().isoformat(),
        started_from=run.start and hide_outside_path(run.start.name),
        test_sha256=split_sha256(dataset.test),
    )
    model = EvaluatedModel(record, *top1_predictions(test_logits, dataset.test.labels))
    taus = fitted.model.taus()
    if not distribution.is_main_process():
        return model
    curves = training_curves(VARIANTS[run.variant].title, fitted.history)
    card = model_card(record, taus, repository)
    examples = choose_examples(dataset.test, dataset.class_names, plan.num_examples, plan.source.path)
    try:
        with distribution.single_device():
            write_model_folder(run.folder, fitted.model, record, fitted.history, curves, card, examples)
    except OSError as error:
        raise UserError(
            f"The model folder {run.folder} could not be written ({error.strerror or error}); the training is safe in "
            f"{files.state}: make room and repeat the command with --resume."
        ) from error
    files.delete()
    log.info("%s: written to %s", run.name, run.folder)
    return model


def _write_report(path, models, dataset):
    try:
        with atomic_file(path) as temporary:
            temporary.write_text(report(models, dataset), encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{path} could not be written ({error.strerror or error}); the models are safe in their folders: repeat "
            "the command with --resume."
        ) from error
    log.info("report: %s", path)


def push_finished(paths, publisher):
    """Push model folders that lie on disk.

    Args:
        paths: model folders, or folders of them.
        publisher: a `hub.Publisher`.

    Raises:
        UserError: a folder is not whole, two are of the same name on the Hub, or the Hub does not let them in.
    """
    folders = {}
    for path in dict.fromkeys(folder.resolve() for given in paths for folder in find_model_folders(given)):
        name = _name_of(path, read_model_folder(path).record)
        if name in folders:
            raise UserError(
                f"{folders[name]} and {path} would both be {publisher.repository(name)}; give them one by one, each "
                "with a --push-to-hub of its own."
            )
        folders[name] = path
    publisher.check_access(folders)
    publisher.create_repositories(folders)
    for name, path in folders.items():
        publisher.push(path, name)


def _name_of(path, record):
    """The name that its plan gave to what became the model folder."""
    suffix = f"-seed{record.training.seed}"
    return f"{record.variant}{suffix if path.name.endswith(suffix) else ''}"


def write_preview(path, plan):
    """Write a PNG of a batch before and after the augmentation of a plan's recipe to `path`.

    Raises:
        UserError: something the user gave or has cannot be used.
    """
    backend.require_supported_backend()
    if not path.name or path.is_dir():
        raise UserError(f"--preview-augmentation {path} is a folder; a file name such as batch.png would be right.")
    plan.runs()  # what cannot be is found before the data is read
    dataset = _load(plan.source)
    run = plan.for_data(dataset).runs()[0]
    train, _ = train_validation_splits(dataset, run.training)
    title = f"{dataset.name}, preset {plan.preset}: images, and below each what augmentation makes of it"
    png = preview_augmentation(title, run.model, run.training, train, dataset.class_names)
    try:
        with atomic_file(path) as temporary:
            temporary.write_bytes(png)
    except OSError as error:
        raise UserError(f"--preview-augmentation {path} could not be written ({error.strerror or error}).") from error
    log.info("written to %s", path)


def results_table(records):
    """Top-1 and top-5 on the test split of each variant, as lines of text; mean +- standard deviation over seeds."""
    lines = [f"{'':20}{'parameters':>12}{'seeds':>7}{'test top-1':>18}{'test top-5':>18}{'time':>12}"]
    for variant in dict.fromkeys(record.variant for record in records):
        group = [record for record in records if record.variant == variant]
        top1, top5 = (mean_and_deviation([record.metrics["test"][key] for record in group]) for key in ("top1", "top5"))
        minutes = f"{sum(record.seconds for record in group) / 60:.1f} min"
        lines.append(
            f"{VARIANTS[variant].title:20}{group[0].parameters:>12,}{len(group):>7}{top1:>18}{top5:>18}{minutes:>12}"
        )
    return "\n".join(lines)


def _require_free(folders):
    for folder in folders:
        if folder.exists():
            raise UserError(
                f"{folder} is already there; --resume keeps it, another --output-dir trains anew beside it."
            )
        if CheckpointFiles.for_model_folder(folder).state.exists():
            raise UserError(
                f"{CheckpointFiles.for_model_folder(folder).state} is an unfinished training; "
                "--resume goes on with it, another --output-dir trains anew beside it."
            )


def _require_writable(folder, option):
    """Find out before the training, not after its first epoch."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(
            f"{option} {folder} cannot be written to ({error.strerror}); a folder of yours would be right."
        ) from error


def _versions():
    return {
        "smallvit": __version__,
        "python": platform.python_version(),
        "keras": version("keras"),
        "backend": backend.backend_version(),
        "numpy": version("numpy"),
    }


def hide_outside_path(text):
    """What a record, which is published with its model, tells of a path: where it leads out, its last part alone.

    What is no path comes back as it is.
    """
    path = Path(text)
    leads_out = path.is_absolute() or text.startswith("~") or ".." in path.parts
    return path.name if leads_out else text


def git_commit():
    """The commit of the code that runs, with "-dirty" where files differ from it; None outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        status = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}-dirty" if status else commit
