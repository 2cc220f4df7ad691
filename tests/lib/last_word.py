#!/usr/bin/python3 -I
# SPDX-License-Identifier: BSD-2-Clause
"""last_word.py ROUNDS EVENT COMMAND...: does the last record tell the truth?

Runs COMMAND ROUNDS times with descriptor 9 for its --events, and sends SIGTERM
as soon as EVENT was told there, each time a little later. Prints every round
in which the last record and what wait(2) saw differ, and fails then.
"""

import json
import os
import signal
import subprocess
import sys
import time


def one_round(number, event, command):
    reader, writer = os.pipe()
    os.dup2(writer, 9)
    os.close(writer)
    process = subprocess.Popen(command, pass_fds=[9],
                               stderr=subprocess.DEVNULL)
    os.close(9)
    last = None
    with os.fdopen(reader, "r", encoding="utf-8") as records:
        for line in records:
            last = json.loads(line)
            if last["event"] != event:
                continue
            end = time.monotonic() + number % 50 * 10e-6
            while time.monotonic() < end:
                pass
            # Not reaped yet, so it is nobody else's pid.
            os.kill(process.pid, signal.SIGTERM)
    status = process.wait()
    told = last["exit_code"]
    if last["signal"]:
        told = -signal.Signals[last["signal"]].value
    if last["event"] == "ended" and told == status:
        return True
    print(f"round {number}: status {status}, last record: {last}")
    return False


def main():
    rounds, event, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    results = [one_round(i, event, command) for i in range(rounds)]
    sys.exit(0 if all(results) else 1)


main()
