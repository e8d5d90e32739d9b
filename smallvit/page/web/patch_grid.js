// A grid of patches over an image: click one, or move with the arrow keys.

import { fill, h } from "./dom.js";
import { t } from "./text.js";

/**
 * patchGrid({label, onpick({row, column}, index), toggles}) has `element`, a square box to lay over a canvas, and
 * set(grid, chosen, marked): the size of the grid, the index of the chosen patch, and those to show as pressed.
 */
export function patchGrid({ label, onpick, toggles = false }) {
  const element = h("div", { class: "patch-grid", role: "grid", "aria-label": label });
  let size = 0;
  let buttons = [];

  const place = (index) => ({ row: Math.floor(index / size) + 1, column: (index % size) + 1 }); // from 1

  function build(grid) {
    size = grid;
    buttons = Array.from({ length: grid * grid }, (_, index) =>
      h("button", {
        type: "button",
        tabindex: -1,
        onclick: () => {
          focus(index);
          onpick(place(index), index);
        },
      }),
    );
    element.style.setProperty("--grid", grid);
    fill(
      element,
      Array.from({ length: grid }, (_, row) =>
        h(
          "div",
          { role: "row" },
          buttons.slice(row * grid, (row + 1) * grid).map((button) => h("div", { role: "gridcell" }, button)),
        ),
      ),
    );
  }

  function focus(index) {
    for (const [other, button] of buttons.entries()) button.tabIndex = other === index ? 0 : -1;
    buttons[index].focus({ preventScroll: true });
  }

  element.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    const from = buttons.indexOf(document.activeElement);
    if (!(event.key in moves) || from < 0) return;
    event.preventDefault();
    const [down, right] = moves[event.key];
    const row = Math.min(size - 1, Math.max(0, Math.floor(from / size) + down));
    const column = Math.min(size - 1, Math.max(0, (from % size) + right));
    focus(row * size + column);
    if (!toggles) onpick(place(row * size + column), row * size + column);
  });

  return {
    element,
    set(grid, chosen, marked = []) {
      if (grid !== size) build(grid);
      const pressed = new Set(marked);
      for (const [index, button] of buttons.entries()) {
        button.setAttribute("aria-label", t("value.row_column", place(index)));
        if (toggles) button.setAttribute("aria-pressed", pressed.has(index));
        else if (index === chosen) button.setAttribute("aria-current", "true");
        else button.removeAttribute("aria-current");
      }
      if (!buttons.some((button) => button.tabIndex === 0)) buttons[Math.max(0, chosen)].tabIndex = 0;
      if (!element.contains(document.activeElement) && chosen >= 0) {
        for (const [index, button] of buttons.entries()) button.tabIndex = index === chosen ? 0 : -1;
      }
    },
  };
}
