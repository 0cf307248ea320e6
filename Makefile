# The five verbs. Each installs what it needs first (tools/bootstrap.py, standard library only), then goes on as an ordinary user.
#   make up                     start the lab                make up ARGS="--domain lab.example.org"
#   make test                   checks, then all tests       make test ONLY=services
#   make check | bench | docs   style and types | benchmarks beside their peers | pictures and generated pages
PYTHON ?= $(firstword $(wildcard /usr/bin/python3 /usr/local/bin/python3) python3)

.PHONY: up down status test check bench docs
up down status test check bench docs:
	@$(PYTHON) tools/bootstrap.py $@ $(if $(ONLY),--only "$(ONLY)") -- $(ARGS)
