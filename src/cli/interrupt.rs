//! Requests to stop: Ctrl-C, SIGTERM and a closed terminal ask for an orderly end; a second Ctrl-C ends at once.

use super::say;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

/// The flag that a request to stop raises. The first call installs the handlers, later ones return the same flag.
///
/// Where no handler can be set, a signal keeps ending the program at once, which is no reason to refuse to run.
pub fn watch() -> Arc<AtomicBool> {
    static RAISED: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    let install = || {
        let raised = Arc::new(AtomicBool::new(false));
        let _ = handle(&raised);
        raised
    };
    RAISED.get_or_init(install).clone()
}

fn tell() {
    say("\nstopping as soon as what is finished is safe; Ctrl-C again stops at once");
}

/// Leaves alone what was ignored when the program started: `nohup` ignores SIGHUP, and a shell SIGINT of what it starts
/// in the background. A closed terminal can send SIGHUP twice, and a service manager SIGTERM and SIGHUP together, so
/// only SIGINT ends the program where a request came before.
#[cfg(unix)]
fn handle(raised: &Arc<AtomicBool>) -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let watched: Vec<i32> = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !is_ignored(*signal)).collect();
    for &signal in &watched {
        if signal == SIGINT {
            // Before the flag is raised by the same signal.
            signal_hook::flag::register_conditional_shutdown(signal, 130, raised.clone())?;
        }
        signal_hook::flag::register(signal, raised.clone())?;
    }
    let mut signals = signal_hook::iterator::Signals::new(&watched)?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        if signals.forever().next().is_some() {
            tell();
        }
    })?;
    Ok(())
}

/// Whether a signal is ignored now.
#[cfg(unix)]
#[allow(unsafe_code)]
fn is_ignored(signal: i32) -> bool {
    // SAFETY: without a new action, `sigaction` only writes the present one into the struct that it is given, which is
    // plain integers and so may be zeros. No safe wrapper of it reads without replacing.
    unsafe {
        let mut present: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut present) == 0 && present.sa_sigaction == libc::SIG_IGN
    }
}

#[cfg(not(unix))]
fn handle(raised: &Arc<AtomicBool>) -> Result<(), ctrlc::Error> {
    let raised = raised.clone();
    ctrlc::set_handler(move || {
        if raised.swap(true, std::sync::atomic::Ordering::Relaxed) {
            std::process::exit(130);
        }
        tell();
    })
}
