// The bar that stays in sight: the photo, its truth, both answers, what is changed, and the way through the views.

import { button, fill, h, linkTo } from "./dom.js";
import { aTruth, className, list, percent, t, times } from "./text.js";
import { changesOf, classKey, modelNamed, pairNames, set, state, subscribe, titleOf, undo } from "./state.js";
import { current, onAnswers, unchanged } from "./answers.js";
import { bytes } from "./api.js";
import { pixels, seen } from "./draw.js";

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

export const answerName = (one, answer) => className(classKey(one, answer.top[0][0]));

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

export function makeAnswerBar(element, views, settings) {
  const photo = h("canvas", { role: "img", class: "pixels" });
  const truth = h("span", { class: "truth" });
  const says = h("div", { class: "says" });
  const what = h("span", {});
  const change = h("div", { class: "what-if", hidden: true }, what, button(t("answer_bar.undo"), undo));
  const announced = h("p", { class: "sr", "aria-live": "polite" });
  const links = Object.fromEntries(
    views.map((name) => [
      name,
      linkTo(t(`${name}.tab`), `#view=${name}`, () => {
        menu.open = false;
        set({ view: name });
      }),
    ]),
  );
  const here = h("span", {});
  const menu = h("details", { class: "menu" }, h("summary", {}, t("answer_bar.menu"), ": ", here));
  const nav = h(
    "nav",
    { "aria-label": t("answer_bar.menu") },
    h(
      "ol",
      {},
      views.map((name) => h("li", {}, links[name])),
    ),
  );
  element.setAttribute("role", "region");
  element.setAttribute("aria-label", t("answer_bar.label"));
  fill(
    element,
    h("div", { class: "bar" }, photo, h("div", { class: "words" }, truth, says), change, settings.button),
    menu,
    nav,
    announced,
  );
  const narrow = matchMedia("(max-width: 700px)");
  const place = () => {
    // one list of links: beneath the bar, or in a menu
    if (narrow.matches) menu.append(nav);
    else element.insertBefore(nav, announced);
    menu.hidden = !narrow.matches;
  };
  place();
  narrow.addEventListener("change", place);

  let spoken = null;

  function show() {
    for (const name of views) {
      if (name === state.view) links[name].setAttribute("aria-current", "page");
      else links[name].removeAttribute("aria-current");
    }
    here.textContent = t(`${state.view}.tab`);
    const { info } = state;
    const one = modelNamed(state.a);
    photo.setAttribute("aria-label", info ? t("answer_bar.photo_alt", { side: one.data_image_size }) : "");
    if (info) pixels(photo, current[state.a] ? bytes(current[state.a].seen) : seen(info, one), one.image_size);
    else photo.getContext("2d").clearRect(0, 0, photo.width, photo.height);
    truth.textContent = info
      ? info.truth
        ? t("answer_bar.truth", { a_truth: aTruth(info.truth), truth: className(info.truth) })
        : t("answer_bar.unknown")
      : "\u00a0";
    fill(says, pairNames().map(say));
    const told = changesInWords();
    change.hidden = told === null;
    if (told) what.textContent = t("answer_bar.what_if", { setting: told });
    const words = answersInWords();
    if (current[state.a] && words !== spoken) {
      spoken = words;
      announced.textContent = words;
    }
  }

  function say(name) {
    const one = modelNamed(name);
    const answer = current[name];
    const line = h(
      "span",
      { class: "say", "data-variant": one.variant },
      h("span", { class: "dot", "aria-hidden": "true" }),
      h("span", { class: "who" }, titleOf(one)),
    );
    if (!answer) return line;
    const [right, wrong, unsure] = list("answer_bar.marks");
    const truth = state.info?.truth;
    const said = classKey(one, answer.top[0][0]);
    const value = h("span", { class: "value" }, `${percent(answer.top[0][1])}\u00a0%`);
    const marked = h("span", { class: "marked" }, value);
    line.append(h("b", {}, className(said)), " ", marked);
    if (truth)
      marked.append(
        h(
          "span",
          { class: said === truth ? "right" : "wrong" },
          h("span", { class: "sr" }, said === truth ? right : wrong),
        ),
      );
    if (answer.unsure) line.append(h("span", { class: "unsure" }, unsure));
    const before = unchanged[name];
    if (before && JSON.stringify(changesOf(name)) !== "{}") {
      line.append(
        h(
          "span",
          { class: "was" },
          t("answer_bar.was", { answer0: answerName(one, before), p0: percent(before.top[0][1]) }),
        ),
      );
    }
    return line;
  }

  subscribe(show);
  onAnswers(show);
  show();
}
