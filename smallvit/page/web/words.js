// What the page calls a model, an answer, a change.

import { changesOf, classKey, modelNamed, state } from "./state.js";
import { className, list, percent, t, times } from "./text.js";
import { current } from "./answers.js";

/** The name of a model on the page: its variant, and what tells it from others of that variant ("Plain ViT · laptop"). */
export const titleOf = (model) => (model.variant === "vit" ? model.title.replace(/^ViT/, t("name.vit")) : model.title);

/** The name of a model within a sentence. */
export const inSentence = (model) => (titleOf(model) === t("name.vit") ? t("name.vit_in_sentence") : titleOf(model));

export const headName = (head) => (head ? t("value.head", { head }) : t("value.head_mean"));

/** "4 px right, 1 px down" */
export function translationInWords([right, down]) {
  const parts = [];
  if (right) parts.push(t(right > 0 ? "value.right" : "value.left", { n: Math.abs(right) }));
  if (down) parts.push(t(down > 0 ? "value.down" : "value.up", { n: Math.abs(down) }));
  return parts.join(", ");
}

export const scopeName = (layer) => (layer === null ? t("value.scope_all") : t("value.scope_layer", { layer }));

/** What is changed, in words; null if nothing is. */
export function changesInWords() {
  const { factor, layer, mask, translation, target } = state.changes;
  const covered = changesOf(state.a).covered ?? changesOf(state.b).covered ?? [];
  const [tau, maskOff, patches, moved] = list("answer_bar.changes", {
    factor: times(factor),
    scope: scopeName(layer),
    n: covered.length,
    total: modelNamed(state.a).grid_size ** 2,
    move: translationInWords(translation),
  });
  const parts = [];
  if (target && factor !== 1) parts.push(tau);
  if (target && !mask) parts.push(maskOff);
  if (covered.length) parts.push(patches);
  if (translation.some(Boolean)) parts.push(moved);
  return parts.length ? parts.join(", ") : null;
}

export const answerName = (model, answer) => className(classKey(model, answer.top[0][0]));

/** The answers of A and B as a sentence. */
export function answersInWords() {
  const [a, b] = [state.a, state.b].map((name) => [modelNamed(name), current[name]]);
  if (!a[1]) return "\u00a0";
  if (state.a === state.b || !b[1]) return `${titleOf(a[0])}: ${answerName(...a)} ${percent(a[1].top[0][1])}\u00a0%`;
  return t("answer_bar.announce", {
    A: titleOf(a[0]),
    answerA: answerName(...a),
    pA: percent(a[1].top[0][1]),
    B: titleOf(b[0]),
    answerB: answerName(...b),
    pB: percent(b[1].top[0][1]),
  });
}
