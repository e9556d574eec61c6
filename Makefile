# One environment, .venv, beside the sources. What was installed into it is remembered by stamps named after the
# content they stand for (.ci/fingerprint.py), so that a second run installs nothing and a change what it touches:
#   venv     the interpreter                                  -> a new environment
#   demo     setup.py and setup.cfg                           -> what `make demo` depends on
#   test     the same                                         -> what `make test` depends on
#   package  the package, launch files, configurations, ...   -> the package alone, in seconds
# The package is installed, not linked: the tests and the demo meet the files, and only the files, that users get.
#
#   make demo ARGS="..."            make test ARGS="-k name -x"
#   make demo PYTHON=python3.12     make test TORCH_PIP_ARGS="--index-url <where the wanted build of torch is offered>"

PYTHON ?= python3
ARGS ?=
# Options for a pip run of its own that installs torch before everything else; empty: no such run.
TORCH_PIP_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow mutation lint bench bench-training clean
.NOTPARALLEL:

# A sourced ROS has an rclpy of its own, for its own Python; .venv brings one, whose only middleware is Fast DDS.
unexport PYTHONPATH PYTHONHOME AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH
unexport RMW_IMPLEMENTATION _ROS_WHEELS_BOOTSTRAP_COMPLETE
ifdef AMENT_PREFIX_PATH
unexport LD_LIBRARY_PATH
endif
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_USER := 0

ifneq ($(filter demo test test-slow mutation lint bench bench-training,$(MAKECMDGOALS)),)
FOUND := $(shell $(PYTHON) .ci/fingerprint.py 2>/dev/null)
ifeq ($(FOUND),)
$(error '$(PYTHON)' ($(shell $(PYTHON) --version 2>&1 | tail -1)) is no Python 3.10 to 3.13; \
name one, as in: make $(firstword $(MAKECMDGOALS)) PYTHON=python3.12)
endif
# An installation that was cut short may have left half a package: start from nothing.
ifneq ($(wildcard $(STAMPS)/installing),)
$(info humanoid_rl_ros: the last installation did not finish: starting again)
$(shell rm -rf $(VENV))
endif
endif
VENV_STAMP := $(STAMPS)/venv-$(word 1,$(FOUND))
DEMO_STAMP := $(STAMPS)/demo-$(word 2,$(FOUND))
TEST_STAMP := $(STAMPS)/test-$(word 2,$(FOUND))
PACKAGE_STAMP := $(STAMPS)/package-$(word 3,$(FOUND))

say := @echo humanoid_rl_ros:
pip := $(BIN)/python -m pip install --quiet
# setuptools would ship what an earlier build left there.
old_build := rm -rf build/lib build/bdist.*

help:
	@echo 'make demo       see a humanoid walk under ROS 2 (installs into .venv the first time)'
	@echo 'make test       every test but the slow ones; make test-slow: those'
	@echo 'make mutation   changes the safety layer in every small way, and counts what its tests do not notice'
	@echo 'make lint       style, types and import contracts'
	@echo 'make bench      latency of the control path'
	@echo 'make bench-training   steps a second while learning; beside other libraries where they are installed'
	@echo 'make clean      remove .venv, builds and caches'

demo: $(DEMO_STAMP) $(PACKAGE_STAMP)
	@$(BIN)/humanoid_rl demo $(ARGS)

bench: $(DEMO_STAMP) $(PACKAGE_STAMP)
	@$(BIN)/humanoid_rl bench latency $(ARGS)

bench-training: $(TEST_STAMP) $(PACKAGE_STAMP)
	@$(BIN)/humanoid_rl bench training $(ARGS)

# PYTHONSAFEPATH: `python -m humanoid_rl_ros...`, started by a test from here, meets the installed package too.
test: $(TEST_STAMP) $(PACKAGE_STAMP)
	@PYTHONSAFEPATH=1 .ci/test $(BIN)/pytest $(ARGS)

test-slow: $(TEST_STAMP) $(PACKAGE_STAMP)
	@PYTHONSAFEPATH=1 $(BIN)/pytest -m slow $(ARGS)

# In mutants/, whose tests meet the changed sources there before any installed ones.
mutation: $(TEST_STAMP) $(PACKAGE_STAMP)
	@$(pip) 'mutmut>=3.8,<4'
	@$(BIN)/mutmut run $(ARGS)
	@$(BIN)/mutmut results

lint: $(TEST_STAMP)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build dist mutants *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find humanoid_rl_ros test -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV_STAMP):
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "error: '$(PYTHON)' cannot make an environment: \
	install its venv module (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	$(say) 'making .venv with Python $(word 4,$(FOUND)) (once)'
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(pip) 'setuptools>=68,<80' 'wheel>=0.43'
	@mkdir -p $(STAMPS)
	@touch $@

$(DEMO_STAMP): | $(VENV_STAMP)
	$(say) 'installing ROS 2, MuJoCo, ONNX Runtime and the command line into .venv (once; minutes)'
	@touch $(STAMPS)/installing
	@$(old_build)
	@$(pip) --no-build-isolation '.[demo]'
	@rm -f $(STAMPS)/demo-* $(STAMPS)/test-* $(STAMPS)/package-* $(STAMPS)/installing
	@touch $@ $(PACKAGE_STAMP)

$(TEST_STAMP): | $(VENV_STAMP)
	$(say) 'installing ROS 2, MuJoCo, PyTorch and the test tools into .venv (once; minutes)'
	@touch $(STAMPS)/installing
	@$(old_build)
ifneq ($(TORCH_PIP_ARGS),)
	@$(pip) $(TORCH_PIP_ARGS) $$(grep -o 'torch==[0-9.]*' setup.py)
endif
	@$(pip) --no-build-isolation '.[demo,train,test]'
	@$(pip) --no-deps 'mjlab>=1.6,<1.7'  # for its model of the Unitree G1 alone
	@rm -f $(STAMPS)/demo-* $(STAMPS)/test-* $(STAMPS)/package-* $(STAMPS)/installing
	@touch $@ $(DEMO_STAMP) $(PACKAGE_STAMP)

$(PACKAGE_STAMP): | $(VENV_STAMP)
	$(say) 'installing the package as it is now'
	@$(old_build)
	@$(pip) --no-deps --no-build-isolation --force-reinstall .
	@rm -f $(STAMPS)/package-*
	@touch $@
