//! Mozilla's engine, in a headless Firefox that opens a page which this program serves: no driver and
//! nothing to download.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use tiny_http::{Header, Method, Request, Response, Server};

use super::shell::CORE;
use super::{Found, Job, Outcome, Tier, mortal, unique};
use alligator_tools::guest::guests_dir;

const PAGE: &str = include_str!("../../hosts/page.html");

/// Names under which Firefox is installed.
const COMMANDS: [&str; 2] = ["firefox-esr", "firefox"];

/// The clock is not blurred, and nothing else happens in the browser.
const PREFERENCES: &str = r#"
user_pref("privacy.reduceTimerPrecision", false);
user_pref("privacy.reduceTimerPrecision.unconditional", false);
user_pref("privacy.resistFingerprinting.reduceTimerPrecision.jitter", false);
user_pref("dom.max_script_run_time", 0);
user_pref("dom.ipc.processHangMonitor", false);
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
"#;

/// Looks for Firefox.
pub(super) fn find() -> Result<Found> {
    let (_, version) = installed()?;
    Ok(Found {
        version,
        tiers: flags(Tier::Optimising),
    })
}

/// The preferences of the compilers: the one that is off, so that the other one compiles every function at once.
const COMPILERS: [(&str, Tier); 2] = [
    ("javascript.options.wasm_baselinejit", Tier::Baseline),
    ("javascript.options.wasm_optimizingjit", Tier::Optimising),
];

/// What turns the other compiler off.
pub(super) fn flags(tier: Tier) -> String {
    let others = COMPILERS
        .iter()
        .filter(|(_, compiler)| tier != Tier::Own && *compiler != tier);
    let flags: Vec<_> = others.map(|(name, _)| format!("{name}=false")).collect();
    flags.join(" ")
}

fn preferences(tier: Tier) -> String {
    let compilers = COMPILERS.map(|(name, compiler)| {
        let is_on = tier == Tier::Own || compiler == tier;
        format!("user_pref(\"{name}\", {is_on});\n")
    });
    compilers.concat() + PREFERENCES
}

/// The command, and what it says it is.
fn installed() -> Result<(&'static str, String)> {
    COMMANDS
        .into_iter()
        .find_map(|command| {
            let output = Command::new(command).arg("--version").output().ok()?;
            let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            output.status.success().then_some((command, version))
        })
        .ok_or_else(|| anyhow!("Firefox is not installed (Debian package firefox-esr)"))
}

/// A browser with a profile of its own; both end when this does.
struct Browser {
    process: Child,
    profile: PathBuf,
}

impl Browser {
    /// Opens `url`.
    fn open(url: &str, tier: Tier) -> Result<Self> {
        let profile = guests_dir().join(format!("firefox-profile-{}", unique()));
        if profile.exists() {
            fs::remove_dir_all(&profile)?;
        }
        fs::create_dir_all(&profile)?;
        fs::write(profile.join("user.js"), preferences(tier))?;
        let (command, _) = installed()?;
        let process = mortal(command)
            .args(["--headless", "--no-remote", "--profile"])
            .arg(&profile)
            .arg(url)
            .env("MOZ_CRASHREPORTER_DISABLE", "1")
            .env("MOZ_DISABLE_AUTO_SAFE_MODE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("Firefox does not start")?;
        Ok(Self { process, profile })
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself. What it still writes is in nobody's way: the next run
        // removes the profile.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.profile);
    }
}

/// Runs a job in one browser.
pub(super) fn run(job: &Job, on_outcome: &mut dyn FnMut(Outcome)) -> Result<()> {
    let server = Server::http("127.0.0.1:0").map_err(|error| anyhow!("no local port: {error}"))?;
    let address = server.server_addr().to_ip().context("no local address")?;
    let mut browser = Browser::open(&format!("http://{address}/"), job.tier)?;
    let patience = job.patience;
    let files = allowed_files(job);
    let job = serde_json::to_vec(job)?;
    let mut heard = Instant::now();
    loop {
        let second = core::time::Duration::from_secs(1);
        let Some(request) = server.recv_timeout(second)? else {
            if heard.elapsed() > patience {
                bail!("no result for {} s", patience.as_secs());
            }
            if let Some(status) = browser.process.try_wait()? {
                bail!("Firefox ended before the page did: {status}");
            }
            continue;
        };
        heard = Instant::now();
        if answer(request, &job, &files, on_outcome)? {
            return Ok(());
        }
    }
}

/// The files that the page may read: those of the job.
fn allowed_files(job: &Job) -> Vec<PathBuf> {
    let tasks = job.tasks.iter();
    tasks
        .flat_map(|task| {
            let modules = task.modules.iter().map(|module| module.path.clone());
            modules.chain(task.trace.as_ref().map(|trace| trace.path.clone()))
        })
        .collect()
}

/// Answers one request; true when the page is done.
fn answer(
    mut request: Request,
    job: &[u8],
    files: &[PathBuf],
    on_outcome: &mut dyn FnMut(Outcome),
) -> Result<bool> {
    let url = request.url().to_owned();
    if *request.method() == Method::Post {
        let mut body = String::new();
        request.as_reader().read_to_string(&mut body)?;
        request.respond(Response::empty(204))?;
        match url.as_str() {
            "/result" => on_outcome(serde_json::from_str(&body)?),
            "/done" => return Ok(true),
            _ => bail!("the page failed: {body}"),
        }
        return Ok(false);
    }
    let (kind, bytes) = match url.as_str() {
        "/" => ("text/html", PAGE.as_bytes().to_vec()),
        "/core.js" => ("text/javascript", CORE.as_bytes().to_vec()),
        "/job.json" => ("application/json", job.to_vec()),
        _ => match url.strip_prefix("/file") {
            Some(path) if files.iter().any(|file| file == Path::new(path)) => {
                ("application/octet-stream", fs::read(path)?)
            }
            _ => {
                request.respond(Response::empty(404))?;
                return Ok(false);
            }
        },
    };
    let kind = Header::from_bytes("Content-Type", kind).map_err(|()| anyhow!("a bad header"))?;
    request.respond(Response::from_data(bytes).with_header(kind))?;
    Ok(false)
}
