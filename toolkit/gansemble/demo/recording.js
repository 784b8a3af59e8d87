// The microphone: samples are taken as they are, and become a WAV file in the browser.

const record = document.getElementById("record");
const taking = document.getElementById("taking");
const level = document.getElementById("level");
const elapsed = document.getElementById("elapsed");
let microphone = null;

const REFUSALS = {
  NotAllowedError: "The browser does not give this page the microphone. Allow it for this address in the browser's settings, or choose a file.",
  NotFoundError: "No microphone was found. Connect one, or choose a file.",
  NotReadableError: "The microphone is in use by another program, or the system keeps it. Close that program, or choose a file.",
};

async function open() {
  if (!navigator.mediaDevices) return fail("Browsers give the microphone only to pages at 127.0.0.1 or localhost, or by https. Open such an address, or choose a file.");
  fail("");
  record.disabled = true;
  let stream = null;
  let context = null;
  try {
    // What browsers do for calls would change what the model hears.
    const plain = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    stream = await navigator.mediaDevices.getUserMedia({ audio: plain });
    context = new AudioContext();
    await context.audioWorklet.addModule("recorder.js");
  } catch (error) {
    if (stream) stream.getTracks().forEach((each) => each.stop());
    if (context) context.close();
    return fail(REFUSALS[error.name] || `The microphone cannot be used (${error.message}). Choose a file.`);
  } finally {
    record.disabled = false;
  }
  const node = new AudioWorkletNode(context, "recorder", { channelCount: 1, channelCountMode: "explicit" });
  context.createMediaStreamSource(stream).connect(node).connect(context.destination); // the node itself is silent
  microphone = { stream, context, node, parts: [], length: 0 };
  node.port.onmessage = ({ data }) => heard(data);
  stream.getTracks()[0].onended = finish; // it was unplugged
  shown(true);
}

function heard(samples) {
  if (!microphone) return;
  microphone.parts.push(samples);
  microphone.length += samples.length;
  level.value = samples.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
  const seconds = microphone.length / microphone.context.sampleRate;
  elapsed.textContent = `${seconds.toFixed(1)} / ${settings.longest.toFixed(1)} s`;
  if (seconds >= settings.longest) finish();
}

function finish() {
  if (!microphone) return;
  const { stream, context, parts, length } = microphone;
  microphone = null;
  stream.getTracks().forEach((each) => each.stop());
  context.close();
  shown(false);
  const most = Math.floor(settings.longest * context.sampleRate);
  const samples = new Float32Array(length);
  let at = 0;
  for (const part of parts) {
    samples.set(part, at);
    at += part.length;
  }
  if (!length) return fail("The microphone gave nothing. Try again, or choose a file.");
  restore({ sound: wav([samples.subarray(0, most)], context.sampleRate), name: "recording" });
}

function shown(on) {
  taking.hidden = !on;
  record.setAttribute("aria-pressed", String(on));
  record.querySelector("span").textContent = on ? "Stop" : "Record";
}

record.onclick = () => (microphone ? finish() : open());
window.addEventListener("pagehide", () => microphone && microphone.stream.getTracks().forEach((each) => each.stop()));
