"""The models that the page can show: their records at once, the models themselves when they are first needed."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from smallvit.checkpoint import RECORD_FILE, read_model_folder
from smallvit.config import VARIANTS, with_variant
from smallvit.errors import UserError
from smallvit.inference import Classifier

log = logging.getLogger(__name__)

MAX_SHIFT = 4
"""How far the page moves a picture, in pixels of what the models see."""


class ModelShelf:
    """The models at hand, each under a name of its own: that of its folder.

    Args:
        paths: model folders. What cannot be read is left out, and said in `problems`.

    Attributes:
        folders: {name: `ModelFolder`}, plain models first, those with both ideas last.
        titles: {name: what the model is called on the page}.
        problems: a sentence for each folder that could not be read.
    """

    def __init__(self, paths):
        folders, self.problems = [], []
        for path in paths:
            try:
                folders.append(read_model_folder(path))
            except UserError as error:
                log.warning("%s", error)
                self.problems.append(without_folders(error, path))
        folders.sort(key=lambda folder: list(VARIANTS).index(folder.record.variant))
        self.folders = {}
        for folder in folders:
            name, count = folder.path.resolve().name, 1
            while name in self.folders:
                count += 1
                name = f"{folder.path.resolve().name}-{count}"
            self.folders[name] = folder
        self.titles = _titles(self.folders)
        self._loading = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="models")
        self._later = ThreadPoolExecutor(1, thread_name_prefix="models-later")

    def __len__(self):
        return len(self.folders)

    @property
    def first_pair(self):
        """The names of the two models that the page opens with; one name twice where there is one model only.

        They are the plain model and the one with both ideas of the first preset that has both.
        """
        names = list(self.folders)
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
        """Whether two models differ in the paper's ideas alone: same recipe, same data, same architecture otherwise."""
        records = self.record(first), self.record(second)
        if records[0].variant == records[1].variant:
            return False
        left, right = ((record.training, record.data, with_variant(record.model, "vit")) for record in records)
        return left == right

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
        side = classifier.record.picture_size
        blank = np.zeros((side, side, 3), np.uint8)
        # What the other views need is compiled after what the first one needs, and on one core, beside first visitors.
        self._later.submit(classifier.explain, blank)
        self._later.submit(classifier.predict_moved, blank, MAX_SHIFT)
        return classifier


def without_folders(error, path):
    """What the page says of an error about `path`: its name only, for where it lies is the log's business."""
    return str(error).replace(str(path), path.name) if len(path.parts) > 1 else str(error)


def _titles(folders):
    """Each model's title and preset, and its name where two would be called the same."""
    titles = {name: f"{VARIANTS[item.record.variant].title} · {item.record.preset}" for name, item in folders.items()}
    called = list(titles.values())
    return {name: f"{title} ({name})" if called.count(title) > 1 else title for name, title in titles.items()}
