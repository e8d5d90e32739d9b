"""Menus and sliders that accept values outside their limits.

Gradio checks a value against the limits of the session. A new session has the limits from when the page was built. A
model that came from the Hub later would be refused. These components skip the check, and the views check instead:
`ModelStore.record` refuses an unknown name, and numbers are reduced to what the models have.
"""

from typing import Any

import gradio as gr


class UncheckedDropdown(gr.Dropdown):
    """Gradio's menu without the check of its value."""

    is_template = True  # the browser shows it as a Dropdown

    def preprocess(self, payload: Any) -> Any:
        """Return the value unchanged."""
        return payload


class UncheckedSlider(gr.Slider):
    """Gradio's slider over whole numbers from 1, without the check of the upper limit."""

    is_template = True  # the browser shows it as a Slider

    def preprocess(self, payload: float) -> int:
        """Return the number, at least 1."""
        return max(1, int(payload))
