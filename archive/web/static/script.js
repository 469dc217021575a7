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
    // Not on the boxes: what listens for focus in a drawing takes it.
    if (one.matches("a")) {
      one.addEventListener("focus", () => mark(ordinal, true));
      one.addEventListener("blur", () => mark(ordinal, false));
    }
    one.addEventListener("click", (event) => {
      event.preventDefault();
      location.replace(`#s${ordinal}`);
    });
  }
  const strip = document.querySelector(".strip");
  const current = strip.querySelector("[aria-current]");
  strip.scrollLeft = current.offsetLeft - (strip.clientWidth - current.offsetWidth) / 2;
}

function choosing() {
  const photo = document.querySelector("#photo");
  if (!photo) return;
  const panel = document.querySelector("#chosen");
  const drawn = document.querySelector("#drawn");
  const form = panel.querySelector("form");
  const said = panel.querySelector("[role=status]");
  let box = null;

  const edges = (rect) => {
    const [left, top, width, height] = ["x", "y", "width", "height"].map((name) => Number(rect.getAttribute(name)));
    return { left, top, right: left + width, bottom: top + height };
  };
  const area = ({ left, top, right, bottom }) => Math.max(0, right - left) * Math.max(0, bottom - top);
  const overlap = (one, other) => {
    const shared = area({
      left: Math.max(one.left, other.left), top: Math.max(one.top, other.top),
      right: Math.min(one.right, other.right), bottom: Math.min(one.bottom, other.bottom),
    });
    return shared / (area(one) + area(other) - shared);
  };
  // What looks like a drawn box is asked by the thing that was found nearest to it; the whole photo is one, too.
  const nearest = () => {
    let best = { segment: photo.dataset.frame, share: overlap(box, { left: 0, top: 0, ...whole }) };
    for (const group of photo.querySelectorAll(".segment")) {
      const share = overlap(box, edges(group.querySelector("rect")));
      if (share >= best.share) best = { segment: group.dataset.segment, share };
    }
    return best.segment;
  };
  const whole = { right: photo.viewBox.baseVal.width, bottom: photo.viewBox.baseVal.height };
  const offer = (segment) => {
    panel.hidden = false;
    said.textContent = "";
    panel.querySelector("a").href = `/?like=${segment}`;
  };
  const followHash = () => {
    const group = document.querySelector(".segment:target");
    if (group) {
      drawn.setAttribute("visibility", "hidden");
      box = edges(group.querySelector("rect"));
      offer(group.dataset.segment);
    } else if (drawn.getAttribute("visibility") === "hidden") panel.hidden = true;
  };
  addEventListener("hashchange", followHash);
  followHash();

  const at = (event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(photo.getScreenCTM().inverse());
  let start = null;
  let drew = false;
  photo.addEventListener("pointerdown", (event) => {
    drew = false;
    if (event.pointerType !== "touch" && event.button === 0) start = at(event); // a finger scrolls the page
  });
  photo.addEventListener("dragstart", (event) => event.preventDefault());
  addEventListener("pointermove", (event) => {
    if (!start) return;
    const now = at(event);
    const inside = (value, most) => Math.round(Math.min(Math.max(value, 0), most));
    const across = [start.x, now.x].map((value) => inside(value, whole.right)).sort((a, b) => a - b);
    const down = [start.y, now.y].map((value) => inside(value, whole.bottom)).sort((a, b) => a - b);
    if (across[1] - across[0] < 8 || down[1] - down[0] < 8) return;
    if (location.hash !== "#photo") location.replace("#photo");
    box = { left: across[0], top: down[0], right: across[1], bottom: down[1] };
    for (const rect of drawn.querySelectorAll("rect")) {
      rect.setAttribute("x", box.left);
      rect.setAttribute("y", box.top);
      rect.setAttribute("width", box.right - box.left);
      rect.setAttribute("height", box.bottom - box.top);
    }
    drawn.setAttribute("visibility", "visible");
    drew = true;
  });
  addEventListener("pointerup", () => {
    if (drew) offer(nearest());
    start = null;
  });
  // Where a box was drawn inside of a thing, the thing was not clicked.
  photo.addEventListener("click", (event) => { if (drew) event.stopPropagation(); }, true);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = form.elements.name.value;
    said.textContent = "Learning …";
    const told = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ name, ...box }) };
    const answer = await fetch(form.action, told);
    const got = await answer.json();
    said.textContent = answer.ok
      ? `${got.name}: ${got.pictures} picture${got.pictures === 1 ? "" : "s"}; ask for it by that name. ${got.doubts.join(" ")}`
      : `Not learned: ${got.error}`;
  });
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
choosing();
progress();
