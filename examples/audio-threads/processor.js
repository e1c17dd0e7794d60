// The AudioWorklet's side. The module comes as bytes: not every browser hands a compiled one over.
import { Synth } from "./thread.js";

class Strings extends AudioWorkletProcessor {
    constructor({ processorOptions: { bytes, memory, stack, heapBytes, total } }) {
        super();
        this.synth = new Synth(new WebAssembly.Module(bytes), memory, stack, sampleRate, heapBytes);
        this.total = total;
    }

    process(_inputs, [[output]]) {
        output.set(this.synth.process());
        const { quanta } = this.synth.counted;
        if (this.total ? quanta === this.total : quanta % 64 === 0) this.port.postMessage(this.synth.counted);
        return true;
    }
}

registerProcessor("strings", Strings);
