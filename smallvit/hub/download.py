"""Model folders from the Hugging Face Hub: `USER/NAME[@REVISION]` becomes a verified folder in the Hub's cache.

`huggingface_hub` retries, caches and falls back to its cache. This module adds three checks: only the files of a model
folder are downloaded, no file is larger than its limit, and the weights come last and have the recorded SHA-256.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, Self

from huggingface_hub import HfApi, hf_hub_download

from smallvit import files
from smallvit.errors import UserError
from smallvit.hub.client import hub_error_as_user_error
from smallvit.limits import MAX_MODEL_FILE_BYTES
from smallvit.model_folder.folder import (
    CONFIG_FILE,
    HISTORY_FILE,
    METADATA_FILE,
    RECORD_FILE,
    WEIGHTS_FILE,
    ModelFolder,
    find_model_folders,
    read_model_folder,
    read_model_folder_without_weights,
)

_SMALL_FILES = (RECORD_FILE, CONFIG_FILE, METADATA_FILE, HISTORY_FILE)
_HUB_MODEL = re.compile(r"(?:hf://)?([\w-][\w.-]*/[\w-][\w.-]*)(?:@([\w./-]+))?")


class HubModel(NamedTuple):
    """A model repository on the Hub, at a branch, a tag or a commit.

    Attributes:
        repo: `"USER/NAME"`.
        revision: `"main"` if none is named.
    """

    repo: str
    revision: str = "main"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read `USER/NAME` or `USER/NAME@REVISION`, with or without `hf://`.

        Returns:
            A `HubModel`; None if `text` has another form, or is a path: what it names is here, or, without `hf://`, the
            folder that it would be in.
        """
        is_path = os.path.exists(text) or (not text.startswith("hf://") and os.path.isdir(os.path.dirname(text)))
        match = None if is_path else _HUB_MODEL.fullmatch(text)
        return cls(match[1], match[2] or "main") if match else None

    def __str__(self) -> str:
        return self.repo if self.revision == "main" else f"{self.repo}@{self.revision}"


def resolve_model_folders(text: str | Path) -> dict[str, ModelFolder]:
    """Read the models that a text names: a model folder, a folder of model folders, or `USER/NAME[@REVISION]`.

    Returns:
        {name: `ModelFolder`}, at least one. The name is the path of the folder, or the name on the Hub.

    Raises:
        UserError: there is no model, or one cannot be read or downloaded.
    """
    if model := HubModel.parse(str(text)):
        return {str(model): download_model_folder(model)[0]}
    return {str(path): read_model_folder(path) for path in find_model_folders(text)}


def resolve_models(texts: Iterable[str | Path]) -> dict[str, ModelFolder]:
    """Read all models that texts name, see `resolve_model_folders`; the bundled models if there are no texts."""
    folders: dict[str, ModelFolder] = {}
    for text in list(texts) or [files.BUNDLED_MODELS]:
        folders |= resolve_model_folders(text)
    return folders


def download_model_folder(model: HubModel) -> tuple[ModelFolder, str]:
    """Download the files of a model folder that are not in the cache, and verify the folder.

    A branch or tag is resolved to a commit once. If the Hub cannot be reached, the last known commit is used. A commit
    that is in the cache needs no network.

    Returns:
        (`ModelFolder`, commit).

    Raises:
        UserError: the model cannot be downloaded, or is not one of ours; the sentence names the repository.
    """
    not_found = "there is no such folder here, and no such repository on the Hub (a private one needs HF_TOKEN)"
    with hub_error_as_user_error(str(model), not_found):
        commit = HfApi().resolve_revision(model.repo, revision=model.revision).resolved
        try:
            return _download(model, commit), commit
        except UserError:  # a file in the cache may be damaged: download all of them again, once
            return _download(model, commit, force_download=True), commit


def _download(model: HubModel, commit: str, force_download: bool = False) -> ModelFolder:
    def download(name: str) -> Path:
        options: dict[str, Any] = {"revision": commit, "force_download": force_download}
        size = hf_hub_download(model.repo, name, **options, dry_run=True).file_size
        if size is None or size > MAX_MODEL_FILE_BYTES[name]:
            raise UserError(f"{model}: {name} has {size} bytes; at most {MAX_MODEL_FILE_BYTES[name]} are read.")
        return Path(hf_hub_download(model.repo, name, **options)).parent

    for name in _SMALL_FILES:
        path = download(name)
    try:
        folder = read_model_folder_without_weights(path)
        download(WEIGHTS_FILE)
        folder.verify_weights()
    except UserError as error:
        # The page shows this sentence to its visitors, so the path of the cache is left out.
        sentence = str(error).replace(f"{path}{os.sep}", "").replace(str(path), "the repository")
        raise UserError(sentence if sentence.startswith(f"{model}: ") else f"{model}: {sentence}") from error
    return folder
