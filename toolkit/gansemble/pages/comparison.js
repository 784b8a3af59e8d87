// The comparison player of a page: all versions of a clip play at once, and one of them is heard. Needs class Player.

const player = new Player(Number(document.getElementById("listening").dataset.rate));
const toolbar = document.getElementById("listening");
const said = document.getElementById("said");
const matched = document.getElementById("matched");
const blind = document.getElementById("blind");
const clips = [...document.querySelectorAll("[data-clip]")].map((section) => new Clip(section));
let active = null;
let turn = 0; // counts requests, so that a slow decoding that was overtaken is dropped
let goesOn = false; // whether the clip that is being decoded is to be played, as the one before it was

function Clip(section) {
  const find = (selector) => section.querySelector(selector);
  this.section = section;
  this.versions = [...section.querySelectorAll("[data-sound]")];
  this.list = find(".versions");
  this.play = find(".play");
  this.slider = find(".position input");
  this.clock = find(".clock");
  this.loop = find(".loop input");
  this.order = [...this.versions];
  this.at = 0;
  this.current = this.versions[0];
  this.seconds = Number(section.dataset.seconds);
  this.play.onclick = () => toggle(this);
  if (this.slider) this.slider.oninput = () => seek(this, (this.slider.value / 1000) * this.seconds);
  if (this.loop) this.loop.onchange = () => this === active && player.setLoop(this.loop.checked);
  for (const version of this.versions) {
    const pick = version.querySelector(".pick");
    if (pick) pick.onclick = () => choose(this, version);
    drawn(this, version.querySelector(".picture"));
  }
}

// A click on a spectrogram goes to that moment; dragging over it loops what was dragged over.
function drawn(clip, picture) {
  if (!picture) return;
  const style = getComputedStyle(picture);
  const left = Number(style.getPropertyValue("--left"));
  const width = Number(style.getPropertyValue("--width"));
  const moment = (event) => {
    const box = picture.getBoundingClientRect();
    return Math.min(1, Math.max(0, ((event.clientX - box.left) / box.width - left) / width)) * clip.seconds;
  };
  let from = null;
  picture.onpointerdown = (event) => {
    from = event.button === 0 ? moment(event) : null;
    if (from !== null) picture.setPointerCapture(event.pointerId); // the drag may end outside of the picture
  };
  picture.onpointercancel = () => (from = null);
  picture.ondragstart = (event) => event.preventDefault(); // of the image, by which the browser would take the pointer away
  picture.onpointerup = async (event) => {
    if (from === null) return;
    const [first, last] = [from, moment(event)].sort((a, b) => a - b);
    from = null;
    if (last - first > Math.max(0.2, 0.02 * clip.seconds)) {
      if (!(await ready(clip))) return;
      player.setRegion(first, last);
      setLoop(clip, true);
      player.seek(first);
      if (!player.playing) player.play();
    } else seek(clip, first);
  };
}

function bytes(name) {
  const found = document.getElementById(name);
  return Uint8Array.from(atob(found.textContent), (each) => each.charCodeAt(0)).buffer;
}

const loaded = (clip) => clip === active && player.buffers.size > 0;

// Makes a clip the one that is played; false if another one was asked for meanwhile, or it cannot be decoded.
async function ready(clip) {
  if (loaded(clip)) return true;
  const mine = ++turn;
  if (active && loaded(active)) active.at = player.position;
  player.put(new Map()); // while this one is decoded, nothing of another one can be played in its place
  const before = active;
  active = clip;
  if (before) show(before);
  say("Decoding …");
  try {
    const decoded = new Map();
    player.open();
    for (const version of clip.versions) {
      decoded.set(version.dataset.sound, await player.context.decodeAudioData(bytes(version.dataset.sound)));
      if (mine !== turn) return false;
    }
    player.put(decoded);
  } catch (error) {
    if (mine !== turn) return false;
    active = null;
    goesOn = false;
    say(`This browser cannot decode these sounds (${document.querySelector("[data-type]").dataset.type}): write the page again with --set evaluation.sound=wav`);
    return false;
  }
  say("");
  setLevels();
  player.looping = clip.loop ? clip.loop.checked : false;
  player.select(clip.current.dataset.sound);
  player.seek(clip.at);
  return true;
}

async function toggle(clip) {
  goesOn = false;
  if (await ready(clip)) player.toggle();
}

async function choose(clip, version) {
  clip.current = version;
  show(clip);
  if (!(await ready(clip))) return;
  player.select(clip.current.dataset.sound);
  if (!player.playing) player.play();
}

async function seek(clip, seconds) {
  if (!loaded(clip)) clip.at = seconds;
  if (await ready(clip)) player.seek(seconds);
  show(clip);
}

function setLoop(clip, on) {
  if (!clip.loop) return;
  clip.loop.checked = on;
  if (clip === active) player.setLoop(on);
}

function setLevels() {
  for (const version of active.versions)
    player.setLevel(version.dataset.sound, matched && matched.checked ? Number(version.dataset.level) : Number(version.dataset.plain));
}

function say(text) {
  if (said.textContent !== text) said.textContent = text;
}

function show(clip) {
  const here = clip === active;
  const playing = here && player.playing;
  const at = loaded(clip) ? player.position : clip.at;
  clip.section.classList.toggle("active", here);
  clip.section.style.setProperty("--at", clip.seconds ? at / clip.seconds : 0);
  const region = here ? player.region : null;
  for (const each of clip.section.querySelectorAll(".range")) each.hidden = !region;
  if (region) {
    clip.section.style.setProperty("--from", region[0] / clip.seconds);
    clip.section.style.setProperty("--to", region[1] / clip.seconds);
  }
  clip.play.textContent = playing ? "❚❚ Pause" : "▶ Play";
  clip.play.setAttribute("aria-pressed", String(playing));
  for (const version of clip.versions) {
    const pick = version.querySelector(".pick");
    if (pick) pick.setAttribute("aria-pressed", String(version === clip.current));
  }
  if (!clip.slider) return;
  if (document.activeElement !== clip.slider || playing) clip.slider.value = Math.round((1000 * at) / clip.seconds);
  clip.slider.setAttribute("aria-valuetext", `${at.toFixed(1)} of ${clip.seconds.toFixed(1)} seconds`);
  clip.clock.textContent = `${at.toFixed(1)} / ${clip.seconds.toFixed(1)} s`;
}

function draw() {
  if (active) show(active);
  if (player.playing) requestAnimationFrame(draw);
}
player.changed = draw;

// Names and order

function order(clip, versions) {
  clip.order = versions;
  versions.forEach((version, place) => {
    clip.list.append(version);
    const pick = version.querySelector(".pick");
    pick.querySelector("kbd").textContent = String(place + 1);
    const letter = String.fromCharCode(65 + place);
    pick.querySelector(".name").textContent = blind.checked ? letter : version.dataset.name;
  });
  clip.current = versions[0];
  if (loaded(clip)) player.select(clip.current.dataset.sound);
  show(clip);
}

function shuffled(items) {
  const out = [...items];
  for (let place = out.length - 1; place > 0; place--) {
    const other = Math.floor(Math.random() * (place + 1));
    [out[place], out[other]] = [out[other], out[place]];
  }
  return out;
}

function setBlind() {
  document.body.classList.toggle("blind", blind.checked);
  for (const clip of clips) if (clip.list) order(clip, blind.checked ? shuffled(clip.versions) : clip.versions);
  say(blind.checked ? "Names and pictures are hidden, and the order of each clip is drawn anew." : "");
}

if (blind) blind.onchange = setBlind;
if (matched) matched.onchange = () => active && setLevels();

// Keys: of the clip that was used last, or of the first one on the screen

function used() {
  const inside = document.activeElement && document.activeElement.closest("[data-clip]");
  if (inside) return clips.find((each) => each.section === inside);
  return active || clips.find((each) => each.section.getBoundingClientRect().bottom > 80) || clips[0];
}

const step = (clip, seconds) => seek(clip, Math.min(clip.seconds, Math.max(0, (loaded(clip) ? player.position : clip.at) + seconds)));
const KEYS = {
  " ": toggle,
  ArrowLeft: (clip) => step(clip, -1),
  ArrowRight: (clip) => step(clip, 1),
  Home: (clip) => seek(clip, 0),
  l: (clip) => setLoop(clip, clip.loop && !clip.loop.checked),
  n: (clip) => go(clip, 1),
  p: (clip) => go(clip, -1),
  h: () => blind && blind.click(),
  m: () => matched && matched.click(),
  "\\": (clip) => clip === active && player.setRegion(0, player.duration),
};

async function go(clip, by) {
  const next = clips[Math.min(clips.length - 1, Math.max(0, clips.indexOf(clip) + by))];
  goesOn ||= player.playing; // several steps in a row pass clips that are not decoded yet
  next.section.scrollIntoView({ block: "center" });
  next.play.focus({ preventScroll: true });
  if (!(await ready(next))) return;
  if (goesOn) player.play();
  goesOn = false;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !clips.length) return;
  const focus = document.activeElement;
  if (focus.closest(".controls")) return; // what a page has beside its clips, such as a field for a number
  const own = focus.matches("summary, a, input[type=checkbox], .listening button");
  if (own && [" ", "Enter"].includes(event.key)) return;
  if (focus.matches("input[type=range]") && event.key.startsWith("Arrow")) return;
  const scrolled = focus.matches(".scroll, pre") && (event.key.startsWith("Arrow") || event.key === "Home");
  if (scrolled) return;
  const clip = used();
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const version = clip.order[Number(key) - 1];
  if (/^[1-9]$/.test(key)) {
    if (version) choose(clip, version);
  } else if (KEYS[key]) KEYS[key](clip);
  else return;
  event.preventDefault();
});
document.addEventListener("keyup", (event) => event.key === " " && document.activeElement.closest(".clip button") && event.preventDefault());
clips.forEach(show);
