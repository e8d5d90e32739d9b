"""Stage 5: push each finished model to the Hub; then the table and the report."""

import logging
from collections.abc import Iterable
from pathlib import Path

from smallvit.device.distribution import is_main_process
from smallvit.errors import write_error_as_user_error
from smallvit.experiment.pool_folds import pool_folds
from smallvit.experiment.preflight import Ready
from smallvit.experiment.train import FinishedRun
from smallvit.files import atomic_file
from smallvit.report import conclusion, report
from smallvit.report.format import mean_and_deviation

REPORT_FILE = "report.html"

log = logging.getLogger(__name__)


def publish(ready: Ready, finished_runs: Iterable[FinishedRun]) -> list[Path]:
    """Push each run as soon as it is finished; log the table of results and write the report at the end.

    Returns:
        The model folders of the runs.

    Raises:
        UserError: the report could not be written.
    """
    finished, folders = [], []
    for finished_run in finished_runs:
        finished.append(finished_run)
        folders.append(finished_run.run.folder)
        if ready.options.publisher:
            ready.options.publisher.push(finished_run.run.folder, finished_run.run.name)
    models, dataset = [one.model for one in finished], ready.dataset
    if not models:
        return []
    if dataset.num_folds:
        if len(finished) < len(ready.plan.runs()):
            if is_main_process():  # only this one counts the runs that were finished before
                log.warning("No report yet: not all %d folds are trained. Continue with --resume", dataset.num_folds)
            return folders
        models, dataset = pool_folds(finished, dataset), dataset._replace(test=dataset.train)
    log.info("\n%s", _format_results([model.record for model in models]))
    if is_main_process():
        if sentences := conclusion(models, dataset):
            log.info("%s", sentences)
        _write_report(ready.plan.output_dir / REPORT_FILE, models, dataset)
    return folders


def _write_report(path, models, dataset):
    html = report(models, dataset)
    advice = "the models are safe in their folders: make room and repeat the command with --resume"
    with write_error_as_user_error(path, advice), atomic_file(path) as temporary:
        temporary.write_text(html, encoding="utf-8")
    log.info("report: %s", path)


def _format_results(records) -> str:
    """The accuracy of each variant on the test split as a table; mean and standard deviation over seeds.

    Args:
        records: a list of `Record`s.
    """
    columns = {"top1": "test accuracy", "top5": "test top-5"}
    if not records[0].shows_top5:
        del columns["top5"]
    titles = "".join(f"{title:>18}" for title in columns.values())
    lines = [f"{'':20}{'parameters':>12}{'seeds':>7}{titles}{'time':>12}"]
    for variant in dict.fromkeys(record.variant for record in records):
        group = [record for record in records if record.variant == variant]
        shares = [mean_and_deviation([record.metrics["test"][key] for record in group], 2) for key in columns]
        minutes = f"{sum(record.seconds for record in group) / 60:.1f} min"
        cells = "".join(f"{share:>18}" for share in shares)
        lines.append(f"{group[0].variant_title:20}{group[0].parameters:>12,}{len(group):>7}{cells}{minutes:>12}")
    return "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")  # which not every console can show
