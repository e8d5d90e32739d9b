// The server: calls go through Gradio's queue by Gradio's own client.

import { Client } from "./vendor/gradio-client.js";
import { page } from "./state.js";
import { has, t } from "./text.js";

const PATIENCE = 90_000; // ms; where a proxy has ended the stream of answers, nothing else tells
let connection = null;

const address = () => location.origin + location.pathname.replace(/\/$/, "");

function connect() {
  connection ??= Client.connect(address(), { events: ["status", "data"] });
  connection.catch(() => {
    connection = null;
  });
  return connection;
}

/** What went wrong, in the visitor's language. */
export class PageError extends Error {}

/** Call an endpoint and return its answer. `values` must list the arguments in the endpoint's order: Gradio's client
 *  knows argument names only of documented endpoints. Throws `PageError`. */
export async function call(name, values) {
  const used = connect();
  let client;
  try {
    client = await used;
  } catch {
    throw new PageError(t("error.server_gone"));
  }
  try {
    return (await inTime(client.predict(name, Object.values(values)))).data[0];
  } catch (error) {
    const message = String(error?.message ?? error ?? "");
    const ours = told(message);
    // A client whose stream broke off would wait for answers forever: the next call connects anew.
    if (!ours && connection === used) connection = null;
    throw new PageError(ours ?? inWords(message));
  }
}

function inTime(answer) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("connection")), PATIENCE);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}

/** The text of an error that the server tells as JSON; null for any other. */
function told(message) {
  try {
    const { key, values, sentence } = JSON.parse(message);
    return has(`error.${key}`) ? t(`error.${key}`, values) : sentence;
  } catch {
    return null;
  }
}

function inWords(message) {
  if (/queue.*full/i.test(message)) return t("error.queue_full", { n: page.limits.waiting });
  if (/connection|fetch|network/i.test(message)) return t("error.server_gone");
  return message && !/^\{|^null$|undefined/.test(message) ? message : t("error.unexpected");
}

const kept = new Map(); // answers; insertion order: the oldest goes first
const MOST = 60;
const keyOf = (name, values) => JSON.stringify([name, values]);

/** The answer that `cachedCall` has kept, or undefined. */
export const keptAnswer = (name, values) => kept.get(keyOf(name, values));

/** Call an endpoint unless its answer is kept. What is kept went through `decode`, once. */
export async function cachedCall(name, values, decode = (answer) => answer) {
  const found = keptAnswer(name, values);
  if (found) return found;
  const answer = decode(await call(name, values));
  kept.set(keyOf(name, values), answer);
  if (kept.size > MOST) kept.delete(kept.keys().next().value);
  return answer;
}

/** Upload a file and return the path that the server knows it by. Throws `PageError`. */
export function upload(file, onprogress) {
  const megabytes = (size) => Math.ceil((10 * size) / 2 ** 20) / 10;
  const tooLarge = t("error.too_large", { size: megabytes(file.size), max: megabytes(page.limits.bytes) });
  if (file.size > page.limits.bytes) return Promise.reject(new PageError(tooLarge));
  if (file.size === 0) return Promise.reject(new PageError(t("error.empty_file")));
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how far an upload is
    const form = new FormData();
    form.append("files", file, file.name || "photo");
    request.upload.onprogress = (event) => event.lengthComputable && onprogress(event.loaded / event.total);
    request.onload = () => {
      if (request.status === 200) resolve(JSON.parse(request.responseText)[0]);
      else reject(new PageError(request.status === 413 ? tooLarge : t("error.upload_failed")));
    };
    request.onerror = () => reject(new PageError(t("error.upload_failed")));
    request.open("POST", `${address()}/gradio_api/upload`);
    request.send(form);
  });
}

/** Run one call at a time; while it runs, keep only the newest waiting call.
 *  `done(answer)` gets the answers, `failed(error)` the errors. After `cancel` the next call runs at once, and the
 *  answer of the one before is dropped. */
export function latest(make, done, failed) {
  let running = false;
  let waiting = null;
  let generation = 0;
  async function run(input) {
    running = true;
    const own = generation;
    try {
      const answer = await make(...input);
      if (own === generation) done(answer, ...input);
    } catch (error) {
      if (own === generation) failed(error);
    }
    if (own !== generation) return; // cancelled, and perhaps another one runs
    running = false;
    if (waiting) {
      const next = waiting;
      waiting = null;
      run(next);
    }
  }
  const request = (...input) => {
    if (running) waiting = input;
    else run(input);
  };
  request.isRunning = () => running;
  request.cancel = () => {
    generation += 1;
    running = false;
    waiting = null;
  };
  return request;
}

/** Bytes from base64. */
export const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
export const uint16 = (text) => new Uint16Array(bytes(text).buffer);
