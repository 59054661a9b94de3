// Shows what is new without a reload; the page works without it. What somebody is typing into is left alone.
"use strict";
document.documentElement.classList.add("live");

const parts = ["conversation", "log", "modal"];
const busy = (part) => part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
const shown = () => document.querySelector("[data-modal]")?.dataset.modal ?? "";
const toEnd = () => window.scrollTo({ top: document.documentElement.scrollHeight });

async function look() {
  const { version } = await (await fetch("/version")).json();
  if (String(version) === document.body.dataset.version) return;
  const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
  const before = shown();
  const fresh = page.querySelector("[data-modal]")?.dataset.modal ?? "";
  for (const id of parts) {
    const here = document.getElementById(id);
    const there = page.getElementById(id);
    if (!here || !there || busy(here) || (id === "modal" && fresh === before)) continue;
    const open = id === "log" ? [...here.querySelectorAll("details[open]")].length > 0 : false;
    if (!open && here.innerHTML !== there.innerHTML) here.innerHTML = there.innerHTML;
  }
  document.querySelector(".slack").inert = fresh !== "";
  if (fresh !== "" && fresh !== before) document.querySelector("[data-modal] input:not([type=hidden]), [data-modal] textarea, [data-modal] select")?.focus();
  document.body.dataset.version = page.body.dataset.version;
}

setInterval(() => look().catch(() => {}), 500);
document.addEventListener("change", (event) => {
  const go = event.target.matches("select, input") && event.target.closest(".choice")?.querySelector(":scope > .go");
  if (go && !event.target.matches("[multiple], [type=text]")) go.click();
});
document.addEventListener("keydown", (event) => {
  if (event.target.id === "text" && event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    if (event.repeat || event.target.value.trim() === "") return;
    event.target.form.querySelector(".send").click();
  }
});
toEnd();
document.getElementById("text")?.focus({ preventScroll: true });
