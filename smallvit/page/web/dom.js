// Elements without strings of HTML: what a visitor or a model names is always text.

/** h("p", {class: "lead", onclick: f}, "text", child): an element. Children that are null or false are left out. */
export function h(tag, props = {}, ...children) {
  const element = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || (value === false && !name.startsWith("aria-"))) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style")
      for (const [property, setting] of Object.entries(value)) element.style.setProperty(property, setting);
    else element.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : value);
  }
  return fill(element, ...children);
}

/** Replace the children of an element. */
export function fill(element, ...children) {
  element.replaceChildren(
    ...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** Replace the children of an element; the focus goes to the new button with the `data-key` of the one that had it. */
export function refill(element, ...children) {
  const key = element.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  fill(element, ...children);
  if (key) element.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

/** A labelled slider over whole numbers from 1; `limit` sets the largest. */
export function slider(label, value, oninput) {
  const output = h("b", {}, String(value)); // <output> would take the label from the input
  const input = h("input", {
    type: "range",
    min: 1,
    max: value,
    value,
    step: 1,
    oninput: () => {
      output.textContent = input.value;
      oninput(Number(input.value));
    },
  });
  const element = h("label", { class: "control" }, h("span", {}, label, " ", output), input);
  element.set = (next) => {
    input.value = next;
    output.textContent = next;
  };
  element.limit = (most) => {
    input.max = most;
    element.hidden = most < 2;
  };
  return element;
}

/** A labelled menu; `options` are [value, text]. */
export function menu(label, options, value, onchange) {
  const select = h("select", { onchange: () => onchange(select.value) });
  const element = h("label", { class: "control" }, h("span", {}, label), select);
  element.setOptions = (next, chosen) => {
    fill(
      select,
      next.map(([key, text]) => h("option", { value: key }, text)),
    );
    select.value = chosen;
  };
  element.setOptions(options, value);
  return element;
}

export function button(text, onclick, attributes = {}) {
  return h("button", { type: "button", onclick, ...attributes }, text);
}

/** A link within the page: `onclick` takes the place of its address, which a new tab opens. */
export function linkTo(text, href, onclick) {
  const go = (event) => {
    event.preventDefault();
    onclick();
  };
  return h("a", { href, onclick: go }, text);
}

/** Fill a table with the names of its columns and rows of texts. */
export function fillTable(table, columns, rows) {
  const line = (tag, cells, props = {}) =>
    h(
      "tr",
      {},
      cells.map((cell) => h(tag, props, cell)),
    );
  fill(
    table,
    h("thead", {}, line("th", columns, { scope: "col" })),
    h(
      "tbody",
      {},
      rows.map((row) => line("td", row)),
    ),
  );
}

/** Rows of values as CSV. */
export function csv(header, rows) {
  const quoted = (cell) => (/[",]/.test(cell) ? `"${String(cell).replaceAll('"', '""')}"` : cell);
  return [header, ...rows].map((row) => row.map(quoted).join(",")).join("\n");
}

/** Save CSV or a blob as a file of the visitor. */
export function save(name, content) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type: "text/csv" }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
