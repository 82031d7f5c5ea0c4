// Questions and answers: streamed text, citations that open their passage, feedback.

import { call, complain, describe, element, showModel } from "./common.js";

const form = document.querySelector("#form");
const field = document.querySelector("#question");
const talk = document.querySelector("#talk");
const stop = document.querySelector("#stop");
const send = document.querySelector("#send");
const viewer = document.querySelector("#document");
let running = null;

describe().then(introduce).catch(complain);
field.focus();

function introduce(info) {
  document.title = `Ask ${info.title}`;
  document.querySelector("#title").textContent = document.title;
  document.querySelector("#size").textContent = `, out of ${info.passages.toLocaleString("en")}`;
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
stop.addEventListener("click", () => running?.abort());
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !viewer.open) running?.abort();
});
document.querySelector("#close").addEventListener("click", () => viewer.close());
viewer.addEventListener("click", (event) => {
  if (event.target === viewer) viewer.close();
});

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
    const stopped = error.name === "AbortError";
    say(turn, stopped ? "stopped" : "failed");
    if (!stopped) {
      complain(error);
      field.value ||= question;
    }
  } finally {
    turn.querySelector(".answer").setAttribute("aria-busy", "false");
    running = null;
    busy(false);
    turn.scrollIntoView({ block: "nearest" });
  }
}

function busy(on) {
  const lost = [document.body, send, stop].includes(document.activeElement);
  send.hidden = on;
  stop.hidden = !on;
  if (lost) (on ? stop : field).focus();
}

function newTurn(question) {
  const turn = document.querySelector("#turn").content.cloneNode(true).firstElementChild;
  turn.querySelector(".asked").textContent = question;
  talk.append(turn);
  turn.scrollIntoView({ block: "start" });
  return turn;
}

async function stream(question, turn, signal) {
  const response = await call("v1/ask", { question, stream: true }, signal);
  const place = turn.querySelector(".answer");
  let text = "";
  for await (const { name, data } of events(response)) {
    if (name === "token") {
      text += data.text;
      show(place, text, []);
    } else if (name === "answer") {
      return finish(turn, data);
    } else if (name === "error") {
      throw new Error(data.error.message);
    }
  }
  throw new Error("The answer broke off. Ask again.");
}

// Server-sent events, which EventSource would only read after a GET.
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (waiting + value).split("\n\n");
    waiting = parts.pop();
    for (const part of parts) {
      const lines = Object.fromEntries(part.split("\n").map((line) => line.split(/: (.*)/s, 2)));
      if (lines.data) yield { name: lines.event, data: JSON.parse(lines.data) };
    }
  }
}

function finish(turn, answer) {
  const place = turn.querySelector(".answer");
  place.classList.toggle("abstained", answer.abstained);
  show(place, answer.answer, answer.citations);
  turn.querySelector(".citations").append(...answer.citations.map((one) => element("li", {}, source(one))));
  const sure = answer.abstained ? "no answer found" : `confidence ${answer.confidence.toFixed(2)}`;
  say(turn, `${sure} · version ${answer.version}`);
  showModel(answer);
  rate(turn, answer.request_id);
}

function say(turn, text) {
  turn.querySelector(".said").textContent = text;
  turn.querySelector("footer").hidden = false;
}

// Paragraphs and fenced code; within them `code`, **bold** and [1]. Everything is set as text.
function show(place, text, citations) {
  const nodes = text.split(/```[^\n]*\n?/).flatMap((part, number) => {
    if (number % 2) return [element("pre", { tabIndex: 0 }, element("code", { textContent: part }))];
    return part.split(/\n{2,}/).filter((one) => one.trim()).map((one) => paragraph(one, citations));
  });
  place.replaceChildren(...nodes);
}

function paragraph(text, citations) {
  const parts = text.split(/(`[^`\n]+`|\*\*[^*\n]+\*\*|\[\d+\])/).map((part, number) => {
    if (number % 2 === 0) return part;
    if (part.startsWith("`")) return element("code", { textContent: part.slice(1, -1) });
    if (part.startsWith("*")) return element("strong", { textContent: part.slice(2, -2) });
    const cited = citations.find((one) => `[${one.number}]` === part);
    return cited ? mention(cited) : part;
  });
  return element("p", {}, ...parts);
}

function mention(cited) {
  const button = element("button", { type: "button", className: "cite", textContent: cited.number });
  button.setAttribute("aria-label", `Source ${cited.number}: ${cited.source}`);
  button.addEventListener("click", () => open(cited));
  return button;
}

function source(cited) {
  const button = element("button", { type: "button" });
  button.append(
    element("span", { className: "number", textContent: cited.number }),
    element("span", { textContent: cited.source }),
    element("small", { textContent: [whereabouts(cited), cited.heading].filter(Boolean).join(" · ") }),
  );
  button.addEventListener("click", () => open(cited));
  return button;
}

function whereabouts(cited) {
  return cited.page ? `page ${cited.page}` : `lines ${cited.line_start} to ${cited.line_end}`;
}

async function open(cited) {
  const place = document.querySelector("#text");
  document.querySelector("#document-title").textContent = cited.source;
  document.querySelector("#document-place").textContent = whereabouts(cited);
  place.replaceChildren(element("mark", { textContent: cited.passage }));
  viewer.showModal();
  place.focus();
  try {
    const found = await call(`v1/document?source=${encodeURIComponent(cited.source)}`);
    highlight(place, (await found.json()).text, cited);
  } catch {
    // Another version serves now, without this document: its passage is shown.
  }
}

function highlight(place, text, cited) {
  const before = (line) => text.split("\n").slice(0, Math.max(0, line)).join("\n").length;
  let start = text.indexOf(cited.passage, before(cited.line_start - 1));
  if (start < 0) start = text.indexOf(cited.passage);
  if (start < 0) return;
  const end = start + cited.passage.length;
  const mark = element("mark", { textContent: text.slice(start, end) });
  place.replaceChildren(text.slice(0, start), mark, text.slice(end));
  mark.scrollIntoView({ block: mark.offsetHeight < place.clientHeight ? "center" : "start" });
}

function rate(turn, request) {
  const correct = turn.querySelector(".correct");
  const box = correct.querySelector("textarea");
  const thanks = turn.querySelector(".thanks");
  const buttons = { up: turn.querySelector(".up"), down: turn.querySelector(".down") };
  const tell = async (given) => {
    try {
      const { kept } = await (await call("v1/feedback", { request_id: request, ...given })).json();
      thanks.textContent = kept ? "Thank you." : "It could not be kept.";
    } catch (error) {
      thanks.textContent = error.message;
    }
  };
  turn.querySelector(".rate").hidden = false;
  for (const [rating, button] of Object.entries(buttons)) {
    button.addEventListener("click", () => {
      for (const one of Object.values(buttons)) one.setAttribute("aria-pressed", String(one === button));
      correct.hidden = rating !== "down";
      if (!correct.hidden) box.focus();
      tell({ rating });
    });
  }
  correct.addEventListener("submit", (event) => {
    event.preventDefault();
    tell({ rating: "down", correction: box.value.trim() });
    correct.hidden = true;
    buttons.down.focus();
  });
}
