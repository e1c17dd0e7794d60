// Builds the module, and the one for comparison, into pkg/: node build.mjs
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
mkdirSync(`${here}pkg`, { recursive: true });
// Another toolchain's settings, and flags in place of those of .cargo/config.toml.
const { CARGO, RUSTC, RUSTFLAGS, CARGO_ENCODED_RUSTFLAGS, CARGO_TARGET_DIR, RUSTUP_TOOLCHAIN, ...env } = process.env;
for (const [name, features] of [["own-heap", ""], ["shared-heap", "shared-heap"]]) {
    const args = ["run", "nightly", "cargo", "build", "--release", "--quiet", "--features", features];
    execFileSync("rustup", args, { cwd: here, env, stdio: "inherit" });
    copyFileSync(`${here}target/wasm32-unknown-unknown/release/audio_threads.wasm`, `${here}pkg/${name}.wasm`);
}
