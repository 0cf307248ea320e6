// What pages gain where scripts run. Everything here is an addition: each form and link works without it.
"use strict";

document.documentElement.classList.add("scripted");

(() => {
  const each = (root, selector, use) => {
    if (root.matches?.(selector)) use(root);
    root.querySelectorAll?.(selector).forEach(use);
  };
  const once = (element, key) => {
    if (element.dataset[key]) return false;
    element.dataset[key] = "1";
    return true;
  };

  // Moments in the reader's own time zone, on hover.
  const localise = (element) => {
    const moment = new Date(element.dateTime);
    if (isNaN(moment)) return;
    element.title = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "long", timeStyle: "short" }).format(moment);
  };

  // A copy button beside each piece of code; the page names it, we show it.
  const copyable = (button) => {
    if (!navigator.clipboard || !once(button, "ready")) return;
    button.hidden = false;
    const label = button.textContent;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      await navigator.clipboard.writeText(source.dataset.text ?? source.textContent);
      button.textContent = button.dataset.done;
      setTimeout(() => { button.textContent = label; }, 1600);
    });
  };

  // Sliders: one track for one or two numbers. The numbers stay the fields.
  const slider = (box) => {
    if (!once(box, "ready")) return;
    const numbers = [...box.querySelectorAll("input[type=number]")];
    const track = document.createElement("div");
    track.className = "track";
    const thumbs = numbers.map((number) => {
      const thumb = document.createElement("input");
      thumb.type = "range";
      for (const name of ["min", "max", "step"]) thumb[name] = number[name];
      thumb.tabIndex = -1; // The number is reached by keyboard; twice would be noise.
      thumb.setAttribute("aria-hidden", "true");
      thumb.disabled = number.readOnly || number.disabled;
      track.append(thumb);
      return thumb;
    });
    const share = (thumb) => (100 * (thumb.value - thumb.min)) / (thumb.max - thumb.min || 1);
    const paint = () => {
      track.style.setProperty("--from", thumbs.length > 1 ? `${share(thumbs[0])}%` : "0%");
      track.style.setProperty("--to", `${share(thumbs.at(-1))}%`);
    };
    const keepOrder = (moved) => {
      if (thumbs.length < 2) return;
      const other = 1 - moved;
      const crossed = moved === 0 ? +thumbs[0].value > +thumbs[1].value : +thumbs[1].value < +thumbs[0].value;
      if (crossed) { thumbs[other].value = thumbs[moved].value; numbers[other].value = thumbs[moved].value; }
    };
    thumbs.forEach((thumb, index) => {
      thumb.value = numbers[index].value;
      thumb.addEventListener("input", () => {
        numbers[index].value = thumb.value;
        keepOrder(index);
        paint();
        numbers[index].dispatchEvent(new Event("change", { bubbles: true }));
      });
      numbers[index].addEventListener("input", () => { thumb.value = numbers[index].value; paint(); });
    });
    box.querySelector(".slider-ends").before(track);
    paint();
  };

  // Rows that do not hold the words typed go away; the form filters on the server where there is no script.
  const filter = (input) => {
    if (!once(input, "ready")) return;
    const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
    const list = document.getElementById(input.dataset.filter);
    const rows = [...list.querySelectorAll("[data-words]")].map((row) => [row, plain(row.dataset.words)]);
    const none = document.getElementById(`${input.dataset.filter}-none`);
    const apply = () => {
      const words = plain(input.value).split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const [row, text] of rows) {
        row.hidden = !words.every((word) => text.includes(word));
        if (!row.hidden) shown += 1;
      }
      for (const group of list.querySelectorAll("[data-group]")) {
        group.hidden = !group.querySelector("[data-words]:not([hidden])");
      }
      if (none) none.hidden = shown > 0;
      list.hidden = shown === 0;
    };
    input.addEventListener("input", apply);
    if (input.value) apply();
  };

  // What a condition hides, shown and hidden as the value it looks at changes.
  const conditions = (form) => {
    const parts = form.querySelectorAll("[data-hidden-when]");
    const valueOf = (name) => {
      const found = [...form.querySelectorAll("[name]")].filter((field) => field.name === name).at(-1);
      return found?.type === "checkbox" ? String(found.checked) : found?.value;
    };
    const apply = () => parts.forEach((part) => { part.hidden = valueOf(part.dataset.hiddenWhen) === part.dataset.hiddenValue; });
    form.addEventListener("input", apply);
    form.addEventListener("change", apply);
    apply();
  };

  // The command and the link beside a form, made again by the server from what the form holds now.
  const preview = (form) => {
    if (!once(form, "previewed")) return;
    conditions(form);
    const target = document.getElementById("same");
    let timer = 0;
    let newest = 0;
    const ask = async () => {
      const mine = ++newest;
      const answer = await fetch(form.dataset.preview, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      if (!answer.ok || mine !== newest) return;
      target.innerHTML = await answer.text();
      start(target);
    };
    form.addEventListener("change", () => { clearTimeout(timer); timer = setTimeout(ask, 150); });
  };

  // The short name that would be made of a name, shown where it may be chosen; the lab makes it, and numbers it where it is taken.
  const propose = (form) => {
    if (!once(form, "proposing")) return;
    const [name, short] = form.dataset.proposes.split(" ").map((id) => document.getElementById(id));
    const show = () => {
      const plain = name.value.normalize("NFKD").replace(/[^\x00-\x7f]/g, "").toLowerCase();
      short.placeholder = plain.replace(/[^a-z0-9]+/g, "-").slice(0, 40).replace(/^-+|-+$/g, "");
    };
    name.addEventListener("input", show);
    show();
  };

  // A form that was sent is not sent twice by a second click.
  const sendOnce = (form) => {
    if (!once(form, "sending")) return;
    form.addEventListener("submit", () => {
      setTimeout(() => form.querySelectorAll("button:not([type=button])").forEach((button) => { button.disabled = true; }));
    });
  };

  // Logs stay at their end while one reads there.
  const tail = (box) => {
    if (!once(box, "ready")) return;
    let atEnd = true;
    box.addEventListener("scroll", () => { atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 24; });
    new MutationObserver(() => { if (atEnd) box.scrollTop = box.scrollHeight; })
      .observe(box, { childList: true, subtree: true, characterData: true });
  };

  // Menus close when one leaves them.
  document.addEventListener("click", (event) => {
    document.querySelectorAll("details.popup[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    document.querySelectorAll("details.popup[open]").forEach((menu) => { menu.open = false; menu.querySelector("summary").focus(); });
  });

  document.addEventListener("etabli:changed", () => start(document.body)); // live.js put something in its place.

  const start = (root) => {
    each(root, "time[datetime]", localise);
    each(root, "button[data-copy]", copyable);
    each(root, "[data-slider]", slider);
    each(root, "input[data-filter]", filter);
    each(root, "form[data-preview]", preview);
    each(root, "form[data-once]", sendOnce);
    each(root, "form[data-proposes]", propose);
    each(root, "[data-tail]", tail);
  };
  // Out of the browser's memory, where a page outlives its session; live.js asks again for those that it follows.
  addEventListener("pageshow", (event) => { if (event.persisted && !document.querySelector("meta[name=etabli-live]")) location.reload(); });
  start(document);
})();
