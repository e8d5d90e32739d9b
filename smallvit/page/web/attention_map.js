// Attention of a layer: fetched once for each photo, model, layer and set of changes, and drawn over the photo.

import { cachedCall, keptAnswer, latest, uint16 } from "./api.js";
import { changesOf, state } from "./state.js";
import { color, overlay, seenImage } from "./draw.js";
import { showMessage } from "./status.js";
import { percent, t } from "./text.js";
import { headName, titleOf } from "./words.js";

const ENDPOINT = "/page_attention";

/** An asker of its own for each place that shows a map, so that the last choice of each wins. */
export function attentionAsker(show) {
  const ask = latest(
    (values) => cachedCall(ENDPOINT, values, (answer) => ({ ...answer, weights: uint16(answer.weights) })),
    () => show(),
    (error) => showMessage(error.message),
  );
  /** The attention if it is known; else null, and `show` is called when it is. */
  return (model, layer, changes = {}) => {
    const values = { photo: state.photo, model, layer, changes };
    const found = keptAnswer(ENDPOINT, values);
    if (!found && state.info) ask(values);
    return found ?? null;
  };
}

/** The attention [N] from one patch, of one head (from 1) or of the mean of the heads (0), as shares. */
function attentionFromPatch(model, answer, head, patch) {
  const number = model.grid_size ** 2;
  const heads = head ? [head - 1] : [...Array(model.num_heads).keys()];
  return Array.from(
    { length: number },
    (_, index) =>
      heads.reduce((sum, each) => sum + answer.weights[(each * number + patch) * number + index], 0) /
      heads.length /
      65535,
  );
}

/** exp(entropy): over how many patches attention is spread. */
function spread(shares) {
  const sum = shares.reduce((total, share) => total + share, 0) || 1;
  return Math.exp(-shares.reduce((total, share) => total + (share > 0 ? (share / sum) * Math.log(share / sum) : 0), 0));
}

/** Whether the mask hides a patch from itself: LSA, unless a change puts the diagonal back. */
const masks = (model) => model.use_lsa && changesOf(model.name).mask !== false;

/** The attention from the chosen patch in the chosen head, or in the last ones that the model has. */
export function chosenAttention(model, answer) {
  const [row, column] = [state.row, state.column].map((value) => Math.min(value, model.grid_size));
  const patch = (row - 1) * model.grid_size + column - 1;
  const head = Math.min(state.head, model.num_heads);
  const shares = attentionFromPatch(model, answer, head, patch);
  const masked = masks(model);
  return {
    model,
    answer,
    row,
    column,
    patch,
    head,
    shares,
    masked,
    spread: Math.round(spread(shares)),
    most: Math.max(...shares),
    numVisible: model.grid_size ** 2 - Number(masked),
  };
}

/** Draw what `chosenAttention` returns over the photo; `scale` is the share that has the full colour. */
export function drawAttention(image, patches, { model, answer, row, column, patch, head, ...chosen }, scale) {
  overlay(
    image,
    seenImage(state.info, model),
    model.image_size,
    model.grid_size,
    chosen.shares.map((share) => share / scale),
    color(model.variant),
    { framed: patch, crossed: chosen.masked ? [patch] : [] },
  );
  image.setAttribute(
    "aria-label",
    t("attention.map_alt", {
      model: titleOf(model),
      layer: answer.layer,
      head: headName(head),
      row,
      column,
      spread: chosen.spread,
      reach: chosen.numVisible,
      self: percent(chosen.shares[patch]),
      p: percent(chosen.most),
    }),
  );
  patches.set(model.grid_size, patch);
}
