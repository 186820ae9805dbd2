// Draws the page's charts. Their data is the JSON in #charts, in the order of the canvases.
(() => {
  "use strict";
  const specs = JSON.parse(document.getElementById("charts").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 600px)");
  const drawn = [];

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // A series has one colour in all charts, and no two of one chart the same while there are enough.
  const kColours = 12;
  const colours = new Map();
  for (const name of new Set(specs.flatMap((spec) => spec.series.map((s) => s.name)))) {
    const taken = new Set(specs.map((spec) => spec.series.map((s) => s.name)).filter((chart) => chart.includes(name))
      .flat().map((other) => colours.get(other)));
    let i = 0;
    while (i < kColours && taken.has(i)) ++i;
    colours.set(name, i < kColours ? i : colours.size % kColours);
  }
  const colour = (name) => style("--c" + colours.get(name));

  const scaled = (value, base, units) => {
    let unit = 0;
    while (Math.abs(value) >= base && unit + 1 < units.length) {
      value /= base;
      ++unit;
    }
    return Number(value.toPrecision(4)).toLocaleString("en") + " " + units[unit];
  };
  const formats = {
    bytes: (v) => (v === 0 ? "0" : scaled(v, 1000, ["B", "kB", "MB", "GB", "TB"])),
    seconds: (v) => (v === 0 ? "0" : v < 1 ? Number((v * 1000).toPrecision(3)).toLocaleString("en") + " ms"
                                           : Number(v.toPrecision(4)).toLocaleString("en") + " s"),
    count: (v) => v.toLocaleString("en"),
    percent: (v) => Number(v.toFixed(2)) + " %",
    ratio: (v) => "×" + (v < 100 ? Number(v.toPrecision(3)) : Math.round(v)),
  };
  // The end of a path tells layers apart, the beginning other names.
  const shortened = (text) => {
    const most = narrow.matches ? 16 : 34;
    text = text.replace(/\/(Conv|Gemm|MatMul)$/, "");  // the operator, which the colour tells
    if (text.length <= most) return text;
    return text.includes("/") ? "…" + text.slice(text.length - most + 1) : text.slice(0, most - 1) + "…";
  };

  const axis = (unit, title) => ({
    ticks: { color: style("--quiet"), callback: (v) => formats[unit](v), maxTicksLimit: narrow.matches ? 4 : 8, maxRotation: 0 },
    grid: { color: style("--line") },
    border: { color: style("--line") },
    title: { display: Boolean(title), text: title, color: style("--quiet") },
    beginAtZero: true,
  });
  // From `min` to `max`; powers of ten, or a few between them where there is room.
  const logarithmic = (unit, min, max) => {
    const steps = max / min > (narrow.matches ? 20 : 200) ? [1] : [1, 2, 5];
    const ticks = [];
    for (let power = Math.floor(Math.log10(min)); power <= Math.log10(max); ++power)
      for (const step of steps) ticks.push({ value: step * 10 ** power });
    return {
      ...axis(unit),
      type: "logarithmic",
      min,
      max,
      afterBuildTicks: (scale) => { scale.ticks = ticks.filter(({ value }) => value >= min && value <= max); },
    };
  };

  // A chart's other way to show the same figures: parts of a bar as shares of it, bars on a logarithmic axis.
  const otherView = (spec) => {
    if (spec.labels.length < 2 || spec.labels.length > 40) return null;
    if (spec.kind === "stacked" && spec.series.length > 1) return "Shares";
    return spec.kind === "grouped" ? "Logarithmic" : null;
  };

  const rowHeight = (spec) => (spec.labels.length > 12 ? 21 : 34);
  // Bars that could not be told from nothing beside a much longer one still have a figure.
  const figures = (spec, unit, stacked) => ({
    id: "figures",
    afterDatasetsDraw(chart) {
      const { ctx, data } = chart;
      ctx.save();
      ctx.fillStyle = style("--quiet");
      ctx.font = `11px ${Chart.defaults.font.family}`;
      ctx.textBaseline = "middle";
      const seen = data.datasets.map((_, i) => i).filter((i) => chart.isDatasetVisible(i));
      const put = (value, x, y) => ctx.fillText(formats[unit](value), x + 5, y);
      for (let label = 0; label < spec.labels.length && seen.length > 0; ++label) {
        if (stacked) {
          const sum = seen.reduce((total, i) => total + (data.datasets[i].data[label] || 0), 0);
          put(sum, chart.scales.x.getPixelForValue(sum), chart.getDatasetMeta(seen[0]).data[label].y);
          continue;
        }
        for (const i of seen) {
          const value = data.datasets[i].data[label], bar = chart.getDatasetMeta(i).data[label];
          if (value !== null) put(value, Math.max(bar.x, bar.base), bar.y);
        }
      }
      ctx.restore();
    },
  });

  const bars = (spec) => {
    const timeline = spec.kind === "timeline";
    const stacked = spec.kind === "stacked";
    const ratios = spec.kind === "ratios";
    const shares = stacked && spec.other;
    const unit = shares ? "percent" : spec.unit;
    const sums = spec.labels.map((_, i) => spec.series.reduce((sum, s) => sum + (s.values[i] || 0), 0));
    const data = (s) =>
      timeline ? s.spans.map(([label, begin, end]) => ({ y: spec.labels[label], x: [begin, end] }))
        : shares ? s.values.map((v, i) => (sums[i] > 0 ? (100 * v) / sums[i] : 0))
          : stacked ? s.values : s.values.map((v) => (v > 0 ? v : null));  // no gap for what is not there
    const positive = spec.series.flatMap((s) => s.values).filter((v) => v > 0);
    const smallest = Math.min(...positive), largest = Math.max(...positive);
    let x = { ...axis(unit), stacked, min: 0 };
    if (shares) x.max = 100;
    if (ratios) x = logarithmic(unit, Math.min(0.9, smallest * 0.9), Math.max(1.2, largest * 1.1));
    if (spec.kind === "grouped" && spec.other)
      x = logarithmic(unit, 10 ** Math.floor(Math.log10(smallest * 0.8)), largest * 1.1);
    const labelled = !timeline && !shares && spec.labels.length <= 60;
    return {
      type: "bar",
      data: {
        labels: spec.labels,
        datasets: spec.series.map((s) => ({
          label: s.name,
          data: data(s),
          backgroundColor: colour(s.name),
          borderRadius: stacked ? 0 : 2,
          grouped: !timeline,
          skipNull: true,
          borderSkipped: timeline ? false : "start",
          minBarLength: timeline ? 2 : 0,
          ...(ratios ? { base: 1 } : {}),
          barPercentage: 0.86,
          categoryPercentage: 0.9,
          maxBarThickness: 34,
        })),
      },
      options: {
        indexAxis: "y",
        interaction: { mode: timeline ? "nearest" : "index", axis: "y", intersect: timeline },
        layout: { padding: { right: labelled ? 58 : 0 } },
        scales: {
          x,
          y: {
            stacked,
            ticks: {
              color: style("--text"),
              autoSkip: spec.labels.length > 180,
              callback(value) { return shortened(this.getLabelForValue(value)); },
            },
            grid: { display: false },
            border: { color: style("--line") },
          },
        },
        plugins: {
          tooltip: {
            filter: (item) => timeline || item.raw !== 0,
            callbacks: {
              label: ({ dataset, raw }) =>
                dataset.label + ": " + formats[unit](timeline ? raw.x[1] - raw.x[0] : raw) +
                (timeline ? ", from " + formats[unit](raw.x[0]) : ""),
              footer: (items) => !stacked || shares || items.length < 2
                ? "" : "together: " + formats[unit](items.reduce((sum, item) => sum + item.raw, 0)),
            },
          },
        },
      },
      plugins: labelled ? [figures(spec, unit, stacked)] : [],
    };
  };

  const points = (spec) => ({
    type: "scatter",
    data: {
      datasets: spec.series.map((s) => ({
        label: s.name,
        data: s.points,
        backgroundColor: colour(s.name),
        borderColor: colour(s.name),
        pointRadius: 6,
        pointHoverRadius: 8,
      })),
    },
    options: {
      scales: {
        x: { ...axis(spec.unit, spec.xTitle) },
        y: { ...axis(spec.yUnit, spec.yTitle), beginAtZero: false },
      },
      plugins: {
        tooltip: {
          callbacks: {
            label: ({ raw }) => raw.name + ": " + formats[spec.unit](raw.x) + ", " + formats[spec.yUnit](raw.y),
          },
        },
      },
    },
  });

  // A canvas has a largest size, and a phone three pixels for each of ours.
  const height = (spec) => {
    if (spec.kind === "points") return 360;
    const each = spec.kind === "grouped" || spec.kind === "ratios"
      ? Math.max(rowHeight(spec), spec.series.filter((s) => s.values.some((v) => v > 0)).length * 17 + 6) : rowHeight(spec);
    return Math.min(4000, Math.max(spec.labels.length > 6 ? 120 : 90, 76 + spec.labels.length * each));
  };

  const draw = (i) => {
    const spec = specs[i], canvas = document.getElementById("chart" + i);
    drawn[i]?.destroy();
    canvas.closest("figure").hidden = false;
    canvas.parentElement.style.height = height(spec) + "px";
    const config = spec.kind === "points" ? points(spec) : bars(spec);
    config.options.animation = false;
    config.options.responsive = true;
    config.options.maintainAspectRatio = false;
    config.options.plugins.legend = {
      display: spec.series.length > 1,
      align: "start",
      labels: { color: style("--text"), boxWidth: 12, boxHeight: 12, padding: 12 },
    };
    drawn[i] = new Chart(canvas, config);
  };
  const drawAll = () => specs.forEach((_, i) => draw(i));

  specs.forEach((spec, i) => {
    const name = otherView(spec);
    if (!name) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      spec.other = !spec.other;
      button.setAttribute("aria-pressed", String(spec.other));
      draw(i);
    });
    document.getElementById("chart" + i).closest("figure").querySelector("figcaption").append(button);
  });
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  drawAll();
  dark.addEventListener("change", drawAll);
  narrow.addEventListener("change", drawAll);
})();
