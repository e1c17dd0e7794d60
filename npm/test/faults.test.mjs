// Every misuse of guests/faults, through the package. FAULTS_WASM is the module.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { HeapFault, faultOf, guarded, viewOf } from "alligator-alloc";

const NAMES = ["DoubleFree", "NotABlock", "Foreign", "WrongLayout", "WriteAfterFree", "Corrupted"];
const module = await WebAssembly.compile(await readFile(process.env.FAULTS_WASM));
const instantiate = () => WebAssembly.instantiate(module);
const misuses = WebAssembly.Module.exports(module).filter(({ name }) => name.startsWith("fault_"));

test("there are misuses of each kind", () => {
  const kinds = new Set(misuses.map(({ name }) => name.split("_")[1]));
  assert.equal(kinds.size, NAMES.length + 1);
});

for (const { name } of misuses) {
  const code = Number(name.split("_")[1]);
  test(name, async () => {
    const instance = await instantiate();
    const call = () => guarded(instance, (exports) => exports[name]());
    if (code === 0) {
      call();
      assert.equal(faultOf(instance), null);
      return;
    }
    assert.throws(call, (error) => {
      assert.ok(error instanceof HeapFault);
      assert.ok(error.cause instanceof WebAssembly.RuntimeError);
      assert.equal(error.fault.code, code);
      assert.equal(error.fault.name, NAMES[code - 1]);
      assert.ok(error.fault.address > 0);
      return true;
    });
  });
}

test("an address above 2 GiB is positive", async () => {
  const instance = await instantiate();
  assert.throws(() => instance.exports.fault_3_an_address_outside_the_memory());
  assert.equal(faultOf(instance).address, 0xffff0000);
});

test("a trap that is no fault of a heap, and any other error, stay what they are", async () => {
  const instance = await instantiate();
  const trap = new WebAssembly.RuntimeError("another trap");
  const throwing = () => guarded(instance, () => { throw trap; });
  assert.throws(throwing, (error) => error === trap);
});

test("a module without the exports has no fault", () => {
  assert.equal(faultOf({ exports: {} }), null);
});

test("an address of wasm64 is a BigInt, and positive", () => {
  const exports = { alligator_fault: () => 3, alligator_fault_address: () => -1n };
  assert.equal(faultOf({ exports }).address, 2n ** 64n - 1n);
});

for (const shared of [false, true]) {
  test(`a view is renewed when the memory has grown, and not before; shared: ${shared}`, () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 3, shared });
    const bytes = viewOf(memory, Uint8Array);
    const before = bytes();
    assert.equal(bytes(), before);
    memory.grow(1);
    assert.equal(bytes().length, 2 * 65_536);
    assert.notEqual(bytes(), before);
  });
}
