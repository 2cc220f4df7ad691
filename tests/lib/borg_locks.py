#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
#
# borg_locks.py REPOSITORY x|s TURNS RECORD OVERLAP: take and give back borg's
# own lock, by borg's own code, so many times. Within it kernel locks of the
# same kinds must all be free on RECORD; if not, OVERLAP says so. Each turn is
# a line in RECORD. With --import it only says whether there is such code.
#
# BORG_LOCKS_SLOW=SECONDS: the roster is truncated, and written so much later,
# as on a slow disk or network; the lock is kept, and left free, for as long.
import fcntl
import json
import os
import sys
import time

sys.path.append("/usr/lib/python3/dist-packages")
from borg.locking import Lock  # noqa: E402
from borg.platform import get_process_id  # noqa: E402

if sys.argv[1:] == ["--import"]:
    get_process_id()
    sys.exit(0)
repository, mode, turns, record, overlap = sys.argv[1:]
slow = float(os.environ.get("BORG_LOCKS_SLOW", "0"))
if slow > 0:
    write_at_once = json.dump

    def write_late(data, file):
        time.sleep(slow)
        write_at_once(data, file)

    json.dump = write_late
kinds = {"x": fcntl.LOCK_EX, "s": fcntl.LOCK_SH}
for _ in range(int(turns)):
    lock = Lock(os.path.join(repository, "lock"), exclusive=mode == "x",
                sleep=0.005, timeout=60).acquire()
    with open(record, "a") as inside:
        try:
            fcntl.flock(inside, kinds[mode] | fcntl.LOCK_NB)
        except BlockingIOError:
            with open(overlap, "a") as f:
                print("borg", mode, os.getpid(), file=f)
        time.sleep(max(0.002, slow))
        print("borg", mode, file=inside, flush=True)
    lock.release()
    time.sleep(slow)
