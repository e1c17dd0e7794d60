// Builds the module with each allocator, into pkg/: node build.mjs
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
mkdirSync(`${here}pkg`, { recursive: true });
// Another toolchain's settings, and flags in place of those of .cargo/config.toml.
const { CARGO, RUSTC, RUSTFLAGS, CARGO_ENCODED_RUSTFLAGS, CARGO_TARGET_DIR, RUSTUP_TOOLCHAIN, ...env } = process.env;
for (const feature of ["alligator", "dlmalloc"]) {
    const args = ["run", "nightly", "cargo", "build", "--release", "--quiet", "--no-default-features", "--features", feature];
    execFileSync("rustup", args, { cwd: here, env, stdio: "inherit" });
    copyFileSync(`${here}target/wasm32-unknown-unknown/release/threads_rayon.wasm`, `${here}pkg/${feature}.wasm`);
}
