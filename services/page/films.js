// A user's own films beside what the rule shows to everybody.

import { call, complain, describe, element, theme } from "./common.js";

const form = document.querySelector("#form");
const user = document.querySelector("#user");
const genre = document.querySelector("#genre");

theme();
start().catch(complain);

async function start() {
  const info = await describe();
  document.querySelector("#users").append(
    ...(info.users ?? []).map((id) => element("option", { value: id })),
  );
  genre.append(...(info.genres ?? []).map((name) => element("option", { textContent: name })));
  user.value = info.users?.[0] ?? "";
  await recommend();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  recommend().catch(complain);
});

async function recommend() {
  complain(null);
  const genres = genre.value ? [genre.value] : [];
  const asked = [{ user_id: user.value.trim(), genres }, { user_id: "", genres }];
  const [own, all] = await Promise.all(
    asked.map(async (body) => (await call("v1/recommend", { ...body, k: 12 })).json()),
  );
  list("#own", own.items, true);
  list("#all", all.items, false);
  list("#seen", own.history ?? [], false);
}

function list(place, films, reasons) {
  const cards = films.map((film) => {
    const card = element("li", {}, element("strong", { textContent: film.title ?? film.film_id }));
    const facts = [film.year, (film.genres ?? []).join(", ")].filter(Boolean).join(" · ");
    card.append(element("small", { textContent: facts }));
    if (reasons) card.append(element("small", { className: "reason", textContent: film.reason ?? "" }));
    return card;
  });
  document.querySelector(place).replaceChildren(...cards);
  if (!cards.length) document.querySelector(place).append(element("li", { textContent: "nothing" }));
}
