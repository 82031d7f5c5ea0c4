// A form made of the model's own columns, and what it predicts for them.

import { call, complain, describe, element, theme } from "./common.js";

const form = document.querySelector("#form");
const TYPES = { number: "number", integer: "number", time: "datetime-local" };

theme();
start().catch(complain);

async function start() {
  const info = await describe();
  document.querySelector("#title").textContent = `Predict: ${info.title || info.name}`;
  document.querySelector("#fields").append(
    ...Object.entries(info.columns ?? {}).map(([name, column]) => field(name, column)),
  );
}

function field(name, column) {
  let input;
  if (column.values?.length || column.type === "boolean") {
    const values = column.values?.length ? column.values : ["true", "false"];
    const options = ["", ...values].map((one) => element("option", { textContent: one }));
    input = element("select", { name }, ...options);
  } else {
    input = element("input", { name, type: TYPES[column.type] ?? "text" });
    if (column.type === "number") input.step = "any";
    if (column.min !== undefined && column.min !== null) input.min = column.min;
    if (typeof column.max === "number") input.max = column.max;
  }
  input.dataset.type = column.type;
  input.required = !column.nullable;
  const label = element("label", {}, name, input);
  if (column.description) label.append(element("small", { className: "facts", textContent: column.description }));
  return label;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  complain(null);
  try {
    const answer = await (await call("v1/predict", { rows: [row()] })).json();
    show(answer.predictions[0]);
  } catch (error) {
    complain(error);
  }
});

function row() {
  const found = {};
  for (const input of form.querySelectorAll("[name]")) {
    if (input.value === "") continue;
    const { type } = input.dataset;
    if (type === "number" || type === "integer") found[input.name] = Number(input.value);
    else if (type === "boolean") found[input.name] = input.value === "true";
    else found[input.name] = input.value;
  }
  return found;
}

function show(prediction) {
  if (prediction.error) {
    complain(new Error(prediction.error));
    return;
  }
  const lines = Object.entries(prediction).flatMap(([name, value]) => [
    element("dt", { textContent: name }),
    element("dd", { textContent: typeof value === "number" ? Number(value.toPrecision(5)) : String(value) }),
  ]);
  document.querySelector("#found").replaceChildren(...lines);
  document.querySelector("#result").hidden = false;
}
