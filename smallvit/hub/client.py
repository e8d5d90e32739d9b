"""Calls of the Hub's client: with a time limit, and with its errors as one sentence for the user."""

import errno
import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from huggingface_hub import constants, set_client_factory
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RevisionResolutionError,
)
from huggingface_hub.utils._http import default_client_factory

from smallvit.errors import UserError, error_reason

TIMEOUT_SECONDS = 60  # without a byte; the client's own default waits for ever


@contextmanager
def hub_error_as_user_error(
    subject: str, not_found: str = "there is no such repository on the Hub (a private one needs HF_TOKEN)"
) -> Iterator[None]:
    """Within it, the Hub's client has a time limit, and its error is a `UserError` that reads "SUBJECT: REASON."."""
    _set_time_limit()
    try:
        yield
    except (httpx2.HTTPError, OSError, ValueError, RuntimeError, RevisionResolutionError) as error:
        raise UserError(f"{subject}: {_reason(error, not_found)}.") from error


@functools.cache  # setting it closes connections that are in use
def _set_time_limit() -> None:
    def client():
        made = default_client_factory()
        made.timeout = TIMEOUT_SECONDS
        return made

    set_client_factory(client)


def _reason(error: BaseException, not_found: str) -> str:
    chain = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    # The client wraps an error in another that says less, so the first one that is known counts.
    known = next((reason for one in chain if (reason := _known_reason(one, not_found))), None)
    return known or error_reason(error)


def _known_reason(error: BaseException, not_found: str) -> str | None:
    match error:
        case LocalTokenNotFoundError():
            return f"no token was found; run `hf auth login` or set HF_TOKEN ({token_advice()})"
        case OfflineModeIsEnabled():
            return "HF_HUB_OFFLINE is set, and the cache does not have all of it"
        case GatedRepoError():
            return f"its owner has to grant access first, at {constants.ENDPOINT}/{error.repo_id}; then set HF_TOKEN"
        case RevisionNotFoundError():
            return "the repository has no such revision"
        case RepositoryNotFoundError():
            return not_found
        case RemoteEntryNotFoundError():
            return "it is not a model that smallvit pushed; one of its files is missing"
        case HfHubHTTPError():
            return _status_reason(error)
        case json.JSONDecodeError():
            return f"what answers at {constants.ENDPOINT} is not the Hub"
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return "the disk of the cache is full; make room, or set HF_HOME to a folder on another disk"
        # Their text is left out: it may quote a header, and the token is in one.
        case httpx2.HTTPError() | ConnectionError():
            return "the Hub cannot be reached, or broke off"
        # The path is left out: the page shows this sentence.
        case OSError(strerror=str(text)):
            return f"a file cannot be read or written ({text})"
    return None


def _status_reason(error: HfHubHTTPError) -> str:
    status = error.response.status_code
    if status == 401:
        return "the Hub refuses the token (401); run `hf auth login` or set another HF_TOKEN"
    said = " ".join((error.server_message or "").split()).rstrip(".")
    # A server may repeat what it was sent.
    if token := error.response.request.headers.get("authorization", "").removeprefix("Bearer "):
        said = said.replace(token, "***")
    advice = f"; {token_advice()}" if status == 403 else ""
    return f"the Hub answers with status {status}{f' ({said})' if said else ''}{advice}"


def token_advice() -> str:
    """Where to get a token that may write."""
    return f"a token with the role write is made at {constants.ENDPOINT}/settings/tokens"
