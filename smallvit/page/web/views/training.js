// Training: the curves of A and B, those of all four models beside each other, and the results of all models.

import { button, csv, fill, fillTable, h, save } from "../dom.js";
import { color } from "../draw.js";
import { count, list, percent, pvalue, sentences, t } from "../text.js";
import { buildView, explain } from "./view.js";
import { lineChart } from "../chart.js";
import { compared, disagreementOf, modelNamed, page, pairNames } from "../state.js";
import { inSentence, titleOf } from "../words.js";

export function makeView(section, next) {
  const view = buildView(section, "training", next);
  const charts = h("div", { class: "charts" });
  const table = h("table", {});
  view.body.append(
    charts,
    h("p", { class: "caption" }, explain(t("training.augmented"))),
    h("h3", {}, t("training.table")),
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": t("training.table") }, table),
    h("p", { class: "caption" }, explain(t("training.seeds")), " ", t("training.minutes")),
    button(t("training.csv"), () => save("results.csv", csv(FIELDS, page.results))),
  );
  let drawn = null;

  function show() {
    const models = pairNames().map(modelNamed);
    const all = compared();
    const key = [...models, ...all].map((model) => model.name).join(" ");
    if (key === drawn) return;
    drawn = key;
    view.intro(intro(models));
    view.setTakeaway(...takeaway(models));
    const [x, top1, loss] = list("training.axes");
    fill(
      charts,
      [
        ["top1", 100, top1],
        ["loss", 1, loss],
      ].map(([field, factor, y]) => curves(models, field, factor, x, y)),
      all.length > 2 && comparedCurves(all, x, top1),
    );
    const cells = (row) => row.map((cell) => (typeof cell === "number" ? count1(cell) : String(cell)));
    fillTable(table, list("training.columns"), page.results.map(cells));
  }

  return { show };
}

/** What the models were trained on: one sentence where their numbers are the same. */
function intro(models) {
  const told = models.map((model) =>
    list("training.intro", {
      model: inSentence(model),
      train: count(model.num_train),
      epochs: model.history.at(-1)?.epoch ?? 0,
      val: count(model.validation.n),
    }),
  );
  const [[each, , curves_]] = told;
  const same = told.length > 1 && told.every(([other]) => other === each);
  return sentences([...(same ? [each] : told.map(([, own]) => own)), curves_]);
}

const count1 = (number) => (Number.isInteger(number) ? count(number) : number.toFixed(1));
const FIELDS = "model preset data epochs seed parameters top1 top5 minutes hardware".split(" ");

function curves(models, field, factor, x, y) {
  const [training, validation, averaged] = list("training.lines");
  const lines = models
    .flatMap((model, index) =>
      [
        ["", training, 1],
        ["val_", validation, 0],
        ["ema_val_", averaged, 2],
      ].map(([prefix, name, dashed]) => ({
        name: `${titleOf(model)}, ${name}`,
        color: models.length > 1 && models[0].variant === models[1].variant && index ? "#cc79a7" : color(model.variant),
        dashed,
        points: model.history
          .filter((epoch) => prefix + field in epoch)
          .map((epoch) => [epoch.epoch, factor * epoch[prefix + field]]),
      })),
    )
    .filter((line) => line.points.length);
  if (!lines.length) return null;
  const last = (model, key) => {
    const value = model.history.findLast((epoch) => key in epoch)?.[key];
    return value === undefined ? "–" : (factor * value).toFixed(field === "loss" ? 2 : 1);
  };
  const label = models
    .map((model) =>
      t("training.curve_alt", {
        model: titleOf(model),
        what: y,
        v1: last(model, field),
        v2: last(model, `val_${field}`),
      }),
    )
    .join(". ");
  return lineChart(lines, { x, y, from: 0, label });
}

function comparedCurves(models, x, y) {
  const lines = models.map((model, index) => ({
    name: titleOf(model),
    color: color(model.variant),
    dashed: index,
    points: model.history.filter((epoch) => "val_top1" in epoch).map((epoch) => [epoch.epoch, 100 * epoch.val_top1]),
  }));
  const ends = lines
    .filter((line) => line.points.length)
    .map((line) => `${line.name} ${line.points.at(-1)[1].toFixed(1)} %`)
    .join(", ");
  if (!ends) return null;
  return h(
    "div",
    {},
    h("h3", {}, t("training.all")),
    lineChart(lines, { x, y, label: t("training.all_alt", { ends }) }),
  );
}

function takeaway(models) {
  const ends = models
    .map((model) => {
      const training = model.history.findLast((epoch) => "top1" in epoch)?.top1;
      return { model, training, validation: model.validation?.top1 };
    })
    .filter((end) => end.training !== undefined && end.validation !== undefined);
  const parts = [];
  if (ends.length) {
    const { model, training, validation } = ends.at(-1);
    const gap = training - validation;
    const key = training >= 0.8 && gap >= 0.15 ? "by_heart" : gap >= 0.05 ? "gap" : "no_gap";
    parts.push(t(`training.T.${key}`, { model: inSentence(model), t: percent(training), v: percent(validation) }));
  }
  const [a, b] = models;
  if (!b) return parts;
  if (a.fair_group !== b.fair_group) return [...parts, t("training.T+.unfair")];
  const found = disagreementOf(a.name, b.name);
  if (found) {
    const [better, worse] = a.test.top1 >= b.test.top1 ? [a, b] : [b, a];
    parts.push(
      t(found.p < 0.05 ? "training.T+.p_small" : "training.T+.p_large", {
        n: count(found.n),
        better: inSentence(better),
        acc1: percent(better.test.top1),
        worse: inSentence(worse),
        acc2: percent(worse.test.top1),
        A: inSentence(a),
        accA: percent(a.test.top1),
        B: inSentence(b),
        accB: percent(b.test.top1),
        pvalue: pvalue(found.p),
      }),
    );
  }
  return parts;
}
