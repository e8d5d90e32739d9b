"""Stage 1: check all that needs no data, before minutes go into reading it."""

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import NamedTuple

from smallvit.data.source import require_valid
from smallvit.device.backend import require_supported_backend
from smallvit.device.distribution import broadcast_json, is_main_process
from smallvit.errors import UserError, os_error_as_user_error
from smallvit.experiment.options import ExperimentOptions
from smallvit.experiment.plan import Plan, make_plan
from smallvit.experiment.provenance import git_commit
from smallvit.training.epoch_loggers import require_installed
from smallvit.training.fingerprint import require_same_settings
from smallvit.training.time_limit import TimeLimit

# Options that may differ between the processes of one experiment.
_PER_PROCESS_OPTIONS = {
    *("typed_command", "repeat_command", "coordinator", "process_id", "data", "output_dir", "tensorboard", "resume"),
    *("time_limit", "publisher"),
}


class Checked(NamedTuple):
    """What `check` returns.

    Attributes:
        options: the options; only the main process keeps the publisher.
        plan: the `Plan`, not yet fitted to the data.
        time_limit: counts from now.
        commit: of the code; read now, because the checkout may change during the training.
    """

    options: ExperimentOptions
    plan: Plan
    time_limit: TimeLimit
    commit: str | None


def check(options: ExperimentOptions) -> Checked:
    """Check backend, options, output folder and access to the Hub.

    Raises:
        UserError: the experiment is not possible.
    """
    require_supported_backend()
    shared = {name: value for name, value in vars(options).items() if name not in _PER_PROCESS_OPTIONS}
    shared = json.loads(json.dumps(shared))
    require_same_settings(
        broadcast_json(shared),
        shared,
        "Process 0 was started with options",
        "start all processes with the same options",
    )
    if options.time_limit is not None and not options.time_limit > 0:
        raise UserError(f"--time-limit is {options.time_limit:g}; it must be more than 0 minutes.")
    if options.hours is not None and not options.hours > 0:
        raise UserError(f"--hours is {options.hours:g}; it must be more than 0.")
    if options.tensorboard is not None:
        require_installed("--tensorboard", "tensorflow", "tensorboard")
    if options.track is not None:
        require_installed(f"--track {options.track}", options.track)
    require_valid(options.source)
    plan = make_plan(options)
    runs = plan.runs()
    if not is_main_process():
        options = dataclasses.replace(options, publisher=None)
    elif not options.dry_run:
        if not options.resume:
            _require_not_begun(plan.output_dir, runs)
        _require_writable(plan.output_dir, "--output-dir")
        if options.tensorboard is not None:
            _require_writable(options.tensorboard, "--tensorboard")
    if options.publisher:
        options.publisher.check_access([run.name for run in runs])
    seconds = None if options.time_limit is None else 60 * options.time_limit
    return Checked(options, plan, TimeLimit(seconds), git_commit())


def _require_not_begun(output_dir, runs):
    """Raise `UserError` if one of the runs has been begun."""
    with os_error_as_user_error(output_dir):
        for run in runs:
            if run.folder.exists():
                raise UserError(
                    f"{run.folder} is already there; --resume keeps it, another --output-dir trains anew beside it."
                )
            if run.checkpoint.state.exists():
                raise UserError(
                    f"{run.checkpoint.state} is an unfinished training; --resume continues it, another --output-dir "
                    "trains anew beside it."
                )


def _require_writable(folder, option):
    """Fail early: check that the folder is writable, or can be made, before the data is read."""
    try:
        folder = Path(folder)
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:
        raise UserError(
            f"{option} {folder} cannot be written to ({error.strerror}); give a folder that is yours and has room."
        ) from error
