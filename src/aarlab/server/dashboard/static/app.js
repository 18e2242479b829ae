// Draws figures in the theme's colours and keeps pages live. Without it everything but the figures still works.
"use strict";
(() => {
  const REFETCH_MS = 2000, POLL_MS = 15000;
  const body = document.body;
  const sources = new WeakMap();  // of live regions, as the server wrote them
  let theme = new Map(), plotly = null;

  // Figures

  const colour = (name) => {
    if (!theme.has(name)) theme.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
    return theme.get(name);
  };
  const themed = (value) => {
    if (typeof value === "string") return value.replace(/var\((--[a-z0-9-]+)\)/g, (_, name) => colour(name) || "gray");
    if (Array.isArray(value)) return value.map(themed);
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, themed(inner)]));
    return value;
  };
  const axis = (own) => ({
    gridcolor: colour("--line"), zerolinecolor: colour("--line"), linecolor: colour("--line"),
    automargin: true, ...own,
  });
  const layoutOf = (own) => {
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest",
      margin: { l: 48, r: 12, t: 12, b: 44 },
      font: { family: "system-ui, sans-serif", size: 13, color: colour("--dim") },
      colorway: [1, 2, 3, 4, 5, 6, 7, 8].map((n) => colour(`--c${n}`)),
      hoverlabel: { bgcolor: colour("--soft"), bordercolor: colour("--line"), font: { color: colour("--ink") }, align: "left" },
      ...own,
    };
    for (const key of new Set(["xaxis", "yaxis", ...Object.keys(own).filter((key) => /^[xy]axis\d*$/.test(key))]))
      layout[key] = axis(own[key]);
    return layout;
  };
  const load = () => plotly ??= new Promise((done, failed) => {
    if (window.Plotly) return done(window.Plotly);
    const script = document.createElement("script");
    script.src = body.dataset.plotly;
    script.onload = () => done(window.Plotly);
    script.onerror = failed;
    document.head.append(script);
  });
  const draw = async (figure) => {
    const source = figure.querySelector('script[type="application/json"]');
    const plot = figure.querySelector(".plot");
    if (!source || !plot) return;
    const library = await load();
    const { data, layout } = themed(JSON.parse(source.textContent));
    await library.react(plot, data, layoutOf(layout), { displayModeBar: false, responsive: true });
    figure.dataset.drawn = "yes";
  };
  const drawAll = () => Promise.all([...document.querySelectorAll("figure.figure")].map(draw));

  // Times

  const localTimes = (root) => {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.getAttribute("datetime"));
      time.title = time.title || time.textContent;
      time.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    }
  };

  // Live updates: what has `data-live` and an id is replaced, unless somebody is typing in it.

  const busy = (region) => {
    const active = document.activeElement;
    return region.contains(active) && /^(INPUT|SELECT|TEXTAREA)$/.test(active.tagName);
  };
  const path = (root, element) => {
    const steps = [];
    for (let at = element; at !== root; at = at.parentElement)
      steps.unshift([...at.parentElement.children].indexOf(at));
    return steps;
  };
  const swap = async (region, fresh) => {
    localTimes(fresh);
    for (const details of region.querySelectorAll("details[id][open]")) {
      const same = fresh.querySelector(`#${CSS.escape(details.id)}`);
      if (same) same.open = true;
    }
    const scrolled = [...region.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
    const focus = region.contains(document.activeElement) && document.activeElement !== region
      ? path(region, document.activeElement) : null;
    const again = [];
    for (const figure of fresh.querySelectorAll("figure.figure[id]")) {
      const old = region.querySelector(`#${CSS.escape(figure.id)}`);
      if (!old || !old.dataset.drawn) { again.push(figure); continue; }
      const json = (of) => of.querySelector('script[type="application/json"]').textContent;
      if (json(old) !== json(figure)) again.push(figure);
      figure.dataset.drawn = "yes";
      figure.querySelector(".plot").replaceWith(old.querySelector(".plot"));
    }
    region.replaceChildren(...fresh.childNodes);
    [...region.querySelectorAll(".scroll")].forEach((box, n) => { box.scrollLeft = scrolled[n] ?? 0; });
    if (focus) focus.reduce((at, step) => at?.children[step], region)?.focus({ preventScroll: true });
    await Promise.all(again.map(draw));
  };
  const update = async () => {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
    if (!answer.ok) throw new Error(`${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const region of document.querySelectorAll("[data-live][id]")) {
      const fresh = page.getElementById(region.id);
      if (!fresh || busy(region) || sources.get(region) === fresh.innerHTML) continue;
      sources.set(region, fresh.innerHTML);
      await swap(region, fresh);
    }
    body.dataset.number = page.body.dataset.number;
    body.dataset.updates = `${Number(body.dataset.updates || 0) + 1}`;
    const minute = new Date().toLocaleTimeString(undefined, { timeStyle: "short" });
    document.getElementById("announce").textContent = `Updated at ${minute}`;
  };
  const follow = () => {
    const sign = document.getElementById("live");
    let timer = null, last = 0, running = false, wanted = false;
    const run = async () => {
      timer = null;
      running = true;
      wanted = false;
      last = Date.now();
      try { await update(); } catch { sign.dataset.state = "lost"; } finally { running = false; }
      if (wanted) ask();
    };
    const ask = () => {
      if (running) { wanted = true; return; }
      timer ??= setTimeout(run, Math.max(0, last + REFETCH_MS - Date.now()));
    };
    const listen = () => {
      const stream = new EventSource(`${body.dataset.stream}?after=${body.dataset.number}`);
      stream.addEventListener("open", () => { sign.hidden = false; sign.dataset.state = "on"; });
      stream.addEventListener("event", ask);
      stream.addEventListener("error", () => {
        sign.dataset.state = "lost";
        if (stream.readyState === EventSource.CLOSED) setTimeout(() => { ask(); listen(); }, POLL_MS);
      });
      addEventListener("pagehide", () => stream.close());
    };
    listen();
  };

  for (const region of document.querySelectorAll("[data-live][id]")) sources.set(region, region.innerHTML);
  localTimes(document);
  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { theme = new Map(); drawAll(); });
  if (body.dataset.stream) follow();
})();
