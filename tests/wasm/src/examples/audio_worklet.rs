//! `examples/audio-worklet` without a browser.
pub(super) fn run() -> anyhow::Result<()> {
    Ok(())
}
