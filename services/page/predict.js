// A form made of the model's own columns, and what it predicts for them.

import { call, complain, describe, element } from "./common.js";

const form = document.querySelector("#form");
const result = document.querySelector("#result");
const TYPES = { number: "number", integer: "number", time: "datetime-local" };

start().catch(complain);

async function start() {
  const info = await describe();
  document.title = `Predict ${spoken(info.target)}`;
  document.querySelector("#title").textContent = document.title;
  document.querySelector("#result-title").textContent = spoken(info.target);
  const fields = Object.entries(info.columns).map(([name, column]) => field(name, column));
  document.querySelector("#fields").append(...fields);
}

function spoken(name) {
  return name.replaceAll("_", " ");
}

function field(name, column) {
  const input = column.values.length || column.type === "boolean" ? select(column) : entry(name, column);
  Object.assign(input, { name, required: !column.nullable });
  input.dataset.type = column.type;
  const about = element("small", { id: `about-${name}`, textContent: hint(column) });
  input.setAttribute("aria-describedby", about.id);
  const made = element("div", {}, element("label", {}, spoken(name), input), about);
  if (column.known.length) made.append(suggestions(input, column.known));
  return made;
}

function select(column) {
  const values = column.values.length ? column.values : ["true", "false"];
  return element("select", {}, ...["", ...values].map((one) => element("option", { textContent: one })));
}

function entry(name, column) {
  const input = element("input", { type: TYPES[column.type] ?? "text", autocomplete: "off" });
  if (column.type === "number") input.step = "any";
  if (column.type === "time") input.step = 1;
  if (input.type === "number") Object.assign(input, { min: column.min ?? "", max: column.max ?? "" });
  return input;
}

function suggestions(input, known) {
  const made = element("datalist", { id: `known-${input.name}` });
  made.append(...known.map((value) => element("option", { value })));
  input.setAttribute("list", made.id);
  return made;
}

function hint({ type, min, max, nullable, description }) {
  const both = min !== null && max !== null;
  const range = both ? `${min} to ${max}` : min !== null ? `at least ${min}` : max !== null ? `at most ${max}` : "";
  return [description, range, type === "time" && "UTC", nullable && "may be empty"].filter(Boolean).join(" · ");
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  complain(null);
  result.hidden = true;
  try {
    const [prediction] = (await (await call("v1/predict", { rows: [row()] })).json()).predictions;
    if (prediction.error) throw new Error(prediction.error);
    show(prediction);
  } catch (error) {
    complain(error);
  }
});

// The middle of what a column allows, or the least of it.
document.querySelector("#example").addEventListener("click", () => {
  for (const input of form.querySelectorAll("[name]")) {
    const { type } = input.dataset;
    if (input.options) input.selectedIndex = 1;
    else if (input.list) input.value = input.list.options[0].value;
    else if (type === "time") input.value = "2026-01-01T12:00";
    else if (input.type === "number") input.value = middle(input, type === "integer");
    else input.value = "text";
  }
});

function middle({ min, max }, whole) {
  const found = max === "" ? Number(min) + 1 : (Number(min) + Number(max)) / 2;
  return whole ? Math.round(found) : found;
}

function row() {
  const filled = [...form.querySelectorAll("[name]")].filter((input) => input.value !== "");
  return Object.fromEntries(filled.map((input) => [input.name, value(input)]));
}

function value(input) {
  if (input.type === "number") return Number(input.value);
  return input.dataset.type === "boolean" ? input.value === "true" : input.value;
}

function show({ prediction, ...others }) {
  result.querySelector(".found").textContent = number(prediction);
  const lines = Object.entries(others).flatMap(([name, one]) => [
    element("dt", { textContent: spoken(name) }),
    element("dd", { textContent: number(one) }),
  ]);
  document.querySelector("#found").replaceChildren(...lines);
  result.hidden = false;
  result.scrollIntoView({ block: "nearest" });
}

function number(value) {
  return typeof value === "number" ? String(Number(value.toPrecision(4))) : String(value);
}
