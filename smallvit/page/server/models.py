"""The models that the page can show: their records at once, the models themselves when they are first needed."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from smallvit.config import VARIANTS
from smallvit.errors import UserError
from smallvit.hub.download import download_model_folder
from smallvit.inference.classifier import Classifier
from smallvit.model_folder.folder import RECORD_FILE, read_model_folder

log = logging.getLogger(__name__)

MAX_TRANSLATION = 4
"""How far the page moves an image, in pixels of what the models see."""


class ModelStore:
    """The models at hand, each under a name of its own: that of its folder, or of its repo on the Hub.

    Args:
        paths: model folders. What cannot be read is left out, and said in `problems`.
        references: `download.HubModel`s of models on the Hub, which `fetch` fetches.

    Attributes:
        folders: {name: `ModelFolder`}, plain models first, those with both ideas last.
        commits: {name: the commit} of those from the Hub.
        problems: a sentence for each folder that could not be read.
        missing: {reference: a sentence, or None while it is being fetched} of those from the Hub that are not here.
    """

    def __init__(self, paths, references=()):
        self.folders, self.commits, self.problems = {}, {}, []
        self.missing = dict.fromkeys(references)
        self._fetching = set()
        self._loading = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="models")
        self._later = ThreadPoolExecutor(1, thread_name_prefix="models-later")
        for path in paths:
            try:
                self._add(Path(path).resolve().name, read_model_folder(path))
            except UserError as error:
                log.warning("%s", error)
                self.problems.append(without_paths(error, path))

    def _add(self, name, folder):
        with self._lock:
            free, count = name, 1
            while free in self.folders:
                count += 1
                free = f"{name}-{count}"
            order = list(VARIANTS)
            everyone = [*self.folders.items(), (free, folder)]
            # Replaced, not changed: others may be reading it.
            self.folders = dict(sorted(everyone, key=lambda item: order.index(item[1].record.variant)))
            return free

    def fetch(self):
        """Begin to fetch what is missing from the Hub, in the background; what failed before is tried again."""
        with self._lock:
            begun = [reference for reference in self.missing if reference not in self._fetching]
            self._fetching.update(begun)
            self.missing = {**self.missing, **dict.fromkeys(begun)}
        for reference in begun:
            self._later.submit(self._fetch, reference)

    def wait(self):
        """Wait until what `fetch` has begun is here, or has failed."""
        self._later.submit(lambda: None).result()  # its thread does one thing after the other

    def _fetch(self, reference):
        problem = {}
        try:
            folder, commit = download_model_folder(reference)
            self.commits[self._add(str(reference), folder)] = commit
        except UserError as error:
            log.warning("%s", error)
            problem = {reference: str(error)}
        except Exception:
            log.exception("%s could not be fetched", reference)
            problem = {reference: f"{reference}: it could not be fetched."}
        with self._lock:
            self._fetching.remove(reference)
            self.missing = {other: state for other, state in self.missing.items() if other != reference} | problem

    @property
    def titles(self):
        """{name: what the model is called on the page}."""
        return _titles(self.folders)

    @property
    def choices(self):
        """(title, name) of each model, for a menu."""
        return [(title, name) for name, title in self.titles.items()]

    def __len__(self):
        return len(self.folders)

    @property
    def first_pair(self):
        """The names of the two models that the page opens with; one name twice where there is one model only.

        They are the plain model and the one with both ideas of the first preset that has both; those from the Hub are
        preferred, for somebody has named them.
        """
        names = [name for name in self.folders if name in self.commits] or list(self.folders)
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

    def record(self, name):
        """The `Record` of a model.

        Raises:
            UserError: no model has that name.
        """
        if name not in self.folders:
            raise UserError(f"There is no model {name!r} here; there are {', '.join(self.folders)}.")
        return self.folders[name].record

    def repo(self, name):
        """`"USER/NAME"` of a model from the Hub, whose name may end in @REVISION; None of the others."""
        return name.partition("@")[0] if name in self.commits else None

    def warm(self, names):
        """Begin to load models and to compile what the page asks of them, in the background."""
        for name in dict.fromkeys(names):
            self._begin(name)

    def is_warm(self, names):
        """Whether the models with these names would answer at once."""
        return all(self._begin(name).done() for name in names)

    def get(self, name):
        """The `Classifier` with that name; waits until it is loaded.

        Raises:
            UserError: there is none, or its weights cannot be loaded.
        """
        self.record(name)
        return self._begin(name).result()

    def is_fair_pair(self, first, second):
        """Whether what two models say is a measure of the paper's ideas."""
        return self.record(first).differs_only_in_variant(self.record(second))

    def _begin(self, name):
        with self._lock:
            if name not in self._loading:
                self._loading[name] = self._threads.submit(self._load, name)
            return self._loading[name]

    def _load(self, name):
        try:
            classifier = Classifier(self.folders[name])
        except UserError as error:
            log.warning("%s", error)
            raise UserError(
                f"The model {name} could not be loaded: its weights are not those of its {RECORD_FILE}."
            ) from error
        classifier.warm()
        side = classifier.record.data_image_size
        blank = np.zeros((side, side, 3), np.uint8)
        # What the other views need is compiled after what the first one needs, and on one core, beside first visitors.
        self._later.submit(classifier.explain, blank)
        self._later.submit(classifier.predict_translated, blank, MAX_TRANSLATION)
        return classifier


def without_paths(error, path):
    """What the page says of an error about `path`: its name only, for where it lies is the log's business."""
    return str(error).replace(str(path), path.name) if len(path.parts) > 1 else str(error)


def _titles(folders):
    """Each model's title and preset; where several would be called the same, their seeds, or else their names."""
    titles = {name: f"{VARIANTS[item.record.variant].title} · {item.record.preset}" for name, item in folders.items()}
    called = list(titles.values())
    for title in {title for title in called if called.count(title) > 1}:
        names = [name for name in titles if titles[name] == title]
        seeds = {name: f"seed {folders[name].record.training.seed}" for name in names}
        details = seeds if len(set(seeds.values())) == len(names) else dict(zip(names, names, strict=True))
        titles.update({name: f"{title} ({details[name]})" for name in names})
    return titles
