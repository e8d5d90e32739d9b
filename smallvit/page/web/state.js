// What the visitor has chosen: one object, kept in the link so that a reload or a shared link brings it back.

const NO_CHANGES = { target: null, factor: 1, layer: null, mask: true, covered: [], translation: [0, 0] };

export const page = JSON.parse(document.getElementById("page").textContent);

/** The models that the page opens with. */
export function defaultPair() {
  const [a, b = a] = page.pair;
  return { a, b };
}

export const state = {
  view: "photo",
  photo: null, // {example} | {upload} | {test_image}: what the server takes
  info: null, // what /page_photo tells of it
  ...defaultPair(),
  row: 3,
  column: 4, // of the patch, from 1
  layer: 3,
  head: 0, // from 1; head 0 is the mean of the heads
  changes: { ...NO_CHANGES },
};

export const modelNamed = (name) => page.models.find((model) => model.name === name);
export const availableModels = () => page.models.filter((model) => model.status === "here");
export const pairNames = () => (state.a === state.b ? [state.a] : [state.a, state.b]);
export const classes = (model) => page.class_names[model.classes];
export const classKey = (model, index) => classes(model)[index];

/** The class of the photo; null if nobody knows it, or if it is none of the model's classes. */
export const truthFor = (model) => (classes(model).includes(state.info?.truth) ? state.info.truth : null);

/** The examples to offer: of a class that A or B knows, or of none. */
export const offeredExamples = () =>
  page.examples.filter(({ truth }) => !truth || pairNames().some((name) => classes(modelNamed(name)).includes(truth)));

/** Models that the photo view shows: those that differ from A in the two ideas alone, else A and B. */
export function compared() {
  const group = availableModels().filter((model) => model.fair_group === modelNamed(state.a)?.fair_group);
  if (
    group.some((model) => model.name === state.b) &&
    group.length > 1 &&
    group.length <= 4 &&
    new Set(group.map((model) => model.variant)).size === group.length
  ) {
    return group;
  }
  return pairNames().map(modelNamed);
}

/** The plain ViT trained with the same recipe; undefined for a plain ViT. */
export const plainOf = (model) =>
  availableModels().find(
    (other) => other !== model && other.variant === "vit" && other.fair_group === model.fair_group,
  );

/** What the test images tell of the models A and B together, if it was measured. */
export const disagreementOf = (a, b) =>
  a === b ? undefined : page.disagreement.find(({ models }) => models.includes(a) && models.includes(b));

const listeners = new Set();

/** Call `listener(changed)` after each change; `changed` has the names of the changed fields. */
export const subscribe = (listener) => listeners.add(listener);

/** Change fields of the state. */
export function set(fields) {
  const changed = new Set(Object.keys(fields).filter((name) => state[name] !== fields[name]));
  if (!changed.size) return;
  Object.assign(state, fields);
  if (changed.has("photo")) state.changes = { ...NO_CHANGES };
  if (changed.has("a") || changed.has("b"))
    state.changes = { ...NO_CHANGES, covered: state.changes.covered, translation: state.changes.translation };
  remember();
  notify(changed);
}

/** Tell the listeners that fields of the state, or the models of the page, have changed. */
export function notify(changed) {
  for (const listener of listeners) listener(changed);
}

export const change = (fields) => set({ changes: { ...state.changes, ...fields } });
export const undo = () => set({ changes: { ...NO_CHANGES } });
export const isChanged = () =>
  JSON.stringify(changesOf(state.a)) !== "{}" || JSON.stringify(changesOf(state.b)) !== "{}";

/** The changes that apply to one model, as the server takes them. */
export function changesOf(name) {
  const { target, factor, layer, mask, covered, translation } = state.changes;
  const changes = {};
  if (target === name) {
    if (factor !== 1) Object.assign(changes, { factor, layer });
    if (!mask) changes.mask = false;
  }
  const present = covered.filter((patch) => patch < modelNamed(name).grid_size ** 2); // A and B may have different grids
  if (present.length) changes.covered = present;
  if (translation.some(Boolean)) changes.translation = translation;
  return changes;
}

// The link: #view=token&example=lion&a=…&row=3 … Unchanged settings of tau, mask, covered patches and move are left out.
const NUMBERS = ["row", "column", "layer", "head"];
const OLD_VIEWS = { hold: "robustness" }; // names in older links

export function link() {
  const parts = new URLSearchParams({ view: state.view });
  for (const [kind, value] of Object.entries(state.photo ?? {})) parts.set(kind, value);
  for (const name of ["a", "b", ...NUMBERS]) parts.set(name, state[name]);
  const { target, factor, layer, mask, covered, translation } = state.changes;
  if (target && (factor !== 1 || !mask)) {
    parts.set("change", target);
    parts.set("factor", factor);
    if (layer !== null) parts.set("in", layer);
    if (!mask) parts.set("mask", "off");
  }
  if (covered.length) parts.set("covered", covered.join("."));
  if (translation.some(Boolean)) parts.set("move", translation.join("."));
  return `${location.origin}${location.pathname}${location.search}#${parts}`;
}

let timer = null;

function remember() {
  // Chromium allows some hundred changes of the address in 30 s: a dragged slider makes more
  clearTimeout(timer);
  timer = setTimeout(() => history.replaceState({ view: state.view }, "", link()), 250);
}

/** Open a view; the Back button returns to the one before. */
export function openView(view) {
  if (view === state.view) return;
  history.replaceState({ view: state.view }, "", link());
  set({ view });
  history.pushState({ view }, "", link());
}

addEventListener("popstate", (event) => event.state && set({ view: event.state.view }));

/** Read the link: {fields, notes}. What cannot be read is left out, and a note of it made. */
export function readLink() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const fields = {};
  const notes = [];
  const damaged = () => notes.includes("damaged") || notes.push("damaged");
  const view = parts.get("view") ?? "";
  if (/^[a-z]+$/.test(view)) fields.view = OLD_VIEWS[view] ?? view;
  const changes = { ...NO_CHANGES };
  for (const name of ["a", "b"]) {
    const wanted = parts.get(name);
    if (wanted === null) continue;
    if (modelNamed(wanted)?.status === "here") fields[name] = wanted;
    else notes.push({ model: wanted });
  }
  for (const name of NUMBERS) {
    if (!parts.has(name)) continue;
    const number = Number(parts.get(name));
    if (Number.isInteger(number) && number >= (name === "head" ? 0 : 1) && number < 1000) fields[name] = number;
    else damaged();
  }
  if (parts.has("example")) fields.photo = { example: parts.get("example") };
  else if (parts.has("upload")) fields.photo = { upload: parts.get("upload") };
  else if (/^\d+$/.test(parts.get("test_image") ?? "")) fields.photo = { test_image: Number(parts.get("test_image")) };
  if (parts.has("change")) {
    const factor = Number(parts.get("factor") ?? 1);
    const [low, high] = page.limits.factor;
    const target = parts.get("change");
    const layer = parts.has("in") ? Number(parts.get("in")) : null;
    const isOfPair = [fields.a ?? state.a, fields.b ?? state.b].includes(target);
    const isLayer = layer === null || (Number.isInteger(layer) && layer >= 1 && layer <= modelNamed(target)?.depth);
    if (isOfPair && isLayer && factor >= low && factor <= high)
      Object.assign(changes, { target, factor, layer, mask: parts.get("mask") !== "off" });
    else damaged();
  }
  if (parts.has("covered")) {
    if (/^\d+(\.\d+)*$/.test(parts.get("covered"))) changes.covered = parts.get("covered").split(".").map(Number);
    else damaged();
  }
  if (parts.has("move")) {
    const translation = parts.get("move").split(".").map(Number);
    const isTranslation =
      translation.length === 2 &&
      translation.every((offset) => Number.isInteger(offset) && Math.abs(offset) <= page.limits.translation);
    if (isTranslation) changes.translation = translation;
    else damaged();
  }
  return { fields, changes, notes };
}
