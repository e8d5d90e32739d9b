// Attention of a layer, fetched once for each photo, model, layer and set of changes.

import { call, latest, uint16 } from "./api.js";
import { fail } from "./status.js";
import { state } from "./state.js";

const kept = new Map(); // insertion order: the oldest goes first
const MOST = 40;

const keyOf = (name, layer, changes) => JSON.stringify([state.photo, name, layer, changes]);

/** An asker of its own for each place that shows a map, so that the last choice of each wins. */
export function attentionAsker(show) {
  const ask = latest(
    async (name, layer, changes) => {
      const key = keyOf(name, layer, changes);
      const answer = await call("/page_attention", { photo: state.photo, model: name, layer, changes });
      answer.weights = uint16(answer.weights);
      kept.set(key, answer);
      if (kept.size > MOST) kept.delete(kept.keys().next().value);
    },
    show,
    (error) => fail(error.message),
  );
  /** The attention if it is known; else null, and `show` is called when it is. */
  return (name, layer, changes = {}) => {
    const found = kept.get(keyOf(name, layer, changes));
    if (!found && state.info) ask(name, layer, changes);
    return found ?? null;
  };
}

/** The attention [N] from one patch, of one head (from 1) or of the mean of the heads (0), as shares. */
export function row(one, answer, head, patch) {
  const number = one.grid_size ** 2;
  const heads = head ? [head - 1] : [...Array(one.num_heads).keys()];
  return Array.from(
    { length: number },
    (_, index) =>
      heads.reduce((sum, each) => sum + answer.weights[(each * number + patch) * number + index], 0) /
      heads.length /
      65535,
  );
}

/** exp(entropy): over how many patches attention is spread. */
export function spread(shares) {
  const sum = shares.reduce((total, share) => total + share, 0) || 1;
  return Math.exp(-shares.reduce((total, share) => total + (share > 0 ? (share / sum) * Math.log(share / sum) : 0), 0));
}
