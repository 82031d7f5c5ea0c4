// What all pages share: the theme, the key, calls to the API, and text as nodes, never as HTML.

const KEY = "key";

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export async function call(path, body, signal) {
  const key = sessionStorage.getItem(KEY);
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  const options = { headers, signal };
  if (body !== undefined) {
    options.method = "POST";
    options.body = JSON.stringify(body);
    headers["content-type"] = "application/json";
  }
  const response = await fetch(path, options);
  if (response.status === 401 && askForKey()) return call(path, body, signal);
  if (!response.ok) throw new Error(await problem(response));
  return response;
}

function askForKey() {
  const key = prompt("This service wants an API key.");
  if (key) sessionStorage.setItem(KEY, key.trim());
  return Boolean(key);
}

async function problem(response) {
  try {
    const { error } = await response.json();
    return [error.message, error.remedy].filter(Boolean).join(" ");
  } catch {
    return `The service answered with status ${response.status}.`;
  }
}

export async function describe() {
  const info = await (await call("v1/info")).json();
  const model = document.querySelector("#model");
  model.textContent = `${info.name} version ${info.version}, data ${info.data_version}`;
  return info;
}

export function theme() {
  const button = document.querySelector("#theme");
  const wanted = localStorage.getItem("theme");
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const set = (name) => {
    document.documentElement.classList.toggle("dark", name === "dark");
    button.setAttribute("aria-pressed", String(name === "dark"));
  };
  set(wanted ?? system);
  button.addEventListener("click", () => {
    const name = document.documentElement.classList.contains("dark") ? "light" : "dark";
    localStorage.setItem("theme", name);
    set(name);
  });
}

export function complain(error) {
  const place = document.querySelector("#problem");
  place.textContent = error ? error.message : "";
}
