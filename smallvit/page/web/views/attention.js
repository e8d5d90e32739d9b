// Attention: where a patch looks, how much tokens look at themselves, what could reach the answer.

import { attentionAsker, chosenAttention, drawAttention } from "../attention_map.js";
import { cachedCall, keptAnswer, latest } from "../api.js";
import { canvas, color, overlay, seenImage } from "../draw.js";
import { changesOf, modelNamed, pairNames, set, state } from "../state.js";
import { showMessage } from "../status.js";
import { fill, h, menu, slider } from "../dom.js";
import { buildView, explain } from "./view.js";
import { lineChart } from "../chart.js";
import { list, percent, t } from "../text.js";
import { patchGrid } from "../patch_grid.js";
import { inSentence, titleOf } from "../words.js";

export function makeView(section, next) {
  const view = buildView(section, "attention", next);
  const [layerText, headText, rowText, columnText] = list("attention.controls");
  const layers = slider(layerText, state.layer, (layer) => set({ layer }));
  const heads = menu(headText, [], 0, (head) => set({ head: Number(head) }));
  const rows = slider(rowText, state.row, (row) => set({ row }));
  const columns = slider(columnText, state.column, (column) => set({ column }));
  const [relativeText, relativeNote] = list("attention.relative");
  const relative = h("input", { type: "checkbox", onchange: () => show() });
  const maps = h("div", { class: "maps" });
  const legend = h("div", { class: "scale", "aria-hidden": "true" });
  const caption = h("p", { class: "caption" });
  const self = h("div", {});
  const rollouts = h("div", { class: "maps" });
  view.body.append(
    h("div", { class: "row controls" }, layers, heads, rows, columns),
    h("label", { class: "check" }, relative, relativeText),
    h("p", { class: "caption" }, t("attention.hint")),
    maps,
    legend,
    caption,
    h("h3", {}, t("attention.self_title")),
    self,
    h("p", { class: "caption" }, explain(t("attention.self_note"))),
    h("h3", {}, t("attention.rollout_title")),
    rollouts,
    h("p", { class: "caption" }, t("attention.rollout_note")),
  );

  const slots = new Map(); // side -> {image, patches, figure}
  const askers = [attentionAsker(() => show()), attentionAsker(() => show())];
  const askRollouts = latest(
    (photo, models) => Promise.all(models.map((model) => cachedCall("/page_rollout", { photo, model: model.name }))),
    () => show(),
    (error) => showMessage(error.message),
  );

  function slot(index) {
    if (!slots.has(index)) {
      const image = canvas("");
      const patches = patchGrid({
        label: t("attention.hint"),
        onpick: set,
      });
      const title = h("figcaption", {});
      slots.set(index, {
        image,
        patches,
        title,
        figure: h("figure", {}, title, h("div", { class: "pick" }, image, patches.element)),
      });
    }
    return slots.get(index);
  }

  function show() {
    const models = pairNames().map(modelNamed);
    const most = (field) => Math.max(...models.map((model) => model[field]));
    const layer = Math.min(state.layer, most("depth"));
    const head = Math.min(state.head, most("num_heads"));
    layers.limit(most("depth"));
    layers.set(layer);
    rows.limit(most("grid_size"));
    rows.set(state.row);
    columns.limit(most("grid_size"));
    columns.set(state.column);
    heads.setOptions(
      [
        [0, t("value.head_mean")],
        ...Array.from({ length: most("num_heads") }, (_, index) => [index + 1, t("value.head", { head: index + 1 })]),
      ],
      head,
    );
    view.intro(t("attention.intro"));
    fill(
      maps,
      models.map((_, index) => slot(index).figure),
    );
    if (!state.info) return;
    const found = models.map((model, index) => {
      const answer = askers[index](model.name, Math.min(layer, model.depth), changesOf(model.name));
      return answer && chosenAttention(model, answer);
    });
    if (found.some((part) => part === null)) return;
    const shared = Math.max(...found.map((part) => part.most));
    found.forEach((part, index) => {
      const { image, patches, title } = slot(index);
      title.textContent = titleOf(part.model);
      drawAttention(image, patches, part, relative.checked ? part.most : shared);
    });
    fill(
      legend,
      models.map((model) => h("i", { "data-variant": model.variant })),
    );
    caption.textContent = [
      relative.checked ? relativeNote : t("attention.scale", { max: percent(shared) }),
      t("attention.even", { even: percent(1 / models[0].grid_size ** 2) }),
      t("attention.legend"),
    ].join(" · ");
    view.setTakeaway(...takeaway(found));
    drawSelf(found);
    drawRollouts(models);
  }

  function drawSelf(found) {
    const lines = found.map(({ model, answer }, index) => ({
      name: titleOf(model),
      color: color(model.variant),
      dashed: index,
      points: answer.self.map((share, layer) => [layer + 1, 100 * share]),
    }));
    fill(
      self,
      lineChart(lines, {
        x: layerText,
        y: t("attention.self_axis"),
        from: 0,
        label: t("attention.self_title"),
        ticks: lines[0].points.map(([layer]) => layer),
      }),
    );
  }

  function drawRollouts(models) {
    const answers = models.map((model) => keptAnswer("/page_rollout", { photo: state.photo, model: model.name }));
    if (!answers.every(Boolean)) {
      askRollouts(state.photo, models);
      return;
    }
    fill(
      rollouts,
      models.map((model, index) => {
        const shares = answers[index].rollout;
        const top = shares.indexOf(Math.max(...shares));
        const image = canvas(
          t("attention.rollout_alt", {
            model: titleOf(model),
            row: Math.floor(top / model.grid_size) + 1,
            column: (top % model.grid_size) + 1,
          }),
        );
        overlay(
          image,
          seenImage(state.info, model),
          model.image_size,
          model.grid_size,
          shares.map((share) => share / shares[top]),
          color(model.variant),
        );
        return h("figure", {}, h("figcaption", {}, titleOf(model)), image);
      }),
    );
  }

  return { show };
}

function takeaway(found) {
  const [a, b] = found;
  const values = (part, letter) => ({
    [letter]: inSentence(part.model),
    [`spread${letter}`]: part.spread,
    [`reach${letter}`]: part.numVisible,
  });
  if (!b) {
    const top = a.shares.indexOf(a.most);
    return [
      t("attention.T.single", {
        model: inSentence(a.model),
        spread: a.spread,
        reach: a.numVisible,
        row: Math.floor(top / a.model.grid_size) + 1,
        column: (top % a.model.grid_size) + 1,
        p: percent(a.most),
      }),
    ];
  }
  const wide = Math.max(a.spread, b.spread) >= 1.25 * Math.min(a.spread, b.spread);
  const sentence = t(wide ? "attention.T.wider" : "attention.T.alike", { ...values(a, "A"), ...values(b, "B") });
  const unmasked = found.filter((part) => !part.model.use_lsa);
  const even = found.find((part) => part.spread > 0.9 * part.numVisible);
  let second = null;
  if (unmasked.length === 1)
    second = t("attention.T+.self", {
      model: inSentence(unmasked[0].model),
      self: percent(unmasked[0].shares[unmasked[0].patch]),
    });
  else if (even) second = t("attention.T+.even", { even: percent(1 / even.numVisible), model: inSentence(even.model) });
  return [sentence, second];
}
