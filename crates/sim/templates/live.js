// Shows what is new without a reload; the page works without it. What somebody is typing into is left alone.
"use strict";
document.documentElement.classList.add("live");

const parts = ["conversation", "log", "modal"];
const fields = "input:not([type=hidden]), select, textarea";
const modal = (page) => page.querySelector("[data-modal]");
const isBusy = (part) => part.contains(document.activeElement) && document.activeElement.matches(fields);
// The end of the conversation: on a phone the log stands below it.
const end = () => document.querySelector("main").getBoundingClientRect().bottom - window.innerHeight;
const isAtEnd = () => end() <= 40;
const toEnd = () => window.scrollBy({ top: end() });
const toModal = () => modal(document)?.querySelector(fields)?.focus();

// Puts what is new in its place; false if something had to wait.
function renew(id, page) {
  const here = document.getElementById(id);
  const there = page.getElementById(id);
  if (!here || !there || here.innerHTML === there.innerHTML) return true;
  if (id === "modal" && modal(document)?.dataset.modal === modal(page)?.dataset.modal) return true;
  // What somebody has just opened would close under their hand.
  if (here.querySelector("details[open]")) return false;
  if (id !== "modal" && isBusy(here)) return false;
  here.innerHTML = there.innerHTML;
  if (id === "modal") toModal();
  return true;
}

async function look() {
  // While a modal is open the focus is in it, wherever the page's address would have it.
  if (modal(document) && document.activeElement === document.body) toModal();
  const { version } = await (await fetch("/version")).json();
  if (String(version) === document.body.dataset.version) return;
  const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
  const wasAtEnd = isAtEnd();
  const renewed = parts.map((id) => renew(id, page));
  document.querySelector(".slack").inert = modal(document) !== null;
  if (wasAtEnd) toEnd();
  if (renewed.every(Boolean)) document.body.dataset.version = page.body.dataset.version;
}

// A choice made with the pointer counts at once; with the keyboard one may still be on the way to another.
let byPointer = false;
for (const press of ["pointerdown", "mousedown"]) document.addEventListener(press, () => { byPointer = true; });
document.addEventListener("keydown", (event) => {
  byPointer = false;
  if (event.key === "Enter" && event.target.matches("input[name^='q.']")) {
    event.preventDefault();
    event.target.parentElement.querySelector("[name=suggest]").click();
  }
  if (event.key === "Escape") modal(document)?.querySelector("[name=close]")?.click();
  if (event.target.id === "text" && event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    if (event.repeat || event.target.value.trim() === "") return;
    event.target.form.querySelector(".send").click();
  }
});
document.addEventListener("change", (event) => {
  const go = event.target.closest(".choice")?.querySelector(":scope > .go");
  const isOneOfSeveral = event.target.matches("select:not([multiple]), [type=checkbox], [type=radio], [type=date], [type=time]");
  if (go && byPointer && isOneOfSeveral) go.click();
});

setInterval(() => look().catch(() => {}), 500);
toEnd();
if (modal(document)) toModal();
else document.getElementById("text")?.focus({ preventScroll: true });
