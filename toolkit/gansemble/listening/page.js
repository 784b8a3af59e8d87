// The screens of the test: start, volume, trials, end; the keyboard works in all of them.

const test = JSON.parse(document.getElementById("test").textContent);
const embedded = JSON.parse(document.getElementById("audio").textContent);
const session = new Session(test);
const player = new Player(test.rate);
const at = (id) => document.getElementById(id);
const WORDS = ["bad", "poor", "fair", "good", "excellent"];
const ABOUT = {
  ab: "In each trial you hear one recording in two versions, A and B, and choose one of them.",
  abx: "In each trial you hear A, B and X. X is the same as A or the same as B: say which. If you hear no difference, guess.",
  mushra:
    "In each trial you hear a recording, the reference, and several versions of it. Grade each from 0, bad, to 100, excellent. One of " +
    "them is the reference itself, which should be graded 100.",
};
const DOWN = ["Home", "PageDown", "ArrowLeft", "ArrowDown"];
const KEYS = {
  ab: "A B listen to A or B · ← → answer",
  abx: "A B X listen to A, B or X · ← → answer",
  mushra: "1 to 9 listen to a sound · ← → change its grade, page up and down by ten",
};
let screen = "start";
let trial = null;
let shown = [];
let heard = {};
let ratings = {};
let choice = null;
let appeared = 0;
let busy = false;

function say(text) {
  at("said").textContent = text;
}

function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function show(name) {
  screen = name;
  for (const each of ["start", "volume", "trial", "end"]) at(each).hidden = each !== name;
  at("progress").hidden = name === "start" || name === "volume";
  (at(`${name}-heading`) || at("question")).focus();
  say("");
}

// Bytes of a sound: from the page itself, or of a script beside it, which a page from a file may load, while it may not
// fetch other files.
const arrived = {};
window.gansembleSound = (name, text) => (arrived[name] = text);

async function bytes(name) {
  if (!embedded[name] && !arrived[name])
    await new Promise((done, failed) => {
      const script = make("script", { src: `sounds/${name}.js`, onload: done });
      script.onerror = () => failed(new Error(`the sound sounds/${name}.js could not be loaded; is the folder complete?`));
      document.head.append(script);
    });
  const text = atob(embedded[name] || arrived[name]);
  delete arrived[name];
  return Uint8Array.from(text, (each) => each.charCodeAt(0)).buffer;
}

async function load(names) {
  busy = true;
  at(screen).setAttribute("aria-busy", "true");
  say("Loading the sounds …");
  try {
    await player.load(names, bytes);
    say("");
  } catch (error) {
    say(`The sounds cannot be played: ${error.message || error}`);
  } finally {
    busy = false;
    at(screen).setAttribute("aria-busy", "false");
  }
}

// Start and volume

function start() {
  show("start");
  at("about").textContent = ABOUT[test.mode];
  const old = session.state;
  at("resume").hidden = !old;
  at("enter").hidden = Boolean(old);
  if (old) at("resume-text").textContent = `${old.listener} has answered ${session.done} of ${session.count} trials in this browser.`;
  else at("listener").focus();
}

async function volume() {
  player.open();
  show("volume");
  setLevel(session.state.volume);
  await load([test.check]);
}

function setLevel(decibels) {
  at("level").value = decibels;
  at("level-text").textContent = `${decibels} dB`;
  at("level").setAttribute("aria-valuetext", `${decibels} decibels`);
  player.setVolume(Number(decibels));
}

// Trials

async function next() {
  player.stop();
  at("bar").max = session.count;
  at("bar").value = session.done;
  at("count").textContent = `Trial ${Math.min(session.done + 1, session.count)} of ${session.count}`;
  if (session.done >= session.count) return end();
  trial = session.trial;
  shown = session.shown(trial);
  heard = {};
  const partial = session.state.partial;
  const same = partial && partial.trial === trial.id;
  ratings = same && partial.ratings ? partial.ratings : {};
  choice = same && shown.includes(partial.choice) ? partial.choice : null;
  at("question").textContent = test.question;
  draw();
  show("trial");
  appeared = Date.now();
  const last = session.done + 1 === session.count;
  at("next").textContent = last ? "Finish" : "Next";
  await load([...new Set([trial.reference, ...shown, trial.x].filter(Boolean))]);
  update();
}

// What may be heard: [name of the sound, what it is called, its key].
function stimuli() {
  const letters = test.mode === "mushra" ? shown.map((_, place) => String(place + 1)) : ["A", "B"];
  const found = shown.map((name, place) => [name, letters[place]]);
  return trial.x ? [...found, [trial.x, "X"]] : found;
}

function listenButton(name, label, spoken) {
  const button = make("button", { type: "button", textContent: label, onclick: () => listen(name) });
  button.dataset.sound = name;
  button.setAttribute("aria-label", `Listen to ${spoken}`);
  return button;
}

function draw() {
  const reference = at("reference-row");
  reference.replaceChildren();
  if (trial.reference) reference.append(listenButton(trial.reference, "Reference", "the reference"));
  const graded = test.mode === "mushra";
  at("sounds").className = graded ? "graded" : "";
  at("sounds").replaceChildren(...(graded ? [scale()] : []));
  for (const [name, label] of stimuli()) {
    const button = listenButton(name, label, graded ? `sound ${label}` : label);
    at("sounds").append(graded ? gradeRow(name, label, button) : button);
  }
  at("choice").hidden = graded;
  if (!graded) drawChoice();
  const keys = [["space", "play or pause"], ...KEYS[test.mode].split(" · ").map((each) => [each])];
  const more = [...(trial.reference ? ["R reference"] : []), "[ ] \\ loop from, to, whole", "Enter next"];
  at("keys").textContent = [...keys.map((each) => each.join(" ")), ...more].join(" · ");
}

function scale() {
  const row = make("div", { className: "grade scale" }, make("span"), make("span"), make("span"));
  row.setAttribute("aria-hidden", "true");
  row.children[1].append(...WORDS.map((word) => make("i", { textContent: word })));
  return row;
}

function gradeRow(name, label, button) {
  const slider = make("input", { type: "range", min: 0, max: 100, step: 1, value: ratings[name] ?? 0 });
  slider.dataset.grade = name;
  slider.setAttribute("aria-label", `Grade of sound ${label}, from 0 to 100`);
  const grade = () => {
    ratings[name] = Number(slider.value);
    keepPartial();
  };
  slider.oninput = grade;
  // A grade of 0 changes nothing of a slider that is there already, of which a browser then tells nothing.
  slider.onpointerup = grade;
  slider.onkeyup = (event) => DOWN.includes(event.key) && slider.value === "0" && grade();
  return make("div", { className: "grade" }, button, slider, make("output"));
}

function drawChoice() {
  at("choice").querySelectorAll("label").forEach((each) => each.remove());
  ["A", "B"].forEach((letter, place) => {
    const radio = make("input", { type: "radio", name: "choice", value: shown[place], checked: choice === shown[place] });
    radio.onchange = () => choose(place);
    at("choice").append(make("label", {}, radio, test.mode === "abx" ? ` X is ${letter}` : ` ${letter}`));
  });
}

function choose(place) {
  choice = shown[place];
  at("choice").querySelectorAll("input")[place].checked = true;
  say(`Answer: ${test.mode === "abx" ? "X is " : ""}${"AB"[place]}`);
  keepPartial();
}

function keepPartial() {
  session.state.partial = { trial: trial.id, ratings, choice };
  session.keep();
  update();
}

function listen(name) {
  if (busy || !name) return;
  player.select(name);
  if (!player.playing) player.play();
  count();
  const slider = document.querySelector(`[data-grade="${name}"]`);
  if (slider) slider.focus({ preventScroll: true });
}

function count() {
  if (player.playing && player.current) heard[player.current] = (heard[player.current] || 0) + 1;
  update();
}

// What is missing before the next trial, in words; empty if nothing is.
function missing() {
  const unheard = stimuli().filter(([name]) => !heard[name]).map(([, label]) => label);
  if (unheard.length) return `Listen to ${unheard.join(", ")} first.`;
  if (test.mode !== "mushra") return choice ? "" : "Choose an answer first.";
  const ungraded = stimuli().filter(([name]) => ratings[name] === undefined).map(([, label]) => label);
  return ungraded.length ? `Grade ${ungraded.join(", ")} first.` : "";
}

function update() {
  for (const button of document.querySelectorAll("#trial [data-sound]"))
    button.setAttribute("aria-current", String(button.dataset.sound === player.current && screen === "trial"));
  for (const slider of document.querySelectorAll("[data-grade]")) {
    const value = ratings[slider.dataset.grade];
    const text = value === undefined ? "not graded" : `${value} ${WORDS[Math.min(4, Math.floor(value / 20))]}`;
    slider.nextElementSibling.textContent = text;
    slider.setAttribute("aria-valuetext", text);
    slider.parentElement.classList.toggle("waiting", value === undefined);
  }
  for (const id of ["play", "try"]) {
    at(id).textContent = player.playing ? "Pause" : "Play";
    at(id).setAttribute("aria-pressed", String(player.playing));
  }
  if (screen === "trial") at("next").classList.toggle("waiting", Boolean(missing()));
  at("region-text").hidden = !player.region;
  if (player.region) at("region-text").textContent = `Playing from ${player.region[0].toFixed(1)} s to ${player.region[1].toFixed(1)} s only.`;
}

async function answer() {
  if (busy) return;
  const lacking = missing();
  if (lacking) return say(lacking);
  const row = { trial: trial.id, shown, seconds: Math.round((Date.now() - appeared) / 100) / 10, played: heard };
  if (test.mode === "mushra") row.ratings = ratings;
  else row.choice = choice;
  session.add(row);
  if (session.done < session.count) session.send();
  await next();
}

async function end() {
  show("end");
  at("end-text").textContent = "Your answers are being saved …";
  ended(await session.send());
}

function ended(sent) {
  const kept = session.kept ? "They are kept in this browser until then." : "This browser keeps nothing: do so before you close this page.";
  at("end-text").textContent = sent
    ? `All ${session.count} answers have been saved. You may close this page.`
    : `All ${session.count} trials are answered. Please save the answers as a file, and send it to whoever gave you this test. ${kept}`;
  at("download").className = sent ? "" : "main";
  at("retry").hidden = sent || !/^https?:$/.test(location.protocol);
}

function download() {
  const link = make("a", { download: session.fileName() });
  link.href = URL.createObjectURL(new Blob([session.document()], { type: "application/json" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  session.state.saved = session.done;
  session.keep();
  say(`Saved as ${link.download}, where this browser puts its downloads.`);
}

function another() {
  if (session.state.saved < session.done && !confirm("These answers have not been saved. Give them up?")) return;
  session.forget();
  start();
}

// Events

at("enter").onsubmit = (event) => {
  event.preventDefault();
  const name = at("listener").value.trim();
  if (!name) return say("Give a name or a code first.");
  session.begin(name);
  volume();
};
at("go-on").onclick = () => (session.done >= session.count ? next() : volume());
at("forget").onclick = another;
at("another").onclick = another;
at("download").onclick = download;
at("retry").onclick = async () => ended(await session.send());
at("level").oninput = () => {
  setLevel(at("level").value);
  session.state.volume = Number(at("level").value);
  session.keep();
};
at("loud-enough").onclick = next;
at("next").onclick = answer;
at("try").onclick = () => busy || player.toggle();
at("play").onclick = toggle;
at("position").oninput = () => player.seek((at("position").value / 1000) * player.duration);
at("loop").onchange = () => player.setLoop(at("loop").checked);
at("from").onclick = () => player.setRegion(player.position, player.bounds[1]) || say("Too short to be looped.");
at("to").onclick = () => player.setRegion(player.bounds[0], player.position) || say("Too short to be looped.");
at("whole").onclick = () => player.setRegion(0, player.duration);
player.changed = update;

function toggle() {
  if (busy) return;
  if (!player.playing && !player.current) player.select(shown[0]);
  player.toggle();
  count();
}

// After a click with the mouse a button would keep the focus, and take the space bar that is meant for the player.
document.addEventListener("click", (event) => {
  const button = event.target.closest("button, input[type=checkbox], input[type=radio]");
  if (event.detail > 0 && button && document.activeElement === button) button.blur();
});

const SHORTCUTS = { "[": "from", "]": "to", "\\": "whole" };

document.addEventListener("keydown", (event) => {
  const focused = document.activeElement;
  const button = focused && focused.tagName === "BUTTON";
  const slider = focused && focused.type === "range";
  if (event.ctrlKey || event.metaKey || event.altKey || (focused && focused.id === "listener")) return;
  if (event.key === " " && !button && focused.type !== "checkbox") {
    event.preventDefault();
    if (screen === "volume") at("try").click();
    if (screen === "trial") toggle();
  } else if (event.key === "Enter" && !button && !event.repeat) {
    event.preventDefault();
    if (screen === "start" && session.state) at("go-on").click();
    else if (screen === "volume") next();
    else if (screen === "trial") answer();
  } else if (screen === "trial") {
    if (trialKey(event.key, slider)) event.preventDefault();
  }
});

// Whether a key is one of a trial's.
function trialKey(key, slider) {
  const name = key.toUpperCase();
  const found = stimuli();
  const named = found.find(([, label]) => label === name) || (/^[0-9]$/.test(key) && found[(Number(key) + 9) % 10]);
  if (named) listen(named[0]);
  else if (name === "R" && trial.reference) listen(trial.reference);
  else if (SHORTCUTS[key]) at(SHORTCUTS[key]).click();
  else if (test.mode !== "mushra" && !slider && key === "ArrowLeft") choose(0);
  else if (test.mode !== "mushra" && !slider && key === "ArrowRight") choose(1);
  else return false;
  return true;
}

function clock() {
  if (screen === "trial") {
    at("clock").textContent = `${player.position.toFixed(1)} / ${player.duration.toFixed(1)} s`;
    if (document.activeElement !== at("position") || player.playing)
      at("position").value = player.duration ? (1000 * player.position) / player.duration : 0;
    at("position").setAttribute("aria-valuetext", `${player.position.toFixed(1)} of ${player.duration.toFixed(1)} seconds`);
  }
  requestAnimationFrame(clock);
}

at("title").textContent = test.title;
start();
clock();
