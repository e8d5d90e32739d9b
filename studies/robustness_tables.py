"""The tables of docs/results.md on what `studies.robustness` measures."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from smallvit.config import VARIANTS
from smallvit.report.results_page import markdown_table
from studies import common
from studies.common import percent


def format_tables(measured: dict[str, Any]) -> str:
    """Format what `robustness.measure_models` yielded as Markdown: provenance, then tables with explanations."""
    titles = common.model_titles(measured["models"])
    parts = [
        "On {num_images:,} test images ({data}), with noise of seed {seed}:".format(**measured),
        common.format_provenance(measured["models"], titles),
    ]
    for explanation, columns, num_text_columns, rows in _tables(measured, titles):
        parts += [explanation, markdown_table(columns, rows, num_text_columns)]
    return "\n\n".join(parts)


def _tables(measured: dict[str, Any], titles: list[str]) -> Iterator[tuple[str, list[str], int, list[list[str]]]]:
    """Yield (explanation, columns, number of text columns, rows) of each table."""
    models, pairs = measured["models"], measured["pairs"]
    first = models[0]

    def row(header, format_cell):
        return [header.replace("_", " "), *map(format_cell, models)]

    yield (
        "Top-1 when the image is moved by so many pixels along x or y, whichever is more, and in brackets the "
        "consistency, how often the answer stays that for the unmoved image, %:",
        ["moved by", *titles],
        1,
        [
            row("0 px", lambda model: f"{percent(model['top1'])} (100.0)"),
            *(
                row(
                    "all moves" if key == "all" else f"{key} px",
                    lambda model, key=key: "{} ({})".format(
                        *(percent(model["shifts"][name][key]) for name in ("top1", "consistency"))
                    ),
                )
                for key in first["shifts"]["top1"]
            ),
        ],
    )
    yield (
        "Top-1 under corruptions, the mean of severities 1 to 5, and in brackets each of them, %:",
        ["corruption", *titles],
        1,
        [
            row("none", lambda model: percent(model["top1"])),
            *(
                row(name, lambda model, name=name: _severities(model["corruptions"][name]))
                for name in first["corruptions"]
            ),
            row("mean of all", lambda model: percent(np.mean(list(model["corruptions"].values())))),
        ],
    )
    if pairs:
        counts = ("both_right", "only_first", "only_second", "both_wrong", "disagree")
        title_of = {model["folder"]: title for model, title in zip(models, titles, strict=True)}
        yield (
            "Where two models disagree, and who is right, in images; p of McNemar's exact test:",
            ["first", "second", *(name.replace("_", " ") for name in counts), "p"],
            2,
            [
                [title_of[pair["first"]], title_of[pair["second"]]]
                + [f"{pair[name]:,}" for name in counts]
                + [f"{pair['p_value']:.2g}"]
                for pair in pairs
            ],
        )
    num_layers = max(len(model["attention_distance"]) for model in models)
    yield (
        f"Mean attention distance by layer, px, over {first['attention_images']:,} images, and in brackets the "
        "tau of each head where it is learned; in the first row that of patches that look everywhere alike, and where "
        "tau starts:",
        ["layer", *titles],
        1,
        [
            row(str(layer) if layer else "uniform", lambda model, layer=layer: _layer(model, layer))
            for layer in range(num_layers + 1)
        ],
    )
    if all(model["superclasses"] for model in models):
        yield (
            "Top-1 by superclass, %:",
            ["superclass", *titles],
            1,
            [
                row(name, lambda model, name=name: percent(model["superclasses"][name]))
                for name in first["superclasses"]
            ],
        )


def _severities(top1: list[float]) -> str:
    return f"{percent(np.mean(top1))} ({', '.join(f'{100 * share:.0f}' for share in top1)})"


def _layer(model: dict[str, Any], layer: int) -> str:
    """The cell of a layer from 1; 0 stands for uniform attention and the initial tau."""
    distances = [model["uniform_distance"], *model["attention_distance"]]
    if layer >= len(distances):
        return "-"
    taus = [[model["tau_start"]], *model["tau"]][layer] if VARIANTS[model["variant"]].use_lsa else []
    return f"{distances[layer]:.1f}" + (f" ({', '.join(f'{tau:.2f}' for tau in taus)})" if taus else "")
