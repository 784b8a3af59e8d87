// Hands on what the microphone gives, in blocks of 2048 samples. It runs in the thread of the sound.

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(2048);
    this.filled = 0;
  }

  process([input]) {
    if (input.length) {
      this.block.set(input[0], this.filled);
      this.filled += input[0].length;
      if (this.filled === this.block.length) {
        this.port.postMessage(this.block.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}
registerProcessor("recorder", Recorder);
