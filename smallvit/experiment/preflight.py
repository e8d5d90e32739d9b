"""Stage 3: what is said and checked before the first training, which may take hours."""

from pathlib import Path
from typing import NamedTuple

from smallvit.data import Dataset, Findings
from smallvit.data.findings import FINDINGS_FILE
from smallvit.device.distribution import broadcast_json, is_main_process
from smallvit.errors import UserError, os_error_as_user_error, write_error_as_user_error
from smallvit.experiment.log_plan import (
    log_dry_run,
    log_faster_backend,
    log_findings,
    log_plan,
    warn_of_absent_classes,
    warn_of_leakage,
)
from smallvit.experiment.options import ExperimentOptions
from smallvit.experiment.plan import Plan
from smallvit.experiment.prepare import Prepared
from smallvit.experiment.splits import run_splits
from smallvit.files import atomic_file, hide_outside_path
from smallvit.model_folder.folder import ModelFolder, read_model_folder
from smallvit.training.fingerprint import config_dict, require_same_settings
from smallvit.training.time_limit import TimeLimit


class Ready(NamedTuple):
    """What `preflight` returns: `Prepared` with the finished runs.

    Attributes:
        options, plan, time_limit, commit, dataset: see `Prepared`.
        finished: {name of a run that was finished before: its `ModelFolder`}; None instead of the folder in all
            processes but the main one.
    """

    options: ExperimentOptions
    plan: Plan
    time_limit: TimeLimit
    commit: str | None
    dataset: Dataset
    finished: dict[str, ModelFolder | None]


def preflight(prepared: Prepared) -> Ready:
    """Warn, and find the finished runs; for `--dry-run`, say what would be trained.

    Raises:
        UserError: a finished run was another training, or the list of findings cannot be written.
    """
    options, plan, dataset = prepared.options, prepared.plan, prepared.dataset
    runs = plan.runs()
    if is_main_process():
        warn_of_leakage(runs, dataset)
        warn_of_absent_classes(runs, dataset)
    if options.dry_run:
        if dataset.findings:
            log_findings(dataset.findings)
        log_faster_backend(options.typed_command)
        log_dry_run(plan, dataset)
        return Ready(*prepared, {})
    finished: dict[str, ModelFolder | None] = {}
    if is_main_process():
        with os_error_as_user_error(plan.output_dir):
            finished.update((run.name, _load_finished_run(run, dataset)) for run in runs if run.folder.exists())
        if dataset.findings:
            with write_error_as_user_error(f"--output-dir {plan.output_dir}"):
                plan.output_dir.mkdir(parents=True, exist_ok=True)
            log_findings(dataset.findings, _write_findings(dataset.findings, plan.output_dir))
    if options.publisher:  # last, because the repositories stay on the Hub
        options.publisher.create_repositories([run.name for run in runs])
    finished = {name: finished.get(name) for name in broadcast_json(list(finished))}
    if len(finished) < len(runs) and not options.resume:  # a checkpoint belongs to its backend
        log_faster_backend(options.typed_command)
    log_plan(plan, dataset)
    return Ready(*prepared, finished)


def _load_finished_run(run, dataset):
    """The `ModelFolder` of a run that was finished before. Raises `UserError` if it was another training."""
    folder = read_model_folder(run.folder)
    record = folder.record
    splits = run_splits(dataset, run)
    train_sha256, test_sha256 = splits[0].sha256(), splits[2].sha256()

    # If the numbers of images differ, so do the splits: some test images may have been training images.
    names = [f"number of {name} images" for name in ("training", "validation", "test")]
    counts_before = record.num_train, record.num_validation, record.num_test
    counts_now = [len(split.labels) for split in splits]
    recipe_before, recipe_now = config_dict(record.model, record.training), config_dict(run.model, run.training)
    what, advice = f"{run.folder} is a finished training", "another --output-dir trains anew beside it"
    deciding = ("seed", "split", "validation_split")  # which images are in which split
    require_same_settings(
        {
            "data": record.data,
            "initial model": record.started_from,
            **{name: recipe_before[name] for name in deciding},
        },
        {
            "data": dataset.name,
            "initial model": run.initial and hide_outside_path(run.initial.name),
            **{name: recipe_now[name] for name in deciding},
        },
        what,
        advice,
    )
    counts = (dict(zip(names, values, strict=True)) for values in (counts_before, counts_now))
    require_same_settings(*counts, f"The data has changed since: {what}", advice)
    for name, before, now in (
        ("classes", record.class_names, dataset.class_names),
        ("training images", record.train_sha256 or train_sha256, train_sha256),
        ("test images", record.test_sha256 or test_sha256, test_sha256),
    ):
        if before != now:
            raise UserError(f"The data has changed since: {what} on other {name}; {advice}.")
    require_same_settings(recipe_before, recipe_now, what, advice)
    return folder


def _write_findings(findings: Findings, folder: Path) -> Path | None:
    """Write the list of equal and similar images; return its path, or None if there are none."""
    if not findings.equal and not findings.similar:
        return None
    file = folder / FINDINGS_FILE
    with write_error_as_user_error(file, "make room, or give another --output-dir"), atomic_file(file) as temporary:
        findings.write_csv(temporary)
    return file
