// What all pages share: the key, calls to the API, and text as nodes, never as HTML.

const KEY = "key";
let asking = null;

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// A response of the API; an Error with its words where it failed. Asks for a key where one is needed.
export async function call(path, body, signal) {
  const key = sessionStorage.getItem(KEY);
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  const options = { headers, signal };
  if (body !== undefined) {
    options.method = "POST";
    options.body = JSON.stringify(body);
    headers["content-type"] = "application/json";
  }
  const response = await fetch(path, options).catch((error) => {
    throw error.name === "AbortError" ? error : new Error("The service cannot be reached.");
  });
  if (response.status === 401 && (await another(key))) return call(path, body, signal);
  if (!response.ok) throw await problem(response);
  return response;
}

// Whether there is another key than the one that was refused.
async function another(refused) {
  if (sessionStorage.getItem(KEY) !== refused) return true;
  asking ??= askForKey(refused).finally(() => {
    asking = null;
  });
  const key = await asking;
  if (key) sessionStorage.setItem(KEY, key);
  return Boolean(key);
}

function askForKey(refused) {
  const field = element("input", { type: "password", autocomplete: "off", required: true });
  const cancel = element("button", { type: "button", textContent: "Cancel" });
  const form = element("form", { className: "key" });
  const dialog = element("dialog", { className: "small" }, form);
  dialog.setAttribute("aria-label", "API key");
  form.append(
    element("p", { textContent: refused ? "This key is not valid." : "This service wants an API key." }),
    element("label", {}, "API key", field),
    element("p", { className: "facts", textContent: "It is kept until you close this tab." }),
    element("div", { className: "row" }, element("button", { type: "submit", textContent: "Use it" }), cancel),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    dialog.close(field.value.trim());
  });
  cancel.addEventListener("click", () => dialog.close(""));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}

async function problem(response) {
  let words = `The service answered with status ${response.status}.`;
  try {
    const { error } = await response.json();
    words = [error.message, error.remedy].filter(Boolean).join(" ");
  } catch {
    // Something between here and the service answered: the status has to do.
  }
  return Object.assign(new Error(words.charAt(0).toUpperCase() + words.slice(1)), { status: response.status });
}

// What /v1/info says; the model is shown in the header.
export async function describe() {
  const info = await (await call("v1/info")).json();
  showModel(info);
  return info;
}

export function showModel({ name, model, version, data_version: data }) {
  const place = document.querySelector("#model");
  const text = `${name ?? model} version ${version} · data ${data}`;
  if (place.textContent !== text) place.textContent = text;
}

export function complain(error) {
  document.querySelector("#problem").textContent = error ? error.message : "";
}
