// What every view has: a title, an introduction, a takeaway computed from what is on the screen, and what to try next.

import { fill, h, linkTo } from "../dom.js";
import { rich, sentences, t } from "../text.js";
import { modelNamed, set, state, titleOf } from "../state.js";

/** {values for explanations of terms}: of the model that is chosen as B. */
function glossValues() {
  const one = modelNamed(state.b);
  return {
    D: one.embed_dim,
    heads: one.num_heads,
    layers: one.depth,
    P: one.patch_size,
    n: one.grid_size ** 2,
    d: one.head_dim,
    start: one.tau_start.toFixed(2),
    parameters: one.parameters.toLocaleString("en-US"),
  };
}

/** Build what every view has: {take(sentences), body, intro(text)}; a link at its end opens the view `next`. */
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
        linkTo(t(`${name}.next`), `#view=${next}`, () => set({ view: next })),
      ),
    );
  const seen = { take: null, intro: null };
  return {
    body,
    /** Show the takeaway: one or two sentences. */
    take(...parts) {
      const text = sentences(parts);
      if (text === seen.take) return;
      seen.take = text;
      fill(takeaway, rich(text));
    },
    intro(text) {
      if (text === seen.intro) return;
      seen.intro = text;
      fill(intro, rich(text, { values: glossValues(), seen: new Set() }));
    },
  };
}

/** The name of a model within a sentence. */
export const inSentence = (one) => (titleOf(one) === t("name.vit") ? t("name.vit_in_sentence") : titleOf(one));
