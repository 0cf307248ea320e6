// What changes elsewhere appears here. One event stream for the whole browser: this file is also the shared worker that holds it.
// Where there is no shared worker, one of the visible tabs holds it for all (Web Locks, BroadcastChannel); else each tab its own.
//
// The stream says what changed, never what it is now. A page says what it shows, `data-live="service:ID"`, `service@PROJECT`,
// `announcement`; when a hint concerns it, the page is asked for again without what surrounds it, and each such element is changed
// where it differs. A form in use is left as it is.
"use strict";

(() => {
  const SILENCE_MS = 40_000; // The lab says every 15 s that it is there.
  const LONGEST_WAIT_MS = 30_000;
  const AGAIN_MS = 5_000; // At most, before what failed is asked again; times and use are looked at six times less often.

  // Server-sent events (WHATWG HTML, 9.2) by fetch, which tells why it was refused. The status; throws where the line breaks.
  const listen = async (address, headers, signal, hear) => {
    const answer = await fetch(address, { headers: { Accept: "text/event-stream", ...headers }, cache: "no-store", redirect: "error", signal });
    if (!answer.ok) return answer.status;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let waiting = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return answer.status;
      const parts = (waiting + value).split("\n\n");
      waiting = parts.pop();
      parts.forEach((part) => {
        const said = { event: "", data: "", id: "" };
        for (const line of part.split("\n")) {
          const [, field, content] = /^(\w+): ?(.*)$/.exec(line) ?? [];
          if (field in said) said[field] += content;
        }
        hear(said);
      });
    }
  };

  // The stream itself: `tell` gets {state}, {hints, within}, {everything}. Mended for as long as it is open.
  const stream = (tag, tell) => {
    let position = "";
    let state = "";
    let tries = 0;
    let timer = 0;
    let control = null;

    const say = (now) => { if (state !== now) { state = now; tell({ state, position }); } };
    const follow = async () => {
      const mine = control = new AbortController();
      const giveUp = () => mine.abort();
      let silence = setTimeout(giveUp, SILENCE_MS);
      const hear = ({ event, data, id }) => {
        clearTimeout(silence);
        silence = setTimeout(giveUp, SILENCE_MS);
        position = id || position;
        if (event === "end") say("over");
        else if (event === "open") { tries = 0; say("open"); }
        else if (data) tell({ ...JSON.parse(data), position });
      };
      try {
        const status = await listen(`/live?tag=${tag}`, position ? { "Last-Event-ID": position } : {}, mine.signal, hear);
        if (status === 401 || status === 403) say("over");
      } catch { /* Told below: whatever the reason, it is asked for again. */ }
      clearTimeout(silence);
      if (state === "over" || control !== mine) return;
      say("lost");
      timer = setTimeout(follow, Math.min(LONGEST_WAIT_MS, 500 * 2 ** tries++) * (0.5 + Math.random() / 2));
    };
    const stop = () => { clearTimeout(timer); const last = control; control = null; last?.abort(); };

    return {
      open: (from) => { position ||= from; follow(); },
      hurry: () => { if (state === "lost") { stop(); tries = 0; follow(); } },
      close: stop,
      now: () => ({ state, position }),
    };
  };

  if (typeof SharedWorkerGlobalScope !== "undefined" && self instanceof SharedWorkerGlobalScope) {
    const ports = new Set();
    let last = ""; // Of the last message that told of a change.
    const tell = (message) => {
      if (!message.state) last = message.position;
      ports.forEach((port) => port.postMessage(message));
    };
    const held = stream(self.name.replace("etabli-live-", ""), tell);
    self.onconnect = ({ ports: [port] }) => {
      port.onmessage = ({ data }) => {
        if (data.bye) ports.delete(port);
        if (data.hurry) held.hurry();
        if (!data.hello) return;
        ports.add(port);
        const now = held.now();
        if (!now.position) held.open(data.hello);
        else port.postMessage({ ...now, ...(isBehind(data.hello, last) && { everything: true }) });
      };
    };
    return;
  }

  // Positions are `PORTAL-NUMBER`; those of two portals do not compare.
  function isBehind(page, told) {
    if (!told) return false;
    const [[portal, number], [other, newest]] = [page.split("-"), told.split("-")];
    return portal !== other || +number < +newest;
  }

  const script = document.currentScript.src;
  const meta = document.querySelector("meta[name=etabli-live]");
  if (!meta) return;
  const [tag, position, still] = meta.content.split(" ");
  const byId = (id) => document.getElementById(id);

  // The lines of a page that say how its connection is.
  const announce = (text) => { const said = byId("say"); if (said && text) said.textContent = text; };
  const show = (id, isShown) => {
    const line = byId(id);
    if (!line || line.hidden === !isShown) return;
    line.hidden = !isShown;
    if (isShown) announce(line.textContent.trim().replace(/\s+/g, " "));
  };

  // A form that somebody types in, or that holds what was typed, stays as it is.
  const isDirty = (control) => {
    if (control.type === "checkbox" || control.type === "radio") return control.checked !== control.defaultChecked;
    if (control.options) return [...control.options].some((option) => option.selected !== option.defaultSelected) && control.selectedIndex > 0;
    return control.defaultValue !== undefined && control.value !== control.defaultValue;
  };
  const isInUse = (element) => {
    if (element.localName === "dialog") return element.open;
    if (element.localName !== "form") return element.hasAttribute("data-keep");
    return element.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")
      || [...element.elements].some(isDirty);
  };
  const OWN = new Set(["aria-keyshortcuts", "data-ready", "data-previewed", "data-sending"]); // What scripts of ours set.
  const isOwn = (element, name) => OWN.has(name)
    || (name === "open" && element.localName === "details")
    || (name === "hidden" && "ready" in element.dataset);

  const morph = (from, to) => {
    if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName) { from.replaceWith(document.importNode(to, true)); return; }
    if (from.nodeType !== Node.ELEMENT_NODE) { if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue; return; }
    if (from.isEqualNode(to) || isInUse(from)) return;
    for (const { name } of [...from.attributes]) if (!to.hasAttribute(name) && !isOwn(from, name)) from.removeAttribute(name);
    for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value && !isOwn(from, name)) from.setAttribute(name, value);
    morphChildren(from, to);
  };
  const morphChildren = (from, to) => {
    const known = new Map([...from.children].filter((child) => child.id).map((child) => [child.id, child]));
    let here = from.firstChild;
    for (const wanted of [...to.childNodes]) {
      const alike = here && !here.id && !wanted.id && here.nodeName === wanted.nodeName ? here : null;
      const found = wanted.id ? known.get(wanted.id) : alike;
      if (!found) from.insertBefore(document.importNode(wanted, true), here);
      else {
        if (found === here) here = here.nextSibling;
        else from.insertBefore(found, here);
        morph(found, wanted);
      }
    }
    while (here) { const next = here.nextSibling; here.remove(); here = next; }
  };

  const sayings = () => new Map([...document.querySelectorAll("[data-live] [data-say], [data-live][data-say]")].map((one) => [one.id, one.dataset.say]));
  const change = (work) => {
    const before = sayings();
    const focused = document.activeElement?.id;
    work();
    if (focused && document.activeElement === document.body) byId(focused)?.focus({ preventScroll: true });
    const after = sayings();
    announce([...after].filter(([id, said]) => before.get(id) !== said).map(([, said]) => said).slice(0, 3).join(". "));
    document.dispatchEvent(new CustomEvent("etabli:changed"));
  };
  const replace = (page) => change(() => {
    for (const place of document.querySelectorAll("[data-live][id]")) {
      const now = page.getElementById(place.id);
      if (now) morph(place, now);
    }
    const title = page.querySelector("main")?.dataset.title;
    if (title) document.title = title;
  });

  // The page asked for again: one question at a time, none while nobody looks.
  let etag = "";
  let timer = 0;
  let isAsking = false;
  let isStale = false;
  let isDue = false; // Something changed while it was being asked.
  let isOver = false;
  let isRestored = false; // Taken out of the browser's memory, where a page outlives its session.
  const over = () => {
    if (isRestored) { location.reload(); return; }
    isOver = true;
    clearTimeout(timer);
    show("lost", false);
    show("over", true);
  };
  const ask = async () => {
    timer = 0;
    if (isOver || still || !document.querySelector("[data-live]")) return;
    if (document.hidden) { isStale = true; return; }
    if (isAsking) { isDue = true; return; }
    isAsking = true;
    isStale = false;
    try {
      const headers = { Accept: "text/html", "Etabli-Part": "1", ...(etag && { "If-None-Match": etag }) };
      const answer = await fetch(location.href, { headers, cache: "no-store", redirect: "manual" });
      const whose = answer.headers.get("Etabli-Live-Tag");
      if (answer.status === 401 || (whose && whose !== tag)) over();
      else if (answer.status === 404 || answer.status === 410) show("gone", true);
      else if (answer.status === 200 && whose) {
        etag = answer.headers.get("ETag") ?? "";
        replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
      } else if (answer.status >= 429) isStale = true;
    } catch { isStale = true; }
    isAsking = false;
    isRestored = false;
    if (isDue) soon(0);
    else if (isStale && !document.hidden) soon(AGAIN_MS);
    isDue = false;
  };
  const soon = (within) => { if (!timer) timer = setTimeout(ask, Math.random() * within); };
  const concerned = ({ topic, subject, project }) => [...document.querySelectorAll("[data-live]")].filter((place) =>
    place.dataset.live.split(/\s+/).some((token) => {
      const [, wantedTopic, wantedSubject, wantedProject] = /^([^:@]+)(?::([^@]+))?(?:@(.+))?$/.exec(token) ?? [];
      return wantedTopic === topic && (!wantedSubject || wantedSubject === subject) && (!wantedProject || wantedProject === project);
    }));

  // What a hint brings is put in its place; whether that is all that the page shows of it.
  const take = (hint, places) => {
    if (document.hidden || !hint.row) return false;
    const row = new DOMParser().parseFromString(hint.row, "text/html").querySelector("[id]");
    const here = byId(row.id);
    if (!here) return false;
    change(() => morph(here, row));
    etag = ""; // Of the page as it was asked for last.
    return places.every((place) => place.contains(here));
  };
  const heed = (hints, within) => {
    const left = hints.filter((hint) => {
      const places = concerned(hint);
      return places.length && !take(hint, places);
    });
    if (left.length) soon(within);
  };

  let lostTimer = 0;
  const hear = (message) => {
    if (message.state === "over") { over(); return; }
    if (message.state === "lost") lostTimer ||= setTimeout(() => show("lost", true), 1500); // A portal that restarts is back in less.
    if (message.state === "open") {
      clearTimeout(lostTimer);
      lostTimer = 0;
      if (byId("lost")?.hidden === false) { show("lost", false); announce(byId("lost").dataset.mended); }
      if (isStale) soon(200);
    }
    if (message.everything) soon(message.within ?? 500);
    else if (message.hints && !still && !isOver) heed(message.hints, message.within);
    document.documentElement.dataset.live = message.state ?? document.documentElement.dataset.live ?? "open";
  };

  // How this tab comes by the stream.
  let line = null;
  const own = () => {
    const held = stream(tag, hear);
    return { open: () => held.open(position), close: held.close, hurry: held.hurry };
  };
  const shared = () => {
    const { port } = new SharedWorker(script, { name: `etabli-live-${tag}` });
    port.onmessage = ({ data }) => hear(data);
    return {
      open: () => port.postMessage({ hello: position }),
      close: () => port.postMessage({ bye: true }),
      hurry: () => port.postMessage({ hurry: true }),
    };
  };
  // The first of the visible tabs holds the stream and lets go when it is hidden: browsers put hidden tabs to sleep.
  const led = () => {
    const channel = new BroadcastChannel(`etabli-live-${tag}`);
    let held = null;
    let letGo = null;
    let told = ""; // Where the last message was that told of a change.
    channel.onmessage = ({ data }) => {
      if (data.hurry) held?.hurry();
      else if (data.hello) { if (held?.now().state) channel.postMessage({ ...held.now(), ...(isBehind(data.hello, told) && { everything: true }) }); }
      else hear(data);
    };
    const lead = () => navigator.locks.request(`etabli-live-${tag}`, { signal: (letGo = new AbortController()).signal }, () =>
      new Promise((done) => {
        held = stream(tag, (message) => {
          if (!message.state) told = message.position;
          hear(message);
          channel.postMessage(message);
        });
        held.open(position);
        soon(500); // What was told while nobody led is not known.
        letGo.signal.addEventListener("abort", () => { held.close(); held = null; done(); });
      })).catch(() => {});
    const watch = () => { if (document.hidden) letGo?.abort(); else lead(); };
    return {
      open: () => { if (!document.hidden) lead(); channel.postMessage({ hello: position }); document.addEventListener("visibilitychange", watch); },
      close: () => { document.removeEventListener("visibilitychange", watch); letGo?.abort(); channel.close(); },
      hurry: () => { held?.hurry(); channel.postMessage({ hurry: true }); },
    };
  };
  const connect = () => {
    if (window.SharedWorker) line = shared();
    else if (navigator.locks && window.BroadcastChannel) line = led();
    else line = own();
    line.open();
  };

  document.addEventListener("visibilitychange", () => { if (!document.hidden) { line?.hurry(); if (isStale) soon(0); } });
  addEventListener("online", () => line?.hurry());
  addEventListener("pagehide", () => { line?.close(); line = null; });
  addEventListener("pageshow", (event) => { if (event.persisted) { isRestored = true; connect(); soon(0); } });
  // Durations and use move by themselves.
  setInterval(() => { if (!document.hidden) soon(AGAIN_MS); }, 6 * AGAIN_MS);

  // What a service writes, followed by the tab that was looked at last: each is a connection, and browsers have six of them.
  const followLog = (log) => {
    let control = null;
    let timer = 0;
    const stop = () => { clearTimeout(timer); const last = control; control = null; last?.abort(); };
    const read = async () => {
      stop();
      const mine = control = new AbortController();
      const hear = ({ data }) => {
        if (!data) return;
        const { text, isFirst } = JSON.parse(data);
        if (isFirst) log.textContent = "";
        log.append(text);
      };
      try { await listen(log.dataset.follow, {}, mine.signal, hear); } catch { /* It is asked for again. */ }
      if (control === mine) timer = setTimeout(read, AGAIN_MS);
    };
    const begin = () => {
      if (document.hidden || control || isOver) return;
      if (!navigator.locks) { read(); return; }
      const until = () => new Promise((done) => { read(); document.addEventListener("visibilitychange", done, { once: true }); });
      navigator.locks.request(`etabli-log-${tag}`, { steal: true }, until).catch(() => {}).finally(stop);
    };
    addEventListener("focus", begin);
    document.addEventListener("visibilitychange", () => { if (document.hidden) stop(); else begin(); });
    addEventListener("pagehide", stop);
    begin();
  };

  connect();
  document.querySelectorAll("[data-follow]").forEach(followLog);
})();
