// Latent vectors that a visitor moves: each change makes a clip, which plays at once.

const PAUSE = 250; // after a movement of a slider, until it counts [ms]
const field = (name) => document.getElementById(name);
const moves = [...document.querySelectorAll("[data-move]")];
const [from, towards, share, truncation, label] = ["draw", "towards", "share", "truncation", "label"].map(field);
let timer = null;

function written(slider) {
  const value = Number(slider.value);
  const output = slider.parentElement.querySelector("output");
  output.textContent = slider === share ? `${value} %` : slider === truncation ? String(value) : value ? `${value > 0 ? "+" : "−"}${Math.abs(value)}` : "0";
}

// A whole number that a field holds; what cannot be one becomes 0.
function whole(input) {
  const value = Math.min(2 ** 31, Math.max(0, Math.floor(Number(input.value)) || 0));
  if (input.value !== String(value)) input.value = value;
  return value;
}

function wish() {
  const wanted = { draw: from ? whole(from) : 0, moves: moves.map((each) => Number(each.value)), label: label ? Number(label.value) : null };
  if (!from) return wanted;
  const factor = Number(truncation.value);
  return { ...wanted, towards: whole(towards), share: Number(share.value), truncation: factor === 1 ? null : factor };
}

async function make(more = {}, heard = true) {
  clearTimeout(timer);
  const found = await ask("make", JSON.stringify({ ...wish(), ...more }), "application/json");
  if (!found) return;
  if (found.error) return fail(found.error);
  const clip = put(found);
  if (clip && heard) play(clip);
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(make, PAUSE);
}

for (const slider of [...moves, share, truncation]) {
  if (!slider) continue;
  slider.oninput = () => {
    written(slider);
    soon();
  };
}
for (const each of [from, towards, label]) if (each) each.onchange = () => make();
field("make").onclick = () => make();
if (from) {
  field("way").onclick = () => make({ way: true });
  field("another").onclick = () => {
    from.value = whole(from) + 1;
    make();
  };
  field("still").onclick = () => {
    for (const each of moves) {
      each.value = 0;
      written(each);
    }
    make();
  };
}
make({}, false); // a browser lets a page make sound only after a click or a key
