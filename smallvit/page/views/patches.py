"""The view of Shifted Patch Tokenization: the five images, and the patches that one token is made from."""

import gradio as gr

from smallvit.layers.tokenization import SHIFT_NAMES
from smallvit.page.components import drawing
from smallvit.page.context import PageContext
from smallvit.page.texts import format_text, text_key

DIRECTIONS = {"UP": (-1, 0), "DOWN": (1, 0), "LEFT": (0, -1), "RIGHT": (0, 1)}
GRID_SIDE, PIECE_SIDE, GAP = 192, 96, 4
"""Sides in pixels: a grid without its gaps, one piece, a gap."""


def add_patches(page: PageContext) -> None:
    """Add the view to the page."""
    with gr.Tab(text_key("tab_patches"), id="patches") as tab:
        gr.Markdown(text_key("patches_text"))
        note = gr.Markdown(elem_id="patches-note")
        grids = []
        with gr.Row():
            for name in SHIFT_NAMES:
                with gr.Column(min_width=150):
                    gr.Markdown(f"**{name}**", elem_classes="caption")
                    grids.append(page.add_image(f"grid-{name.lower()}"))
        gr.Markdown(text_key("pieces_text"))
        with gr.Row():
            row = page.add_slider("patch_row", "grid_size", value=4)
            column = page.add_slider("patch_column", "grid_size", value=4)
        with gr.Row():
            with gr.Column(scale=1, min_width=120):
                gr.Markdown(text_key("piece_plain"), elem_classes="caption")
                plain = page.add_image("piece-plain", height=120)
            with gr.Column(scale=5, min_width=280):
                gr.Markdown(text_key("piece_spt"), elem_classes="caption")
                five = page.add_image("piece-spt", height=120)

    outputs = [note, *grids, row, column, plain, five]

    def no_images(message):
        return [message, *[None] * len(grids), gr.skip(), gr.skip(), None, None]

    def show_patches(image, left, right, row, column, request: gr.Request):
        name = next((name for name in (right, left) if page.record(name).model.use_spt), None)
        if image is None or name is None:
            return no_images(format_text(request, "no_image" if image is None else "no_spt"))
        shifted = page.explain(name, image).shifted_images
        model = page.record(name).model
        row, column = min(row, model.grid_size), min(column, model.grid_size)
        patch = (row - 1, column - 1)
        return [
            format_text(request, "patches_note", patch=model.patch_size, half=model.patch_size // 2),
            *(
                gr.Image(
                    drawing.patch_grid(
                        image,
                        model.patch_size,
                        vacated=vacated(name, model.patch_size // 2),
                        marked=patch,
                        scale=_scale(model),
                        gap=GAP,
                    ),
                    alt_text=format_text(request, "grid_alt", name=name, patches=model.num_patches),
                )
                for name, image in zip(SHIFT_NAMES, shifted, strict=True)
            ),
            page.set_slider("grid_size", row),
            page.set_slider("grid_size", column),
            *(
                gr.Image(
                    drawing.patch_strip(
                        images, model.patch_size, patch, scale=PIECE_SIDE // model.patch_size, gap=3 * GAP
                    ),
                    alt_text=format_text(request, key, row=row, column=column),
                )
                for images, key in ((shifted[:1], "piece_plain_alt"), (shifted, "piece_spt_alt"))
            ),
        ]

    def pick(image, left, right, request: gr.Request, click: gr.SelectData):
        model = page.record(right).model if page.record(right).model.use_spt else page.record(left).model
        step = model.patch_size * _scale(model) + GAP
        x, y = click.index
        return show_patches(image, left, right, int(y // step) + 1, int(x // step) + 1, request)

    chosen = [page.image, page.left, page.right]
    page.add_event(tab.select, show_patches, [*chosen, row, column], outputs)
    for slider in (row, column):
        page.add_event(slider.input, show_patches, [*chosen, row, column], outputs, show_progress="hidden")
    for grid in grids:
        page.add_event(grid.select, pick, chosen, outputs, show_progress="hidden")


def vacated(name: str, half: int) -> tuple[int, int]:
    """Return the numbers of rows and columns that a shift of `SHIFT_NAMES` leaves empty.

    Positive counts from the top or left, negative from the bottom or right. The name says where the content moves, so
    the empty area is on the other side.
    """
    moves = [DIRECTIONS[word] for word in name.split("-") if word in DIRECTIONS]
    return sum(y for y, _ in moves) * half, sum(x for _, x in moves) * half


def _scale(model):
    return max(1, GRID_SIDE // model.image_size)
