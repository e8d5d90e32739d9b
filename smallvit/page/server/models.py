"""`ModelStore`: the models that the page shows. Records are read at once, models are loaded when they are needed."""

import logging
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np

from smallvit.config import VARIANTS
from smallvit.errors import UserError
from smallvit.hub.download import HubModel, download_model_folder
from smallvit.inference.explainer import Explainer
from smallvit.inference.translation import MAX_TRANSLATION
from smallvit.model_folder.folder import RECORD_FILE, ModelFolder, read_model_folder
from smallvit.model_folder.record import Record
from smallvit.page.server.errors import PageError
from smallvit.page.server.visible_paths import hide_folder

log = logging.getLogger(__name__)

RETRY_SECONDS = 60
"""A download that failed is tried again by the first visitor after so long."""


class ModelStore:
    """The models of the page, each under a unique name: the name of its folder, or of its repo on the Hub.

    Args:
        paths: model folders. A folder that cannot be read is left out and reported in `problems`.
        hub_models: models on the Hub; `start_downloads` downloads them.

    Attributes:
        folders: {name: `ModelFolder`}, in the order of `VARIANTS`: plain models first, models with both ideas last.
        commits: {name: commit} of the models from the Hub.
        problems: one sentence for each folder that could not be read.
        downloads: {`HubModel`: error message, or None during the download} of the Hub models that are not here.
    """

    def __init__(self, paths: Iterable[str | Path], hub_models: Iterable[HubModel] = ()) -> None:
        self.folders: dict[str, ModelFolder] = {}
        self.commits: dict[str, str] = {}
        self.problems: list[str] = []
        self.downloads: dict[HubModel, str | None] = dict.fromkeys(hub_models)
        self._running_downloads: set[HubModel] = set()
        self._last_start = 0.0
        self._loading: dict[str, Future[Explainer]] = {}
        self._lock = threading.Lock()
        self._loaders = ThreadPoolExecutor(2, thread_name_prefix="models")
        self._background = ThreadPoolExecutor(1, thread_name_prefix="models-background")
        for path in paths:
            try:
                self._add(Path(path).resolve().name, read_model_folder(path))
            except UserError as error:
                log.warning("%s", error)
                self.problems.append(hide_folder(error, path))

    def _add(self, name: str, folder: ModelFolder) -> str:
        with self._lock:
            unique, count = name, 1
            while unique in self.folders:
                count += 1
                unique = f"{name}-{count}"
            order = list(VARIANTS)
            items = [*self.folders.items(), (unique, folder)]
            # A new dict, because other threads may be reading the old one.
            self.folders = dict(sorted(items, key=lambda item: order.index(item[1].record.variant)))
            return unique

    def start_downloads(self) -> None:
        """Start to download the Hub models that are not here, in the background; failed downloads are retried."""
        with self._lock:
            started = [model for model in self.downloads if model not in self._running_downloads]
            self._running_downloads.update(started)
            self._last_start = time.monotonic()
            self.downloads = {**self.downloads, **dict.fromkeys(started)}
        for model in started:
            self._background.submit(self._download, model)

    def retry_downloads(self) -> None:
        """Start failed downloads once more, unless the last try was less than `RETRY_SECONDS` ago."""
        if any(self.downloads.values()) and time.monotonic() - self._last_start > RETRY_SECONDS:
            self.start_downloads()

    def _download(self, model: HubModel) -> None:
        problem: dict[HubModel, str | None] = {}
        try:
            folder, commit = download_model_folder(model)
            self.commits[self._add(str(model), folder)] = commit
            self.preload_default_pair()
        except UserError as error:
            log.warning("%s", error)
            problem = {model: str(error)}
        except Exception:
            log.exception("%s could not be downloaded", model)
            problem = {model: f"{model} could not be downloaded."}
        with self._lock:
            self._running_downloads.remove(model)
            self.downloads = {other: state for other, state in self.downloads.items() if other != model} | problem

    def weights(self) -> dict[str, str]:
        """{name: SHA-256 of the weights}."""
        return {name: folder.weights_sha256 for name, folder in self.folders.items()}

    def loaded(self, name: str) -> Explainer | None:
        """Return the explainer of a model if it is loaded already; never waits, starts nothing."""
        future = self._loading.get(name)
        if future is None or not future.done() or future.exception() is not None:
            return None
        return future.result()

    @property
    def titles_with_preset(self) -> dict[str, str]:
        """{name: title and preset}. Equal titles get the seed, or the name if seeds are equal too."""
        folders = self.folders
        titles = {name: f"{item.record.variant_title} · {item.record.preset}" for name, item in folders.items()}
        all_titles = list(titles.values())
        for title in {title for title in all_titles if all_titles.count(title) > 1}:
            names = [name for name in titles if titles[name] == title]
            seeds = {name: f"seed {folders[name].record.training.seed}" for name in names}
            details = seeds if len(set(seeds.values())) == len(names) else dict(zip(names, names, strict=True))
            titles.update({name: f"{title} ({details[name]})" for name in names})
        return titles

    def __len__(self) -> int:
        return len(self.folders)

    @property
    def default_pair(self) -> tuple[str, str]:
        """The names of the two models that the page opens with; one name twice if there is one model.

        Raises `UserError` if there is none.

        The pair is the plain model and the model with both ideas of the first preset that has both. Models from the
        Hub come first, because somebody named them.
        """
        names = [name for name in self.folders if name in self.commits] or list(self.folders)
        if not names:
            raise no_models()
        for name in names:
            record = self.folders[name].record
            partners = [
                other
                for other in reversed(names)
                if self.folders[other].record.preset == record.preset
                and self.folders[other].record.data == record.data
                and self.folders[other].record.variant != record.variant
            ]
            if partners:
                fair = [other for other in partners if self.is_fair_pair(name, other)]
                return name, (fair or partners)[0]
        return names[0], names[-1]

    def record(self, name: str) -> Record:
        """Return the record of a model. Raises `UserError` if no model has that name."""
        if name not in self.folders:
            raise _unknown_model(name, list(self.folders)) if len(self) else no_models()
        return self.folders[name].record

    def repo_id(self, name: str) -> str | None:
        """Return `"USER/NAME"` of a model from the Hub, whose name may end in @REVISION; None for a local model."""
        return name.partition("@")[0] if name in self.commits else None

    def preload_default_pair(self) -> None:
        """Start to load the default pair, if there are models, and to compile its functions, in the background."""
        if len(self):
            for name in dict.fromkeys(self.default_pair):
                self._load_in_background(name)

    def get(self, name: str) -> Explainer:
        """Return the explainer of a model; waits until it is loaded.

        Raises:
            UserError: no model has that name, or its weights cannot be loaded.
        """
        self.record(name)
        return self._load_in_background(name).result()

    def close(self) -> None:
        """Drop what is still to be loaded or compiled, so that the process ends soon."""
        for executor in (self._loaders, self._background):
            executor.shutdown(wait=False, cancel_futures=True)

    def is_fair_pair(self, first: str, second: str) -> bool:
        """Return whether two models differ only in SPT and LSA."""
        return self.record(first).differs_only_in_variant(self.record(second))

    def _load_in_background(self, name: str) -> "Future[Explainer]":
        with self._lock:
            if name not in self._loading:
                self._loading[name] = self._loaders.submit(self._load, name)
            return self._loading[name]

    def _load(self, name: str) -> Explainer:
        try:
            explainer = Explainer(self.folders[name])
        except UserError as error:
            log.warning("%s", error)
            raise PageError(
                "model_damaged",
                f"The model {name} could not be loaded: its weights do not fit its {RECORD_FILE}.",
                model=name,
            ) from error
        explainer.warm_up()
        self._background.submit(self._compile_other_views, explainer)
        return explainer

    def _compile_other_views(self, explainer: Explainer) -> None:
        """Compile the functions that the first answer does not need, once the models that it needs are loaded."""
        with self._lock:
            loading = list(self._loading.values())
        wait(loading)
        side = explainer.record.data_image_size
        blank = np.zeros((side, side, 3), np.uint8)
        explainer.explain(blank)
        explainer.predict_translated(blank, MAX_TRANSLATION)
        explainer.predict_occluded(blank)


def no_models() -> PageError:
    """The error of a page without any model."""
    return PageError("no_models", "There is no model here. Train one with smallvit train, or name one with --models.")


def _unknown_model(name: object, names: list[str]) -> PageError:
    listed = ", ".join(names)
    sentence = f"There is no model {name!r} here. The models are {listed}."
    return PageError("model_unknown", sentence, name=str(name)[:80], names=listed)
