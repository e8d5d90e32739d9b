"""Pushing model folders to the Hugging Face Hub: one repository for each model, one commit for each push.

What can be known before a training of hours is found out before it: the name, the token, the right to write. What
fails afterwards fails in a sentence, and leaves the folder as it is. A token is given to the Hub and to nobody else: no
text of another program leaves this module without having been searched for it.
"""

import json
import logging
import shlex
import sys
import time
import warnings
from contextlib import contextmanager, nullcontext
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx2
from huggingface_hub import CommitOperationAdd, HfApi, close_session, constants, get_session, get_token, is_offline_mode
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import disable_progress_bars, parse_ratelimit_headers, validate_repo_id

from smallvit.errors import UserError, os_error_as_user_error
from smallvit.model_folder.card import with_repository
from smallvit.model_folder.folder import CARD_FILE, CONFIG_FILE, CURVES_FILE, HISTORY_FILE, RECORD_FILE, WEIGHTS_FILE

FILES = (CONFIG_FILE, "metadata.json", WEIGHTS_FILE, RECORD_FILE, HISTORY_FILE, CURVES_FILE, CARD_FILE)
WRITING_ROLES = ("admin", "write", "contributor")  # of a member of an organisation
RETRY_DELAYS_SECONDS = (2, 8, 30)  # seconds before each further attempt, where the Hub does not say how long
LONGEST_WAIT = 60  # seconds, whatever it says
TIMEOUT = 60  # seconds without a byte

log = logging.getLogger(__name__)


class Publisher:
    """Pushes models to the repositories USER/NAME-MODEL, where MODEL is their name, such as spt_lsa or vit-seed1.

    Args:
        target: USER/NAME; USER is an account or an organisation.
        private: whether nobody else may see the repositories.

    Attributes:
        failures: a sentence for each model that could not be pushed, so far.

    Raises:
        UserError: `target` is not of that form.
    """

    def __init__(self, target, private=False):
        if target.count("/") != 1 or not all(target.split("/")):
            raise UserError(f"--push-to-hub {target!r} is not of the form USER/NAME, such as ada/smallvit.")
        self.target = target
        self.private = private
        self.failures = []
        self._api = None
        self._token = None

    def repository(self, model):
        """The name of the repository of a model."""
        return f"{self.target}-{model}"

    def check_access(self, models):
        """Find out whether the models could be pushed; nothing is changed on the Hub.

        Raises:
            UserError: a name cannot be one, the Hub cannot be reached, or there is no token that may write there.
        """
        for model in models:
            try:
                validate_repo_id(self.repository(model))
            except HFValidationError:
                raise UserError(
                    f"--push-to-hub {self.target}: {self.repository(model)!r} cannot be the name of a repository; of "
                    "letters, digits, '-', '_' and '.', with a letter or digit first and last, no '--', no '..' and at "
                    "most 96 after the slash it could."
                ) from None
        if is_offline_mode():
            raise UserError("--push-to-hub needs the network, and HF_HUB_OFFLINE is set; unset it, or push later.")
        self._token = _find_token()
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # what it would say, this module says
        self._api = HfApi(token=self._token, library_name="smallvit")
        account = self._ask("sign in", self._api.whoami)
        if not isinstance(account, dict):
            raise UserError(f"Could not sign in: {_not_the_hub()}.")
        self._require_rights(account)

    def _require_rights(self, account):
        access = (account.get("auth") or {}).get("accessToken") or {}
        if access.get("role") == "read":
            raise UserError(
                f"The token of {account.get('name')} may only read; one with the role write would be right, from "
                f"{constants.ENDPOINT}/settings/tokens."
            )
        namespace = self.target.split("/")[0]
        if namespace.lower() == str(account.get("name")).lower():
            return
        roles = {str(org.get("name")).lower(): org.get("roleInOrg") for org in account.get("orgs") or []}
        if namespace.lower() not in roles:
            raise UserError(
                f"--push-to-hub {self.target}: {namespace} is neither {account.get('name')}, whose token this is, nor "
                "an organisation of that account."
            )
        role = roles[namespace.lower()]
        if role is not None and role not in WRITING_ROLES:
            raise UserError(
                f"--push-to-hub {self.target}: {account.get('name')} has the role {role} in {namespace}; one of "
                f"{', '.join(WRITING_ROLES)} would be needed."
            )

    def create_repositories(self, models):
        """Make the repositories that are not there yet, which proves that they can be written to.

        Raises:
            UserError: it is not allowed, or they are not private where they have to be.
        """
        for repository in map(self.repository, models):
            self._ask(f"create {repository}", self._create, repository)
            log.info("%s/%s is where it will be pushed to", constants.ENDPOINT, repository)

    def _create(self, repository):
        self._api.create_repo(repository, private=True if self.private else None, exist_ok=True)
        self._api.auth_check(repository, write=True)  # for one that was there, `create_repo` proves nothing
        if self.private and not self._api.model_info(repository).private:
            raise UserError(
                f"--private: {repository} is there already, and public; another name, or making it private at "
                f"{constants.ENDPOINT}/{repository}/settings, would be right."
            )

    def push(self, folder, model):
        """Push a model folder in one commit, or in none where the repository has the very same files.

        The card that is pushed names the repository; the folder is left as it is. What fails is told and kept in
        `failures`, so that the next model is trained and pushed all the same.

        Args:
            folder: a model folder that was verified.
            model: the name of the model.
        """
        repository = self.repository(model)
        try:
            card = _read_card(folder, repository)
            log.info("%s: pushing %s to %s", model, folder, repository)
            before = self._ask(f"look at {repository}", self._api.model_info, repository).sha
            commit = self._ask(f"push {folder} to {repository}", self._commit, repository, folder, card)
        except UserError as error:
            command = ["python", "train.py", "--push-only", str(folder), "--push-to-hub", self.target]
            command += ["--private"] * self.private
            self.failures.append(f"{error} The folder is kept; to push it: {shlex.join(command)}")
            log.error("%s: not pushed", model)
            return
        if commit.oid == before:
            log.info("%s: nothing has changed in %s/%s", model, constants.ENDPOINT, repository)
        else:
            log.info("%s: pushed to %s/%s, commit %s", model, constants.ENDPOINT, repository, commit.oid)

    def _commit(self, repository, folder, card):
        # `upload_folder` may make several commits of one folder. The operations are of one use.
        contents = {name: Path(folder) / name for name in FILES} | {CARD_FILE: card}
        operations = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=it) for name, it in contents.items()]
        # Bars are for who watches.
        bars = nullcontext() if sys.stderr.isatty() else disable_progress_bars()
        with bars, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            commit = self._api.create_commit(repository, operations, commit_message="Push with smallvit")
        for warning in caught:
            log.warning("%s", self._clean(warning.message))
        return commit

    def _ask(self, what, call, *arguments):
        """Call the Hub, again where it may help. Raises `UserError` with what it could not do and why."""
        for wait in (*RETRY_DELAYS_SECONDS, None):
            try:
                with _telling_at_once():
                    return call(*arguments)
            except UserError:
                raise
            except Exception as error:  # the client passes on what httpx, hf_xet and the system raise
                reason, asked_wait = self._explain(error)
                if asked_wait is None or wait is None:
                    raise UserError(f"Could not {what}: {reason}.") from None
                wait = min(asked_wait or wait, LONGEST_WAIT)
                log.warning("%s; trying again in %.0f s", reason, wait)
                time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _explain(self, error):
        """Why a call failed, as a clause; and the seconds to wait: 0 where unknown, None where it will not help."""
        causes = [error]
        while causes[-1].__cause__ is not None:
            causes.append(causes[-1].__cause__)
        for cause in causes:
            if isinstance(cause, _Unavailable):
                return self._clean(cause), cause.wait
            if isinstance(cause, json.JSONDecodeError):
                return _not_the_hub(), None
            if isinstance(cause, ValueError):  # such as what is wrong with the card
                return self._clean(cause), None
            if isinstance(cause, HfHubHTTPError):
                return self._clean(_refusal(cause)), None
            if isinstance(cause, ConnectionError):  # of hf_xet, which has tried several times
                return self._clean(f"{cause}; HF_HUB_DISABLE_XET=1 would take another way"), None
        return self._clean(": ".join(f"{type(cause).__name__}: {cause}" for cause in causes)), None

    def _clean(self, text):
        """On one line, as the end of a sentence, and without the token."""
        return " ".join(str(text).replace(self._token, "***").split()).rstrip(".")


class _Unavailable(Exception):
    """The Hub cannot answer now; `wait` is after how many seconds to ask again, 0 where it does not say."""

    def __init__(self, reason, wait=0.0):
        super().__init__(reason)
        self.wait = wait


@contextmanager
def _telling_at_once():
    """Within it, trouble with a request of the Hub's client is `_Unavailable`.

    By itself the client would repeat some requests and not others, wait for hours where it is told to, and for ever
    where it hears nothing. `_Unavailable` is an exception that it does not know, which goes up to `_ask`.
    """
    session = get_session()
    session.timeout = TIMEOUT
    send = session.send

    def send_and_tell(request, **options):
        try:
            response = send(request, **options)
        except httpx2.TimeoutException as error:
            raise _Unavailable(f"{request.url.host} did not answer for {TIMEOUT:g} seconds") from error
        except httpx2.ConnectError as error:
            raise _Unavailable(f"{request.url.host} cannot be reached ({error})") from error
        except httpx2.TransportError as error:
            raise _Unavailable(f"the connection to {request.url.host} was cut ({error})") from error
        if response.status_code in (408, 429) or response.status_code >= 500:
            response.close()
            reason = "has had too many requests" if response.status_code == 429 else "has a problem"
            raise _Unavailable(f"{request.url.host} {reason} ({response.status_code})", _asked_wait(response.headers))
        return response

    session.send = send_and_tell
    try:
        yield
    finally:
        close_session()  # who uses the client next gets one of its own kind


def _asked_wait(headers):
    """The seconds that a server asks to wait; 0 where it does not.

    Reference: RFC 9110, section 10.2.3.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        limit = parse_ratelimit_headers(headers)
        return float(limit.reset_in_seconds) if limit and limit.remaining == 0 else 0.0


def _not_the_hub():
    return f"what answers at {constants.ENDPOINT} is not the Hub"


def _refusal(error):
    status = error.response.status_code
    said = error.server_message
    if status == 401:
        return "the Hub refuses the token (401); `hf auth login`, or another HF_TOKEN, would be right"
    if status == 403:
        return f"the token may not do that (403{f': {said}' if said else ''}); one with the role write would be right"
    if status == 404:
        return "the Hub says that it is not there, or that the token may not see it (404)"
    return f"the Hub answered {status}{f' ({said})' if said else ''}"


def _find_token():
    try:
        token = get_token()
    except Exception as error:  # of another service, where the token is to come from one
        raise UserError(f"The token of the Hub could not be got ({type(error).__name__}).") from None
    if not token:
        raise UserError(
            "--push-to-hub needs a token with the role write: `hf auth login` keeps one, HF_TOKEN gives one; "
            f"{constants.ENDPOINT}/settings/tokens makes one."
        )
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise UserError("The token of the Hub has characters that no token has; HF_TOKEN or `hf auth login` set it.")
    return token


def _read_card(folder, repository):
    """The card as it will be in the repository, in bytes. Raises `UserError` where the folder lacks one of `FILES`."""
    for name in FILES:
        if not (Path(folder) / name).is_file():
            raise UserError(f"{folder} has no {name}, which belongs to a model folder.")
    with os_error_as_user_error(folder):
        card = (Path(folder) / CARD_FILE).read_bytes()
    return with_repository(card.decode(errors="replace"), repository).encode()
