// What the server made, put above what was made before. Needs the comparison player.

const results = document.getElementById("results");
let number = 0;

// Puts a reply on the page; its clip, or null where there is nothing to hear.
function put(reply) {
  const prefix = `made-${++number}`;
  const made = document.createElement("div");
  made.innerHTML = reply.html;
  for (const sound of reply.sounds) {
    const data = document.createElement("script");
    data.type = "text/plain"; // a block of data, which no browser runs
    data.id = `${prefix}-${sound.name}`;
    data.dataset.type = sound.type;
    data.textContent = sound.text;
    made.append(data);
  }
  for (const version of made.querySelectorAll("[data-sound]")) version.dataset.sound = `${prefix}-${version.dataset.sound}`;
  results.prepend(made);
  while (results.children.length > Number(results.dataset.kept)) forget(results.lastElementChild);
  const section = made.querySelector("[data-clip]");
  if (!section) return null;
  const clip = new Clip(section);
  clips.unshift(clip);
  if (blind && blind.checked) order(clip, shuffled(clip.versions));
  section.append(downloads(clip, reply.title));
  show(clip);
  return clip;
}

function downloads(clip, title) {
  const line = document.createElement("p");
  line.className = "downloads";
  for (const version of clip.versions) {
    const link = document.createElement("a");
    const name = `${title.replace(/\.\w{1,5}$/, "")}-${version.dataset.name}`.replace(/[^\p{L}\p{N}.]+/gu, "-");
    link.href = URL.createObjectURL(new Blob([bytes(version.dataset.sound)], { type: "audio/wav" }));
    link.download = `${name.slice(0, 120)}.wav`;
    link.textContent = `Download ${version.dataset.name}`;
    line.append(link);
  }
  return line;
}

function forget(made) {
  for (const link of made.querySelectorAll("a[download]")) URL.revokeObjectURL(link.href);
  const section = made.querySelector("[data-clip]");
  made.remove();
  if (!section) return;
  const place = clips.findIndex((clip) => clip.section === section);
  if (clips[place] === active) {
    player.put(new Map());
    active = null;
  }
  clips.splice(place, 1);
}

async function play(clip) {
  if ((await ready(clip)) && !player.playing) player.play();
}
