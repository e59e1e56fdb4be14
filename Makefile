PYTHON ?= python3
# Index of CPU-only torch wheels for Linux; empty takes what the usual index has (CUDA, gigabytes).
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

BIN := .venv/bin
STAMP := .venv/.installed

# One thread in each of two processes: the tests' images are too small for more. On Linux the viewer's tests draw on a
# virtual X server, which pytest-xvfb starts.
TEST_ENV := QT_API=pyside6 PYTEST_QT_API=pyside6 OMP_NUM_THREADS=1
ifeq ($(shell uname -s),Linux)
TEST_ENV += QT_QPA_PLATFORM=xcb
endif

.PHONY: demo test lint setup system-packages clean
.DEFAULT_GOAL := test

demo: setup
	$(BIN)/napari-selfdeblur demo -o demo_output

test: system-packages lint
	$(TEST_ENV) $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/npe2 validate napari-selfdeblur

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt scripts/setup.sh scripts/apt_install.sh
	PYTHON="$(PYTHON)" TORCH_INDEX="$(TORCH_INDEX)" scripts/setup.sh .venv
	@touch $@

system-packages:
	@scripts/system_packages.sh

clean:
	rm -rf .venv .tox .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist demo_output
