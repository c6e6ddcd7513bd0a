//! `responsum subscriptions`: our Subscriptions at the sources of the settings.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use crate::clock::{Clock, SystemClock, instant};
use crate::config::Config;
use crate::domain::document::SourceName;
use crate::source::{Source, Sources};
use crate::store::Store;
use crate::subscriptions::{Made, Making, Standing, endpoint, list};

/// Make, show and mend our Subscriptions at the sources: by them, sources notify us of reports
#[derive(Args)]
pub struct SubscriptionsArgs {
    /// What to do
    #[command(subcommand)]
    pub command: SubscriptionsCommand,
}

/// What is done.
#[derive(Subcommand)]
pub enum SubscriptionsCommand {
    /// Make those that are missing: one for each entry of `listen`; what is there is found and stays
    #[command(after_help = "\
Examples:
  responsum subscriptions create --config responsum.toml
  responsum subscriptions create --source ehr --endpoint https://responsum.example.org --config responsum.toml")]
    Create(WhereArgs),
    /// Show those that we know: status, last event, last notification
    List(WhereArgs),
    /// Ask for those again that the source has given up, and make those that are gone
    #[command(after_help = "\
Example:
  responsum subscriptions repair --source ehr --config responsum.toml")]
    Repair(WhereArgs),
}

/// Which sources, and how they reach us.
#[derive(Args)]
pub struct WhereArgs {
    /// Only this source of the settings
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Settings file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Use the private Postgres under the data directory instead of `DATABASE_URL`, also beside a running service
    #[arg(long)]
    pub embedded_db: bool,
    /// Where the private Postgres keeps its data
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where the source reaches us, if not at the origin of `server.public_url`; /hooks/NAME is added
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
}

/// Does it for each source that is asked for: true if all went well.
pub async fn run(
    command: &SubscriptionsCommand,
    config: &Config,
    store: &Store,
    mut out: impl Write,
) -> anyhow::Result<bool> {
    let (SubscriptionsCommand::Create(at) | SubscriptionsCommand::List(at) | SubscriptionsCommand::Repair(at)) =
        command;
    let clock: std::sync::Arc<dyn Clock> = std::sync::Arc::new(SystemClock);
    let sources = Sources::build(config, &clock)?;
    let mut all_well = true;
    for source in chosen(&sources, at)? {
        writeln!(out, "{}:", source.name.as_str())?;
        // What one source cannot do says nothing of the next.
        match one(command, source, config, store, clock.as_ref()).await {
            Ok(Done::Listed(all)) => show(&all, &mut out)?,
            Ok(Done::Made(all)) => all_well &= tell(&all, &mut out)?,
            Ok(Done::Polled) => writeln!(
                out,
                "  polled every {} s: no hook_secret_file is set, so it cannot notify us",
                source.settings.poll_seconds
            )?,
            Err(error) => {
                all_well = false;
                writeln!(out, "  failed: {error:#}")?;
            }
        }
    }
    Ok(all_well)
}

/// What was done at one source.
enum Done {
    Listed(Vec<Standing>),
    Made(Vec<Made>),
    /// It is one that does not notify us.
    Polled,
}

async fn one(
    command: &SubscriptionsCommand,
    source: &Source,
    config: &Config,
    store: &Store,
    clock: &dyn Clock,
) -> anyhow::Result<Done> {
    let (at, repair) = match command {
        SubscriptionsCommand::List(_) => return Ok(Done::Listed(list(store, source).await?)),
        SubscriptionsCommand::Create(at) => (at, false),
        SubscriptionsCommand::Repair(at) => (at, true),
    };
    if source.settings.hook_secret_file.is_none() && at.source.is_none() {
        return Ok(Done::Polled);
    }
    let (endpoint, secret) = (endpoint_of(source, config, at)?, secret_of(source)?);
    let making = Making { source, store, clock, endpoint, secret };
    let made = if repair { making.repair().await? } else { making.create().await? };
    Ok(Done::Made(made))
}

fn chosen<'a>(sources: &'a Sources, at: &WhereArgs) -> anyhow::Result<Vec<&'a Source>> {
    let all: Vec<&Source> = match &at.source {
        None => sources.iter().map(AsRef::as_ref).collect(),
        Some(name) => {
            SourceName::new(name).and_then(|name| sources.get(&name)).map(AsRef::as_ref).into_iter().collect()
        }
    };
    anyhow::ensure!(
        !all.is_empty(),
        "no such source with a base_url in the settings: [sources.{}]",
        at.source.as_deref().unwrap_or("NAME")
    );
    Ok(all)
}

fn endpoint_of(source: &Source, config: &Config, at: &WhereArgs) -> anyhow::Result<String> {
    let ours = format!("http://{}", config.server.listen);
    let public = at.endpoint.as_deref().or(config.server.public_url.as_deref()).unwrap_or(&ours);
    endpoint(public, source.name.as_str())
        .with_context(|| "the endpoint is not an http or https URL (--endpoint, server.public_url)".to_owned())
}

/// What the header carries. A `Bearer` scheme is put before it where the header has schemes.
fn secret_of(source: &Source) -> anyhow::Result<String> {
    let name = source.name.as_str();
    let file = source.settings.hook_secret_file.as_deref();
    let file =
        file.with_context(|| format!("[sources.{name}] hook_secret_file is not set: notifications would be refused"))?;
    let secret = std::fs::read_to_string(file).with_context(|| format!("reading [sources.{name}] hook_secret_file"))?;
    let secret = secret.trim().to_owned();
    let bare = source.settings.hook_secret_header.eq_ignore_ascii_case("authorization") && !secret.contains(' ');
    Ok(if bare { format!("Bearer {secret}") } else { secret })
}

fn tell(all: &[Made], out: &mut impl Write) -> std::io::Result<bool> {
    for made in all {
        writeln!(
            out,
            "  {:<6} {:<9} {:<8} Subscription/{}  {}",
            made.done,
            made.state.code(),
            made.kind.code(),
            made.id.as_str(),
            made.criteria
        )?;
        for note in &made.notes {
            writeln!(out, "         {note}")?;
        }
    }
    Ok(all.iter().all(|made| !made.state.is_broken()))
}

fn show(all: &[Standing], out: &mut impl Write) -> std::io::Result<()> {
    if all.is_empty() {
        writeln!(out, "  none (responsum subscriptions create makes them)")?;
    }
    for Standing { known, state } in all {
        let heard = known.heard_at.map_or_else(|| "never".to_owned(), instant);
        let event = known.last_event.map_or_else(|| "-".to_owned(), |event| event.to_string());
        writeln!(
            out,
            "  {:<9} {:<8} last event {event:<6} last heard {heard}  Subscription/{}  {}",
            state.map_or("gone", |state| state.code()),
            known.kind.code(),
            known.id.as_str(),
            known.criteria.as_deref().unwrap_or("made by others")
        )?;
        if known.gap_since.is_some() {
            writeln!(out, "            events up to {} are missing and are asked for", known.announced)?;
        }
    }
    Ok(())
}
