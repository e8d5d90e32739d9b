// Where a photo comes from: a file, the clipboard, an address, the camera, an example.

import { PageError, upload } from "./api.js";
import { button, fill, h } from "./dom.js";
import { beginChoice, choosePhoto } from "./answers.js";
import { className, list, t } from "./text.js";
import { clear, setBusy, showMessage } from "./status.js";
import { makeCamera } from "./camera.js";
import { offeredExamples, page, state } from "./state.js";

const FEW = 8;

/** {element: the buttons, examples: the row of example photos, show()} */
export function makeSources() {
  const [uploadText, camera, paste, byAddress] = list("photo.sources");
  const input = h("input", {
    type: "file",
    accept: "image/*",
    class: "sr",
    tabindex: -1,
    "aria-label": uploadText,
    id: "file",
    onchange: () => {
      useFiles(input.files);
      input.value = "";
    },
  });
  const address = h("input", {
    type: "url",
    inputmode: "url",
    "aria-label": byAddress,
    placeholder: "https://",
    name: "address",
  });
  const form = h(
    "form",
    {
      class: "row",
      hidden: true,
      onsubmit: (event) => {
        event.preventDefault();
        if (address.value.trim()) choosePhoto({ url: address.value.trim() });
      },
    },
    address,
    h("button", { type: "submit" }, t("photo.url_go")),
  );
  const cameraPanel = makeCamera(takeBlob);
  const [any, webp, avif] = page.limits.megapixels;
  const limits = { megabytes: Math.floor(page.limits.bytes / 2 ** 20), any, webp, avif };
  const element = h(
    "div",
    {},
    h(
      "div",
      { class: "row buttons" },
      button(uploadText, () => input.click(), { class: "primary" }),
      button(camera, () => cameraPanel.toggle(), { "aria-expanded": "false", id: "camera" }),
      button(paste, fromClipboard),
      button(byAddress, () => {
        form.hidden = !form.hidden;
        if (!form.hidden) address.focus();
      }),
    ),
    input,
    form,
    h("p", { class: "caption" }, t("photo.limits", limits)),
    cameraPanel.element,
  );

  const [examplesText, more, anyText] = list("photo.examples");
  const row = h("ul", { class: "thumbs" });
  const moreButton = button(more, () => {
    isOpen = true;
    show();
  });
  let isOpen = false;
  let drawn = null;
  const examples = h(
    "div",
    { class: "examples" },
    h("h3", {}, examplesText),
    row,
    h(
      "div",
      { class: "row" },
      moreButton,
      button(anyText, () => {
        const others = offeredExamples().filter((example) => example.id !== state.photo?.example);
        choosePhoto({ example: others[Math.floor(Math.random() * others.length)].id });
      }),
    ),
  );

  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  for (const name of ["dragleave", "dragend"]) addEventListener(name, () => document.body.classList.remove("dragging"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    const entries = [...(event.dataTransfer?.items ?? [])].map((item) => item.webkitGetAsEntry?.());
    if (entries.some((entry) => entry?.isDirectory)) {
      showMessage(t("error.folder"));
      return;
    }
    useFiles(event.dataTransfer?.files ?? []);
  });
  addEventListener("paste", (event) => {
    if (event.target instanceof HTMLInputElement) return;
    const files = event.clipboardData?.files ?? [];
    if (files.length) useFiles(files);
    else showMessage(list("error.paste")[0]);
  });

  async function useFiles(files) {
    if (!files.length) return;
    await takeBlob(files[0]);
    if (files.length > 1) showMessage(t("error.several"));
  }

  function show() {
    const offered = offeredExamples();
    const shown = isOpen ? offered : offered.slice(0, FEW);
    examples.hidden = !offered.length;
    moreButton.hidden = shown.length === offered.length;
    const key = shown.map((example) => example.id).join(" ");
    if (drawn !== key) {
      drawn = key;
      fill(
        row,
        shown.map((example) => {
          const name = example.truth ? className(example.truth) : example.id; // a file may be named after no class
          return h(
            "li",
            {},
            h(
              "button",
              { type: "button", "data-example": example.id, onclick: () => choosePhoto({ example: example.id }) },
              h("img", { src: `example/${example.id}.jpg`, alt: "", width: 72, height: 72, loading: "lazy" }),
              h("span", { title: name, "aria-label": t("photo.example_alt", { truth: name }) }, name),
            ),
          );
        }),
      );
    }
    for (const exampleButton of row.querySelectorAll("button"))
      exampleButton.setAttribute("aria-pressed", exampleButton.dataset.example === state.photo?.example);
  }

  return { element, examples, show };
}

async function fromClipboard() {
  const [none, refused] = list("error.paste");
  try {
    for (const item of await navigator.clipboard.read()) {
      const type = item.types.find((name) => name.startsWith("image/"));
      if (type) return await takeBlob(await item.getType(type));
    }
    showMessage(none);
  } catch {
    showMessage(refused);
  }
}

/** Upload a file or a frame of the camera, and take it as the photo. */
async function takeBlob(blob) {
  clear();
  setBusy(true);
  const isLast = beginChoice();
  const tell = (share) => isLast() && setBusy(true, t("error.uploading", { p: Math.round(100 * share) }));
  try {
    const path = await upload(blob, tell);
    if (isLast()) choosePhoto({ upload: path });
  } catch (error) {
    if (!isLast()) return;
    setBusy(false);
    showMessage(error instanceof PageError ? error.message : t("error.upload_failed"));
  }
}
