// The bars of an answer: class, bar, percentage.

import { h } from "./dom.js";
import { className, percent } from "./text.js";
import { classKey } from "./state.js";

/** The most probable classes of an answer as a list; the bar has the colour of the model's variant. */
export function bars(model, answer, number = 3) {
  return h(
    "ol",
    { class: "bars", "data-variant": model.variant },
    answer.top.slice(0, number).map(([index, probability]) => {
      const name = className(classKey(model, index));
      return h(
        "li",
        {},
        h("span", { class: "name", title: name }, name),
        h("i", { "aria-hidden": "true", style: { "--share": `${100 * probability}%` } }),
        h("span", { class: "value" }, `${percent(probability)}\u00a0%`),
      );
    }),
  );
}
