// The endpoints of openapi.json, each with its examples and a form that tries it.

const key = document.querySelector("#key");
const list = document.querySelector("#endpoints");
key.value = sessionStorage.getItem("key") ?? "";

document.querySelector("#access").addEventListener("submit", (event) => {
  event.preventDefault();
  load();
});
load();

function headers() {
  sessionStorage.setItem("key", key.value);
  return key.value ? { authorization: `Bearer ${key.value}` } : {};
}

async function load() {
  const response = await fetch("openapi.json", { headers: headers() });
  const found = await response.json();
  if (!response.ok) {
    list.textContent = found.error.message;
    return;
  }
  document.querySelector("#title").textContent = `API of ${found.info.title}`;
  list.replaceChildren();
  for (const [path, methods] of Object.entries(found.paths)) {
    for (const [method, about] of Object.entries(methods)) {
      list.append(endpoint(found, path, method.toUpperCase(), about));
    }
  }
}

function endpoint(found, path, method, about) {
  const made = document.querySelector("#endpoint").content.cloneNode(true).firstElementChild;
  const body = about.requestBody?.content["application/json"];
  made.querySelector(".method").textContent = method;
  made.querySelector(".path").textContent = path;
  made.querySelector(".about").textContent = about.summary;
  const schemas = { body: resolve(found, body?.schema), answer: resolve(found, answer(about)) };
  made.querySelector(".schema").textContent = JSON.stringify(schemas, null, 2);
  examples(made, body?.examples ?? {});
  for (const one of about.parameters ?? []) made.querySelector(".fields").append(parameter(one));
  made.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    send(made, path, method, Boolean(body));
  });
  return made;
}

function answer(about) {
  return Object.values(about.responses["200"].content)[0].schema;
}

function resolve(found, schema) {
  const name = schema?.$ref?.split("/").pop();
  return name ? found.components.schemas[name] : schema;
}

function examples(made, given) {
  const names = Object.keys(given);
  const text = made.querySelector("textarea");
  const select = made.querySelector("select");
  made.querySelector(".body").hidden = !names.length;
  made.querySelector(".example").hidden = names.length < 2;
  const show = () => {
    text.value = JSON.stringify(given[select.value]?.value, null, 2) ?? "";
  };
  for (const name of names) {
    const option = document.createElement("option");
    option.textContent = name;
    select.append(option);
  }
  select.addEventListener("change", show);
  show();
}

function parameter(one) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  input.name = one.name;
  label.append(`${one.name} (${one.description}) `, input);
  return label;
}

async function send(made, path, method, hasBody) {
  const place = made.querySelector(".result");
  const query = new URLSearchParams(new FormData(made.querySelector("form"))).toString();
  const options = { method, headers: headers() };
  if (hasBody) {
    options.body = made.querySelector("textarea").value;
    options.headers["content-type"] = "application/json";
  }
  place.hidden = false;
  place.textContent = "…";
  const response = await fetch(path.slice(1) + (query ? `?${query}` : ""), options);
  place.textContent = `${response.status}\n`;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    text += part.value;
    place.textContent = `${response.status}\n${text}`;
  }
  place.textContent = `${response.status}\n${pretty(text)}`;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
