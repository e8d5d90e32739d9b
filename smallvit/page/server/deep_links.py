"""Links to a result: Gradio keeps what stands in the components of a session, and a link brings it back."""

from gradio.blocks import Block
from gradio.state_holder import SessionState

_set_item = SessionState.__setitem__


def patch_gradio_session():
    """Have Gradio remember what a visitor chooses in a component that an event has updated, in this process.

    For an update it makes the component anew, under another id, and files every later value under that, where no link
    finds it.
    """
    SessionState.__setitem__ = _set_under_its_id


def _set_under_its_id(session, key, value):
    if isinstance(value, Block):
        value._id = key
    _set_item(session, key, value)
