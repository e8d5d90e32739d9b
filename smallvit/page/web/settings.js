// Settings and sharing: the language, models A and B, a link, a picture.

import { button, h, menu, save } from "./dom.js";
import { copyButton } from "./copy.js";
import { className, language, list, percent, t } from "./text.js";
import { availableModels, classKey, link, modelNamed, page, pairNames, set, state } from "./state.js";
import { color, css } from "./draw.js";
import { current } from "./answers.js";
import { showMessage } from "./status.js";
import { answersInWords, changesInWords, titleOf } from "./words.js";

export function makeSettings(switchLanguage) {
  const [title, languageLabel, labelA, labelB, swap, done] = list("settings.labels");
  const [share, copy, saveAs, copied] = list("settings.share");
  const options = () => availableModels().map((model) => [model.name, titleOf(model)]);
  const menuA = menu(labelA, options(), state.a, (name) => {
    set({ a: name });
    show();
  });
  const menuB = menu(labelB, options(), state.b, (name) => {
    set({ b: name });
    show();
  });
  const fair = h("p", { class: "caption" });
  const source = h("p", { class: "caption" });
  const languages = menu(
    languageLabel,
    [
      ["en", "English"],
      ["ko", "한국어"],
    ],
    language,
    switchLanguage,
  );
  const statusLine = h("p", { class: "caption", role: "status" });
  const lasts = h("p", { class: "caption" });
  const dialog = h(
    "dialog",
    { "aria-labelledby": "settings-title" },
    h("h2", { id: "settings-title" }, title),
    h(
      "div",
      { class: "row" },
      menuA,
      menuB,
      button(swap, () => {
        set({ a: state.b, b: state.a });
        show();
      }),
    ),
    h("p", { class: "caption" }, t("settings.models_note")),
    fair,
    source,
    languages,
    h("h3", {}, share),
    h("div", { class: "row" }, copyButton(copy, link, statusLine, copied), button(saveAs, savePicture)),
    lasts,
    statusLine,
    button(done, () => dialog.close(), { class: "primary" }),
  );
  document.body.append(dialog);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

  function show() {
    menuA.setOptions(options(), state.a);
    menuB.setOptions(options(), state.b);
    const [a, b] = [modelNamed(state.a), modelNamed(state.b)];
    fair.textContent = t(`settings.${a === b ? "same" : a.fair_group === b.fair_group ? "fair" : "unfair"}`);
    source.textContent = pairNames()
      .map((name) => `${titleOf(modelNamed(name))}: ${sourceText(modelNamed(name))}`)
      .join(" · ");
    lasts.textContent = state.photo?.upload
      ? t("settings.link_photo", { minutes: page.limits.minutes_kept })
      : t("settings.link_example");
    statusLine.textContent = "";
  }

  return {
    button: button(
      `${title} · ${share}`,
      () => {
        show();
        dialog.showModal();
      },
      { class: "settings", "aria-haspopup": "dialog" },
    ),
  };
}

function sourceText({ source }) {
  const [hub, folder] = list("settings.source", {
    repo: source.repo,
    commit: source.commit?.slice(0, 7),
    folder: source.folder,
  });
  return source.repo ? hub : folder;
}

/** A picture to share: the photo, both answers, what is changed. */
async function savePicture() {
  try {
    const width = 1000,
      height = 520,
      side = 440;
    const canvas = h("canvas", { width, height });
    const context = canvas.getContext("2d");
    context.fillStyle = css("--bg");
    context.fillRect(0, 0, width, height);
    const image = new Image();
    image.src = state.info.preview;
    await image.decode();
    const scale = image.naturalWidth / state.info.width;
    const [left, top, length] = state.info.crop.map((value) => value * scale);
    context.drawImage(image, left, top, length, length, 40, 40, side, side);
    let y = 90;
    const write = (text, font, style) => {
      context.font = `${font} system-ui, sans-serif`;
      context.fillStyle = style;
      context.fillText(text, 520, y, width - 560);
      y += 44;
    };
    for (const name of pairNames()) {
      const model = modelNamed(name);
      const answer = current[name];
      write(titleOf(model), "22px", color(model.variant));
      write(
        `${className(classKey(model, answer.top[0][0]))} ${percent(answer.top[0][1])}\u00a0%`,
        "bold 34px",
        css("--ink"),
      );
      y += 16;
    }
    if (changesInWords()) write(changesInWords(), "20px", css("--soft"));
    y = 460;
    write("smallvit", "20px", css("--soft"));
    canvas.setAttribute("aria-label", answersInWords());
    canvas.toBlob((blob) => (blob ? save("smallvit.png", blob) : showMessage(t("error.save_failed"))));
  } catch {
    showMessage(t("error.save_failed"));
  }
}
