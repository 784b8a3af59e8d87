// Recordings of a visitor: a file that is chosen or dropped, or a held-out clip; and what is made of it.

const file = document.getElementById("file");
const degrade = document.getElementById("degrade");
const label = document.getElementById("label");
const dropping = document.getElementById("dropping");
let latest = null; // what was given last, to be given again with another choice

async function restore(given) {
  latest = given;
  const wanted = new URLSearchParams(given.example === undefined ? { name: given.name } : { example: given.example });
  if (given.decoded) wanted.set("decoded", "1");
  if (degrade && degrade.checked) wanted.set("degrade", "1");
  if (label) wanted.set("label", label.value);
  const found = await ask(`restore?${wanted}`, given.sound || "", "application/octet-stream");
  if (!found) return;
  if (found.code === "unreadable" && !given.decoded) {
    const sound = await decoded(given.sound);
    if (sound) return restore({ ...given, sound, decoded: true });
  }
  if (found.error) return fail(found.error);
  const clip = put(found);
  clip.section.scrollIntoView({ block: "nearest" });
  clip.play.focus({ preventScroll: true });
}

// A file that the server has no decoder for, such as that of a telephone, as WAV; null where the browser has none either.
async function decoded(sound) {
  try {
    const context = new OfflineAudioContext(1, 1, settings.rate);
    const buffer = await context.decodeAudioData(await sound.arrayBuffer());
    const length = Math.min(buffer.length, Math.ceil((settings.longest + 1) * buffer.sampleRate));
    const channels = Array.from({ length: buffer.numberOfChannels }, (_, channel) => buffer.getChannelData(channel).subarray(0, length));
    return wav(channels, buffer.sampleRate);
  } catch {
    return null;
  }
}

// Channels of samples as a WAV file of 32-bit floating point.
function wav(channels, rate) {
  const length = channels[0].length;
  const view = new DataView(new ArrayBuffer(44 + 4 * length * channels.length));
  const write = (at, text) => [...text].forEach((each, place) => view.setUint8(at + place, each.charCodeAt(0)));
  write(0, "RIFF");
  view.setUint32(4, view.byteLength - 8, true);
  write(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 3, true); // floating point
  view.setUint16(22, channels.length, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * 4 * channels.length, true);
  view.setUint16(32, 4 * channels.length, true);
  view.setUint16(34, 32, true);
  write(36, "data");
  view.setUint32(40, view.byteLength - 44, true);
  for (let place = 0, at = 44; place < length; place++)
    for (const channel of channels) {
      view.setFloat32(at, channel[place], true);
      at += 4;
    }
  return new Blob([view.buffer], { type: "audio/wav" });
}

function take(files) {
  if (!files.length) return fail("That was no file: save the sound first, and choose or drop its file.");
  const [chosen] = files;
  if (!chosen.size) return fail(`${chosen.name}: is empty, or a folder; choose a sound file.`);
  if (chosen.size > settings.largest)
    return fail(`${chosen.name}: has ${(chosen.size / 1e6).toFixed(0)} MB; at most ${settings.largest / 1e6} MB are taken: cut it, or save it as FLAC or MP3.`);
  restore({ sound: chosen, name: chosen.name });
}

document.getElementById("choose").onclick = () => file.click();
file.onchange = () => {
  if (file.files.length) take([...file.files]);
  file.value = ""; // the same file may be chosen again
};
for (const each of document.querySelectorAll("[data-example]")) each.onclick = () => restore({ example: each.dataset.example });
for (const choice of [degrade, label]) {
  if (choice)
    choice.onchange = () => {
      if (!latest) return;
      if (choice === degrade && degrade.dataset.ofAll === "false" && latest.example === undefined) return;
      restore(latest);
    };
}
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  dropping.hidden = false;
});
document.addEventListener("dragleave", (event) => event.relatedTarget || (dropping.hidden = true));
document.addEventListener("drop", (event) => {
  event.preventDefault(); // the browser would show the file in place of this page
  dropping.hidden = true;
  take([...event.dataTransfer.files]);
});
