#!/usr/bin/env bash
# Runs the targets by plain cargo: ./run.sh SECONDS [TARGET…]
set -eu
cd "$(dirname "$0")"
seconds=${1:?seconds for each target}
shift
targets=${*:-sequence_file java_stream layout graph_file tokenizer plain html rtf cda fhir_document pdf}
# The counters that libFuzzer is led by; the host is named so that build scripts are built without them.
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
host=$(rustc -vV | sed -n 's/^host: //p')
cargo build --release --target "$host"
for target in $targets; do
  mkdir -p "corpus-grown/$target" artifacts
  "target/$host/release/$target" "corpus-grown/$target" "seeds/$target" -max_total_time="$seconds" -rss_limit_mb=2048 \
    -timeout=10 -print_final_stats=1 -artifact_prefix="artifacts/$target-"
done
