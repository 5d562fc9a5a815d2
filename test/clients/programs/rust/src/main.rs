//! The scenarios of rumqttc, for MQTT 3.1.1 and 5: mqtt-clients HOST PORT. Each is a task, so that
//! one that fails ends alone; it prints `ok NAME` or `failed NAME REASON`.

mod v4;
mod v5;

use std::future::Future;
use std::time::Duration;

/// How long anything may take that must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub struct Place {
    pub host: String,
    pub port: u16,
}

pub fn numbered(prefix: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("{prefix}{number}"))
        .collect()
}

async fn attempt(name: &str, scenario: impl Future<Output = ()> + Send + 'static) -> bool {
    match tokio::spawn(scenario).await {
        Ok(()) => println!("ok {name}"),
        Err(error) => {
            println!("failed {name} {error}");
            return false;
        }
    }
    true
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let host = arguments.next().expect("a host");
    let port = arguments.next().expect("a port").parse().expect("a number");
    let place = Place { host, port };
    let at = || place.clone();
    let passed = [
        attempt("v4-qos", v4::qos(at())).await,
        attempt("v4-retained", v4::retained(at())).await,
        attempt("v4-will", v4::will(at())).await,
        attempt("v4-session", v4::session(at())).await,
        attempt("v4-shared", v4::shared(at())).await,
        attempt("v4-refused", v4::refused(at())).await,
        attempt("v5-qos", v5::qos(at())).await,
        attempt("v5-will", v5::will(at())).await,
        attempt("v5-session", v5::session(at())).await,
        attempt("v5-properties", v5::properties(at())).await,
        attempt("v5-receive-maximum", v5::receive_maximum(at())).await,
        attempt("v5-refused", v5::refused(at())).await,
    ];
    std::process::exit(if passed.contains(&false) { 1 } else { 0 });
}
