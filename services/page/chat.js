// Questions and answers: streamed text, citations that open their passage, feedback.

import { call, complain, describe, element, theme } from "./common.js";

const form = document.querySelector("#form");
const field = document.querySelector("#question");
const talk = document.querySelector("#talk");
const stop = document.querySelector("#stop");
const send = document.querySelector("#send");
const viewer = document.querySelector("#document");
let running = null;

theme();
describe().then(showExamples).catch(complain);
field.focus();

function showExamples(info) {
  document.querySelector("#title").textContent = `Ask ${info.title || info.name}`;
  document.title = `Ask ${info.title || info.name}`;
  for (const text of info.examples ?? []) {
    const button = element("button", { type: "button", textContent: text });
    button.addEventListener("click", () => ask(text));
    document.querySelector("#examples").append(element("li", {}, button));
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask(field.value.trim());
});
field.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
field.addEventListener("input", () => {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
});
stop.addEventListener("click", () => running?.abort());
document.querySelector("#close").addEventListener("click", () => viewer.close());

async function ask(question) {
  if (!question || running) return;
  document.querySelector("#welcome")?.remove();
  complain(null);
  const turn = newTurn(question);
  running = new AbortController();
  busy(true);
  field.value = "";
  try {
    await stream(question, turn, running.signal);
  } catch (error) {
    if (error.name !== "AbortError") complain(error);
    turn.querySelector(".said").textContent = error.name === "AbortError" ? "stopped" : "failed";
  } finally {
    turn.querySelector(".answer").setAttribute("aria-busy", "false");
    running = null;
    busy(false);
  }
}

function busy(on) {
  send.hidden = on;
  stop.hidden = !on;
  if (!on) field.focus();
}

function newTurn(question) {
  const turn = document.querySelector("#turn").content.cloneNode(true).firstElementChild;
  turn.querySelector(".asked").textContent = question;
  turn.querySelector(".rate").hidden = true;
  talk.append(turn);
  turn.scrollIntoView({ block: "start" });
  return turn;
}

async function stream(question, turn, signal) {
  const response = await call("v1/ask", { question, stream: true }, signal);
  const place = turn.querySelector(".answer");
  let text = "";
  for await (const event of events(response)) {
    if (event.name === "token") {
      text += event.data.text;
      show(place, text, null);
    } else if (event.name === "answer") {
      finish(turn, event.data);
    } else if (event.name === "error") {
      throw new Error(event.data.error?.message ?? "The answer broke off.");
    }
  }
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    waiting += value;
    const parts = waiting.split(/\r?\n\r?\n/);
    waiting = parts.pop();
    for (const part of parts) {
      const lines = part.split(/\r?\n/);
      const name = lines.find((line) => line.startsWith("event:"))?.slice(6).trim() ?? "message";
      const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim());
      if (data.length) yield { name, data: JSON.parse(data.join("\n")) };
    }
  }
}

function finish(turn, answer) {
  show(turn.querySelector(".answer"), answer.answer, answer.citations, answer.abstained);
  const list = turn.querySelector(".citations");
  list.replaceChildren(...answer.citations.map((one) => element("li", {}, citation(one))));
  const sure = answer.abstained ? "no answer found" : `confidence ${answer.confidence.toFixed(2)}`;
  turn.querySelector(".said").textContent = sure;
  rate(turn, answer.request_id);
}

// Paragraphs and fenced code; everything is set as text.
function show(place, text, citations, abstained = false) {
  const nodes = text.split(/```[^\n]*\n?/).flatMap((part, number) => {
    if (number % 2) return [element("pre", {}, element("code", { textContent: part }))];
    return part.split(/\n{2,}/).filter((one) => one.trim()).map((one) => paragraph(one, citations));
  });
  place.classList.toggle("abstained", abstained);
  place.replaceChildren(...nodes);
}

function paragraph(text, citations) {
  const made = element("p");
  for (const part of text.split(/(\[\d+\])/)) {
    const number = Number(/^\[(\d+)\]$/.exec(part)?.[1]);
    const found = citations?.find((one) => one.number === number);
    if (found) {
      const button = element("button", { type: "button", className: "cite", textContent: part });
      button.setAttribute("aria-label", `Source ${number}: ${found.source}`);
      button.addEventListener("click", () => open(found));
      made.append(button);
    } else {
      made.append(part);
    }
  }
  return made;
}

function citation(one) {
  const lines = one.line_start ? `:${one.line_start}-${one.line_end}` : one.page ? `, page ${one.page}` : "";
  const button = element("button", { type: "button" });
  button.append(`[${one.number}] ${one.source}${lines}`, element("small", { textContent: one.heading ?? "" }));
  button.addEventListener("click", () => open(one));
  return button;
}

async function open(one) {
  document.querySelector("#document-title").textContent = one.source;
  const place = document.querySelector("#text");
  place.textContent = one.passage;
  viewer.showModal();
  try {
    const found = await (await call(`v1/document?source=${encodeURIComponent(one.source)}`)).json();
    highlight(place, found.text, one);
  } catch (error) {
    place.replaceChildren(element("mark", { textContent: one.passage }));
  }
}

function highlight(place, text, one) {
  let start = text.indexOf(one.passage);
  let end = start + one.passage.length;
  if (start < 0) {
    const lines = text.split("\n");
    start = lines.slice(0, Math.max(0, one.line_start - 1)).join("\n").length;
    end = lines.slice(0, one.line_end).join("\n").length;
  }
  const mark = element("mark", { textContent: text.slice(start, end) });
  place.replaceChildren(text.slice(0, start), mark, text.slice(end));
  mark.scrollIntoView({ block: "center" });
}

function rate(turn, request) {
  const correct = turn.querySelector(".correct");
  const thanks = turn.querySelector(".thanks");
  const buttons = { up: turn.querySelector(".up"), down: turn.querySelector(".down") };
  const tell = async (body) => {
    try {
      await call("v1/feedback", { request_id: request, ...body });
      thanks.textContent = "Thank you.";
    } catch (error) {
      thanks.textContent = error.message;
    }
  };
  turn.querySelector(".rate").hidden = false;
  for (const [name, button] of Object.entries(buttons)) {
    button.addEventListener("click", () => {
      for (const [other, one] of Object.entries(buttons)) {
        one.setAttribute("aria-pressed", String(other === name));
      }
      correct.hidden = name !== "down";
      if (name === "down") correct.querySelector("textarea").focus();
      tell({ rating: name });
    });
  }
  correct.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = correct.querySelector("textarea").value.trim();
    if (text) tell({ rating: "down", correction: text });
    correct.hidden = true;
  });
}
