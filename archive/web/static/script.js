// Comfort only: every page can be read, asked and walked through without it.

const PROGRESS_EVERY = 3000;

function comeIn() {
  // The token is in the fragment, which no server and no log sees; it is exchanged for a cookie and forgotten.
  const token = location.hash.slice(1);
  if (!document.querySelector("#enter") || !token) return;
  history.replaceState(null, "", "/enter");
  fetch("/enter", { method: "POST", body: new URLSearchParams({ answer: token }), redirect: "manual" })
    .then(() => location.replace("/"));
}

function keys() {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "/") {
      event.preventDefault();
      const search = document.querySelector("#q");
      search?.focus();
      search?.select();
    }
    const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
    if (rel && document.querySelector("#photo")) document.querySelector(`.strip a[rel=${rel}]`)?.click();
    if (event.key === "Escape" && document.querySelector("#photo")) location.hash = "photo";
  });
}

function bar() {
  const slider = document.querySelector("#bar");
  if (!slider) return;
  const words = slider.parentElement.querySelector("output");
  const cards = [...document.querySelectorAll("#hits [data-probability]")];
  // The server's words for a score stand on the cards; the slider says the weakest that is still shown.
  const say = () => {
    const percent = Number(slider.value);
    let left = 0;
    for (const card of cards) {
      card.hidden = Number(card.dataset.probability) < percent;
      if (!card.hidden) left += 1;
    }
    const name = percent >= 88 ? "clear match" : percent >= 70 ? "good match" : percent >= 50 ? "weak match" : percent > 0 ? "below the bar" : "everything";
    words.value = name;
    slider.setAttribute("aria-valuetext", name);
    document.querySelector("#none-left").hidden = left > 0;
  };
  slider.addEventListener("input", say);
  slider.addEventListener("change", () => {
    // Below what the server sent there may be more.
    if (Number(slider.value) < Number(slider.dataset.floor)) slider.form.requestSubmit();
  });
}

function things() {
  const photo = document.querySelector("#photo");
  if (!photo) return;
  const mark = (ordinal, shown) => {
    for (const one of document.querySelectorAll(`[data-ordinal="${ordinal}"]`)) one.classList.toggle("shown", shown);
  };
  for (const one of document.querySelectorAll("[data-ordinal]")) {
    const { ordinal } = one.dataset;
    one.addEventListener("pointerenter", () => mark(ordinal, true));
    one.addEventListener("pointerleave", () => mark(ordinal, false));
    one.addEventListener("focus", () => mark(ordinal, true));
    one.addEventListener("blur", () => mark(ordinal, false));
    one.addEventListener("click", (event) => {
      event.preventDefault();
      history.replaceState(null, "", `#s${ordinal}`);
      location.replace(`#s${ordinal}`);
    });
  }
  const strip = document.querySelector(".strip");
  const current = strip.querySelector("[aria-current]");
  strip.scrollLeft = current.offsetLeft - (strip.clientWidth - current.offsetWidth) / 2;
}

function progress() {
  const strip = document.querySelector("#ingest");
  if (document.querySelector("#enter")) return;
  let wasRunning = !strip.hidden;
  const look = async () => {
    if (document.hidden) return;
    const answer = await fetch("/api/v1/progress");
    if (!answer.ok) return;
    const now = await answer.json();
    document.querySelector("nav a").textContent = `${now.photos.toLocaleString("en")} photo${now.photos === 1 ? "" : "s"}`;
    strip.hidden = !now.running;
    if (now.running) {
      const meter = strip.querySelector("progress");
      meter.max = Math.max(now.total, 1);
      meter.value = now.done;
      strip.querySelector("span").textContent = `${now.done.toLocaleString("en")} of ${now.total.toLocaleString("en")}`;
    }
    // A page that waited for photos shows them once they are there.
    if (wasRunning && !now.running && location.pathname === "/" && !location.search) location.reload();
    wasRunning = now.running;
  };
  setInterval(() => look().catch(() => { strip.hidden = true; }), PROGRESS_EVERY);
}

comeIn();
keys();
bar();
things();
progress();
