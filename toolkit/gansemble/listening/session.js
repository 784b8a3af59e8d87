// A listener's session: the order of the trials, what was answered, and where it is kept.

// Numbers from 0 to 1 that follow from a text: its FNV-1a hash, then Marsaglia's xorshift of 32 bits.
function drawer(text) {
  let state = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) state = Math.imul(state ^ byte, 0x01000193);
  state = state || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

function shuffled(items, text) {
  const draw = drawer(text);
  for (let number = 0; number < 16; number++) draw(); // short texts that are alike begin alike
  const out = [...items];
  for (let last = out.length - 1; last > 0; last--) {
    const other = Math.floor(draw() * (last + 1));
    [out[last], out[other]] = [out[other], out[last]];
  }
  return out;
}

class Session {
  constructor(test) {
    this.test = test;
    this.place = `gansemble-listening-${test.test}`;
    this.kept = true;
    this.state = null;
    try {
      this.state = JSON.parse(localStorage.getItem(this.place));
    } catch {
      this.state = null;
    }
    const known = new Set(test.trials.map((each) => each.id));
    const fits = this.state && Array.isArray(this.state.order) && Array.isArray(this.state.answers);
    if (!fits || this.state.order.length !== known.size || !this.state.order.every((id) => known.has(id))) this.state = null;
  }

  begin(listener) {
    const seed = `${this.test.seed}/${listener}`;
    this.state = {
      listener,
      session: [...crypto.getRandomValues(new Uint8Array(8))].map((each) => each.toString(16).padStart(2, "0")).join(""),
      started: new Date().toISOString().slice(0, 19) + "Z",
      order: shuffled(this.test.trials.map((each) => each.id), seed),
      answers: [],
      partial: null,
      volume: 0,
      saved: 0,
    };
    this.keep();
  }

  keep() {
    try {
      if (this.state) localStorage.setItem(this.place, JSON.stringify(this.state));
      else localStorage.removeItem(this.place);
    } catch {
      this.kept = false;
    }
  }

  forget() {
    this.state = null;
    this.keep();
  }

  get count() {
    return this.state.order.length;
  }

  get done() {
    return this.state.answers.length;
  }

  get trial() {
    const id = this.state.order[this.done];
    return this.test.trials.find((each) => each.id === id);
  }

  // The sounds of a trial in this listener's order.
  shown(trial) {
    return shuffled(trial.sounds, `${this.test.seed}/${this.state.listener}/${trial.id}`);
  }

  add(answer) {
    this.state.answers.push(answer);
    this.state.partial = null;
    this.keep();
  }

  document() {
    const { listener, session, started, answers } = this.state;
    const complete = answers.length === this.count;
    const document = { format: "gansemble listening answers", version: 1, test: this.test.test, mode: this.test.mode };
    return JSON.stringify({ ...document, listener, session, started, trials: this.count, complete, answers }, null, 1) + "\n";
  }

  fileName() {
    const name = this.state.listener.normalize("NFKD").replace(/[^A-Za-z0-9_-]+/g, "-").replace(/^-+|-+$/g, "");
    return `${name || "listener"}-${this.state.started.replace(/[^0-9TZ]/g, "")}.json`;
  }

  // Sends the answers to where the page came from; false where that is a file, or nobody takes them.
  async send() {
    if (!/^https?:$/.test(location.protocol)) return false;
    const count = this.done;
    try {
      const sent = await fetch("answers", { method: "POST", headers: { "Content-Type": "application/json" }, body: this.document() });
      if (!sent.ok) return false;
    } catch {
      return false;
    }
    if (this.state) {
      this.state.saved = Math.max(this.state.saved, count);
      this.keep();
    }
    return true;
  }
}
