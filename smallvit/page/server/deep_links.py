"""Deep links: Gradio stores the component values of a session, and a link restores them."""

from typing import Any

from gradio.blocks import Block
from gradio.state_holder import SessionState

_set_item = SessionState.__setitem__


def patch_gradio_session() -> None:
    """Make Gradio's deep links find the values of components that an event has updated, in this process.

    After an update Gradio stores the value under a new component id. The deep link looks under the old id.
    """
    SessionState.__setitem__ = _set_item_under_its_id  # type: ignore[method-assign]


def _set_item_under_its_id(session: SessionState, key: int, value: Any) -> None:
    if isinstance(value, Block):
        value._id = key
    _set_item(session, key, value)
