"""The Hub's client with a time limit."""

from huggingface_hub import set_client_factory
from huggingface_hub.utils._http import default_client_factory

TIMEOUT_SECONDS = 60  # without a byte; the client's own default waits for ever


def use_timeout() -> None:
    """Let every later call of the Hub's client fail after `TIMEOUT_SECONDS` of silence."""
    set_client_factory(_client)


def _client():
    client = default_client_factory()
    client.timeout = TIMEOUT_SECONDS
    return client
