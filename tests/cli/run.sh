#!/bin/sh
# Runs a Python test program with its arguments.
exec python3 "$@"
