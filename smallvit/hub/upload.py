"""Pushing model folders to the Hugging Face Hub: one repository per model, one commit per push.

`huggingface_hub` does the transfer, the retries and the token. This module checks before a training of hours that the
push will be allowed, and turns every failure into one sentence.
"""

import logging
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi, constants, is_offline_mode
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils import validate_repo_id

from smallvit.errors import UserError
from smallvit.hub.client import hub_error_as_user_error, token_advice
from smallvit.model_folder.card import with_repository
from smallvit.model_folder.folder import CARD_FILE, FILES, find_model_folders, model_file, read_model_folder

log = logging.getLogger(__name__)


class Publisher:
    """Pushes models to the repositories USER/NAME-MODEL, where MODEL is a model's name, such as spt_lsa or vit-seed1.

    Args:
        target: USER/NAME; USER is an account or an organisation.
        private: whether only the owner may see the repositories.
        option: the option that gave `target`, for messages.
        push_command: the words that start the command `push`, which is printed where a push failed.
        failures: gets one sentence for each model that could not be pushed.
    """

    def __init__(
        self,
        target: str,
        private: bool,
        *,
        option: str,
        push_command: Sequence[str],
        failures: list[str],
    ) -> None:
        self.target = target
        self.private = private
        self.failures = failures
        self._option = option
        self._push_command = push_command
        self._api = HfApi(token=True, library_name="smallvit")  # True: the token of HF_TOKEN or `hf auth login`

    def repository(self, model: str) -> str:
        """The name of a model's repository."""
        return f"{self.target}-{model}"

    def check_access(self, models: Iterable[str]) -> None:
        """Check the names, the network, the token and the right to write. Nothing changes on the Hub.

        Raises:
            UserError: a name is not allowed, the Hub cannot be reached, it does not know the token, the token may not
                write there, or a repository is public although it should be private.
        """
        models = list(models)
        if "/" not in self.target:
            raise UserError(f"{self._option} {self.target} must have the form USER/NAME, such as ada/smallvit.")
        for model in models:
            try:
                validate_repo_id(self.repository(model))
            except HFValidationError as error:
                raise UserError(f"{self._option} {self.target}: {error}") from error
        if is_offline_mode():
            later = shlex.join(self._push_command)
            raise UserError(f"{self._option} needs the network; unset HF_HUB_OFFLINE, or push later with `{later}`.")
        with hub_error_as_user_error("Could not sign in to the Hub"):
            user = self._api.whoami()
        self._require_namespace(user)
        for repository in map(self.repository, models):
            self._require_writable(repository, may_be_missing=True)  # then it will be created

    def _require_namespace(self, user: dict[str, Any]) -> None:
        """Raise `UserError` if the token may not create repositories. A fine-grained token does not tell all of it."""
        namespace, name = self.target.split("/")[0], user["name"]
        role = user.get("auth", {}).get("accessToken", {}).get("role")
        if role == "read":
            raise UserError(f"{self._option} {self.target}: the token of {name} may only read; {token_advice()}.")
        roles = {org["name"]: org.get("roleInOrg") for org in user.get("orgs", [])}
        if role == "write" and namespace != name and roles.get(namespace, "read") in ("read", "no_access"):
            writable = [org for org, role in roles.items() if role not in ("read", "no_access")]
            raise UserError(
                f"{self._option} {self.target}: {name} may not write for {namespace}, but for "
                f"{' and '.join([name, *writable])}."
            )

    def _require_writable(self, repository: str, may_be_missing: bool = False) -> None:
        """Raise `UserError` if the token may not write to a repository, or it is public although `private` is set."""
        with hub_error_as_user_error(f"Could not write to {repository}"):
            try:
                self._api.auth_check(repository, write=True)
            except RepositoryNotFoundError:
                if may_be_missing:
                    return
                raise
            is_public = self.private and not self._api.model_info(repository).private
        if is_public:
            raise UserError(
                f"--private: {repository} already exists and is public; choose another name, or make it private at "
                f"{constants.ENDPOINT}/{repository}/settings."
            )

    def create_repositories(self, models: Iterable[str]) -> None:
        """Create the repositories that do not exist yet, and check that the token may write to each of them.

        Raises:
            UserError: the token may not write, or a repository is public although it should be private.
        """
        for repository in map(self.repository, models):
            with hub_error_as_user_error(f"Could not create {repository}"):
                self._api.create_repo(repository, private=self.private or None, exist_ok=True)
            self._require_writable(repository)  # `create_repo` accepts an existing one it may not write to
            log.info("The model will be pushed to %s/%s", constants.ENDPOINT, repository)

    def push(self, folder: str | Path, model: str) -> None:
        """Push a model folder in one commit. If the repository already has the same files, there is no commit.

        The pushed card names the repository; the folder stays as it is. A failure is logged and kept in `failures`, so
        that the next model is still trained and pushed.

        Args:
            folder: a verified model folder.
            model: the model's name.
        """
        folder, repository = Path(folder), self.repository(model)
        log.info("%s: pushing %s to %s", model, folder, repository)
        try:
            with hub_error_as_user_error(f"Could not push {folder} to {repository}"):
                card = with_repository(model_file(folder, CARD_FILE).read_text(encoding="utf-8"), repository)
                contents = {name: model_file(folder, name) for name in FILES} | {CARD_FILE: card.encode()}
                operations = [CommitOperationAdd(name, content) for name, content in contents.items()]
                # `upload_folder` may split a folder into several commits.
                commit = self._api.create_commit(repository, operations, commit_message="Push with smallvit")
        except Exception as error:  # whatever happens, the next model is still trained
            # The text of an unknown error may hold the token.
            known = isinstance(error, UserError)
            sentence = error if known else f"Could not push {folder} to {repository}: {type(error).__name__}."
            command = [*self._push_command, str(folder), "--to", self.target]
            command += ["--private"] * self.private
            self.failures.append(f"{sentence} The folder is kept. To push it: {shlex.join(command)}")
            log.error("%s: not pushed", model)
        else:
            log.info("%s: %s/%s is up to date, commit %s", model, constants.ENDPOINT, repository, commit.oid)


def push_folders(paths: list[Path], publisher: Publisher) -> None:
    """Push model folders that were written before, for the command `push`.

    Args:
        paths: model folders, or folders of model folders.
        publisher: pushes them.

    Raises:
        UserError: a folder is damaged, two would have the same name on the Hub, or the Hub refuses access.
    """
    folders: dict[str, Path] = {}
    for path in dict.fromkeys(folder.resolve() for given in paths for folder in find_model_folders(given)):
        name = _run_name(path, read_model_folder(path).record)
        if name in folders:
            raise UserError(
                f"{folders[name]} and {path} would both be {publisher.repository(name)}; push them one by one, each "
                "with its own --to."
            )
        folders[name] = path
    publisher.check_access(folders)
    publisher.create_repositories(folders)
    for name, path in folders.items():
        publisher.push(path, name)


def _run_name(path, record):
    """The name of the run that wrote a model folder, see `experiment.plan.Run.name`."""
    fold = "" if record.fold is None else f"-fold{record.fold}"
    seed = f"-seed{record.training.seed}"
    return f"{record.variant}{seed if path.name.removesuffix(fold).endswith(seed) else ''}{fold}"
