// What every view has: a title, an introduction, a takeaway computed from what is on the screen, and what to try next.

import { fill, h, linkTo } from "../dom.js";
import { rich, sentences, t } from "../text.js";
import { modelNamed, openView, state } from "../state.js";

/** {values for explanations of terms}: of the model that is chosen as B. */
function glossValues() {
  const model = modelNamed(state.b);
  return {
    D: model.embed_dim,
    heads: model.num_heads,
    layers: model.depth,
    P: model.patch_size,
    n: model.grid_size ** 2,
    d: model.head_dim,
    start: model.initial_tau.toFixed(2),
  };
}

/** A text as nodes; the first appearance of each term that is not in `explained` yet has its explanation. */
export const explain = (text, explained = new Set()) => rich(text, { values: glossValues(), explained });

/** Build what every view has: {setTakeaway(sentences), body, intro(text)}; a link at its end opens the view `next`. */
export function buildView(section, name, next = null) {
  const intro = h("p", { class: "intro" });
  const takeaway = h("p", { class: "take", "aria-live": "polite" });
  const body = h("div", { class: "body" });
  section.append(h("h2", { id: `title-${name}`, tabindex: -1 }, t(`${name}.title`)), takeaway, intro, body);
  if (next)
    section.append(
      h(
        "p",
        { class: "next" },
        linkTo(t(`${name}.next`), `#view=${next}`, () => openView(next)),
      ),
    );
  const shown = { take: null, intro: null };
  return {
    body,
    /** Show the takeaway: one or two sentences. */
    setTakeaway(...parts) {
      const text = sentences(parts);
      if (text === shown.take) return;
      shown.take = text;
      fill(takeaway, rich(text));
    },
    intro(text) {
      if (text === shown.intro) return;
      shown.intro = text;
      fill(intro, explain(text));
    },
  };
}
