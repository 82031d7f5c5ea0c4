// A user's own films beside what the rule shows to everybody.

import { call, complain, describe, element } from "./common.js";

const SHOWN = 12;
const user = document.querySelector("#user");
const genre = document.querySelector("#genre");
let users = [];

start().catch(complain);

async function start() {
  const info = await describe();
  users = info.users;
  document.querySelector("#users").append(...users.map((id) => element("option", { value: id })));
  genre.append(...info.genres.map((name) => element("option", { textContent: name })));
  user.value = users[0] ?? "";
  await recommend();
}

document.querySelector("#form").addEventListener("submit", (event) => {
  event.preventDefault();
  recommend().catch(complain);
});
genre.addEventListener("change", () => recommend().catch(complain));
document.querySelector("#other").addEventListener("click", () => {
  user.value = users[(users.indexOf(user.value) + 1) % users.length];
  recommend().catch(complain);
});

async function recommend() {
  complain(null);
  const asked = { user_id: user.value.trim(), genres: genre.value ? [genre.value] : [], k: SHOWN };
  const [seen, own, all] = await Promise.all([
    past(asked.user_id),
    items("v1/recommend", asked),
    items("v1/recommend", { ...asked, user_id: "" }),
  ]);
  document.querySelector("#past").hidden = !seen.length;
  list("#seen", seen);
  list("#own", own);
  list("#all", all);
  document.querySelector("#told").textContent = `${own.length} films for ${asked.user_id || "nobody"}.`;
}

async function items(path, body) {
  return (await (await call(path, body)).json()).items;
}

async function past(id) {
  if (!id) return [];
  try {
    return await items(`v1/seen?user_id=${encodeURIComponent(id)}`);
  } catch (error) {
    if (error.status !== 404) throw error;
    complain(error);
    return [];
  }
}

function list(place, films) {
  const cards = films.map((film) => {
    const facts = [film.year, film.genres.join(", ")].filter(Boolean).join(" · ");
    const card = element("li", {}, element("strong", { textContent: film.title }));
    card.append(element("small", { textContent: facts }));
    if (film.reason) card.append(element("small", { className: "reason", textContent: film.reason }));
    return card;
  });
  document.querySelector(place).replaceChildren(...cards);
  if (!cards.length) document.querySelector(place).append(element("li", { textContent: "no such films" }));
}
