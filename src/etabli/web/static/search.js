// Search everywhere: the dialog that Ctrl K opens (keys.js). Its list comes from the lab at each change of what is typed.
"use strict";

(() => {
  const dialog = document.getElementById("finder");
  if (!dialog) return;
  const input = document.getElementById("finder-q");
  const list = document.getElementById("finder-hits");
  const none = document.getElementById("finder-none");
  const said = document.getElementById("finder-say");
  const act = document.getElementById("finder-act");
  let newest = 0;
  let timer = 0;
  let chosen = -1;

  const options = () => [...list.children];
  const choose = (place) => {
    const all = options();
    all[chosen]?.setAttribute("aria-selected", "false");
    chosen = all.length ? (place + all.length) % all.length : -1;
    const option = all[chosen];
    if (!option) { input.removeAttribute("aria-activedescendant"); return; }
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", option.id);
  };

  const go = (option, isApart) => {
    if (!option) return;
    const { address, fields } = option.dataset;
    if (fields === undefined) {
      if (isApart) window.open(address, "_blank", "noopener");
      else location.assign(address);
      return;
    }
    act.action = address;
    for (const [name, value] of JSON.parse(fields)) act.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
    act.submit();
  };

  const ask = async () => {
    const mine = ++newest;
    const answer = await fetch(`/search/hits?${new URLSearchParams({ q: input.value })}`, { headers: { Accept: "text/html" } }).catch(() => null);
    if (mine !== newest || !dialog.open) return;
    if (answer?.status === 401) { location.assign("/sign-in"); return; }
    if (!answer?.ok) return;
    list.innerHTML = await answer.text();
    none.hidden = list.children.length > 0;
    said.textContent = list.children.length === 1 ? said.dataset.one : said.dataset.many.replace("{n}", list.children.length);
    chosen = -1;
    choose(0);
  };

  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 60); });
  input.addEventListener("keydown", (event) => {
    const move = { ArrowDown: chosen + 1, ArrowUp: chosen - 1 }[event.key];
    if (move !== undefined) { event.preventDefault(); choose(move); }
    if (event.key === "Enter" && options()[chosen] && !event.isComposing) {
      event.preventDefault();
      go(options()[chosen], event.ctrlKey || event.metaKey);
    }
  });
  list.addEventListener("mousemove", (event) => {
    const option = event.target.closest("[role=option]");
    if (option && options()[chosen] !== option) choose(options().indexOf(option));
  });
  list.addEventListener("click", (event) => go(event.target.closest("[role=option]"), event.ctrlKey || event.metaKey));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("toggle", () => {
    if (!dialog.open) return;
    input.select();
    ask();
  });
})();
