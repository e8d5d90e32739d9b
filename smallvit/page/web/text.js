// The words of the page: texts/{en,ko}.json, with values filled in, and explanations of dotted words.

import { h } from "./dom.js";

let texts = {};
export let language = "en";

export async function loadTexts() {
  language = document.documentElement.lang === "ko" ? "ko" : "en";
  texts = await (await fetch(`texts/${language}.json`)).json();
}

/** The text of a key with {placeholders} filled in. A list is joined by its own separator, " · ". */
export function t(key, values = {}) {
  const text = texts[key];
  if (text === undefined) throw new Error(`no text ${key}`);
  return replaced(Array.isArray(text) ? text.join(" · ") : text, values);
}

/** The texts of a key that has several. */
export function list(key, values = {}) {
  return [texts[key]].flat().map((text) => replaced(text, values));
}

export const has = (key) => key in texts;

function replaced(text, values) {
  return text.replace(/\{([A-Za-z_0-9]+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Text with **bold** parts as nodes; the first appearance of each term gets its explanation. */
export function rich(text, glossed = null) {
  return text
    .split("**")
    .map((part, index) => {
      const nodes = glossed ? withGlosses(part, glossed) : [part];
      return index % 2 ? h("b", {}, nodes) : nodes;
    })
    .flat();
}

// The words that carry an explanation, longest first where one contains another.
const TERMS = {
  en: [
    ["McNemar", /McNemar/],
    ["standard_error", /standard error/i],
    ["top-1", /top-1/i],
    ["augmentation", /augment(?:ed|ation)/i],
    ["validation", /validation|held out/i],
    ["temperature", /temperature/i],
    ["sqrt_d", /√d/],
    ["mask", /\bmask\b/i],
    ["epoch", /\bepochs?\b/i],
    ["unsure", /\bunsure\b/i],
    ["attention", /\battention\b/i],
    ["head", /\bheads?\b/i],
    ["layer", /\blayers?\b/i],
    ["token", /\btokens?\b/i],
    ["patch", /\bpatch(?:es)?\b/i],
    ["seed", /\bseeds?\b/i],
  ],
  ko: [
    ["McNemar", /맥니마 검정/],
    ["standard_error", /표준 오차/],
    ["top-1", /top-1 정확도/],
    ["augmentation", /증강/],
    ["validation", /검증 이미지|따로 떼어/],
    ["temperature", /온도/],
    ["sqrt_d", /√d/],
    ["mask", /마스크/],
    ["epoch", /에포크/],
    ["unsure", /확신이? ?낮/],
    ["attention", /어텐션/],
    ["head", /헤드/],
    ["layer", /레이어/],
    ["token", /토큰/],
    ["patch", /패치/],
    ["seed", /시드/],
  ],
};

function withGlosses(text, { values, explained }) {
  const nodes = [];
  let rest = text;
  while (rest) {
    let first = null;
    for (const [key, pattern] of TERMS[language]) {
      if (explained.has(key) || !has(`gloss.${key}`)) continue;
      const match = pattern.exec(rest);
      if (match && (first === null || match.index < first.match.index)) first = { key, match };
    }
    if (first === null) break;
    explained.add(first.key);
    const { index, 0: word } = first.match;
    nodes.push(rest.slice(0, index), gloss(word, t(`gloss.${first.key}`, values)));
    rest = rest.slice(index + word.length);
  }
  return [...nodes, rest].filter(Boolean);
}

let bubble = null;

function gloss(word, explanation) {
  const element = h(
    "button",
    {
      type: "button",
      class: "gloss",
      "aria-label": `${word}: ${explanation}`,
      onmouseenter: () => show(element, explanation),
      onmouseleave: hideExplanation,
      onfocus: () => show(element, explanation),
      onblur: hideExplanation,
      onclick: () => show(element, explanation),
      onkeydown: (event) => event.key === "Escape" && hideExplanation(),
    },
    word,
  );
  return element;
}

function show(element, explanation) {
  hideExplanation();
  bubble = h("div", { class: "bubble", "aria-hidden": "true" }, explanation);
  document.body.append(bubble);
  const place = element.getBoundingClientRect();
  const width = bubble.offsetWidth;
  bubble.style.left = `${Math.max(8, Math.min(place.left, innerWidth - width - 8)) + scrollX}px`;
  bubble.style.top = `${place.bottom + scrollY + 6}px`;
}

/** Take the explanation away that is shown: its word may be about to go. */
export function hideExplanation() {
  bubble?.remove();
  bubble = null;
}

const NBSP = "\u00a0";
const dash = (text) => text.replace("-", "−");

export const percent = (share, digits = 1) => dash((100 * share).toFixed(digits));
export const points = (share) => (share >= 0 ? "+" : "") + percent(share);
export const count = (number) => Math.round(number).toLocaleString("en-US");
export const times = (factor) => String(Number(factor.toPrecision(2)));
export const milliseconds = (number) => (number < 10 ? number.toFixed(1) : number.toFixed(0));
export const pvalue = (p) => (p < 0.001 ? "p < 0.001" : `p = ${p.toPrecision(2)}`).replaceAll(" ", NBSP);

/** The shown name of a class: "lion", in Korean "사자(lion)". */
export function className(raw) {
  const english = raw.replaceAll("_", " ");
  return language === "ko" && has(`class.${raw}`) ? `${t(`class.${raw}`)}(${english})` : english;
}

export const superclassName = (raw) => (has(`superclass.${raw}`) ? t(`superclass.${raw}`) : raw.replaceAll("_", " "));

/** The truth within a sentence: "a lion", "an apple", "cattle", "the sea". English only; Korean texts use {truth}. */
export function aTruth(raw) {
  const english = raw.replaceAll("_", " ");
  if (!has(`class.${raw}`)) return t("value.of_class", { truth: english });
  if (english === "cattle") return english;
  if (english === "sea") return `the ${english}`;
  return `${/^[aeiou]/.test(english) ? "an" : "a"} ${english}`;
}

/** Sentences after each other, each with a capital letter: a name within a sentence, "the plain ViT", may begin one. */
export function sentences(parts) {
  return parts
    .filter(Boolean)
    .join(" ")
    .replace(/(^|[.!?] )([a-z])/g, (_, before, letter) => before + letter.toUpperCase());
}

/** "both models", "all four models" */
export const allModels = (number) => list("value.all_models")[number - 2] ?? list("value.all_models")[0];
