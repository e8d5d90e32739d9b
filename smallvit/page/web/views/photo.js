// Photo and answers: one photo, every model, and where the models disagree.

import {
  allModels,
  aTruth,
  className,
  count,
  hideExplanation,
  list,
  milliseconds,
  percent,
  superclassName,
  t,
} from "../text.js";
import { bars } from "../probability_bars.js";
import { button, fill, h, linkTo, refill } from "../dom.js";
import { canvas, pixels, seenImage } from "../draw.js";
import { unchanged } from "../answers.js";
import {
  classes,
  classKey,
  compared,
  disagreementOf,
  modelNamed,
  openView,
  page,
  pairNames,
  set,
  state,
  truthFor,
} from "../state.js";
import { buildView, explain } from "./view.js";
import { makeGallery } from "../gallery.js";
import { makeSources } from "../photo_sources.js";
import { inSentence, titleOf } from "../words.js";

export function makeView(section, nextView) {
  const view = buildView(section, "photo");
  const sources = makeSources();
  const preview = h("img", { alt: t("photo.photo_alt"), class: "preview" });
  const crop = h("div", { class: "crop", "aria-hidden": "true" });
  const holder = h("div", { class: "holder" }, preview, crop);
  const small = canvas("", { class: "pixels seen" });
  const caption = h("p", { class: "caption" });
  const credit = h("p", { class: "caption" });
  const cards = h("div", { class: "cards" });
  const data = h("p", { class: "caption" });
  const allClasses = h(
    "details",
    {},
    h("summary", {}, ""),
    h("p", { class: "caption" }, t("photo.always")),
    h("p", {}),
  );
  const gallery = makeGallery();
  const next = h("p", { class: "next" });
  view.body.append(
    h(
      "div",
      { class: "split" },
      h(
        "div",
        { class: "card photo" },
        h("div", { class: "photo-frame" }, holder),
        h("div", { class: "row seen-row" }, small, h("div", {}, caption, credit)),
        sources.element,
      ),
      h("div", { class: "grow" }, cards, allClasses, data),
    ),
    sources.examples,
    next,
    gallery.element,
  );

  function show() {
    const { info } = state;
    const models = compared();
    const first = modelNamed(state.a);
    const isFair = models.every((model) => model.fair_group === first.fair_group);
    const intro = isFair ? (models.length === 4 ? "photo.intro_fair" : "photo.intro_fair_some") : "photo.intro_unfair";
    view.intro(models.length > 1 ? t(intro) : "");
    holder.classList.toggle("none", !info);
    if (info) {
      if (preview.getAttribute("src") !== info.preview) preview.src = info.preview;
      preview.width = info.width;
      preview.height = info.height;
      const [left, top, side] = info.crop;
      crop.style.left = `${(100 * left) / info.width}%`;
      crop.style.top = `${(100 * top) / info.height}%`;
      crop.style.width = `${(100 * side) / info.width}%`;
      crop.style.height = `${(100 * side) / info.height}%`;
      pixels(small, seenImage(info, first), first.image_size);
      small.setAttribute("aria-label", t("photo.seen_alt", { side: first.data_image_size }));
    }
    caption.textContent = t("photo.frame", { side: first.data_image_size });
    const example = page.examples.find(({ id }) => id === state.photo?.example);
    fill(
      credit,
      example?.author &&
        (example.link ? h("a", { href: example.link }, t("photo.credit", example)) : t("photo.credit", example)),
    );
    hideExplanation();
    const explained = new Set();
    refill(
      cards,
      models.map((model) => card(model, explained)),
    );
    allClasses.firstChild.textContent = t("photo.classes", { count: new Set(models.flatMap(classes)).size });
    fill(
      allClasses.lastChild,
      ofEach(models, (model) => classes(model).map(className).join(", ")),
    );
    fill(data, ofEach(models, dataOf));
    sources.show();
    gallery.show();
    fill(next, links(nextView));
    view.setTakeaway(...takeaway(models));
  }

  return { show };
}

/** A text once if it is the same for every model, else that of each model after its name. */
function ofEach(models, textOf) {
  const told = models.map(textOf);
  if (told.every((text) => text === told[0])) return told[0];
  return models.map((model, index) => [index > 0 && h("br"), `${titleOf(model)}: ${told[index]}`]);
}

const dataOf = (model) =>
  t("photo.data", {
    data: model.data,
    train: count(model.num_train),
    val: count(model.validation.n),
    test: count(model.test.n),
    count: classes(model).length,
    side: model.data_image_size,
  });

/** What to try next: the next view, and the photos on which A and B differ. */
function links(nextView) {
  const found = disagreementOf(state.a, state.b);
  const [token, differ] = list("photo.next", {
    n: modelNamed(state.b).grid_size ** 2,
    share: found && percent(found.different_answers / found.n),
  });
  return [
    linkTo(token, `#view=${nextView}`, () => openView(nextView)),
    found && [" · ", linkTo(differ, "#view=photo", () => document.getElementById("gallery").scrollIntoView())],
  ];
}

function card(model, explained) {
  const answer = unchanged[model.name];
  const truth = truthFor(model);
  const said = answer && classKey(model, answer.top[0][0]);
  const [right, wrong, unsure] = list("answer_bar.marks");
  const [useA, useB] = list("photo.choose");
  const [isA, isB] = list("photo.chosen");
  const chooser = (side, use, is) =>
    button(state[side] === model.name ? is : use, () => set({ [side]: model.name }), {
      "aria-pressed": state[side] === model.name,
      "data-key": `${side} ${model.name}`,
    });
  return h(
    "article",
    { class: "card answer", "data-variant": model.variant, "aria-label": titleOf(model) },
    h("h3", {}, titleOf(model)),
    h(
      "p",
      { class: "said" },
      answer
        ? [
            h("b", {}, className(said)),
            truth && h("span", { class: said === truth ? "right" : "wrong" }, " ", said === truth ? right : wrong),
            answer.unsure && h("span", { class: "unsure" }, explain(unsure, explained)),
          ]
        : "\u00a0",
    ),
    answer
      ? bars(model, answer)
      : h(
          "ol",
          { class: "bars" },
          [1, 2, 3].map(() => h("li", {}, "\u00a0")),
        ),
    h(
      "p",
      { class: "caption" },
      explain(t("photo.card_accuracy", { acc: percent(model.test.top1), n: count(model.test.n) }), explained),
      h("br"),
      answer ? t("photo.card_time", { ms: milliseconds(answer.ms) }) : "\u00a0",
    ),
    page.models.length > 1 && h("div", { class: "row" }, chooser("a", useA, isA), chooser("b", useB, isB)),
  );
}

function takeaway(models) {
  const answered = models.filter((model) => unchanged[model.name]);
  if (!state.info || answered.length < models.length) return ["\u00a0"];
  const truth = models.every(truthFor) ? state.info.truth : null;
  const said = (model) => classKey(model, unchanged[model.name].top[0][0]);
  const shown = (list_) =>
    list_.map((model) => t("value.answer_of", { model: inSentence(model), answer: className(said(model)) })).join(", ");
  const all = allModels(models.length);
  const of = Object.fromEntries(models.map((model) => [model.variant, said(model)]));
  const four = ["vit", "spt", "lsa", "spt_lsa"].every((variant) => variant in of);
  const variants = (list_) =>
    list_
      .map((model) => model.variant)
      .sort()
      .join(" ");
  const distinct = new Set(models.map(said));
  const right = models.filter((model) => said(model) === truth);
  const wrong = models.filter((model) => said(model) !== truth);
  const values = {
    all_models: all,
    All_models: all,
    model: inSentence(models[0]),
    truth: truth && className(truth),
    a_truth: truth && aTruth(truth),
    answer: className(said(models[0])),
    answers: shown(truth ? wrong : models),
    right_models: right.map(inSentence).join(", "),
  };
  let key;
  if (models.length === 1) key = !truth ? "single" : wrong.length ? "single_wrong" : "single_right";
  else if (truth) {
    const sets = {
      "spt spt_lsa": "spt_only",
      "lsa spt_lsa": "lsa_only",
      spt_lsa: "both_only",
      vit: "plain_only",
      "lsa vit": "no_spt_only",
      "spt vit": "no_lsa_only",
    };
    if (!wrong.length) key = "all_right";
    else if (!right.length) key = distinct.size === 1 ? "all_wrong_same" : "all_wrong";
    else if (four && variants(right) in sets) key = sets[variants(right)];
    else if (four && right.length === 3) {
      key = "all_but_one";
      Object.assign(values, { model: inSentence(wrong[0]), answer: className(said(wrong[0])) });
    } else key = "mixed";
  } else if (distinct.size === 1) key = "same";
  else {
    key = "differ";
    if (four && distinct.size === 2) {
      if (of.spt === of.spt_lsa && of.vit === of.lsa) {
        key = "spt_split";
        Object.assign(values, { answer: className(of.spt), other: className(of.vit) });
      } else if (of.lsa === of.spt_lsa && of.vit === of.spt) {
        key = "lsa_split";
        Object.assign(values, { answer: className(of.lsa), other: className(of.vit) });
      } else {
        const lonely = models.find((model) => models.filter((other) => said(other) === said(model)).length === 1);
        if (lonely) {
          key = "one_differs";
          Object.assign(values, {
            model: inSentence(lonely),
            other: className(said(lonely)),
            answer: className(said(models.find((model) => model !== lonely))),
          });
        }
      }
    }
  }
  return [t(`photo.T.${key}`, values), second(models, truth, right, wrong, said)];
}

/** The second sentence of the takeaway. */
function second(models, truth, right, wrong, said) {
  const unsure = (model) => unchanged[model.name].unsure;
  if (models.every(unsure))
    return truth ? t("photo.T+.unsure_known") : t("photo.T+.unsure_all", { count: classes(models[0]).length });
  if (truth && right.length && right.every(unsure)) return t("photo.T+.unsure_right");
  const kind = page.superclass[truth];
  if (kind && wrong.length && wrong.every((model) => page.superclass[said(model)] === kind))
    return t("photo.T+.close", { superclass: superclassName(kind) });
  const [a, b] = pairNames().map(modelNamed);
  if (a?.test && b?.test) {
    return t("photo.T+.one_photo", {
      n: count(a.test.n),
      A: inSentence(a),
      accA: percent(a.test.top1),
      B: inSentence(b),
      accB: percent(b.test.top1),
    });
  }
  return null;
}
