// The answers to the photo: of every compared model to the photo as it is, and of A and B with the visitor's changes.

import { call, latest } from "./api.js";
import { changesOf, compared, isChanged, modelNamed, pairNames, set, state, subscribe } from "./state.js";
import { setBusy, showMessage } from "./status.js";
import { t } from "./text.js";

/** {model name: answer} to the photo as it is; empty while a new photo is on its way. */
export let unchanged = {};
/** {model name: answer} of A and B with the changes; the last ones until the server has answered new changes. */
export let current = {};

const changesKey = (name) => JSON.stringify(changesOf(name));

/** The answer of A or B with the changes as they are now, or undefined until the server has given it. */
export const currentAnswer = (name) => (current[name]?.changes === changesKey(name) ? current[name] : undefined);

/** Ask models for their answers; each answer has the `changes` it was given with, as JSON. With it comes the model's
 *  tau, which the page does not have if it was opened before the model was loaded. */
async function askModels(photo, models, changes) {
  const answers = await call("/page_answers", { photo, models, changes: JSON.parse(changes) });
  for (const answer of answers) modelNamed(answer.model).tau = answer.tau;
  return answers.map((answer) => ({ ...answer, changes }));
}

const listeners = new Set();
export const onAnswers = (listener) => listeners.add(listener);
const notifyListeners = () => {
  for (const listener of listeners) listener();
};

const ask = latest(
  (photo, names) => askModels(photo, names, "{}"),
  (answers) => {
    setBusy(false);
    unchanged = { ...unchanged, ...Object.fromEntries(answers.map((answer) => [answer.model, answer])) };
    if (!isChanged()) current = pick(unchanged);
    notifyListeners();
    if (isChanged()) askChanged(state.photo);
    const rest = missing();
    if (rest.length) ask(state.photo, rest);
  },
  failed,
);

const askChanged = latest(
  async (photo) => {
    const names = pairNames();
    const groups = new Map(); // models with the same changes are asked together
    for (const name of names) {
      const key = changesKey(name);
      groups.set(key, [...(groups.get(key) ?? []), name]);
    }
    const answers = await Promise.all(
      [...groups].map(([changes, models]) =>
        changes === "{}" && models.every((name) => unchanged[name])
          ? models.map((name) => unchanged[name])
          : askModels(photo, models, changes),
      ),
    );
    return answers.flat();
  },
  (answers) => {
    current = Object.fromEntries(answers.map((answer) => [answer.model, answer]));
    notifyListeners();
  },
  failed,
);

const pick = (answers) =>
  Object.fromEntries(
    pairNames()
      .filter((name) => answers[name])
      .map((name) => [name, answers[name]]),
  );

function failed(error) {
  setBusy(false);
  showMessage(error.message);
  notifyListeners();
}

/** The models to ask next: A and B, then the others, which may have to be loaded first. */
function missing() {
  const open = (names) => names.filter((name) => !unchanged[name] && modelNamed(name)?.status === "here");
  const first = open(pairNames());
  return first.length ? first : open(compared().map((model) => model.name));
}

subscribe((changed) => {
  if (changed.has("photo")) {
    ask.cancel();
    askChanged.cancel();
    unchanged = {};
    current = {};
    notifyListeners();
  }
  if (!state.photo || !state.info) return;
  if (changed.has("info") || changed.has("a") || changed.has("b")) {
    const names = missing();
    if (names.length) {
      setBusy(names.some((name) => pairNames().includes(name)));
      ask(state.photo, names);
      return;
    }
  }
  if (["info", "a", "b", "changes"].some((name) => changed.has(name))) {
    if (isChanged()) askChanged(state.photo);
    else {
      askChanged.cancel();
      current = pick(unchanged);
      notifyListeners();
    }
  }
});

let choices = 0;

/** Begin to choose a photo that comes later. The function returned tells whether the visitor chose no other since. */
export function beginChoice() {
  choices += 1;
  const own = choices;
  return () => own === choices;
}

// Choosing a photo: what the server tells of it comes first, then the answers.
const look = latest(
  async (photo) => call("/page_photo", { photo }),
  (info) => {
    set(state.photo?.url ? { photo: info.photo, info } : { info }); // what lay at an address is an upload from now on
    for (const note of info.notes) showMessage(t(`error.${note}`));
  },
  (error) => {
    setBusy(false);
    set({ photo: null, info: null });
    showMessage(error.message);
  },
);

/** Ask what models that have come see of the photo. */
export async function lookAgain(models) {
  const { photo, info } = state;
  if (!info || models.every((model) => model.status !== "here" || model.name in info.seen)) return;
  const complete = await call("/page_photo", { photo });
  if (state.info === info) state.info = complete;
}

/** Take a photo: {example}, {upload}, {test_image} or {url}. Old answers go at once. */
export function choosePhoto(photo, changes = null) {
  beginChoice();
  look.cancel();
  setBusy(true);
  set({ photo, info: null });
  if (changes) set({ changes });
  look(photo);
}
