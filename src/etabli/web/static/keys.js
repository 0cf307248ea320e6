// The keys of a page: each link, button or field says its own, `data-key="l"`, or `Control+k` (⌘ K on a Mac). `?` shows them.
// Never while one types; keys of one letter can be turned off (WCAG 2.2, 2.1.4), for this browser.
"use strict";

(() => {
  const OFF = "etabli-keys-off";
  const isOff = () => { try { return localStorage.getItem(OFF) !== null; } catch { return false; } };
  const isMac = /Mac|iPhone|iPad/.test(navigator.platform);
  const types = "input:not([type=checkbox], [type=radio], [type=button], [type=submit], [type=range]), textarea, select, [contenteditable]";
  const shown = (key) => (key.startsWith("Control+") ? `${isMac ? "⌘" : document.documentElement.dataset.ctrl ?? "Ctrl"} ${key.at(-1).toUpperCase()}` : key);
  const all = () => [...document.querySelectorAll("[data-key]")].filter((one) => one.checkVisibility?.() ?? true);
  const labelOf = (one) => one.dataset.keyLabel ?? (one.getAttribute("aria-label") || one.textContent.replace(one.querySelector("kbd")?.textContent ?? "", "")).trim().replace(/\s+/g, " ");

  const use = (one) => {
    if (one.dataset.dialog) document.getElementById(one.dataset.dialog).showModal();
    else if (one.matches(types)) { one.focus(); one.select?.(); }
    else one.click();
  };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.altKey || event.repeat) return;
    const withControl = isMac ? event.metaKey : event.ctrlKey;
    const key = withControl ? `Control+${event.key.toLowerCase()}` : event.key;
    if (!withControl && (event.ctrlKey || event.metaKey || isOff() || document.activeElement?.matches(types))) return;
    if (document.querySelector("dialog:modal")) return;
    const found = all().find((one) => one.dataset.key === key);
    if (found) { event.preventDefault(); use(found); }
  });
  document.addEventListener("click", (event) => {
    const one = event.target.closest("a[data-dialog], button[data-dialog]");
    if (!one || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    document.getElementById(one.dataset.dialog).showModal();
  });

  document.querySelectorAll("[data-key^='Control+'] kbd").forEach((key) => { key.textContent = shown(key.parentElement.dataset.key); });
  for (const one of document.querySelectorAll("[data-key]")) one.setAttribute("aria-keyshortcuts", isMac ? one.dataset.key.replace("Control", "Meta") : one.dataset.key);
  document.addEventListener("etabli:changed", () => {
    for (const one of document.querySelectorAll("[data-key]:not([aria-keyshortcuts])")) one.setAttribute("aria-keyshortcuts", one.dataset.key);
  });

  const dialog = document.getElementById("keys");
  if (!dialog) return;
  const list = dialog.querySelector("dl");
  const off = dialog.querySelector("input[type=checkbox]");
  dialog.addEventListener("toggle", () => {
    if (!dialog.open) return;
    off.checked = !isOff();
    list.replaceChildren(...all().flatMap((one) => {
      const [term, said] = [document.createElement("dt"), document.createElement("dd")];
      term.append(Object.assign(document.createElement("kbd"), { textContent: shown(one.dataset.key) }));
      said.textContent = labelOf(one);
      return [term, said];
    }));
  });
  off.addEventListener("change", () => { if (off.checked) localStorage.removeItem(OFF); else localStorage.setItem(OFF, "1"); });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
})();
