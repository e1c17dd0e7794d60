// The synthesizer in an audio context.

// The synthesizer's node in `context`. `threads` is what `play` gets in run.js.
export async function nodeIn(context, bytes, { memory, stack }, heapBytes, total) {
    await context.audioWorklet.addModule("processor.js");
    const node = new AudioWorkletNode(context, "strings", {
        numberOfInputs: 0,
        outputChannelCount: [1],
        processorOptions: { bytes, memory, stack, heapBytes, total },
    });
    node.connect(context.destination);
    return node;
}
