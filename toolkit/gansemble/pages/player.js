// Plays all sounds of a trial at once, of which one is heard: switching keeps the position to the sample, and fades within
// a few milliseconds, so that it does not click.

class Player {
  constructor(rate) {
    this.rate = rate;
    this.context = null;
    this.buffers = new Map();
    this.sources = [];
    this.current = null;
    this.playing = false;
    this.looping = true;
    this.at = 0;
    this.region = null;
    this.decibels = 0;
    this.levels = new Map();
    this.changed = () => {};
  }

  // A browser lets a page make sound only after a click or a key.
  open() {
    if (!this.context) {
      try {
        this.context = new AudioContext({ sampleRate: this.rate });
      } catch {
        this.context = new AudioContext();
      }
      this.master = this.context.createGain();
      this.master.connect(this.context.destination);
      this.setVolume(this.decibels);
    }
    if (this.context.state === "suspended") this.context.resume();
  }

  setVolume(decibels) {
    this.decibels = decibels;
    if (this.master) this.master.gain.setTargetAtTime(10 ** (decibels / 20), this.context.currentTime, 0.01);
  }

  // Decodes these sounds and forgets all others.
  async load(names, fetchBytes) {
    this.stop();
    this.open();
    const made = new Map();
    for (const name of names) {
      const known = this.buffers.get(name);
      made.set(name, known || (await this.context.decodeAudioData(await fetchBytes(name))));
    }
    this.put(made);
  }

  // Sounds that are decoded already, by name; they begin at 0 with the first of them.
  put(buffers) {
    this.stop();
    this.buffers = buffers;
    this.current = buffers.keys().next().value;
    this.at = 0;
    this.region = null;
    this.levels = new Map();
  }

  // The factor that a sound is heard with.
  setLevel(name, factor) {
    this.levels.set(name, factor);
    if (this.playing) this.select(this.current);
  }

  gainOf(name) {
    return name === this.current ? this.levels.get(name) ?? 1 : 0;
  }

  get duration() {
    const first = this.buffers.values().next().value;
    return first ? first.duration : 0;
  }

  get bounds() {
    return this.region || [0, this.duration];
  }

  get position() {
    if (!this.playing) return this.at;
    const [from, to] = this.bounds;
    const passed = Math.max(0, this.context.currentTime - this.begun);
    return from + (this.looping ? passed % (to - from) : Math.min(passed, to - from));
  }

  // The region that is looped, with its ends faded: a seam in the midst of a sound would click.
  cut(buffer, from, to) {
    const first = Math.round(from * buffer.sampleRate);
    const length = Math.max(1, Math.min(buffer.length, Math.round(to * buffer.sampleRate)) - first);
    const fade = Math.min(Math.round(0.005 * buffer.sampleRate), length >> 1);
    const out = this.context.createBuffer(buffer.numberOfChannels, length, buffer.sampleRate);
    for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
      const samples = buffer.getChannelData(channel).slice(first, first + length);
      for (let place = 0; place < fade; place++) {
        samples[place] *= place / fade;
        samples[length - 1 - place] *= place / fade;
      }
      out.copyToChannel(samples, channel);
    }
    return out;
  }

  play() {
    if (this.playing || !this.buffers.size) return;
    this.open();
    const [from, to] = this.bounds;
    let offset = this.at - from;
    if (offset < 0 || offset >= to - from - 0.01) offset = 0;
    const buffers = [...this.buffers].map(([name, buffer]) => [name, this.cut(buffer, from, to)]);
    let when;
    // A busy browser may pass the moment before the last source is told of it, which would then be late: once more, with
    // more time.
    for (let lead = 0.03; ; lead *= 4) {
      this.connect(buffers);
      when = this.context.currentTime + lead;
      this.whole.gain.setValueAtTime(0, when);
      this.whole.gain.linearRampToValueAtTime(1, when + 0.01);
      for (const { source } of this.sources) source.start(when, offset);
      if (this.context.currentTime < when || lead > 1) break;
      this.whole.disconnect();
    }
    this.begun = when - offset;
    this.playing = true;
    const started = this.sources;
    started[0].source.onended = () => {
      if (this.sources === started && this.playing) {
        this.playing = false;
        this.at = from;
        this.changed();
      }
    };
    this.changed();
  }

  // A source and its gain for each sound, and a gain of its own for this playing, which fades it in and out as a whole.
  connect(buffers) {
    this.whole = this.context.createGain();
    this.whole.connect(this.master);
    this.sources = buffers.map(([name, buffer]) => {
      const source = this.context.createBufferSource();
      const gain = this.context.createGain();
      source.buffer = buffer;
      source.loop = this.looping;
      gain.gain.value = this.gainOf(name);
      source.connect(gain).connect(this.whole);
      return { name, source, gain };
    });
  }

  stop() {
    if (!this.playing) return;
    this.at = this.position;
    const now = this.context.currentTime;
    this.whole.gain.cancelScheduledValues(now);
    this.whole.gain.setTargetAtTime(0, now, 0.005);
    for (const { source } of this.sources) source.stop(now + 0.05);
    this.sources = [];
    this.playing = false;
    this.changed();
  }

  toggle() {
    if (this.playing) this.stop();
    else this.play();
  }

  select(name) {
    this.current = name;
    for (const each of this.sources)
      each.gain.gain.setTargetAtTime(this.gainOf(each.name), this.context.currentTime, 0.005);
    this.changed();
  }

  // Something of how it plays changes; what plays goes on with it from where it is.
  again(change) {
    const played = this.playing;
    this.stop();
    change();
    if (played) this.play();
    this.changed();
  }

  seek(seconds) {
    this.again(() => {
      const [from, to] = this.bounds;
      this.at = Math.min(Math.max(seconds, from), to);
    });
  }

  setLoop(on) {
    this.again(() => (this.looping = on));
  }

  setRegion(from, to) {
    if (to - from < 0.2) return false;
    this.again(() => {
      this.region = from <= 0 && to >= this.duration ? null : [from, to];
    });
    return true;
  }
}
