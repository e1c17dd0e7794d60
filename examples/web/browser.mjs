// Opens a page in a browser without a window, and waits for what it posts to /result.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serve } from "./serve.mjs";

const BROWSERS = {
    chromium: (profile, url) => ["--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio", "--no-first-run", "--autoplay-policy=no-user-gesture-required", `--user-data-dir=${profile}`, url],
    firefox: (profile, url) => {
        const prefs = { "media.autoplay.default": 0, "browser.shell.checkDefaultBrowser": false, "datareporting.policy.dataSubmissionEnabled": false, "app.update.enabled": false };
        const lines = Object.entries(prefs).map(([name, value]) => `user_pref("${name}", ${value});`);
        writeFileSync(join(profile, "user.js"), lines.join("\n"));
        return ["--headless", "--no-remote", "--profile", profile, url];
    },
};

// Ends this program with 77, which says that something is left out, if there is no browser `name`.
export function mustBeThere(name) {
    if (!BROWSERS[name]) throw new Error("which browser? chromium or firefox");
    if (spawnSync(name, ["--version"], { stdio: "ignore" }).status !== 0) {
        console.log(`left out: ${name} is not installed`);
        process.exit(77);
    }
}

// What the page at `path` of `folder` posts, within so many seconds.
export async function resultOf(name, folder, path, seconds) {
    const profile = mkdtempSync(join(tmpdir(), "page-"));
    let browser;
    try {
        return await new Promise(async (resolve, reject) => {
            const server = await serve(folder, 0, (result) => {
                server.close();
                if (result.error) reject(new Error(result.error));
                else resolve(result);
            });
            const url = `http://127.0.0.1:${server.address().port}/${path}`;
            browser = spawn(name, BROWSERS[name](profile, url), { stdio: "ignore", detached: true });
            browser.on("error", reject);
            browser.on("exit", (code) => reject(new Error(`${name} has ended with ${code}, without a result`)));
            setTimeout(() => reject(new Error(`${name} has no result after ${seconds} s`)), seconds * 1000).unref();
        });
    } finally {
        browser?.removeAllListeners("exit");
        const ended = new Promise((resolve) => browser.on("exit", resolve));
        // A browser is several processes: its group.
        try { process.kill(-browser.pid); } catch { /* It has ended. */ }
        await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 5000))]);
        rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    }
}
