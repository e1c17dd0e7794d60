//! Real browsers on the page: a script of ours uses it as a reader would, looks at what it shows, and says so.

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use alligator_tools::guest;
use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tiny_http::{Header, Method, Response, Server};

use crate::{Outcome, page};

/// What uses the page.
const READER: &str = include_str!("reader.js");

/// How long a browser may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// The longest time of a scrub, in milliseconds, on a machine that others use, too: a picture in 1/8 s.
const SCRUB_MS_MAX: f64 = 125.0;

/// Preferences of a Firefox that does nothing else.
const PREFERENCES: &str = r#"
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("toolkit.telemetry.enabled", false);
user_pref("app.update.enabled", false);
user_pref("extensions.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("services.settings.server", "data:,");
user_pref("termsofuse.bypassNotification", true);
user_pref("privacy.reduceTimerPrecision", false);
"#;

/// What a browser found.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Findings {
    /// What is wrong, in a line each.
    failures: Vec<String>,
    /// Checks that were made.
    checks: u32,
    /// Milliseconds of each scrub, the shortest first.
    scrubs: Vec<f64>,
    /// Milliseconds from the start of the page until it was ready.
    ready: f64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Chromium,
    Firefox,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chromium => "Chromium",
            Self::Firefox => "Firefox",
        }
    }

    fn commands(self) -> &'static [&'static str] {
        match self {
            Self::Chromium => &["chromium", "chromium-browser", "google-chrome"],
            Self::Firefox => &["firefox-esr", "firefox"],
        }
    }

    pub(crate) fn installed(self) -> Option<&'static str> {
        let commands = self.commands().iter().copied();
        commands.into_iter().find(|command| {
            let mut version = Command::new(command);
            version
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            version.status().is_ok_and(|status| status.success())
        })
    }
}

/// A browser with a profile of its own; both end when this does.
pub(crate) struct Browser {
    pub(crate) process: Child,
    profile: PathBuf,
}

/// A folder for a profile or a page, which is empty.
fn folder(name: &str) -> Result<PathBuf> {
    let folder = guest::root().join("target/reports").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

impl Browser {
    pub(crate) fn open(kind: Kind, url: &str) -> Result<Self> {
        let command = kind.installed().context("it is not installed")?;
        let profile = folder(&format!("{}-{}", kind.name(), std::process::id()))?;
        let mut command = Command::new(command);
        match kind {
            Kind::Chromium => {
                let mut data = std::ffi::OsString::from("--user-data-dir=");
                data.push(&profile);
                command.args([
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--no-first-run",
                ]);
                command.arg("--window-size=1400,1000").arg(data);
            }
            Kind::Firefox => {
                fs::write(profile.join("user.js"), PREFERENCES)?;
                command
                    .args(["--headless", "--no-remote", "--profile"])
                    .arg(&profile);
                command.env("MOZ_CRASHREPORTER_DISABLE", "1");
            }
        }
        let process = command
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{} does not start", kind.name()))?;
        Ok(Self { process, profile })
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself, and what it still writes is in nobody's way.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.profile);
    }
}

/// Tests the page of a trace of so many events in each browser that is there.
pub(crate) fn run(events: u64, pictures: Option<&Path>) -> Result<Outcome> {
    let html = page::html(events)?;
    println!("the page of {events} events: {} KiB", html.len() / 1024);
    if let Some(pictures) = pictures {
        take_pictures(&html, pictures)?;
    }
    let mut outcome = Outcome::LeftOut;
    for kind in [Kind::Chromium, Kind::Firefox] {
        if kind.installed().is_none() {
            println!("{}: left out, it is not installed", kind.name());
            continue;
        }
        outcome = Outcome::Passed;
        let findings = visit(kind, &html).with_context(|| kind.name())?;
        report(kind, &findings)?;
    }
    Ok(outcome)
}

fn report(kind: Kind, findings: &Findings) -> Result<()> {
    let name = kind.name();
    for failure in &findings.failures {
        println!("{name}: {failure}");
    }
    ensure!(
        findings.failures.is_empty(),
        "{name}: {} checks failed",
        findings.failures.len()
    );
    let middle = findings
        .scrubs
        .get(findings.scrubs.len() / 2)
        .context("no scrub")?;
    let longest = findings.scrubs.last().context("no scrub")?;
    println!(
        "{name}: {} checks passed; ready after {:.0} ms; {} scrubs, {middle:.1} ms each (median), at most {longest:.1}",
        findings.checks,
        findings.ready,
        findings.scrubs.len(),
    );
    ensure!(
        *middle <= SCRUB_MS_MAX,
        "{name}: a scrub takes {middle:.0} ms, more than {SCRUB_MS_MAX}"
    );
    Ok(())
}

/// Serves the page with our script in it, and waits for what that says.
fn visit(kind: Kind, html: &str) -> Result<Findings> {
    // Our script may send what it found; the page itself may load and send nothing.
    let opened = html.replace(
        "default-src 'none'",
        "default-src 'none'; connect-src 'self'; frame-src 'self'",
    );
    ensure!(opened != html, "the page has no policy");
    let with_reader = opened.replace(
        "</body>",
        &format!("<script type=module>{READER}</script></body>"),
    );
    until_found(kind, "/", PATIENCE, |url| {
        let text = match url {
            "/" => &with_reader,
            "/narrow" => &opened,
            _ => return Ok(None),
        };
        Ok(Some(("text/html", text.clone().into_bytes())))
    })
}

/// Opens the page `path` of a server of ours, answers what the browser asks for with the type and the bytes that `answer`
/// has for it, and returns what the page sends to `/found`.
pub(crate) fn until_found<T: DeserializeOwned>(
    kind: Kind,
    path: &str,
    patience: Duration,
    answer: impl Fn(&str) -> Result<Option<(&'static str, Vec<u8>)>>,
) -> Result<T> {
    let server = Server::http("127.0.0.1:0").map_err(|error| anyhow!("no local port: {error}"))?;
    let address = server.server_addr().to_ip().context("no local address")?;
    let mut browser = Browser::open(kind, &format!("http://{address}{path}"))?;
    let start = Instant::now();
    loop {
        ensure!(
            start.elapsed() < patience,
            "it says nothing for {} s",
            patience.as_secs()
        );
        let Some(mut request) = server.recv_timeout(Duration::from_secs(1))? else {
            if let Some(status) = browser.process.try_wait()? {
                bail!("it ended before the page did: {status}");
            }
            continue;
        };
        let url = request.url().to_owned();
        if *request.method() == Method::Post {
            let mut body = String::new();
            request.as_reader().read_to_string(&mut body)?;
            request.respond(Response::empty(204))?;
            ensure!(url == "/found", "the page sends {body} to {url}");
            return serde_json::from_str(&body).with_context(|| format!("it says {body}"));
        }
        let Some((content, bytes)) = answer(&url)? else {
            request.respond(Response::empty(404))?;
            continue;
        };
        let content =
            Header::from_bytes("Content-Type", content).map_err(|()| anyhow!("a bad header"))?;
        request.respond(Response::from_data(bytes).with_header(content))?;
    }
}

/// Says what speedscope's page shows: its table of functions, once a profile is there.
const WATCHER: &str = r#"
const start = performance.now();
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
while (document.querySelectorAll("canvas").length < 2 && performance.now() - start < 20000) await wait(50);
dispatchEvent(new KeyboardEvent("keydown", { key: "3", bubbles: true }));
document.body.dispatchEvent(new KeyboardEvent("keypress", { key: "3", bubbles: true }));
await wait(500);
await fetch("/found", { method: "POST", body: document.body.innerText });
"#;

/// Serves speedscope's page and a profile for it, and returns the text that it shows.
pub(crate) fn visit_speedscope(release: &Path, name: &str, profile: &[u8]) -> Result<String> {
    let server = Server::http("127.0.0.1:0").map_err(|error| anyhow!("no local port: {error}"))?;
    let address = server.server_addr().to_ip().context("no local address")?;
    let url = format!("http://{address}/index.html#profileURL=/profile/{name}&title={name}");
    let browser = Browser::open(Kind::Chromium, &url)?;
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let Some(mut request) = server.recv_timeout(Duration::from_secs(1))? else {
            continue;
        };
        if *request.method() == Method::Post {
            let mut body = String::new();
            request.as_reader().read_to_string(&mut body)?;
            request.respond(Response::empty(204))?;
            drop(browser);
            return Ok(body);
        }
        let path = request
            .url()
            .split(['?', '#'])
            .next()
            .unwrap_or_default()
            .to_owned();
        let (kind, bytes) = match path.as_str() {
            "/index.html" => {
                let page = fs::read_to_string(release.join("index.html"))?;
                (
                    "text/html",
                    format!("{page}<script type=module>{WATCHER}</script>").into_bytes(),
                )
            }
            path if path.starts_with("/profile/") => ("application/octet-stream", profile.to_vec()),
            path => {
                // Names of one folder only.
                let name = Path::new(path).file_name().unwrap_or_default();
                let kind = match Path::new(name)
                    .extension()
                    .and_then(|ending| ending.to_str())
                {
                    Some("js") => "text/javascript",
                    Some("css") => "text/css",
                    _ => "application/octet-stream",
                };
                (kind, fs::read(release.join(name)).unwrap_or_default())
            }
        };
        let kind =
            Header::from_bytes("Content-Type", kind).map_err(|()| anyhow!("a bad header"))?;
        request.respond(Response::from_data(bytes).with_header(kind))?;
    }
    bail!("it says nothing for {} s", PATIENCE.as_secs())
}

/// Pictures of the page as a file, by Chromium.
fn take_pictures(html: &str, pictures: &Path) -> Result<()> {
    let Some(command) = Kind::Chromium.installed() else {
        println!("pictures: left out, Chromium is not installed");
        return Ok(());
    };
    fs::create_dir_all(pictures)?;
    let page = folder("page")?.join("heap.html");
    fs::write(&page, html)?;
    for (width, height) in [(390, 5200), (1400, 4200)] {
        for is_dark in [false, true] {
            let theme = if is_dark { "dark" } else { "light" };
            let picture = pictures.join(format!("heap-{width}-{theme}.png"));
            let mut screenshot = std::ffi::OsString::from("--screenshot=");
            screenshot.push(&picture);
            let mut command = Command::new(command);
            command.args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--virtual-time-budget=8000",
            ]);
            command
                .arg(format!("--window-size={width},{height}"))
                .arg(screenshot);
            if is_dark {
                command.arg("--blink-settings=preferredColorScheme=0");
            } else {
                command.arg("--blink-settings=preferredColorScheme=1");
            }
            let status = command
                .arg(&page)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()?;
            ensure!(
                status.success() && picture.exists(),
                "Chromium took no picture"
            );
            println!("{}", picture.display());
        }
    }
    Ok(())
}
