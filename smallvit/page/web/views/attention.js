// Attention: where a patch looks, how much tokens look at themselves, what could reach the answer.

import { attentionAsker, row as rowOf, spread } from "../attentions.js";
import { call, latest } from "../api.js";
import { canvas, color, overlay, seen } from "../draw.js";
import { changesOf, model, set, sides, state, titleOf } from "../state.js";
import { fail } from "../status.js";
import { fill, h, menu, slider } from "../dom.js";
import { frame, inSentence } from "./view.js";
import { lineChart } from "../chart.js";
import { list, percent, t } from "../text.js";
import { picker } from "../picker.js";

export function makeView(section) {
  const view = frame(section, "attention", "temperature");
  const [layerText, headText, , rowText, columnText] = list("attention.controls");
  const layers = slider(layerText, 1, 8, state.layer, (layer) => set({ layer }));
  const heads = menu(headText, [], 0, (head) => set({ head: Number(head) }));
  const rows = slider(rowText, 1, 8, state.row, (row) => set({ row }));
  const columns = slider(columnText, 1, 8, state.column, (column) => set({ column }));
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
    h("p", { class: "caption" }, t("attention.self_note")),
    h("h3", {}, t("attention.rollout_title")),
    rollouts,
    h("p", { class: "caption" }, t("attention.rollout_note")),
  );

  const slots = new Map(); // side -> {image, patches, figure}
  const askers = [attentionAsker(() => show()), attentionAsker(() => show())];
  const known = new Map(); // rollouts
  const askRollout = latest(
    async (names) => {
      for (const name of names)
        known.set(
          JSON.stringify([state.photo, name]),
          (await call("/page_rollout", { photo: state.photo, model: name })).rollout,
        );
    },
    () => show(),
    (error) => fail(error.message),
  );

  function slot(index) {
    if (!slots.has(index)) {
      const image = canvas("");
      const patches = picker({
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
    const models = sides().map(model);
    const most = (field) => Math.max(...models.map((one) => one[field]));
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
    const found = models.map((one, index) => {
      const answer = askers[index](one.name, Math.min(layer, one.depth), changesOf(one.name));
      if (!answer) return null;
      const [row, column] = [state.row, state.column].map((value) => Math.min(value, one.grid_size));
      const patch = (row - 1) * one.grid_size + column - 1;
      const shares = rowOf(one, answer, Math.min(head, one.num_heads), patch);
      return {
        one,
        answer,
        patch,
        row,
        column,
        shares,
        spread: Math.round(spread(shares)),
        most: Math.max(...shares),
        masked: masks(one),
      };
    });
    if (found.some((part) => part === null)) return;
    const shared = Math.max(...found.map((part) => part.most));
    found.forEach((part, index) => {
      const { image, patches, title } = slot(index);
      const scale = relative.checked ? part.most : shared;
      title.textContent = titleOf(part.one);
      overlay(
        image,
        seen(state.info, part.one),
        part.one.image_size,
        part.one.grid_size,
        part.shares.map((share) => share / scale),
        color(part.one.variant),
        { framed: part.patch, crossed: part.masked ? [part.patch] : [] },
      );
      image.setAttribute(
        "aria-label",
        t("attention.map_alt", {
          model: titleOf(part.one),
          layer,
          head: head ? t("value.head", { head }) : t("value.head_mean"),
          row: part.row,
          column: part.column,
          spread: part.spread,
          reach: reach(part),
          self: percent(part.shares[part.patch]),
          p: percent(part.most),
        }),
      );
      patches.set(part.one.grid_size, part.patch);
    });
    fill(
      legend,
      models.map((one) => h("i", { "data-variant": one.variant })),
    );
    caption.textContent = [
      relative.checked ? relativeNote : t("attention.scale", { max: percent(shared) }),
      t("attention.even", { even: percent(1 / models[0].grid_size ** 2) }),
      t("attention.legend"),
    ].join(" · ");
    view.take(...takeaway(found));
    drawSelf(models);
    drawRollouts(models);
  }

  function drawSelf(models) {
    const lines = models.map((one, index) => {
      const answer = askers[index](one.name, Math.min(state.layer, one.depth), changesOf(one.name));
      return (
        answer && {
          name: titleOf(one),
          color: color(one.variant),
          dashed: index,
          points: answer.self.map((share, layer) => [layer + 1, 100 * share]),
        }
      );
    });
    if (lines.some((line) => !line)) return;
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
    const missing = models.filter((one) => !known.has(JSON.stringify([state.photo, one.name])));
    if (missing.length) {
      askRollout(missing.map((one) => one.name));
      return;
    }
    fill(
      rollouts,
      models.map((one) => {
        const shares = known.get(JSON.stringify([state.photo, one.name])).flat();
        const top = shares.indexOf(Math.max(...shares));
        const image = canvas(
          t("attention.rollout_alt", {
            model: titleOf(one),
            row: Math.floor(top / one.grid_size) + 1,
            column: (top % one.grid_size) + 1,
          }),
        );
        overlay(
          image,
          seen(state.info, one),
          one.image_size,
          one.grid_size,
          shares.map((share) => share / shares[top]),
          color(one.variant),
        );
        return h("figure", {}, h("figcaption", {}, titleOf(one)), image);
      }),
    );
  }

  return { show };
}

/** Whether the mask hides a patch from itself: LSA, unless a change puts the diagonal back. */
export const masks = (one) => one.use_lsa && changesOf(one.name).mask !== false;
const reach = ({ one, masked }) => one.grid_size ** 2 - Number(masked);

function takeaway(found) {
  const [a, b] = found;
  const values = (part, letter) => ({
    [letter]: inSentence(part.one),
    [`spread${letter}`]: part.spread,
    [`reach${letter}`]: reach(part),
  });
  if (!b) {
    const top = a.shares.indexOf(a.most);
    return [
      t("attention.T.single", {
        model: inSentence(a.one),
        spread: a.spread,
        reach: reach(a),
        row: Math.floor(top / a.one.grid_size) + 1,
        column: (top % a.one.grid_size) + 1,
        p: percent(a.most),
      }),
    ];
  }
  const wide = Math.max(a.spread, b.spread) >= 1.25 * Math.min(a.spread, b.spread);
  const sentence = t(wide ? "attention.T.wider" : "attention.T.alike", { ...values(a, "A"), ...values(b, "B") });
  const plain = found.filter((part) => !part.one.use_lsa);
  const even = found.find((part) => part.spread > 0.9 * reach(part));
  let second = null;
  if (plain.length === 1)
    second = t("attention.T+.self", {
      model: inSentence(plain[0].one),
      self: percent(plain[0].shares[plain[0].patch]),
    });
  else if (even) second = t("attention.T+.even", { even: percent(1 / reach(even)), model: inSentence(even.one) });
  return [sentence, second];
}
