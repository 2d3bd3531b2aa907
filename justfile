# Everything a recipe writes lies in this folder; another one: `just artifacts=/tmp/a train-all`
artifacts := "artifacts"
python := "python"
# Seed of training: `just seed=1 artifacts=artifacts/seed1 train-all`
seed := "0"

# List the recipes
default:
    @just --justfile={{quote(justfile())}} --list --unsorted

# Prepare data, then train, export and score mf, bert and hybrid: `just train-all preset=paper dataset=ml-100k`
train-all *options: (data replace_regex(options, "preset=[^ ]+", "")) (train-three if options =~ "preset=" { replace_regex(options, "^.*(preset=[^ ]+).*$", "$1") } else { "" }) export-all score-all curves

# Write the interactions and items of a data set, given by name or path: `just data dataset=ml-1m`
data *options:
    {{python}} -m train.data --artifacts={{artifacts}} {{options}}

[private]
train-three *options: (train "mf" options) (train "bert" options) (train "hybrid" options)

# Train one model (mf, bert or hybrid), resuming an interrupted run: `just train bert epochs=5`
train kind *options:
    {{python}} -m train {{kind}} --artifacts={{artifacts}} --seed={{seed}} {{options}}

# Train the members of best.onnx, blend them, export and score: `just train-best dataset=ml-100k`
train-best *options: (data options) (train "ease") (train "markov") (train "content") (train "bert") (train "hybrid") && score-best
    {{python}} -m train best --artifacts={{artifacts}} --seed={{seed}}
    {{python}} -m export best --artifacts={{artifacts}}

[private]
score-best: (score "best") compare

# Write mf.onnx, bert.onnx and hybrid.onnx from the trained checkpoints
export-all:
    {{python}} -m export --artifacts={{artifacts}}

# Score every user with one model: `just score hybrid k=20`
score kind *options:
    {{python}} -m infer.batch --model={{artifacts}}/{{kind}}.onnx {{options}}

# Score every user with all three models, and compare their metrics
score-all: (score "mf") (score "bert") (score "hybrid") compare

# Evaluate one model under every protocol, with cold-start cohorts: `just evaluate hybrid`
evaluate kind *options:
    {{python}} -m infer.evaluate --model={{artifacts}}/{{kind}}.onnx {{options}}

# Print the metrics of all scored models side by side
compare:
    {{python}} -m infer.compare --artifacts={{artifacts}}

# Show how the models trained, on one page (training.html): `just curves bert hybrid`
curves *names:
    {{python}} -m bench.curves {{names}} --artifacts={{artifacts}}

# Recommend to one user and show what was held out, with one model or several: `just recommend 1 hybrid,mf`
recommend user kinds="hybrid" *options:
    {{python}} -m infer.recommend --model={{artifacts}}/{{replace(kinds, ",", ".onnx," + artifacts + "/")}}.onnx --user={{user}} {{options}}

# Compare all models over several seeds; tables and study/study.html: `just study short=true`
study *options:
    {{python}} -m bench.study --artifacts={{artifacts}} {{options}}

# Run the tests
test *options:
    {{python}} -m pytest {{options}}

# Run the benchmarks, about five minutes on two cores: `just bench --benchmark-json=run.json`
bench *options:
    {{python}} -m pytest --benchmark-only {{options}}

# Show benchmark runs on one page, by default those in bench/results: `just report run.json`
report *options:
    {{python}} -m bench.report {{options}}

# On a machine with an NVIDIA GPU, in under ten minutes: its tests, the benchmarks, their records in bench/results
cuda:
    {{python}} -m pytest -rs tests/infer/test_cuda.py tests/train/test_cuda.py
    {{python}} -m pytest --benchmark-only --device=cuda --benchmark-json=bench/results/run-cuda.json
    {{python}} -m bench.scale --size=1m --device=cuda --record=bench/results/scale-1m-cuda.json
    {{python}} -m bench.scale --size=32m --device=cuda --record=bench/results/scale-32m-cuda.json

# Mark what became slower than in a saved run: `just bench-compare run.json bench/results/run-cpu-2-cores.json`
bench-compare *options:
    {{python}} -m bench.compare {{options}}

# Run the tests under another Python, in an environment of its own: `just check-python python3.12`
check-python command:
    {{command}} -m venv build/check-{{command}}
    build/check-{{command}}/bin/python -m pip install -q -c constraints.txt -e ".[dev]"
    build/check-{{command}}/bin/python -m pytest -q

# Break the code in small ways and list what no test notices, about an hour on two cores: `just mutants --sample=100`
mutants *options:
    {{python}} -m tests.tools.mutants {{options}}

# Print every installed distribution with its licence; fails if one is unknown or not allowed
licences:
    {{python}} -m tests.tools.licences

# Look up known vulnerabilities of the pinned versions, with pip-audit in an environment of its own
audit:
    {{python}} -m tests.tools.audit

# Check style, imports and types; pre-commit runs the same
lint:
    ruff check .
    ruff format --check .
    mypy
