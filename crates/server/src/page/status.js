// Asks /api/status every second and writes it down. Everything goes in as text, never as markup.
"use strict";

const EVERY_MS = 1000, PATIENCE_MS = 5000, VALUES_MAX = 200;
let answeredAt = null;

const $ = (selector) => document.querySelector(selector);

function make(tag, classes, ...children) {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  element.append(...children.filter((child) => child !== null));
  return element;
}

const whole = (n) => (n === null || n === undefined ? "–" : n.toLocaleString("en"));
const rate = (n) => (n === null || n === undefined ? "–" : n >= 100 ? whole(Math.round(n)) : n.toFixed(1));

function span(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return ms + " ms";
  if (ms < 120e3) return Math.round(ms / 1e3) + " s";
  if (ms < 7.2e6) return Math.round(ms / 6e4) + " min";
  if (ms < 1.728e8) return Math.round(ms / 3.6e6) + " h";
  return Math.round(ms / 8.64e7) + " days";
}

function bytes(n) {
  if (n === null || n === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) { n /= 1024; unit++; }
  return (unit ? n.toFixed(1) : n) + " " + units[unit];
}

const number = (text, condition) => make("td", "n" + (condition ? " " + condition : ""), text);
const name = (text, detail) => make("td", "", text, detail ? make("small", "", detail) : null);
const state = (item) => make("td", "state " + item.condition, item.words);

function rows(selector, items, cells, empty) {
  const body = $(selector + " tbody");
  const made = items.map((item) => make("tr", "", ...cells(item)));
  if (!made.length) {
    const cell = make("td", "empty", empty);
    cell.colSpan = 20;
    made.push(make("tr", "", cell));
  }
  body.replaceChildren(...made);
}

function problem(item, now) {
  const since = item.since_ms ? ` (${span(Math.max(0, now - item.since_ms))})` : "";
  return make("li", item.condition, make("span", "", make("b", "", item.who), ": ", item.what, since),
    item.help ? make("small", "", item.help) : null);
}

function card(device, tag, age) {
  const value = tag.value === null ? "–" : typeof tag.value === "number" && !Number.isInteger(tag.value)
    ? String(Number(tag.value.toPrecision(6))) : typeof tag.value === "object" ? JSON.stringify(tag.value) : String(tag.value);
  // A value is only as good as its device is now.
  const condition = tag.status ? "bad" : device.condition === "bad" ? "waiting" : "";
  return make("div", "card", make("small", "", `${device.name} · ${tag.name}`),
    make("b", condition, value, tag.unit ? make("i", "", " " + tag.unit) : null),
    make("small", condition, tag.status ?? span(age) + " old"));
}

function show(report) {
  const { instance, health } = report;
  document.title = `${health.status === "good" ? "" : "⚠ "}${instance.plant} – Millstream`;
  $("#plant").textContent = instance.plant;
  $("#health").textContent = health.words;
  $("#health").className = "badge " + health.status;
  $("#problems").hidden = !health.problems.length;
  $("#problems ul").replaceChildren(...health.problems.map((item) => problem(item, instance.now_ms)));
  rows("#devices", report.devices, (device) => [
    name(device.name, device.connection), state(device), number(span(device.age_ms), device.condition === "bad" ? "bad" : ""),
    number(rate(device.scans_per_second)), number(whole(device.overruns_total)), number(whole(device.bad_cells_total)),
    number(whole(device.writes_total)), number(whole(device.writes_refused_total)),
  ], "no devices");
  const cards = report.devices.flatMap((device) => device.groups.flatMap((group) => group.tags.map((tag) => card(device, tag, group.read_at_ms === null ? null : Math.max(0, instance.now_ms - group.read_at_ms)))));
  $("#values").hidden = !cards.length;
  $("#values .cards").replaceChildren(...cards.slice(0, VALUES_MAX));
  rows("#queries", report.queries, (query) => [
    name(query.name, query.statement), state(query), number(rate(query.rows_per_second)), number(whole(query.rows_in_total)),
    number(whole(query.rows_out_total)), number(whole(query.bad_rows_total)), number(whole(query.lag_records)),
  ], "no queries");
  // Those of the engine itself, such as changelogs, are the API's and the command line's to show.
  rows("#topics", report.topics.filter((topic) => !topic.name.startsWith("_")), (topic) => [
    name(topic.name), number(topic.partitions.length), number(whole(topic.records)), number(rate(topic.records_per_second)),
    number(bytes(topic.size_bytes)),
  ], "no topics");
  const listeners = instance.listeners.map((listener) => `${listener.what} ${listener.address}`).join(" · ");
  $("#about").textContent = `Millstream ${instance.version} · log ${instance.log} · up ${span(instance.now_ms - instance.started_at_ms)} · ${listeners}`;
}

function lost(why) {
  document.body.classList.add("lost");
  const since = answeredAt === null ? "" : ` for ${span(Date.now() - answeredAt)}; what you see is old`;
  $("#health").textContent = `no answer${since} (${why})`;
  $("#health").className = "badge bad";
  document.title = "⚠ no answer – Millstream";
}

async function refresh() {
  try {
    const response = await fetch("api/status", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!response.ok) throw new Error(`status ${response.status}`);
    show(await response.json());
    answeredAt = Date.now();
    document.body.classList.remove("lost");
  } catch (error) {
    lost(error.name === "TimeoutError" ? "time-out" : error.message);
  }
  setTimeout(refresh, EVERY_MS);
}

refresh();
