// Tells before a session that nobody uses ends. The lab's clock counts: each tab asks it, and what another tab, or a service's page,
// did meanwhile is known to it. Asking is no use of the session.
"use strict";

(() => {
  const dialog = document.getElementById("idle");
  if (!dialog) return;
  const warn = Number(dialog.dataset.warn);
  const shown = dialog.querySelector("[data-left]");
  const said = dialog.querySelector("[data-said]");
  const told = dialog.querySelector("[data-told]");
  const stay = dialog.querySelector("[data-stay]");
  const tabs = "BroadcastChannel" in window ? new BroadcastChannel("etabli-session") : null;
  const MILESTONES = [60, 30, 10]; // Seconds at which the time left is said aloud.
  let ends = 0;
  let timer = 0;

  const left = () => Math.max(0, Math.round((ends - Date.now()) / 1000));
  const leave = () => location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);

  const hear = (seconds) => {
    ends = Date.now() + seconds * 1000;
    clearTimeout(timer);
    if (seconds > warn) {
      if (dialog.open) dialog.close();
      timer = setTimeout(ask, Math.min((seconds - warn) * 1000 + 500, 2 ** 31 - 1));
      return;
    }
    if (!dialog.open) {
      said.textContent = said.dataset.minutes;
      dialog.showModal();
    }
    tick();
  };

  const call = async (how) => {
    const answer = await fetch("/session", { headers: { Accept: "application/json" }, ...how });
    if (answer.status === 401) return leave();
    if (answer.ok) hear((await answer.json()).left);
    else timer = setTimeout(ask, 5000);
  };
  const ask = () => call({}).catch(() => { timer = setTimeout(ask, 5000); }); // The lab restarts: asked again.

  const tick = () => {
    const seconds = left();
    shown.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    if (MILESTONES.includes(seconds)) told.textContent = said.dataset.seconds.replace("{}", seconds);
    if (seconds === 0) { timer = setTimeout(ask, 1000); return; } // Another tab may have gone on.
    timer = setTimeout(tick, 1000);
  };

  const goOn = () => call({ method: "POST", body: new URLSearchParams({ csrf: stay.dataset.csrf }) })
    .then(() => tabs?.postMessage("stayed")).catch(ask);

  stay.addEventListener("click", goOn);
  dialog.addEventListener("cancel", (event) => { event.preventDefault(); goOn(); }); // Escape says that one is there.
  tabs?.addEventListener("message", ask);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  ask();
})();
