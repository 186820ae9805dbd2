// Draws the page's charts. Their data is the JSON in #charts, in the order of the canvases.
(() => {
  "use strict";
  const specs = JSON.parse(document.getElementById("charts").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 600px)");
  let drawn = [];

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // A series has one colour in all charts.
  const names = [...new Set(specs.flatMap((spec) => spec.series.map((s) => s.name)))];
  const colour = (name) => style("--c" + (names.indexOf(name) % 8));

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
    ratio: (v) => "×" + Number(v.toPrecision(3)),
  };
  // The end of a path tells layers apart.
  const shortened = (text) => {
    const most = narrow.matches ? 15 : 34;
    text = text.replace(/\/(Conv|Gemm|MatMul)$/, "");  // the operator, which the colour tells
    return text.length <= most ? text : "…" + text.slice(text.length - most + 1);
  };

  const axis = (unit, title) => ({
    ticks: { color: style("--quiet"), callback: (v) => formats[unit](v), maxTicksLimit: narrow.matches ? 4 : 8, maxRotation: 0 },
    grid: { color: style("--line") },
    border: { color: style("--line") },
    title: { display: Boolean(title), text: title, color: style("--quiet") },
    beginAtZero: true,
  });

  const bars = (spec) => {
    const timeline = spec.kind === "timeline";
    const stacked = spec.kind === "stacked";
    const data = (s) =>
      timeline ? s.spans.map(([label, begin, end]) => ({ y: spec.labels[label], x: [begin, end] }))
               : stacked ? s.values : s.values.map((v) => (v === 0 ? null : v));  // no gap for what is not there
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
          barPercentage: 0.86,
          categoryPercentage: 0.9,
          maxBarThickness: 34,
        })),
      },
      options: {
        indexAxis: "y",
        interaction: { mode: timeline ? "nearest" : "index", axis: "y", intersect: timeline },
        scales: {
          x: { ...axis(spec.unit), stacked, min: 0 },
          y: {
            stacked,
            ticks: {
              color: style("--text"),
              autoSkip: false,
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
                dataset.label + ": " + formats[spec.unit](timeline ? raw.x[1] - raw.x[0] : raw) +
                (timeline ? ", from " + formats[spec.unit](raw.x[0]) : ""),
              footer: (items) => !stacked || items.length < 2
                ? "" : "together: " + formats[spec.unit](items.reduce((sum, item) => sum + item.raw, 0)),
            },
          },
        },
      },
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

  const height = (spec) => {
    if (spec.kind === "points") return 360;
    const rows = spec.labels.length * (spec.kind === "grouped" ? Math.max(1, spec.series.length) * 0.8 : 1);
    return Math.min(6000, Math.max(spec.labels.length > 6 ? 120 : 90, 76 + rows * (rows > 12 ? 21 : 34)));
  };

  const draw = () => {
    drawn.forEach((chart) => chart.destroy());
    drawn = specs.map((spec, i) => {
      const canvas = document.getElementById("chart" + i);
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
      return new Chart(canvas, config);
    });
  };

  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  draw();
  dark.addEventListener("change", draw);
  narrow.addEventListener("change", draw);
})();
