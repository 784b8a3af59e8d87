// One question to the server at a time: how far it is, its answer, or in words why there is none. A new question takes the place
// of one that is not answered yet, which the server then drops.

const settings = JSON.parse(document.body.dataset.settings);
const wrong = document.getElementById("wrong");
const state = document.getElementById("state");
const bar = document.getElementById("bar");
const cancel = document.getElementById("cancel");
let asking = null;

function fail(text) {
  wrong.textContent = text;
  wrong.hidden = !text;
}

function busy(text, share) {
  state.textContent = text;
  bar.hidden = cancel.hidden = !text;
  if (share === undefined) bar.removeAttribute("value");
  else bar.value = share;
}

function told(line) {
  if (line.ahead) busy(`Waiting: ${line.ahead === 1 ? "one other is" : `${line.ahead} others are`} served first.`);
  else busy(line.done < 1 ? "At work …" : "Drawing spectrograms …", line.done);
}

// The last line of an answer; those before it tell how far it is.
async function answer(reply) {
  if (!(reply.headers.get("Content-Type") || "").startsWith("application/x-ndjson")) {
    const text = (await reply.text()).trim();
    return { error: `The server refused this (${reply.status}): ${text}` };
  }
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let parts = [];
  let last = null;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = value.split("\n");
    for (const rest of lines.slice(0, -1)) {
      last = JSON.parse(parts.join("") + rest);
      parts = [];
      if (!last.html && !last.error) told(last);
    }
    parts.push(lines[lines.length - 1]);
  }
  if (!last || (!last.html && !last.error)) throw new Error("the answer broke off");
  return last;
}

// The answer to a question; null where there is none, which the page then says, or another question was asked meanwhile.
async function ask(path, body, kind) {
  if (asking) asking.abort();
  const mine = (asking = new AbortController());
  fail("");
  busy("Sending …");
  let found = null;
  try {
    const reply = await fetch(path, { method: "POST", body, headers: { "Content-Type": kind }, signal: mine.signal, cache: "no-store" });
    found = await answer(reply);
  } catch (error) {
    if (!mine.signal.aborted)
      found = { error: "The server does not answer: it has been ended, or its machine sleeps. Start gansemble demo again, and open the address that it prints." };
  }
  if (asking !== mine) return null;
  asking = null;
  busy("");
  return mine.signal.aborted ? null : found;
}

function drop() {
  if (asking) asking.abort();
}
cancel.onclick = drop;
window.addEventListener("pagehide", drop);
