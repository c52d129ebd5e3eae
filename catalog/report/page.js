"use strict";
// Unpacks plotly and the charts, draws each chart when it comes near the screen, and follows the
// reader's light or dark setting. Uses no network.
(async () => {
  const ALPHABET =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%:()*+-;,=.?@^_`{|}~";
  const places = [...document.querySelectorAll(".chart")];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 640px)");

  const bytesOf = (holder) => {
    const value = new Uint8Array(128);
    for (let i = 0; i < 85; i++) value[ALPHABET.charCodeAt(i)] = i;
    const text = holder.textContent;
    const bytes = new Uint8Array((text.length / 5) * 4);
    const view = new DataView(bytes.buffer);
    for (let i = 0, at = 0; i < text.length; i += 5, at += 4) {
      let word = 0;
      for (let j = i; j < i + 5; j++) word = word * 85 + value[text.charCodeAt(j)];
      view.setUint32(at, word);
    }
    return bytes.subarray(0, Number(holder.dataset.bytes));
  };

  const unpack = (id) => {
    const stream = new Blob([bytesOf(document.getElementById(id))]).stream();
    return new Response(stream.pipeThrough(new DecompressionStream("gzip"))).text();
  };

  // Times come as a first one and steps.
  const restoreTimes = (trace) => {
    if (!trace.x || !trace.x.steps) return;
    let at = trace.x.first;
    trace.x = [at, ...trace.x.steps.map((step) => (at += step))];
  };

  const fail = (reason) => {
    for (const place of places) {
      const said = document.createElement("p");
      said.className = "fallback";
      said.textContent =
        "This browser could not draw the chart (" + reason + "). Browsers from 2023 on can; " +
        "every number stands in the tables.";
      place.replaceChildren(said);
      place.style.minHeight = "0";
    }
  };

  const runScript = (source) => {
    const script = document.createElement("script");
    script.textContent = source;
    document.head.append(script);
  };

  const config = {
    responsive: true,
    displaylogo: false,
    modeBarButtons: [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]],
    scrollZoom: false,
  };

  const layoutOf = (figure, template) => {
    const layout = { ...figure.layout, template };
    if (narrow.matches) {
      layout.height = Math.round(layout.height * 0.8);
      layout.dragmode = false; // a finger on the chart scrolls the page
    }
    return layout;
  };

  try {
    if (!places.length) return;
    if (typeof DecompressionStream === "undefined") return fail("it cannot unpack it");
    const [drawing, plotly] = await Promise.all([unpack("packed-charts"), unpack("packed-plotly")]);
    runScript(plotly);
    if (typeof Plotly === "undefined") return fail("its script did not start");
    const { charts, templates } = JSON.parse(drawing);
    for (const chart of Object.values(charts)) chart.data.forEach(restoreTimes);
    const drawn = new Set();
    const themed = () => (dark.matches ? templates.dark : templates.light);
    const draw = (place, template) => {
      const figure = charts[place.id];
      if (!drawn.has(place)) {
        place.replaceChildren();
        place.style.minHeight = "0";
      }
      drawn.add(place);
      const bar = narrow.matches ? false : "hover";
      const settings = { ...config, displayModeBar: bar };
      return Plotly.react(place, figure.data, layoutOf(figure, template), settings);
    };

    const seen = new IntersectionObserver(
      (entries) => {
        for (const entry of entries) {
          if (!entry.isIntersecting) continue;
          seen.unobserve(entry.target);
          if (!drawn.has(entry.target)) draw(entry.target, themed());
        }
      },
      { rootMargin: "600px" },
    );
    for (const place of places) seen.observe(place);
    dark.addEventListener("change", () => drawn.forEach((place) => draw(place, themed())));
    addEventListener("beforeprint", () => places.forEach((place) => draw(place, templates.light)));
    addEventListener("afterprint", () => drawn.forEach((place) => draw(place, themed())));
  } catch (error) {
    fail(String(error));
  }
})();
