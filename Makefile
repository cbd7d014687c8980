# One environment, one test command. Windows and macOS users: README.md spells the same steps out.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
TESTS_OF_EXTRAS := $(addprefix tests/,inference/test_openvino_engine.py inference/test_export_int8.py \
	inference/test_export_half.py inference/test_millimetres.py training/test_watching.py)

PYTEST := $(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder  # tests/conftest.py orders the modules

.PHONY: demo test test-full test-extras lint setup setup-bench setup-extras lock

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q src
	touch $@

setup-bench: .venv-bench/.ready  # the peers that benchmarks compare with, apart from our environment

.venv-bench/.ready: benchmarks/requirements.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet -r benchmarks/requirements.txt
	touch $@

setup-extras: .venv-extras/.ready  # our environment and the optional packages: OpenVINO, TensorBoard, MLflow

.venv-extras/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv-extras
	.venv-extras/bin/python -m pip install --quiet --require-hashes -r requirements.lock
	.venv-extras/bin/python -m pip install --quiet --no-build-isolation -e '.[openvino,tensorboard,mlflow]'
	touch $@

demo: setup
	$(BIN)/spleenseg demo --out demo

lint: setup
	$(BIN)/ruff check src tests docs benchmarks projects
	$(BIN)/ruff format --check src tests docs benchmarks projects
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(PYTEST)

test-full: lint test-extras
	$(PYTEST) --full

test-extras: setup-extras  # what needs an optional package; a process for each file
	for tests in $(TESTS_OF_EXTRAS); do .venv-extras/bin/pytest $$tests || exit 1; done

lock: setup  # needs uv; `make lock` after a change of the dependencies
	$(BIN)/python -m uv pip compile pyproject.toml --extra train --extra dev --universal --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet --output-file requirements.lock
