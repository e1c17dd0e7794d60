// Builds the module with each allocator, into pkg/: node build.mjs
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const ALLOCATORS = ["dlmalloc", "talc", "alligator", "alligator-fixed"];

const here = fileURLToPath(new URL(".", import.meta.url));
mkdirSync(`${here}pkg`, { recursive: true });
for (const feature of ALLOCATORS) {
    const args = ["build", "--release", "--quiet", "--target", "wasm32-unknown-unknown", "--no-default-features", "--features", feature];
    execFileSync(process.env.CARGO ?? "cargo", [...args, "--target-dir", `${here}target`], { cwd: here, stdio: "inherit" });
    copyFileSync(`${here}target/wasm32-unknown-unknown/release/audio_worklet.wasm`, `${here}pkg/${feature}.wasm`);
}
