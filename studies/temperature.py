"""What tau and the mask of LSA do to the answers of trained models: `python -m studies.temperature`.

For each model, without any training: top-1 on the test images, and how many answers change,

- when every tau is multiplied by a factor (without LSA the constant tau = sqrt(head_dim) is multiplied);
- with LSA, when the mask is off, so that patches attend to themselves again;
- with LSA, when every tau is sqrt(head_dim), where it started.

--update-docs writes assets/temperature.json, which the page reads: see studies/common.py.
"""

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from smallvit.data import Dataset
from smallvit.device import compilation
from smallvit.evaluation.predict import predict_logits
from smallvit.model_folder.folder import ModelFolder
from smallvit.report.results_page import markdown_table
from studies import common
from studies.common import percent, rounded_mean, standard_error

NAME = "temperature"
FACTORS = (0.1, 0.18, 0.25, 0.35, 0.5, 0.71, 1, 1.41, 2, 2.8, 4, 5.6, 8)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code: 0 done, 2 bad input."""
    parser = common.build_parser(NAME, "Measure trained models with another tau, and without the mask of LSA.")
    measure = functools.partial(common.measure_each, measure_model, {"factors": list(FACTORS)})
    return common.run(NAME, parser, measure, format_tables, arguments)


def measure_model(folder: ModelFolder, dataset: Dataset) -> dict[str, Any]:
    """Measure one model on the test split.

    Returns:
        "factors"; "top1" and "changed" (the share of answers that differ from those of the unchanged model), one
        number for each factor; "mask_off" and "fixed": {"top1", "changed"}, None without LSA.
    """
    model, split = folder.load_model(), dataset.test
    answer = answer_function(model)
    unchanged = answer(split.images)

    def compare(answers: np.ndarray) -> dict[str, float]:
        return {"top1": rounded_mean(answers == split.labels), "changed": rounded_mean(answers != unchanged)}

    by_factor = [compare(unchanged if factor == 1 else answer(split.images, factor=factor)) for factor in FACTORS]
    mask_off = fixed = None
    if model.config.use_lsa:
        mask_off = compare(answer(split.images, mask=False))
        for block in model.blocks:
            block.attention.set_tau(ops.full_like(block.attention.tau(), model.config.initial_tau))
        fixed = compare(answer(split.images))
    return {
        "factors": list(FACTORS),
        "top1": [one["top1"] for one in by_factor],
        "changed": [one["changed"] for one in by_factor],
        "mask_off": mask_off,
        "fixed": fixed,
    }


def answer_function(model: keras.Model) -> Callable[..., np.ndarray]:
    """Return a function that classifies images with changed attention.

    The function takes images uint8 [n, H, W, 3], `factor` (every tau is multiplied by it) and `mask` (False switches
    the mask of LSA off), and returns the predicted classes int [n]. It reads the model's current weights.
    """
    predict = compilation.compile_function(
        lambda images, factors, mask: model.intermediates(images, factors, mask).logits, model.variables
    )

    def answer(images: np.ndarray, factor: float = 1, mask: bool = True) -> np.ndarray:
        factors = ops.convert_to_tensor(np.full(model.config.depth, factor, np.float32))
        switch = ops.convert_to_tensor(np.float32(mask))
        return predict_logits(lambda batch: predict(batch, factors, switch), images).argmax(axis=1)

    return answer


def format_tables(measured: dict[str, Any]) -> str:
    """Format {name: entry} as Markdown: the provenance, then a table."""
    entries = list(measured.values())
    titles = common.titles_by_name(measured)
    return "\n\n".join(
        [
            common.format_images(entries),
            common.format_provenance(entries, titles),
            "Top-1 ± its standard error, and in brackets the share of answers that change, %:",
            markdown_table(["tau", *titles], _rows(entries)),
        ]
    )


def _rows(entries: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    for index, factor in enumerate(FACTORS):
        cells = [{name: entry[name][index] for name in ("top1", "changed")} for entry in entries]
        title = "as trained" if factor == 1 else f"x {factor:g}"
        yield [title, *(_cell(cell, entry["n"]) for cell, entry in zip(cells, entries, strict=True))]
    for name, title in (("mask_off", "as trained, mask off"), ("fixed", "√(head_dim)")):
        yield [title, *(_cell(entry[name], entry["n"]) for entry in entries)]


def _cell(measured: dict[str, float] | None, n: int) -> str:
    if measured is None:
        return "-"
    error = standard_error(measured["top1"], n)
    return f"{percent(measured['top1'])} ± {percent(error)} ({percent(measured['changed'])})"


if __name__ == "__main__":
    sys.exit(main())
