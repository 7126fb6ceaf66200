//! `serve`, `check-config` and `sign-in`.

use crate::cli::{CheckConfigArgs, ServeArgs, SocketArgs};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::exit::Exit;
use crate::{client, daemon, output};
use hyper::Method;
use serde_json::json;
use std::sync::Arc;
use suimon_base::{Actor, Clock};
use tokio::signal::unix::{SignalKind, signal};

/// Runs the daemon until SIGTERM or SIGINT.
pub fn run(args: &ServeArgs, json: bool) -> anyhow::Result<Exit> {
    let config = Config::read(&args.config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let devices = config.devices.clone();
        let daemon = daemon::start(config, clock.clone(), devices).await?;
        let user = own_user();
        let link = daemon.sign_in.link_token(Actor::os_user(&user), clock.now());
        let url = format!("http://{}/sign-in?token={link}", daemon.address);
        if json {
            output::json(&json!({
                "stage": "ready",
                "pages": format!("http://{}/", daemon.address),
                "sign-in": url,
                "socket": daemon.socket,
                "collectors": daemon.collectors,
            }));
        } else {
            output::line(format!("pages      http://{}/", daemon.address));
            output::line(format!("sign in    {url}"));
            output::line(format!("           (once, within 15 minutes, as {user}; others run `suimon sign-in`)"));
            output::line(format!("socket     {}", daemon.socket.display()));
            for c in &daemon.collectors {
                output::line(format!("flows      udp {c}"));
            }
        }
        let mut term = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = term.recv() => {}
            result = tokio::signal::ctrl_c() => result?,
        }
        daemon.stop().await;
        Ok(Exit::Done)
    })
}

/// Checks a configuration file.
pub fn check(args: &CheckConfigArgs, json: bool) -> anyhow::Result<Exit> {
    let config = Config::read(&args.config)?;
    let customers = config.register.customers.len();
    if json {
        output::json(&json!({
            "ok": true,
            "customers": customers,
            "networks": config.detect.networks.len(),
            "collects": config.collect.is_some(),
        }));
    } else {
        output::line(format!(
            "{}: ok, {customers} customers, {} networks",
            args.config.display(),
            config.detect.networks.len()
        ));
    }
    Ok(Exit::Done)
}

/// Prints a one-time link for the calling user.
pub fn sign_in(args: &SocketArgs, json: bool) -> anyhow::Result<Exit> {
    let answer = client::call(&args.socket, Method::POST, "/api/v1/sign-in-link", Some(&json!({})))?.success()?;
    if json {
        output::json(&answer);
    } else {
        output::line(answer.get("url").and_then(|p| p.as_str()).unwrap_or_default());
    }
    Ok(Exit::Done)
}

/// The name of the user who runs this process.
pub fn own_user() -> String {
    let uid = nix::unistd::Uid::effective();
    nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| format!("uid-{uid}"), |u| u.name)
}
