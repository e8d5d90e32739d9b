"""An experiment: variants and seeds of one recipe, from the options of a command to model folders and a report.

The five stages, in this order, each in the file of its name: `check` (all that needs no data), `prepare` (the data, and
the plan fitted to it), `preflight` (warnings, finished runs, the dry run), `train` (each run), `publish` (Hub, table,
report).
"""

import logging
from pathlib import Path

from smallvit.device.distribution import distributed, is_main_process
from smallvit.experiment import check, preflight, prepare, publish, train
from smallvit.experiment.options import ExperimentOptions


def run_experiment(options: ExperimentOptions) -> list[Path]:
    """Train what the options ask for. Each run becomes a model folder; all finished runs go into one report.

    Returns:
        The folders of the finished runs; none for a dry run.

    Raises:
        UserError: something the user gave or has cannot be used.
    """
    with distributed(options.devices, options.coordinator, options.process_id, options.processes):
        if not is_main_process():
            logging.getLogger("smallvit").setLevel(logging.WARNING)
        ready = preflight.preflight(prepare.prepare(check.check(options)))
        return [] if options.dry_run else publish.publish(ready, train.train(ready))
