// The script of the local page and of the report. It draws the charts of an answer, asks for the next answer
// while a reader drags or a run trains, and leaves the state of the page in its address.
"use strict";

const SETTLED_MS = 450; // a reader who has not moved for so long has chosen
const ON_LIGHT = "#101418"; // as in cli/web/charts/theme.py
const AT_ONCE = 12; // more charts are drawn when they come into view
const READER = String(Math.random()); // a newer question of this page ends the older one
const dark = matchMedia("(prefers-color-scheme: dark)");
const answer = document.getElementById("answer");
const form = document.querySelector("form[data-live]");

// Charts ------------------------------------------------------------------------------------------------------

// A report has the specifications of all its charts packed into one element.
const packed = document.getElementById("charts") ? unpacked(document.getElementById("charts").textContent) : null;

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
}

async function specification(name) {
  if (packed) return structuredClone((await packed)[name]);
  return JSON.parse(document.querySelector(`[data-chart="${CSS.escape(name)}"]`).textContent);
}

// Title and caption stand beside the chart as text, so only a saved picture has them.
function fitted(spec, room) {
  const { title, ...rest } = spec;
  const soft = dark.matches ? "#a3adb8" : "#59636e", line = dark.matches ? "#39414b" : "#d5dae0";
  const shown = fit(dark.matches ? lightened(rest) : structuredClone(rest), room);
  const config = (shown.config ??= {});
  for (const part of ["axis", "legend"]) {
    config[part] = { ...config[part], labelColor: soft, titleColor: soft, gridColor: line, domainColor: line,
                     tickColor: line };
  }
  const ink = dark.matches ? "#e6e9ed" : "#1b1f24";
  config.title = { ...config.title, color: ink };
  config.text = { fill: ink, ...config.text };
  if (room < 560) config.legend = { ...config.legend, orient: "bottom", columns: 1 };
  return { ...shown, background: "transparent", padding: 4 };
}

// Charts take the room that there is beside axis and legend; panels stand below each other on a narrow page.
function fit(part, room) {
  if (typeof part.width === "number") {
    const most = room < 560 ? room - 80 : Math.max(part.width, Math.min(room - 240, 860));
    part.width = part.width > room - 80 ? Math.max(room - 80, 160) : most;
  }
  for (const panel of part.vconcat ?? []) fit(panel, room);
  if (part.hconcat && room < 560) {
    const axis = part.hconcat.flatMap(layersOf).map((layer) => layer.encoding?.y?.axis).find((found) => found);
    for (const layer of part.hconcat.flatMap(layersOf)) {
      if (layer.encoding?.y?.axis === null && axis) layer.encoding.y.axis = axis;
    }
    part.vconcat = part.hconcat.map((panel) => fit(panel, room));
    delete part.hconcat;
  }
  return part;
}

const layersOf = (part) => [part, ...["layer", "hconcat", "vconcat"].flatMap((key) => (part[key] ?? []).flatMap(layersOf))];

// Dark greys become light ones, but for the ink that stands on light fills.
function lightened(value) {
  if (typeof value === "string") {
    const hex = { black: "#000000" }[value] ?? (/^#[0-9a-f]{3}$/i.test(value) ? value.replace(/[0-9a-f]/gi, "$&$&") : value);
    if (!/^#[0-9a-f]{6}$/i.test(hex) || hex === ON_LIGHT) return value;
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    const grey = Math.max(red, green, blue) - Math.min(red, green, blue) < 24;
    return grey && red < 140 ? `#${Math.round(235 - 0.6 * red).toString(16).repeat(3)}` : value;
  }
  if (Array.isArray(value)) return value.map(lightened);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, name === "values" ? item : lightened(item)]));
}

async function draw(root) {
  const places = [...root.querySelectorAll(".chart")].filter((place) => !place.closest("details:not([open])"));
  if (places.length <= AT_ONCE) return Promise.all(places.map(drawIn));
  const seen = new IntersectionObserver((entries) => {
    for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
      seen.unobserve(target);
      drawIn(target);
    }
  }, { rootMargin: "800px" });
  places.forEach((place) => seen.observe(place));
}

async function drawIn(place) {
  const spec = await specification(place.id);
  const { view } = await vegaEmbed(place, fitted(spec, place.clientWidth),
                                   { ast: true, actions: false, renderer: "svg" });
  try { view.addSignalListener("brush", (_, chosen) => filter(chosen)); } catch { /* it has no selection */ }
}

// Rows of the tables that lie outside a selection disappear; without a selection all are there.
function filter(chosen) {
  const ranges = Object.entries(chosen ?? {});
  for (const row of document.querySelectorAll("tbody tr")) {
    row.hidden = ranges.some(([name, [low, high]]) => {
      const value = Number(row.dataset[name]);
      return row.dataset[name] !== undefined && (value < Math.min(low, high) || value > Math.max(low, high));
    });
  }
}

function download(name, content, type) {
  const link = document.createElement("a");
  link.href = typeof content === "string" && content.startsWith("data:") ? content
    : URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function save(name, form) {
  const spec = await specification(name);
  if (form === "CSV") return download(`${name}.csv`, csv(rowsOf(spec)), "text/csv");
  const { view } = await vegaEmbed(document.createElement("div"), spec, { ast: true, actions: false });
  const content = form === "SVG" ? await view.toSVG() : await view.toImageURL("png", 2);
  download(`${name}.${form.toLowerCase()}`, content, "image/svg+xml");
}

// All rows that a chart draws, layer after layer.
function rowsOf(part) {
  const own = part.data?.values ?? [];
  const inner = ["layer", "hconcat", "vconcat", "concat"].flatMap((key) => part[key] ?? []);
  return [...own, ...Object.values(part.datasets ?? {}).flat(), ...inner.flatMap(rowsOf)];
}

function csv(rows) {
  const names = [...new Set(rows.flatMap(Object.keys))];
  const cell = (value) => `"${String(value ?? "").replaceAll('"', '""')}"`;
  return [names, ...rows.map((row) => names.map((name) => row[name]))]
    .map((line) => line.map(cell).join(",")).join("\n") + "\n";
}

// Answers -----------------------------------------------------------------------------------------------------

let asking = null, settle = 0;

function query() {
  const given = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value !== "") given.append(name, value);
  return given;
}

// One question at a time: a newer one ends the older, whose answer is dropped.
async function ask(given, whole, tag) {
  asking?.abort();
  const own = (asking = new AbortController());
  const address = new URLSearchParams(given);
  address.set("part", "1");
  address.set("reader", READER);
  if (!whole) address.set("whole", "0");
  if (!tag) answer.setAttribute("aria-busy", "true");
  try {
    const response = await fetch(`?${address}`, { signal: own.signal, headers: tag ? { "If-None-Match": tag } : {} });
    if (response.status === 304 || own.signal.aborted) return response;
    await show(await response.text());
    return response;
  } catch (error) {
    if (!own.signal.aborted) say("The server does not answer. Is `advisor web` still running?");
  } finally {
    if (asking === own) { asking = null; answer.removeAttribute("aria-busy"); }
  }
  return null;
}

function say(text) {
  const line = document.createElement("p");
  line.className = "error";
  line.textContent = text;
  answer.querySelector(".error")?.remove();
  answer.prepend(line);
}

async function show(html) {
  answer.innerHTML = html;
  await draw(answer);
}

// Whether a field differs from the page that the server sent.
function touched(field) {
  const options = [...(field.options ?? [])];
  if (options.length) return field.value !== (options.find((one) => one.defaultSelected) ?? options[0]).value;
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  return field.type !== "range" && field.value !== field.defaultValue;
}

function changed() {
  const given = query();
  history.replaceState(null, "", `?${given}`);
  clearTimeout(settle);
  const staged = form.dataset.live === "staged";
  if (staged) ask(given, false);
  settle = setTimeout(() => ask(given, true), SETTLED_MS);
}

// Sliders -----------------------------------------------------------------------------------------------------

const UNITS = { k: 1e3, M: 1e6, G: 1e9, B: 1e9 };

function number(text) {
  const found = /^\s*([0-9.]+(?:e[0-9]+)?)\s*([kMGB]?)/i.exec(text);
  return found ? Number(found[1]) * (UNITS[found[2]] ?? UNITS[found[2].toUpperCase()] ?? 1) : NaN;
}

// Three digits, as a person writes a budget: 1.25M.
function written(value, field) {
  if (field === "epochs") return String(Math.round(value));
  for (const [unit, size] of [["M", 1e6], ["k", 1e3]]) {
    if (value >= size) return `${Number((value / size).toPrecision(3))}${unit}`;
  }
  return String(Math.round(value));
}

function connect(slider) {
  const field = form.elements[slider.dataset.for];
  const low = Math.log(slider.min), high = Math.log(slider.max);
  slider.min = 0; slider.max = 1000; slider.step = 1;
  const place = () => {
    slider.value = Math.round(1000 * (Math.log(number(field.value)) - low) / (high - low));
    slider.setAttribute("aria-valuetext", field.value);
  };
  place();
  field.addEventListener("input", place);
  slider.addEventListener("input", () => {
    field.value = written(Math.exp(low + (slider.value / 1000) * (high - low)), field.name);
    slider.setAttribute("aria-valuetext", field.value);
  });
}

// A run that trains ---------------------------------------------------------------------------------------------

async function poll() {
  const place = answer.querySelector("[data-poll]");
  if (!place) return;
  let tag = null;
  while (answer.querySelector("[data-poll]")) {
    await new Promise((wait) => setTimeout(wait, 1000 * answer.querySelector("[data-poll]").dataset.poll));
    if (document.hidden || asking) continue;
    const response = await ask(new URLSearchParams(location.search), true, tag ?? "none");
    if (response?.ok) tag = response.headers.get("ETag");
  }
}

document.addEventListener("click", (event) => {
  const copied = event.target.closest("[data-copy]");
  if (copied) navigator.clipboard.writeText(copied.dataset.copy).then(() => { copied.textContent = "Copied"; });
  const saved = event.target.closest("[data-save] button");
  if (saved) save(saved.parentElement.dataset.save, saved.textContent);
});
document.addEventListener("toggle", (event) => { if (event.target.matches(".more[open]")) draw(event.target); }, true);
dark.addEventListener("change", () => draw(document));

if (form) {
  form.querySelectorAll("input[data-for]").forEach(connect);
  form.addEventListener("input", (event) => {
    const shown = event.target.parentElement.querySelector("output");
    if (shown) shown.textContent = event.target.value;
    changed();
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); changed(); });
  // A reader may have chosen before this script came, or the browser has kept what was typed.
  if ([...form.querySelectorAll("input, select")].some(touched)) changed();
}
draw(document).then(() => { if (answer) { poll(); if (answer.querySelector("[data-unfinished]")) ask(query(), true); } });
