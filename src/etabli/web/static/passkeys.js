// Passkeys: what a page asks of the browser's own keeper of keys. A form names where its options are; the answer goes into it, and it is sent.
"use strict";

(() => {
  const forms = [...document.querySelectorAll("form[data-passkey]")];
  const FRESH = 4 * 60 * 1000; // A challenge is good for five minutes.
  if (!forms.length || !window.PublicKeyCredential) return;
  document.querySelectorAll("[data-passkey-none]").forEach((said) => { said.hidden = true; });

  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  const optionsOf = async (form) => {
    const body = new URLSearchParams({ csrf: form.elements.csrf.value });
    const answer = await fetch(form.dataset.options, { method: "POST", body, headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error((await answer.json()).detail);
    const options = await answer.json();
    options.challenge = bytes(options.challenge);
    if (options.user) options.user.id = bytes(options.user.id);
    for (const list of [options.allowCredentials, options.excludeCredentials]) for (const one of list ?? []) one.id = bytes(one.id);
    return options;
  };

  const asText = (credential) => {
    const { response } = credential;
    const said = { clientDataJSON: text(response.clientDataJSON) };
    for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) if (response[name]) said[name] = text(response[name]);
    if (response.getTransports) said.transports = response.getTransports();
    return JSON.stringify({ id: credential.id, rawId: text(credential.rawId), type: credential.type, response: said, clientExtensionResults: {} });
  };

  const send = (form, credential) => {
    form.elements.credential.value = asText(credential);
    form.submit();
  };

  let waiting = new AbortController(); // The request that offers passkeys in the name's field, while nothing else is asked.

  const use = async (form, event) => {
    event.preventDefault();
    if (!form.reportValidity()) return;
    waiting.abort();
    const said = form.querySelector("[role=status]");
    const button = form.querySelector("button");
    said.textContent = "";
    button.disabled = true;
    try {
      const publicKey = await optionsOf(form);
      send(form, await navigator.credentials[form.dataset.passkey]({ publicKey }));
    } catch (error) {
      said.textContent = error.name === "InvalidStateError" ? form.dataset.known : form.dataset.cancelled;
      button.disabled = false;
    }
  };

  const offer = async (form) => {
    if (!await PublicKeyCredential.isConditionalMediationAvailable?.()) return;
    while (true) {
      const mine = waiting = new AbortController();
      const late = setTimeout(() => mine.abort("late"), FRESH);
      try {
        const publicKey = await optionsOf(form);
        send(form, await navigator.credentials.get({ publicKey, mediation: "conditional", signal: mine.signal }));
        return;
      } catch {
        if (mine.signal.reason !== "late") return;
      } finally {
        clearTimeout(late);
      }
    }
  };

  for (const form of forms) {
    form.hidden = false;
    form.addEventListener("submit", (event) => use(form, event));
    if (form.hasAttribute("data-offer")) offer(form);
  }
})();
