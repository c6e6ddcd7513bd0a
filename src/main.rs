//! The executable: arguments, settings, exit code.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use responsum::app::{self, Misuse, Role};
use responsum::classify::model::Model;
use responsum::command::extract::ExtractError;
use responsum::command::{annotate, eval, export, extract, model, subscriptions, texts};
use responsum::config::{Config, ConfigError, ConfigSource};
use responsum::domain::document::SourceName;
use responsum::domain::job::JobKind;
use responsum::extract::{self as reading, Isolation};
use responsum::telemetry;

/// Reads the reports an EHR already has and says, with evidence, whether the patient responded to treatment
#[derive(Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "\
Results go to stdout, progress and logs to stderr. Exit status: 0 done, 1 failed, 2 wrong usage or
settings.

Examples:
  responsum serve --embedded-db
  responsum annotate reports.ndjson > annotations.ndjson"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service: FHIR API and workers
    Serve(ServeArgs),
    /// Show the narrative of one file or FHIR resource: all that is read, and what is not
    Extract(ExtractArgs),
    Annotate(annotate::AnnotateArgs),
    Eval(eval::EvalArgs),
    Model(model::ModelCommandArgs),
    Subscriptions(subscriptions::SubscriptionsArgs),
    /// Check the settings and say all that is wrong with them
    CheckConfig(ConfigArgs),
    /// Bring the database's schema to this version
    Migrate(DatabaseArgs),
    /// Give jobs that were given up another chance, once their cause is mended
    Replay(ReplayArgs),
    /// Write what people have decided on answers, as labelled texts for `eval` and for training
    ExportDecisions(ExportArgs),
    /// Ask a running service whether it is ready (exit status 0) or not (1); for container health checks
    Health(HealthArgs),
    /// Read one attachment for another process of this program: its limits hold for this one alone
    #[command(hide = true)]
    ReadAttachment(ReadAttachmentArgs),
}

#[derive(Args)]
struct ConfigArgs {
    /// Settings file (TOML); every key can be overridden by `RESPONSUM__SECTION__KEY`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Args)]
struct DatabaseArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Run a private Postgres under the data directory instead of using `DATABASE_URL`
    #[arg(long)]
    embedded_db: bool,
    /// Where the private Postgres keeps its data [default: ~/.local/share/responsum, for root /var/lib/responsum]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  responsum serve --embedded-db                      # everything on this machine, for local clients
  DATABASE_URL=postgres://… responsum serve --listen 0.0.0.0:8080 --config responsum.toml
  responsum serve --role worker                      # jobs only, beside other processes with --role api")]
struct ServeArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Which parts run in this process
    #[arg(long, value_enum, default_value = "all")]
    role: Role,
    /// Address and port of the API [default: 127.0.0.1:8080]; another than loopback needs access tokens
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<std::net::SocketAddr>,
}

#[derive(Args)]
#[command(after_help = "\
The file is a FHIR DiagnosticReport or DocumentReference in JSON, or the text of a report in any
format that is read (see docs/formats.md). Printed is everything that was read, in order: the
report, its results, codes and notes, its conclusion, text that it hides. What was not read is
told on stderr, with the reason. --json prints instead one object:
  text       the narrative, whose sections and sentences follow
  sections   kind, title, and start and end in Unicode code points and in bytes; the kinds header,
             footer, signature and hidden are not read by the model
  sentences  section (index), kind, start and end
  source     of each: which rendition (index into coverage.read), its FHIR path, and the place in
             it: characters of the decoded text, xpath of C-CDA, pages of PDF
  coverage   read: which renditions, as which format, how many characters; unread: what was not,
             and why
Exit status: 0 something was read, 1 nothing could be read, 2 the file cannot be opened.

Examples:
  responsum extract report.html
  responsum extract --content-type 'text/plain; charset=iso-8859-1' report.txt
  responsum extract --json diagnostic-report.json
  curl -s https://ehr.example/fhir/DiagnosticReport/7 | responsum extract -")]
struct ExtractArgs {
    /// Media type of the file, with its parameters, as an attachment's contentType would say it
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Print JSON: text, sections, sentences, their places, and coverage
    #[arg(long)]
    json: bool,
    /// The file; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  responsum replay                                   # all of them
  responsum replay --source ehr --kind emit          # what could not be written back to one source")]
struct ReplayArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Only those of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only those of this kind
    #[arg(long, value_name = "KIND", value_parser = clap::builder::PossibleValuesParser::new(JobKind::CODES))]
    kind: Option<String>,
}

#[derive(Args)]
#[command(after_help = "\
The rows hold the whole texts of reports: they are as confidential as the reports themselves. Each
is {\"id\", \"text\", \"label\": \"Yes\"|\"No\"|\"NA\", \"category\"?, \"ambiguous\"?, \"evidence\", \"said\",
\"comment\"?, \"decidedAt\"}. With \"ambiguous\": true, no label is known to be right: label is what the
machine said and the person refuted without saying what is right, or a later decision holds.

Examples:
  responsum export-decisions > decisions.jsonl
  responsum eval decisions.jsonl")]
struct ExportArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Also decisions that a later one on the same version of the report has changed
    #[arg(long)]
    all: bool,
}

#[derive(Args)]
struct HealthArgs {
    /// Address of the service
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    address: std::net::SocketAddr,
}

#[derive(Args)]
struct ReadAttachmentArgs {
    /// What the attachment is
    #[arg(long)]
    format: String,
    /// How many bytes come on standard input
    #[arg(long)]
    bytes: usize,
}

fn main() -> ExitCode {
    // Before anything may use TLS. It fails only if it was called before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Cli { command } = Cli::parse();
    match run(command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(io::stderr(), "responsum: {}", chain(&error));
            let misuse = error.chain().any(|cause| {
                let no_file = cause.downcast_ref::<ExtractError>().is_some_and(ExtractError::is_misuse);
                cause.is::<ConfigError>() || cause.is::<Misuse>() || no_file
            });
            ExitCode::from(if misuse { 2 } else { 1 })
        }
    }
}

/// An error and its causes; a cause that its error already tells is not told twice.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Runs a command: true if all went well.
fn run(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Serve(args) => serve(&args).map(|()| true),
        Command::Extract(args) => extract_file(&args),
        Command::Annotate(args) => annotate_files(&args),
        Command::Eval(args) => evaluate(&args).map(|()| true),
        Command::Model(args) => look_into_model(args.command).map(|()| true),
        Command::Subscriptions(args) => subscribe(&args.command),
        Command::CheckConfig(args) => check_config(args.config.as_deref()).map(|()| true),
        Command::Migrate(args) => migrate(&args).map(|()| true),
        Command::Replay(args) => replay(&args).map(|()| true),
        Command::ReadAttachment(args) => {
            reading::serve(&args.format, args.bytes, io::stdin().lock(), io::stdout().lock())?;
            Ok(true)
        }
        Command::ExportDecisions(args) => export_decisions(&args).map(|()| true),
        Command::Health(args) => Ok(responsum::command::health::run(args.address)?),
    }
}

fn source(args: &DatabaseArgs) -> ConfigSource {
    ConfigSource {
        file: args.config.config.clone(),
        listen: None,
        embedded: args.embedded_db,
        data_dir: args.data_dir.clone(),
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")
}

fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let source = ConfigSource { listen: args.listen, ..source(&args.database) };
    telemetry::start_logs();
    runtime()?.block_on(app::serve(source, args.role))
}

fn migrate(args: &DatabaseArgs) -> anyhow::Result<()> {
    let config = source(args).load()?;
    telemetry::start_logs();
    runtime()?.block_on(async {
        let database = app::Database::join(&config.database).await?;
        database.close().await?;
        writeln!(io::stderr(), "the schema is that of version {}", env!("CARGO_PKG_VERSION"))?;
        Ok(())
    })
}

fn subscribe(command: &subscriptions::SubscriptionsCommand) -> anyhow::Result<bool> {
    use subscriptions::SubscriptionsCommand::{Create, List, Repair};
    let (Create(at) | List(at) | Repair(at)) = command;
    let config =
        ConfigSource { file: at.config.clone(), listen: None, embedded: at.embedded_db, data_dir: at.data_dir.clone() };
    let config = config.load()?;
    telemetry::start_logs();
    runtime()?.block_on(async {
        let database = app::Database::join(&config.database).await?;
        let done = subscriptions::run(command, &config, &database.store, io::stdout().lock()).await;
        database.close().await?;
        done
    })
}

fn export_decisions(args: &ExportArgs) -> anyhow::Result<()> {
    let config = source(&args.database).load()?;
    telemetry::start_logs();
    runtime()?.block_on(async {
        let database = app::Database::join(&config.database).await?;
        let written = export::run(&database.store, args.all, &mut io::stdout().lock()).await;
        database.close().await?;
        writeln!(io::stderr(), "{} decisions", written?)?;
        Ok(())
    })
}

fn replay(args: &ReplayArgs) -> anyhow::Result<()> {
    let config = source(&args.database).load()?;
    let name = args.source.as_deref().map(|name| {
        let known = SourceName::new(name)
            .filter(|name| config.sources.contains_key(name.as_str()) || *name == SourceName::local());
        known.ok_or_else(|| Misuse(format!("--source: the settings have no source \"{name}\"")))
    });
    let name = name.transpose()?;
    telemetry::start_logs();
    runtime()?.block_on(async {
        let database = app::Database::join(&config.database).await?;
        let replayed = database.store.replay(name.as_ref(), args.kind.as_deref()).await;
        database.close().await?;
        writeln!(io::stdout(), "jobs that get another chance: {}", replayed?)?;
        Ok(())
    })
}

fn check_config(file: Option<&Path>) -> anyhow::Result<()> {
    let config = Config::load(file)?;
    app::check(&config, Role::All)?;
    writeln!(io::stdout(), "the settings are in order")?;
    Ok(())
}

fn extract_file(args: &ExtractArgs) -> anyhow::Result<bool> {
    let input = extract::input(&args.file)?;
    let isolation = Isolation::of_this_program();
    let (mut out, mut notices) = (io::stdout().lock(), io::stderr().lock());
    Ok(extract::run(args.content_type.as_deref(), args.json, &input, &isolation, &mut out, &mut notices)?)
}

fn annotate_files(args: &annotate::AnnotateArgs) -> anyhow::Result<bool> {
    let classifier = args.model.start()?;
    let input = texts::open(&args.files)?;
    let tally =
        annotate::run(&classifier, args.unit, &Isolation::of_this_program(), input, io::stdout().lock(), progress())?;
    Ok(tally.failed == 0)
}

fn evaluate(args: &eval::EvalArgs) -> anyhow::Result<()> {
    let classifier = args.model.start()?;
    let input = texts::open(std::slice::from_ref(&args.data))?;
    let what = eval::What { unit: args.unit, by: args.by.as_deref(), calibrate: args.calibrate.is_some() };
    let evaluation = eval::run(&classifier, &what, input, progress())?;
    if let Some(path) = &args.calibrate {
        evaluation.write_calibration(path).with_context(|| format!("writing {}", path.display()))?;
    }
    evaluation.write(args.json, io::stdout().lock())?;
    Ok(())
}

fn look_into_model(command: model::ModelCommand) -> anyhow::Result<()> {
    let load = |path: Option<PathBuf>| {
        Model::open(path.as_deref()).with_context(|| match &path {
            Some(path) => format!("loading the model {}", path.display()),
            None => "loading the built-in model".to_owned(),
        })
    };
    match command {
        model::ModelCommand::Inspect { path, json } => Ok(model::inspect(&load(path)?, json, io::stdout().lock())?),
        model::ModelCommand::Score { path, max_tokens, run } => {
            let mut model = load(path)?;
            if let Some(max_tokens) = max_tokens {
                model = model.with_max_tokens(max_tokens.get())?;
            }
            Ok(model::score(&model, &run, io::stdin().lock(), io::stdout().lock())?)
        }
    }
}

/// Where progress is shown: stderr, unless nobody looks.
fn progress() -> Box<dyn io::Write> {
    if io::stderr().is_terminal() { Box::new(io::stderr()) } else { Box::new(io::sink()) }
}
