"use strict";
(() => {
  const whole = WHOLE_MS;
  let view = whole.slice();
  const strip = document.querySelector(".strip");
  const linked = [...document.querySelectorAll("figure.chart:not(.fixed)")];
  const number = (v) => String(+v.toPrecision(4)).replace("-", "\u2212");

  function nice(low, high, count) {
    const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= raw * 0.999);
    const ticks = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(+(i * step).toPrecision(12));
    return ticks;
  }

  function setTicks(element, low, high, count) {
    element.replaceChildren(...nice(low, high, count).map((t) => {
      const span = document.createElement("span");
      span.textContent = number(t);
      span.style.left = ((t - low) / (high - low)) * 100 + "%";
      return span;
    }));
  }

  function show(begin, end) {
    const least = 20;
    if (end - begin < least) { const middle = (begin + end) / 2; begin = middle - least / 2; end = middle + least / 2; }
    view = [Math.max(whole[0], begin), Math.min(whole[1], end)];
    const [low, high] = view, span = high - low;
    for (const figure of linked) {
      figure.querySelector("svg").setAttribute("viewBox", `${low} 0 ${span} 1000`);
      setTicks(figure.querySelector(".ticks"), low / 1000, high / 1000, figure.classList.contains("small") ? 5 : 9);
    }
    for (const item of document.querySelectorAll(".timeline [data-from]")) {
      const to = Math.min(high, +(item.dataset.to || item.dataset.from));
      const from = item.dataset.to ? Math.max(low, +item.dataset.from) : +item.dataset.from;
      item.style.left = ((from - low) / span) * 100 + "%";
      if (item.dataset.to) item.style.width = ((to - from) / span) * 100 + "%";
      item.style.display = to < low || from > high || (item.dataset.to && to <= from) ? "none" : "";
    }
    setTicks(document.querySelector(".timeline .ticks"), low / 1000, high / 1000, 11);
    document.querySelector(".bar button").hidden = low === whole[0] && high === whole[1];
  }

  // The path is "M x y l dx dy ..." once for each piece; read when somebody first looks at it.
  function points(path) {
    if (!path.points) {
      path.points = [];
      for (const piece of path.getAttribute("d").split("M").slice(1)) {
        const numbers = piece.replace("l", " ").trim().split(/\s+/).map(Number);
        let x = numbers[0], y = numbers[1];
        path.points.push([x, y]);
        for (let i = 2; i + 1 < numbers.length; i += 2) { x += numbers[i]; y += numbers[i + 1]; path.points.push([x, y]); }
      }
    }
    return path.points;
  }

  function valueAt(path, x, reach) {
    const all = points(path);
    let low = 0, high = all.length - 1;
    while (low < high) { const middle = (low + high) >> 1; if (all[middle][0] < x) low = middle + 1; else high = middle; }
    if (low > 0 && x - all[low - 1][0] < all[low][0] - x) low--;
    return Math.abs(all[low][0] - x) > reach ? null : all[low][1];
  }

  // A piece of a path of bars is one bar, from its first point to its last.
  function within(path, x) {
    const all = points(path);
    for (let i = 0; i + 1 < all.length; i += 2) if (all[i][0] <= x && x <= all[i + 1][0]) return true;
    return false;
  }

  for (const figure of document.querySelectorAll("figure.chart")) {
    const plot = figure.querySelector(".plot"), svg = figure.querySelector("svg"), out = figure.querySelector("output");
    const cross = figure.querySelector(".cross"), select = figure.querySelector(".select");
    const low = +figure.dataset.low, high = +figure.dataset.high;
    let from = null;
    const timeAt = (event) => {
      const box = plot.getBoundingClientRect(), area = svg.viewBox.baseVal;
      return area.x + Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * area.width;
    };
    plot.addEventListener("pointermove", (event) => {
      const t = timeAt(event), area = svg.viewBox.baseVal;
      cross.style.display = "block";
      cross.style.left = ((t - area.x) / area.width) * 100 + "%";
      const words = [...svg.querySelectorAll("path[data-name]")].map((path) => {
        if (path.classList.contains("span")) return within(path, t) ? path.dataset.name : "";
        const y = valueAt(path, t, area.width / 50);
        return y === null ? "" : `${path.dataset.name} ${number(high - (y / 1000) * (high - low))}`;
      });
      out.textContent = `${(t / 1000).toFixed(3)} s: ${words.filter(Boolean).join(", ")}`;
      if (from !== null) {
        const [a, b] = [Math.min(from, t), Math.max(from, t)];
        Object.assign(select.style, { display: "block", left: ((a - area.x) / area.width) * 100 + "%", width: ((b - a) / area.width) * 100 + "%" });
      }
    });
    plot.addEventListener("pointerleave", () => { cross.style.display = "none"; out.textContent = ""; });
    if (figure.classList.contains("fixed")) continue;
    plot.addEventListener("pointerdown", (event) => { if (event.button === 0) { from = timeAt(event); plot.setPointerCapture(event.pointerId); event.preventDefault(); } });
    plot.addEventListener("pointerup", (event) => {
      const to = timeAt(event), area = svg.viewBox.baseVal;
      if (from !== null && Math.abs(to - from) > area.width / 200) show(Math.min(from, to), Math.max(from, to));
      from = null; select.style.display = "none";
    });
    plot.addEventListener("dblclick", () => show(...whole));
  }

  let from = null;
  const select = strip.querySelector(".select");
  const at = (event) => {
    const box = strip.getBoundingClientRect();
    return view[0] + Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * (view[1] - view[0]);
  };
  strip.addEventListener("pointerdown", (event) => { from = at(event); strip.setPointerCapture(event.pointerId); event.preventDefault(); });
  strip.addEventListener("pointermove", (event) => {
    if (from === null) return;
    const [a, b] = [from, at(event)].sort((x, y) => x - y), span = view[1] - view[0];
    Object.assign(select.style, { display: "block", left: ((a - view[0]) / span) * 100 + "%", width: ((b - a) / span) * 100 + "%" });
  });
  strip.addEventListener("pointerup", (event) => {
    const to = at(event);
    if (from !== null && Math.abs(to - from) > (view[1] - view[0]) / 200) show(Math.min(from, to), Math.max(from, to));
    from = null; select.style.display = "none";
  });
  strip.addEventListener("dblclick", () => show(...whole));
  document.querySelector(".bar button").addEventListener("click", () => show(...whole));
  for (const link of document.querySelectorAll("[data-look]")) link.addEventListener("click", (event) => {
    event.preventDefault();
    const t = +link.dataset.look;
    show(t - 2000, t + 2000);
    document.querySelector("#motion").scrollIntoView();
  });
  show(...whole);
  document.documentElement.dataset.ready = "yes";
})();
