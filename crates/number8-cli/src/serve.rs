//! From the checked configuration to a server that runs.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use number8::server;
use number8::{ServeError, Server};

use crate::app::{Kept, app, sweep};
use crate::args::Invocation;
use crate::banner;
use crate::beside::Beside;
use crate::config::Config;
use crate::limits::options;
use crate::listening::{listen, places, ports};
use crate::logs::{Logs, tell_closed};
use crate::mdns;
use crate::problem::{self, Problem, say};
use crate::steering::Steering;
use crate::tls::Certificate;
use crate::trouble;

/// Serves until a signal ends it.
pub fn serve(invocation: Invocation, config: &Config) -> ExitCode {
    problem::serves();
    trouble::listen();
    let result = try_serve(invocation, config);
    problem::finish();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => problem.report(),
    }
}

fn try_serve(invocation: Invocation, config: &Config) -> Result<(), Problem> {
    server::raise_nofile_limit();
    let logs = Logs::open(config)?;
    let listeners = listen(config)?;
    sweep(config);
    let opened = config.tls.as_ref().map(Certificate::open).transpose()?;
    let (tls, authority) = opened.map_or((None, None), |(tls, authority)| (Some(tls), authority));
    let kept = Kept::new(config, &logs, authority)?;
    let mut server = Server::new(app(config, &kept)?, options(config), listeners).on_warning(say);
    if let Some(tls) = tls.clone() {
        server = server.tls(tls);
    }
    if let Some(sink) = logs.connections.clone() {
        server = tell_closed(server, sink);
    }
    let ports = ports(&places(server.local_addrs()));
    let beside = Beside::start(config, &kept, &ports)?;
    let metrics = Beside::metrics(config, server.handle().metrics())?;
    let redirects = Beside::redirects(config, &kept, &ports)?;
    let greeting = if config.log.quiet {
        String::new()
    } else {
        greeting(config, &kept, &server, &[&beside, &metrics, &redirects])
    };
    // Until the server has ended.
    let _announced = config.listen.mdns.as_deref().and_then(|name| {
        mdns::announce(
            name,
            &places(server.local_addrs()),
            &format!("{}/", config.listen.path_prefix),
            config.tls.is_some(),
        )
    });
    let mut steering = Steering {
        handle: server.handle(),
        webrepl: beside.as_ref().map(|beside| (beside.handle.clone(), beside.places.clone())),
        redirects: redirects.as_ref().map(|beside| beside.handle.clone()),
        places: places(server.local_addrs()),
        tls,
        invocation,
        kept,
        config: config.clone(),
        at_start: config.run.as_ref().and_then(|run| run.at_start.clone()),
        status: banner::status(config, &places(server.local_addrs())),
        is_stopping: false,
    };
    let result = server.run_with(async move {
        if let Err(error) = steering.run(&greeting).await {
            say(&format!("signals cannot be watched: {error}"));
        }
    });
    for beside in [beside, metrics, redirects].into_iter().flatten() {
        beside.finish();
    }
    logs.finish();
    match result {
        Ok(()) => Ok(()),
        // The grace is over: what was asked for has happened, if less gently.
        Err(ServeError::Cut(_)) => {
            if let Err(error) = &result {
                say(&error.to_string());
            }
            Ok(())
        }
        Err(error) => Err(Problem::failure(error.to_string())),
    }
}

fn greeting(
    config: &Config,
    kept: &Kept,
    server: &Server,
    beside: &[&Option<Beside>; 3],
) -> String {
    let (places, interfaces) = (places(server.local_addrs()), banner::interfaces());
    let mut text = banner::text(config, &places, &interfaces, io::stderr().is_terminal());
    let [webrepl, metrics, redirects] = beside.map(Option::as_ref);
    if let Some(beside) = webrepl {
        for url in banner::beside("ws", "", &beside.places, &interfaces) {
            text.push_str(&format!("WebREPL: {url}\n"));
        }
    }
    if let Some(metrics) = metrics {
        text.push_str(&metrics.tell_metrics());
    }
    let redirects = redirects.map_or(&[][..], |beside| &beside.places);
    for url in banner::beside("http", "", redirects, &interfaces) {
        text.push_str(&format!("Leads to https: {url}\n"));
    }
    if let Some(authority) = &kept.authority {
        text.push_str(&banner::trust(config, authority, (&places, redirects), &interfaces));
    }
    text
}
