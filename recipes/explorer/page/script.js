"use strict";

const MAX_FILE = 4 * 2 ** 20; // bytes, as the server has it
const $ = (id) => document.getElementById(id);

let about; // what the server says of the entry
let z = []; // the top layer's code, all of its numbers
let image; // the present image, a data URL as the model sees it
const conditions = {}; // what the model is given now: label, low, reference
const ends = {}; // of the interpolation

// Questions. One of each kind is on its way at a time; of those that wait, the newest.

const busy = {};
const waiting = {};

async function ask(view, question, show) {
  if (busy[view]) {
    waiting[view] = [question, show];
    return;
  }
  busy[view] = true;
  try {
    const body = JSON.stringify(question);
    const answer = await fetch(`ask/${view}`, { method: "POST", body });
    const found = answer.status < 500 ? await answer.json() : {};
    const failed = answer.ok ? "" : found.error || "The server failed.";
    complain(view, failed);
    if (!failed) show(found);
  } catch (error) {
    complain(view, "The server does not answer.");
  }
  busy[view] = false;
  const next = waiting[view];
  delete waiting[view];
  if (next) ask(view, ...next);
}

let complaint; // whose it is: other answers that were on their way do not end it

function complain(view, message) {
  if (!message && complaint !== view) return;
  complaint = view;
  $("error").textContent = message;
  $("error").hidden = !message;
}

const given = (names) => Object.fromEntries(names.map((name) => [name, conditions[name]]));

// Latents.

function decode() {
  if (z.length) {
    const question = { z, given: given(about.made_of) };
    ask("decode", question, (found) => ($("decoded").src = found.image));
  }
}

function makeSliders() {
  for (const { dimension, low, high } of about.sliders) {
    const row = document.createElement("label");
    const slider = document.createElement("input");
    const value = document.createElement("output");
    Object.assign(slider, { type: "range", min: low, max: high, step: "any" });
    slider.dataset.dimension = dimension;
    slider.addEventListener("input", () => {
      z[dimension] = Number(slider.value);
      value.textContent = z[dimension].toFixed(2);
      decode();
    });
    row.append(`z[${dimension}]`, slider, value);
    $("sliders").append(row);
  }
}

function moveTo(code) {
  z = [...code];
  for (const slider of document.querySelectorAll("#sliders input")) {
    slider.value = z[slider.dataset.dimension];
    slider.nextSibling.textContent = z[slider.dataset.dimension].toFixed(2);
  }
  decode();
}

$("map").addEventListener("click", (event) => {
  const { codes } = about.map;
  const last = codes.length - 1;
  const cell = (place, size) => Math.min(Math.floor((codes.length * place) / size), last);
  const column = cell(event.offsetX, $("map").clientWidth);
  moveTo(codes[cell(event.offsetY, $("map").clientHeight)][column]);
});

// An image.

function encode(chosen, move = true) {
  ask("encode", { image: chosen, given: given(about.asked) }, (found) => {
    image = found.image;
    $("seen").src = image;
    if (found.low) {
      conditions.low = $("low").src = found.low;
      sample();
    }
    if (found.reconstruction) $("reconstruction").src = found.reconstruction;
    if (found.z && move) moveTo(found.z);
    $("score").innerHTML = `<strong>${found.score.toFixed(1)} nats</strong>`;
    $("score").append(`${about.score}. ${typical()}`);
    ends.first ??= image;
    interpolate();
  });
}

function typical() {
  if (!about.nll) return "";
  const mean = (-about.nll.value).toFixed(1);
  return `Test images have ${mean} on average (${about.nll.protocol}).`;
}

function test() {
  ask("test", { index: Number($("test").value) }, (found) => {
    const { label, reference } = found.given;
    if (label !== conditions.label) {
      conditions.label = $("label").value = label;
      sample();
    }
    if (reference && !$("keep").checked) refer(reference);
    clear();
    encode(found.image);
  });
}

$("test").addEventListener("change", test);

$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  if (!file) return;
  $("file").value = ""; // so that the same one may be chosen again
  if (file.size > MAX_FILE) {
    const wanted = `An image file must have at most ${MAX_FILE} bytes.`;
    complain("encode", `${wanted} Received: ${file.size} bytes`);
    return;
  }
  const reader = new FileReader();
  reader.onload = () => encode(reader.result);
  reader.readAsDataURL(file);
});

const pen = $("drawing").getContext("2d");

function clear() {
  pen.fillRect(0, 0, 280, 280);
}

function drawTo(event) {
  if (!(event.buttons & 1)) return;
  const scale = 280 / $("drawing").clientWidth;
  const place = [event.offsetX * scale, event.offsetY * scale];
  if (event.type === "pointerdown") {
    $("drawing").setPointerCapture(event.pointerId);
    pen.beginPath();
    pen.moveTo(...place);
  }
  pen.lineTo(...place);
  pen.stroke();
}

Object.assign(pen, { lineWidth: 22, lineCap: "round", lineJoin: "round", strokeStyle: "white" });
clear();
$("drawing").addEventListener("pointerdown", drawTo);
$("drawing").addEventListener("pointermove", drawTo);
$("drawing").addEventListener("pointerup", () => encode($("drawing").toDataURL()));
$("clear").addEventListener("click", clear);

function refer(reference) {
  conditions.reference = $("reference").src = reference;
}

$("refer").addEventListener("click", () => {
  $("keep").checked = true; // other test images do not bring their own
  refer(image);
  encode(image);
});

// Strips of images.

function fill(strip, images) {
  strip.replaceChildren(...images.map((src) => Object.assign(new Image(), { src, alt: "" })));
}

function interpolate() {
  if (about.interpolates && ends.first && ends.last) {
    const question = { first: ends.first, last: ends.last, given: given(about.made_of) };
    ask("interpolate", question, (found) => fill($("line"), found.images));
  }
}

for (const end of ["first", "last"]) {
  $(end).addEventListener("click", () => {
    ends[end] = image;
    interpolate();
  });
}

function sample() {
  const question = { seed: Number($("seed").value), given: given(about.made_of) };
  ask("samples", question, (found) => fill($("samples"), found.images));
}

$("seed").addEventListener("change", sample);
$("label").addEventListener("change", () => {
  conditions.label = Number($("label").value);
  decode(); // the same code in another class
  encode(image, false);
  sample();
});

// The beginning: the first test image, and another one to go to.

ask("about", {}, (found) => {
  about = found;
  document.title = about.name;
  $("name").textContent = about.name;
  const size = `${about.parameters.toLocaleString("en")} parameters`;
  $("about").textContent = [about.class, about.data, about.pixels, size].join(" · ");
  $("class").hidden = !about.classes;
  for (let i = 0; i < about.classes; i++) $("label").add(new Option(i));
  if (about.classes) conditions.label = 0;
  $("latents").hidden = !about.sliders.length;
  const lower = " of the top layer; those below follow in the mean";
  const which = `The most active latents${about.layers > 1 ? lower : ""}.`;
  $("follow").textContent = `${which} Sliders go as far as the codes of test images.`;
  makeSliders();
  $("plane").hidden = !about.map;
  if (about.map) $("map").src = about.map.image;
  $("reconstructed").hidden = !about.reconstructs;
  $("interpolation").hidden = !about.interpolates;
  const enlarges = about.made_of.includes("low");
  for (const part of document.querySelectorAll(".enlarging")) part.hidden = !enlarges;
  if (enlarges) $("seen_as").textContent = "At full size, which the model does not see";
  $("test").max = about.images - 1;
  ask("test", { index: 1 }, (other) => {
    ends.last = other.image;
    test();
    if (!enlarges) sample();
  });
});
