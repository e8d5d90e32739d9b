"""What the browser is told about models, examples and results: the JSON in the page."""

import os
from collections.abc import Sequence
from typing import Any

from smallvit.data.cifar100_superclasses import SUPERCLASSES
from smallvit.inference.translation import MAX_TRANSLATION
from smallvit.limits import (
    MAX_IMAGE_BYTES,
    MAX_PIXELS,
    MAX_PIXELS_OF_FORMAT,
    MAX_TAU_FACTOR,
    MAX_UPLOAD_AGE_SECONDS,
    MAX_WAITING_REQUESTS,
    MIN_TAU_FACTOR,
    UPLOAD_CLEANUP_SECONDS,
)
from smallvit.page.server.examples import OPENING_EXAMPLE
from smallvit.page.server.models import ModelStore
from smallvit.page.server.photos import Photos
from smallvit.page.server.visible_paths import shown_path
from smallvit.report.published_results import Result, with_folders
from smallvit.report.study_results import Measurements


def page_data(
    models: ModelStore, photos: Photos, problems: Sequence[str], results: Sequence[Result], measured: Measurements
) -> dict[str, Any]:
    """Return what the page needs before its first request, as JSON values.

    Args:
        models: the models of the page.
        photos: the examples and test images.
        problems: sentences about what could not be read.
        results: published results.
        measured: what the studies measured about the models.
    """
    return {
        **models_data(models),
        "examples": [
            {"id": name} | {field: value for field, value in example._asdict().items() if field != "path"}
            for name, example in photos.examples.items()
        ],
        "opening": OPENING_EXAMPLE if OPENING_EXAMPLE in photos.examples else next(iter(photos.examples), None),
        "superclass": {name: superclass for superclass, names in SUPERCLASSES.items() for name in names},
        "disagreement": measured.disagreement,
        "consistency": measured.consistency,
        "temperature": measured.temperature,
        "results": _results(models, results),
        "limits": {
            "bytes": MAX_IMAGE_BYTES,
            "megapixels": [MAX_PIXELS // 10**6, *(n // 10**6 for n in MAX_PIXELS_OF_FORMAT.values())],
            "factor": [MIN_TAU_FACTOR, MAX_TAU_FACTOR],
            "translation": MAX_TRANSLATION,
            "waiting": MAX_WAITING_REQUESTS,
            "minutes_kept": (MAX_UPLOAD_AGE_SECONDS + UPLOAD_CLEANUP_SECONDS) // 60,
        },
        "source_code": _source(),
        "test_class_names": photos.test_images and photos.test_images.class_names,
        "problems": list(problems),
    }


def models_data(models: ModelStore) -> dict[str, Any]:
    """Return what changes while models are loaded or downloaded: "models", "pair" and the classes."""
    titles = _short_titles(models)
    coming = [{"name": str(model), "status": problem or "downloading"} for model, problem in models.downloads.items()]
    here = [_model(models, name, titles[name]) for name in models.folders]
    return {
        "models": [*here, *coming],
        "pair": list(models.default_pair) if here else [],
        "class_names": _class_lists(models),
    }


def _model(models: ModelStore, name: str, title: str) -> dict[str, Any]:
    folder, record, config = models.folders[name], models.record(name), models.record(name).model
    explainer = models.loaded(name)
    return {
        "name": name,
        "title": title,
        "variant": record.variant,
        "image_size": config.image_size,
        "patch_size": config.patch_size,
        "grid_size": config.grid_size,
        "depth": config.depth,
        "num_heads": config.num_heads,
        "head_dim": config.head_dim,
        "embed_dim": config.embed_dim,
        "use_spt": config.use_spt,
        "use_lsa": config.use_lsa,
        "tau": None if explainer is None else explainer.taus.tolist(),
        "initial_tau": config.initial_tau,
        "parameters": record.parameters,
        "classes": _class_lists(models).index(record.class_names),
        "data": record.data,
        "num_train": record.num_train,
        "data_image_size": record.data_image_size,
        "fair_group": _fair_group(models, name),
        "test": _split(record.metrics["test"], record.num_test),
        "validation": _split(record.metrics["validation"], record.num_validation),
        "history": folder.history,
        "source": (
            {"repo": models.repo_id(name), "commit": models.commits[name]}
            if name in models.commits
            else {"folder": shown_path(folder.path)}
        ),
        "status": "here",
    }


def _short_titles(models: ModelStore) -> dict[str, str]:
    """{name: title}: the variant alone where no other model has it, else with preset and seed."""
    variants = [folder.record.variant for folder in models.folders.values()]
    return {
        name: folder.record.variant_title if variants.count(folder.record.variant) == 1 else title
        for (name, title), folder in zip(models.titles_with_preset.items(), models.folders.values(), strict=True)
    }


def _class_lists(models: ModelStore) -> list[list[str]]:
    lists: list[list[str]] = []
    for folder in models.folders.values():
        if folder.record.class_names not in lists:
            lists.append(folder.record.class_names)
    return lists


def _fair_group(models: ModelStore, name: str) -> int:
    """The place of the first model that differs from this one in SPT and LSA alone, or is this one."""
    names = list(models.folders)
    return next(place for place, other in enumerate(names) if other == name or models.is_fair_pair(other, name))


def _split(metrics: dict[str, float], count: int) -> dict[str, Any]:
    return {"top1": metrics["top1"], "n": count}


def _results(models: ModelStore, published: Sequence[Result]) -> list[list[Any]]:
    """The rows of the table: model, preset, data, epochs, seed, parameters, top-1, top-5 (%), minutes, hardware."""
    folders = models.folders.values()
    shown = {folder.record.data for folder in folders}
    return [
        [
            result.variant_title,
            result.preset,
            result.data,
            result.epochs_trained,
            result.seed,
            result.parameters,
            round(100 * result.test["top1"], 2),
            round(100 * result.test["top5"], 2),
            round(result.seconds / 60, 1),
            result.hardware,
        ]
        for result in with_folders([one for one in published if one.data in shown], folders)
    ]


def _source() -> str | None:
    """The address of the source code, on a Space."""
    space = os.environ.get("SPACE_ID")
    return f"https://huggingface.co/spaces/{space}/tree/main" if space else None
