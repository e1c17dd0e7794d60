// An audio thread for where there is no audio: calls the callback so many times, without a pause. For Node.js.
import { parentPort } from "node:worker_threads";
import { Synth, hashOf } from "./thread.js";

parentPort.onmessage = ({ data: { module, memory, stack, heapBytes, total } }) => {
    const synth = new Synth(module, memory, stack, 48000, heapBytes);
    let hash;
    for (let quantum = 0; quantum < total; quantum++) hash = hashOf(synth.process(), hash);
    parentPort.postMessage({ ...synth.counted, hash: hash >>> 0 });
};
