"""Model folders from the Hugging Face Hub: a reference becomes a verified folder in the cache of `huggingface_hub`.

A commit that is cached needs no network. Only the files of a model folder are fetched, each after a look at its size.
"""

import errno
import os
import re
from pathlib import Path
from typing import NamedTuple

import httpx2  # which the client of the Hub speaks
from huggingface_hub import HfApi, constants, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from smallvit.errors import UserError
from smallvit.model_folder.folder import (
    CONFIG_FILE,
    HISTORY_FILE,
    RECORD_FILE,
    WEIGHTS_FILE,
    find_model_folders,
    read_model_folder,
    read_model_folder_without_weights,
)

MAX_BYTES = {
    RECORD_FILE: 2**20,
    CONFIG_FILE: 2**20,
    "metadata.json": 2**20,
    HISTORY_FILE: 16 * 2**20,
    WEIGHTS_FILE: 512 * 2**20,
}
SECONDS = 10  # until a server has to answer

_COMMIT = re.compile(r"[0-9a-f]{40}")
_REFERENCE = re.compile(r"(?:hf://)?([\w-][\w.-]*/[\w-][\w.-]*)(?:@([\w./-]+))?")


class HubModel(NamedTuple):
    """A model repo on the Hub, at a branch, a tag or a commit.

    Attributes:
        repo: `"USER/NAME"`.
        revision: `"main"` where none is named.
    """

    repo: str
    revision: str = "main"

    @classmethod
    def parse(cls, text):
        """Read `USER/NAME` or `USER/NAME@REVISION`, with or without `hf://`.

        Returns:
            A `HubModel`; None where it is nothing of the kind, or the path of something that is there.
        """
        match = None if Path(text).exists() else _REFERENCE.fullmatch(text)
        return cls(match[1], match[2] or "main") if match else None

    def __str__(self):
        return self.repo if self.revision == "main" else f"{self.repo}@{self.revision}"


def resolve_model_folders(text):
    """The models that a text names: a model folder, a folder of them, or `USER/NAME[@REVISION]` on the Hub.

    Returns:
        {name: `ModelFolder`}, at least one; the name is the path of the folder, or the reference.

    Raises:
        UserError: there is none, or one cannot be had.
    """
    if reference := HubModel.parse(str(text)):
        return {str(reference): download_model_folder(reference)[0]}
    return {str(path): read_model_folder(path) for path in find_model_folders(text)}


def download_model_folder(reference):
    """Fetch what is not cached of a model folder, and read it.

    A commit is used as it is given; a branch or tag is resolved once, or, where the Hub cannot be reached, taken as it
    was when it was last.

    Args:
        reference: a `HubModel`.

    Returns:
        (`ModelFolder`, the commit).

    Raises:
        UserError: it cannot be had, or is no model folder of ours; the sentence names the repo.
    """
    try:
        commit = _resolve(reference)
        return _read(reference.repo, commit), commit
    except UserError as error:
        raise UserError(f"{reference}: {error}") from error
    except Exception as error:
        sentence = _sentence(reference, error)
        if sentence is None:
            raise
        raise UserError(f"{reference}: {sentence}") from error


def _resolve(reference):
    if _COMMIT.fullmatch(reference.revision):
        return reference.revision
    try:
        commit = _metadata(reference.repo, reference.revision, RECORD_FILE).commit_hash
    except (httpx2.HTTPError, OSError) as error:
        # Of what the Hub refuses, an old copy is not served: the owner may have taken it back.
        if isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403, 404, 410):
            raise
        cached = try_to_load_from_cache(reference.repo, RECORD_FILE, revision=reference.revision)
        if not isinstance(cached, str):
            raise
        return Path(cached).parent.name  # snapshots/COMMIT/smallvit.json
    # By the name of the branch, so that the cache remembers where it stood.
    hf_hub_download(reference.repo, RECORD_FILE, revision=reference.revision, etag_timeout=SECONDS)
    return commit


def _metadata(repo, revision, file):
    """What the Hub says of a file; its size is within bounds."""
    if constants.HF_HUB_OFFLINE:
        raise OfflineModeIsEnabled
    metadata = HfApi().get_hf_file_metadata(url=hf_hub_url(repo, file, revision=revision), timeout=SECONDS)
    if metadata.size is None or metadata.size > MAX_BYTES[file]:
        raise UserError(f"{file} has {metadata.size} bytes; at most {MAX_BYTES[file]} are read.")
    return metadata


def _read(repo, commit):
    """Fetch what tells whether the repo is one of ours; the weights come after that."""
    described = [file for file in MAX_BYTES if file != WEIGHTS_FILE]
    folder = _fetch_and_check(repo, commit, described, read_model_folder_without_weights)
    _fetch_and_check(repo, commit, [WEIGHTS_FILE], lambda _: folder.verify_weights())
    return folder


def _fetch_and_check(repo, commit, files, check):
    """Have files in the cache, and return what `check` returns for the folder that they lie in.

    Where it raises `UserError`, they are fetched once more: what is cached may have been cut off, or changed since.
    """
    for anew in (False, True):
        for file in files:
            folder = _fetch(repo, commit, file, anew)
        try:
            return check(folder)
        except UserError as error:
            if anew:
                # Where the cache lies is nobody's business: the page tells this sentence to its visitors.
                sentence = str(error).replace(f"{folder}{os.sep}", "").replace(str(folder), "it")
                raise UserError(sentence) from error
    raise AssertionError("the second attempt returns or raises")


def _fetch(repo, commit, file, anew):
    """Have one file in the cache; return the folder that it lies in."""
    if not anew:
        cached = try_to_load_from_cache(repo, file, revision=commit)
        if isinstance(cached, str):
            return Path(cached).parent
    _metadata(repo, commit, file)
    return Path(hf_hub_download(repo, file, revision=commit, etag_timeout=SECONDS, force_download=anew)).parent


def _sentence(reference, error):
    """What an exception of the client means, or None."""
    if isinstance(error, GatedRepoError):
        return f"its owner has to grant access first: {constants.ENDPOINT}/{reference.repo}; then set HF_TOKEN."
    if isinstance(error, RevisionNotFoundError):
        return f"there is no revision {reference.revision}."
    status = error.response.status_code if isinstance(error, HfHubHTTPError) and error.response is not None else None
    if isinstance(error, RepositoryNotFoundError) or status == 401:
        return "there is no such folder here, and no such model on the Hub that HF_TOKEN opens."
    if isinstance(error, OfflineModeIsEnabled):
        return "it is not in the cache, and HF_HUB_OFFLINE forbids to fetch it."
    if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
        return f"it is no model that train.py has pushed: it lacks {RECORD_FILE} or another of its files."
    if status is not None:
        return f"the Hub answers with status {status}."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk of the cache is full."
    if isinstance(error, (httpx2.HTTPError, OSError)):  # also LocalEntryNotFoundError: neither cached nor reachable
        return "the Hub cannot be reached, or broke off."
    return None
