// Temperature: what if tau were different? A slider pulls at the model while its answer, a map and the measured curve follow.

import { attentionAsker, chosenAttention, drawAttention } from "../attention_map.js";
import { bars } from "../probability_bars.js";
import { button, csv, fill, fillTable, h, menu, save } from "../dom.js";
import { canvas, color } from "../draw.js";
import { change, changesOf, classKey, modelNamed, page, pairNames, plainOf, set, state, truthFor } from "../state.js";
import { className, count, list, percent, points, t, times } from "../text.js";
import { current, currentAnswer, unchanged } from "../answers.js";
import { buildView, explain } from "./view.js";
import { lineChart } from "../chart.js";
import { patchGrid } from "../patch_grid.js";
import { answerName, headName, inSentence, scopeName, titleOf } from "../words.js";

const [LOW, HIGH] = page.limits.factor;
const STEP = 0.01; // of the slider, in decades
const SNAP = 0.02; // near × 1 the slider means × 1

/** The factor at a place of the slider; its last step ends just below the highest factor. */
function factorAt(power) {
  if (Math.abs(power) < SNAP) return 1;
  return power > Math.log10(HIGH) - STEP ? HIGH : Number((10 ** power).toPrecision(3));
}

export function makeView(section, next) {
  const view = buildView(section, "temperature", next);
  const [scopeText, modelText, resetText] = list("temperature.controls");
  const factorLabel = h("b", {});
  const input = h("input", {
    type: "range",
    min: Math.log10(LOW),
    max: Math.log10(HIGH),
    step: STEP,
    value: 0,
    id: "factor",
    oninput: () => change({ target: target(), factor: factorAt(Number(input.value)) }),
  });
  const at1 = Math.log(1 / LOW) / Math.log(HIGH / LOW);
  const ends = h("div", { class: "ends", "aria-hidden": "true", style: { "--at-1": `${100 * at1}%` } });
  const scope = menu(scopeText, [], "all", (value) => {
    change({ target: target(), layer: value === "all" ? null : Number(value) });
    if (value !== "all") set({ layer: Number(value) });
  });
  const which = menu(modelText, [], "", (name) => {
    chosen = name;
    change({ target: name, factor: 1, mask: true, layer: null });
  });
  const maskOffBox = h("input", {
    type: "checkbox",
    id: "mask",
    onchange: () => change({ target: target(), mask: !maskOffBox.checked }),
  });
  const maskText = h("span", {});
  const reset = button(resetText, () => change({ factor: 1, mask: true, layer: null, target: null }));
  const answer = h("div", { class: "live-answer" });
  const map = canvas("");
  const patches = patchGrid({
    label: t("attention.hint"),
    onpick: set,
  });
  const mapCaption = h("p", { class: "caption" });
  const curve = h("div", {});
  const curveTake = h("p", { class: "caption strong" });
  const dots = h("div", {});
  const dotsCaption = h("p", { class: "caption" });
  const table = h("table", {});
  view.body.append(
    h(
      "div",
      { class: "card controls-card" },
      h("p", { class: "control wide", "aria-hidden": "true" }, factorLabel),
      input,
      ends,
      h("div", { class: "row" }, which, scope, h("label", { class: "check" }, maskOffBox, maskText), reset),
      h("p", { class: "caption" }, t("temperature.slider_hint")),
    ),
    h(
      "div",
      { class: "split" },
      h("div", { class: "card narrow" }, answer, h("div", { class: "pick" }, map, patches.element), mapCaption),
      h("div", { class: "grow card" }, h("h3", {}, t("temperature.curve_title")), curve, curveTake),
    ),
    h(
      "div",
      { class: "card" },
      h("h3", {}, t("temperature.dots_title")),
      dots,
      dotsCaption,
      h(
        "details",
        {},
        h("summary", {}, t("temperature.table")),
        h("div", { class: "scroll" }, table),
        button(t("temperature.csv"), () => save("tau.csv", csv(["model", "layer", "head", "start", "tau"], allRows()))),
      ),
    ),
  );

  let chosen = null;
  const target = () =>
    pairNames().includes(chosen)
      ? chosen
      : (chosen =
          pairNames().find((name) => name === state.b && modelNamed(name).use_lsa) ??
          pairNames().find((name) => modelNamed(name).use_lsa) ??
          state.b);
  const ask = attentionAsker(() => show());
  const askBefore = attentionAsker(() => show());
  const askPlain = attentionAsker(() => show());

  function show() {
    if (state.changes.target && pairNames().includes(state.changes.target)) chosen = state.changes.target;
    const model = modelNamed(target());
    const {
      factor,
      layer,
      mask: maskOn,
    } = state.changes.target === model.name ? state.changes : { factor: 1, layer: null, mask: true };
    view.intro(t("temperature.intro", { start: model.initial_tau.toFixed(2) }));
    which.setOptions(
      pairNames().map((name) => [name, titleOf(modelNamed(name))]),
      model.name,
    );
    scope.setOptions(
      [
        ["all", t("value.scope_all")],
        ...Array.from({ length: model.depth }, (_, index) => [index + 1, t("value.scope_layer", { layer: index + 1 })]),
      ],
      layer ?? "all",
    );
    factorLabel.textContent = `${t("temperature.slider", { factor: times(factor) })}${factor === 1 ? "" : `, ${scopeName(layer)}`}`;
    input.setAttribute("aria-label", factorLabel.textContent);
    input.setAttribute("aria-valuetext", `× ${times(factor)}`);
    if (document.activeElement !== input) input.value = Math.log10(factor);
    fill(
      ends,
      [`× ${LOW}`, t(model.use_lsa ? "temperature.slider_learned" : "temperature.slider_fixed"), `× ${HIGH}`].map(
        (text) => h("span", {}, text),
      ),
    );
    maskOffBox.disabled = !model.use_lsa;
    maskOffBox.checked = model.use_lsa ? !maskOn : true;
    maskText.textContent = model.use_lsa
      ? t("temperature.mask")
      : t("temperature.mask_none", { model: titleOf(model) });
    reset.disabled = factor === 1 && maskOn && layer === null;
    drawCurve(model, factor, layer, maskOn);
    drawDots(model);
    if (!state.info) return;
    const [now, before] = [current[model.name], unchanged[model.name]];
    if (now)
      fill(
        answer,
        h(
          "p",
          { class: "said", "data-variant": model.variant },
          h("span", { class: "dot" }),
          `${titleOf(model)}: `,
          h("b", {}, answerName(model, now)),
        ),
        bars(model, now, 5),
      );
    const chosenLayer = Math.min(state.layer, model.depth);
    const attention = ask(model.name, chosenLayer, changesOf(model.name));
    const learned = askBefore(model.name, chosenLayer, {});
    const plain = plainOf(model);
    const ofPlain = plain ? askPlain(plain.name, Math.min(chosenLayer, plain.depth), {}) : null;
    if (attention) drawMap(model, attention);
    if (model.tau && currentAnswer(model.name) && before && attention && learned && (!plain || ofPlain)) {
      view.setTakeaway(
        ...takeaway({
          model,
          factor,
          layer,
          maskOn,
          now,
          before,
          attention,
          learned,
          chosenLayer,
          plain,
          ofPlain,
        }),
      );
    }
  }

  function drawMap(model, attention) {
    const shown = chosenAttention(model, attention);
    drawAttention(map, patches, shown, shown.most);
    mapCaption.textContent = t("temperature.map_caption", {
      layer: attention.layer,
      head: headName(shown.head),
      max: percent(shown.most),
    });
  }

  let curveKey = null;

  function drawCurve(model, factor, layer, maskOn) {
    const measured = page.temperature[model.name];
    const key = JSON.stringify([model.name, factor, layer, maskOn]);
    if (key === curveKey) return;
    curveKey = key;
    if (!measured) {
      fill(curve);
      curveTake.textContent = t("temperature.curve_none");
      return;
    }
    const series = measured.factors.map((each, index) => [each, 100 * measured.top1[index]]);
    const [x, y] = list("temperature.curve_axes");
    fill(
      curve,
      lineChart([{ name: titleOf(model), color: color(model.variant), points: series }], {
        x,
        y,
        log: true,
        from: 0,
        ticks: [0.1, 0.25, 0.5, 1, 2, 4, 8],
        reference: measured.fixed && { y: 100 * measured.fixed.top1, name: t("temperature.curve_fixed_mark") },
        marks: [{ x: factor, name: `× ${times(factor)}` }],
        label: t("temperature.curve_alt", {
          model: titleOf(model),
          n: count(measured.n),
          list: series.map(([each, top1]) => `× ${each}: ${top1.toFixed(1)} %`).join(", "),
        }),
      }),
    );
    fill(curveTake, explain(curveSentences(model, measured, factor, layer, maskOn).join(" ")));
  }

  let dotsOf = null;

  function drawDots(model) {
    const key = model.name + Boolean(model.tau);
    if (dotsOf === key || !model.tau) return;
    dotsOf = key;
    const flat = model.tau.flat();
    const start = model.initial_tau;
    const [x, y] = list("temperature.dots_axes");
    const heads = model.tau[0].length;
    const spots = model.tau.flatMap((ofLayer, index) =>
      ofLayer.map((tau, head) => [
        index + 1 + (heads > 1 ? (head / (heads - 1) - 0.5) * 0.5 : 0),
        tau,
        t("value.head", { head: head + 1 }),
      ]),
    );
    const values = {
      total: flat.length,
      layers: model.tau.length,
      low: Math.min(...flat).toFixed(2),
      high: Math.max(...flat).toFixed(2),
      start: start.toFixed(2),
    };
    fill(
      dots,
      lineChart([{ name: titleOf(model), color: color(model.variant), points: spots, dots: true }], {
        x,
        y,
        ticks: model.tau.map((_, index) => index + 1),
        reference: { y: start, name: `√d = ${start.toFixed(2)}` },
        label: t("temperature.dots_alt", values),
      }),
    );
    dotsCaption.textContent = t("temperature.dots_caption", {
      ...values,
      up: flat.filter((tau) => tau > 1.0001 * start).length,
      down: flat.filter((tau) => tau < 0.9999 * start).length,
    });
    const cells = (row) => row.map((cell) => (cell % 1 ? cell.toFixed(3) : String(cell)));
    fillTable(table, list("temperature.columns"), rows(model).map(cells));
  }

  const rows = (model) =>
    model.tau.flatMap((ofLayer, layer) =>
      ofLayer.map((tau, head) => [
        titleOf(model),
        layer + 1,
        ofLayer.length > 1 ? head + 1 : "",
        model.initial_tau,
        tau,
      ]),
    );
  const allRows = () =>
    pairNames()
      .map(modelNamed)
      .filter((model) => model.tau)
      .flatMap(rows);

  return { show };
}

function takeaway({ model, factor, layer, maskOn, now, before, attention, learned, chosenLayer, plain, ofPlain }) {
  const numVisible = model.grid_size ** 2 - Number(model.use_lsa && maskOn);
  const spreads = (answer) => answer.spread[chosenLayer - 1];
  const name = inSentence(model);
  const [said, said0] = [now, before].map((answer) => classKey(model, answer.top[0][0]));
  const values = {
    model: name,
    factor: times(factor),
    scope: scopeName(layer),
    answer: className(said),
    answer0: className(said0),
    p: percent(now.top[0][1]),
    p0: percent(before.top[0][1]),
    layer: chosenLayer,
    spread: Math.round(spreads(attention)),
    spread0: Math.round(spreads(learned)),
    reach: numVisible,
  };
  if (factor !== 1 && !maskOn) return [t(`temperature.T.two_${said === said0 ? "keep" : "turn"}`, values)];
  if (!maskOn)
    return [
      t(`temperature.T.mask_${said === said0 ? "keeps" : "turns"}`, values),
      t("temperature.T+.self", { layer: chosenLayer, self: percent(attention.self[chosenLayer - 1]) }),
    ];
  if (factor !== 1) {
    const truth = truthFor(model);
    const key = said === said0 ? "keeps" : said === truth ? "turns_right" : said0 === truth ? "turns_wrong" : "turns";
    return [
      t(`temperature.T.${key}`, values),
      layer === null || layer === chosenLayer ? t("temperature.T+.spread", values) : null,
    ];
  }
  if (!model.use_lsa) {
    const all = learned.spread.map(Math.round);
    return [
      t("temperature.T.constant", {
        ...values,
        start: model.initial_tau.toFixed(2),
        low: Math.min(...all),
        high: Math.max(...all),
      }),
    ];
  }
  const start = model.initial_tau;
  const taus = model.tau[chosenLayer - 1];
  const tau = taus.reduce((sum, each) => sum + each, 0) / taus.length;
  Object.assign(values, { tau: tau.toFixed(2), start: start.toFixed(2), spread: Math.round(spreads(learned)) });
  if (!plain) return [t("temperature.T.no_plain", values), t("temperature.T+.why")];
  const own = spreads(learned) / numVisible,
    others = spreads(ofPlain) / plain.grid_size ** 2;
  Object.assign(values, { spread0: Math.round(spreads(ofPlain)), reach0: plain.grid_size ** 2 });
  const direction = own > 1.1 * others ? "wider" : own < 0.9 * others ? "narrower" : null;
  const moved = tau > 1.01 * start ? "up" : tau < 0.99 * start ? "down" : null;
  const key = moved === null ? "same_tau" : direction === null ? "same_spread" : `${moved}_${direction}`;
  return [t(`temperature.T.${key}`, values), t("temperature.T+.why")];
}

/** What the curve says about the setting. */
function curveSentences(model, measured, factor, layer, maskOn) {
  const { factors, top1, n } = measured;
  const name = inSentence(model);
  const at1 = top1[factors.indexOf(1)];
  const error = Math.sqrt((at1 * (1 - at1)) / n);
  const values = { model: name, n: count(n), acc1: percent(at1) };
  if (layer !== null && factor !== 1) return [t("temperature.curve_none")];
  if (!maskOn) {
    if (factor !== 1 || !measured.mask_off) return [t("temperature.curve_none")];
    return [
      t("temperature.curve_mask", {
        share: percent(measured.mask_off.changed),
        diff: points(measured.mask_off.top1 - at1),
        acc: percent(measured.mask_off.top1),
      }),
    ];
  }
  if (factor === 1) {
    const top = Math.max(...top1);
    const best_ = factors[top1.indexOf(top)];
    const key = top <= at1 ? "best" : top - at1 <= error ? "near" : "not_best";
    const first = t(`temperature.curve_${key}`, {
      ...values,
      acc: percent(at1),
      best: times(best_),
      acc_best: percent(top),
    });
    return measured.fixed
      ? [
          first,
          t("temperature.curve_fixed", {
            start: model.initial_tau.toFixed(2),
            model: name,
            acc: percent(measured.fixed.top1),
            n: count(n),
          }),
        ]
      : [first];
  }
  const nearest = factors.findIndex((each) => Math.abs(Math.log(each / factor)) < 0.03);
  if (nearest >= 0) {
    const acc = top1[nearest];
    const key = Math.abs(acc - at1) > error ? "differs" : "level";
    return [
      t(`temperature.curve_${key}`, {
        ...values,
        factor: times(factors[nearest]),
        acc: percent(acc),
        diff: points(acc - at1),
      }),
    ];
  }
  const above = factors.findIndex((each) => each > factor);
  if (above < 1) return [t("temperature.curve_none")];
  return [
    t("temperature.curve_between", {
      acc_below: percent(top1[above - 1]),
      below: times(factors[above - 1]),
      acc_above: percent(top1[above]),
      above: times(factors[above]),
    }),
  ];
}
