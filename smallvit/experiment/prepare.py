"""Stage 2: read the data and fit the plan to it."""

import dataclasses
import logging
import re
from typing import NamedTuple

from smallvit.data import Dataset, load_dataset
from smallvit.device.backend import out_of_memory_as_user_error
from smallvit.device.distribution import broadcast_json, is_main_process
from smallvit.errors import os_error_as_user_error
from smallvit.experiment.check import Checked
from smallvit.experiment.options import ExperimentOptions
from smallvit.experiment.plan import Plan
from smallvit.experiment.splits import run_splits
from smallvit.training.speed import epochs_within, measure_speed
from smallvit.training.time_limit import TimeLimit
from smallvit.training.trainer import Trainer

log = logging.getLogger(__name__)


class Prepared(NamedTuple):
    """What `prepare` returns: `Checked` with the data.

    Attributes:
        options: the options; the command has `--epochs` instead of `--hours`.
        plan: the `Plan`, fitted to the data.
        time_limit, commit: see `Checked`.
        dataset: the `Dataset`.
    """

    options: ExperimentOptions
    plan: Plan
    time_limit: TimeLimit
    commit: str | None
    dataset: Dataset


def prepare(checked: Checked) -> Prepared:
    """Read the data, fit the preset to it, and choose the number of epochs for `--hours`.

    Raises:
        UserError: the data cannot be read, or cannot be trained on with these options.
    """
    options = checked.options
    # The main process reads first: several processes of one host must not download to the same file at once.
    dataset = load_dataset(checked.plan.source) if is_main_process() else None
    broadcast_json(None)  # waits until the main process has read
    dataset = dataset or load_dataset(checked.plan.source)
    plan = checked.plan.fit_to_data(dataset)
    begun = _first_begun(plan) if options.resume and is_main_process() else None
    # What was measured when the training was begun, it keeps: another measurement may differ.
    recipe = begun.recipe_begun_with() if begun else {}
    plan = plan._replace(auto_precision=broadcast_json(recipe.get("precision")))
    if options.hours is not None:
        epochs = broadcast_json(recipe.get("epochs")) or _epochs_for_hours(plan, dataset, options.hours)
        plan = plan.with_epochs(epochs)
        # On another machine, --hours would give another number of epochs.
        command = re.sub(r"--hours[ =]\S+", f"--epochs {epochs}", options.repeat_command)
        options = dataclasses.replace(options, repeat_command=command)
    return Prepared(options, plan, checked.time_limit, checked.commit, dataset)


def _first_begun(plan):
    """The first run that was begun before; None, with a warning, if there is none."""
    with os_error_as_user_error(plan.output_dir):
        begun = next((run for run in plan.runs() if run.is_begun()), None)
    if begun is None:
        log.warning("--resume: there is nothing to continue in %s", plan.output_dir)
    return begun


def _epochs_for_hours(plan, dataset, hours):
    """The number of epochs with which all runs together take `hours`. One run of each variant is measured."""
    runs, speeds = plan.runs(), {}
    log.info("measuring the speed of this machine, which may take a minute for each variant")
    for run in runs:
        if run.variant not in speeds:
            train, validation, _ = run_splits(dataset, run)
            with out_of_memory_as_user_error(run.training.batch_size):
                speeds[run.variant] = measure_speed(Trainer(run.model, run.training, train), validation)
    epochs = broadcast_json(epochs_within(3600 * hours, [speeds[run.variant] for run in runs]))
    log.info("--hours %g: %d epochs for each of %d models", hours, epochs, len(runs))
    return epochs
