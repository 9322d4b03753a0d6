"use strict";
// Makes the pages quicker to use; all but opening a file, printing and drawing works without it.

for (const element of document.querySelectorAll(".needs-script")) element.hidden = false;

// A file is read here and put into the claim; it is sent with the form, as text.
const file = document.getElementById("file");
if (file) {
  document.querySelector(".file").hidden = false;
  document.querySelector(".nofile").hidden = true;
  const formats = { json: "json", jsonld: "jsonld", yaml: "yaml", yml: "yaml", ttl: "turtle" };
  file.addEventListener("change", async () => {
    const [chosen] = file.files;
    if (!chosen) return;
    document.getElementById("claim").value = await chosen.text();
    const format = formats[chosen.name.split(".").pop().toLowerCase()];
    if (format) document.getElementById("format").value = format;
  });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button?.dataset.do === "print") window.print();
  if (button?.dataset.do === "open") {
    const closed = document.querySelectorAll(".tree details:not(.triples):not([open])");
    for (const details of closed.length ? closed : document.querySelectorAll(".tree details[open]")) details.open = closed.length > 0;
    button.textContent = closed.length ? "Close all criteria" : "Open all criteria";
  }
  if (event.target.closest('a[href="#edit-claim"]')) document.querySelector("#edit-claim details").open = true;
});

// An answer is tried in place: the service determines, the new page takes the place of the old, and what changed is said.
document.addEventListener("submit", async (event) => {
  const form = event.target, button = event.submitter;
  if (!form.matches("[data-live]") || button?.hasAttribute("formaction")) return;
  event.preventDefault();
  const where = button?.closest("section.line")?.id;
  document.body.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form, button)) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!page.querySelector("#main")) throw new Error(answer.statusText);
    document.querySelector("header.page").replaceWith(page.querySelector("header.page"));
    document.querySelector("#main").replaceWith(page.querySelector("#main"));
    document.title = page.title;
  } catch {
    const told = Object.assign(document.createElement("p"), { className: "problem", role: "alert" });
    told.textContent = "The service did not answer this. Nothing changed; try again.";
    document.querySelector("#what-if").after(told);
    return;
  } finally {
    document.body.removeAttribute("aria-busy");
  }
  for (const element of document.querySelectorAll(".needs-script")) element.hidden = false;
  announce();
  const next = where ? document.getElementById(`${where}-title`) : document.querySelector('#what-if [aria-pressed="true"]');
  if (next && !next.matches("button")) next.tabIndex = -1;
  next?.focus();
});

// A status is read aloud where its text changes, so the text comes after the element.
function announce() {
  const status = document.getElementById("announce");
  if (!status) return;
  const words = status.textContent;
  status.textContent = "";
  setTimeout(() => { status.textContent = words; }, 50);
}
