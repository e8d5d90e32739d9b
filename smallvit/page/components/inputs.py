"""Menus and sliders whose limits follow the models at hand.

Gradio checks a value against the limits of the session, and a session begins with those that the page was built with:
a link to a model that has come from the Hub since, or a page left open for long, would meet with its refusal. So the
views check: `ModelStore.record` refuses a name that no model has, and numbers are brought down to what models have.
"""

import gradio as gr


class UncheckedDropdown(gr.Dropdown):
    """Gradio's menu, but one that hands on any value."""

    is_template = True  # to the browser it is a Dropdown

    def preprocess(self, payload):
        """Return the value as it came."""
        return payload


class UncheckedSlider(gr.Slider):
    """Gradio's slider over whole numbers from 1, but one that hands on those above its end too."""

    is_template = True  # to the browser it is a Slider

    def preprocess(self, payload):
        """Return the number, at least 1."""
        return max(1, int(payload))
