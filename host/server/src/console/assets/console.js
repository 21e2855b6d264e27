// Pages work without this; it only keeps what is shown up to date.
"use strict";
(() => {
  const region = document.querySelector("[data-live]");
  if (!region) return;
  let asked = false;
  let again = false;

  // Fetch the page anew and take its live region over, but leave what somebody has opened or is using.
  async function refresh() {
    if (asked) { again = true; return; }
    asked = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("[data-live]");
      if (!fresh) return;
      if (region.contains(document.activeElement)) { setTimeout(refresh, 1000); return; }
      const opened = new Set([...region.querySelectorAll("details[open][id]")].map((it) => it.id));
      fresh.querySelectorAll("details[id]").forEach((it) => { it.open = it.open || opened.has(it.id); });
      const scrolled = [...region.querySelectorAll(".graph")].map((it) => [it.scrollLeft, it.scrollTop]);
      region.replaceChildren(...fresh.childNodes);
      region.querySelectorAll(".graph").forEach((it, place) => {
        if (scrolled[place]) [it.scrollLeft, it.scrollTop] = scrolled[place];
      });
    } catch {
      // The host may be gone for a moment; the next event or turn asks again.
    } finally {
      asked = false;
      if (again) { again = false; setTimeout(refresh, 1000); }
    }
  }

  if (region.dataset.events) {
    const events = new EventSource(region.dataset.events);
    for (const name of ["planned", "step_started", "step_finished", "logged", "published"]) {
      events.addEventListener(name, refresh);
    }
    events.addEventListener("ended", () => { events.close(); refresh(); });
  } else if (region.dataset.every) {
    setInterval(() => { if (!document.hidden) refresh(); }, Number(region.dataset.every) * 1000);
  }
})();
