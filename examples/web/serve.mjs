// Serves the current folder on this machine alone, with the headers that let pages share memory: node serve.mjs [PORT]
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };
const HEADERS = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

// `posted` gets what is posted to /result.
export function serve(folder, port, posted = () => {}) {
    const server = createServer(async (request, response) => {
        const path = new URL(request.url, "http://localhost").pathname;
        if (request.method === "POST" && path === "/result") {
            let text = "";
            for await (const piece of request) text += piece;
            response.writeHead(204).end();
            posted(JSON.parse(text));
            return;
        }
        const file = normalize(path === "/" ? "/index.html" : path);
        try {
            const bytes = await readFile(join(folder, file));
            response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "text/plain", ...HEADERS }).end(bytes);
        } catch {
            response.writeHead(404, HEADERS).end();
        }
    });
    return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const server = await serve(process.cwd(), Number(process.argv[2] ?? 8080));
    console.log(`http://127.0.0.1:${server.address().port}/`);
}
