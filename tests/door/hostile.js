// What a hostile page tries on `victim`, another service of the same person. Each answers how the browser took it.
(() => {
  const element = (name, settle, settings) =>
    new Promise((done) => {
      const made = Object.assign(document.createElement(name), settings, {
        onload: () => done("loaded"),
        onerror: () => done("failed"),
      });
      settle(made);
      document.body.append(made);
    });
  const read = (victim, how) =>
    fetch(victim, { credentials: "include", ...how }).then((answer) => answer.status, () => "failed");

  window.attacks = {
    fetch: (victim) => read(victim, { mode: "no-cors" }),
    cors: (victim) => read(victim, {}),
    post: (victim) => read(victim, { method: "POST", body: "x", mode: "no-cors" }),
    preflight: (victim) => read(victim, { method: "DELETE" }),
    beacon: async (victim) => navigator.sendBeacon(victim, "x"),
    image: (victim) => element("img", (made) => (made.src = victim), {}),
    script: (victim) => element("script", (made) => (made.src = victim), {}),
    style: (victim) => element("link", (made) => (made.href = victim), { rel: "stylesheet" }),
    frame: (victim) => element("iframe", (made) => (made.src = victim), {}),
    object: (victim) => element("object", (made) => (made.data = victim), {}),
    form: (victim) => {
      const form = Object.assign(document.createElement("form"), { method: "POST", action: victim, target: "out" });
      document.body.append(form);
      return element("iframe", () => setTimeout(() => form.submit()), { name: "out" }).then(
        () => new Promise((done) => setTimeout(() => done("sent"), 200)),
      );
    },
    websocket: (victim) =>
      new Promise((done) => {
        const socket = new WebSocket(victim.replace("http", "ws"));
        socket.onopen = () => done("open");
        socket.onerror = () => done("failed");
      }),
  };
})();
