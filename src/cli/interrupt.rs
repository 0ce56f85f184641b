//! Ctrl-C: the first one asks for an orderly end, the second ends at once.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that Ctrl-C raises.
///
/// Where no handler can be set, Ctrl-C keeps ending the program at once, which is no reason to
/// refuse to run.
pub fn watch() -> Arc<AtomicBool> {
    let raised = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&raised);
    let handler = move || {
        if flag.swap(true, Ordering::Relaxed) {
            process::exit(130);
        }
        eprintln!("\nstopping as soon as what is finished is safe; Ctrl-C again stops at once");
    };
    let _ = ctrlc::set_handler(handler);
    raised
}
