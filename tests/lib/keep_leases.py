# SPDX-License-Identifier: BSD-2-Clause
"""keep_leases.py READY FILE...: keeps a lease (fcntl F_SETLEASE, F_WRLCK) on
each file until it is killed, whoever asks to open it. READY is made then."""
import fcntl
import os
import signal
import sys

signal.signal(signal.SIGIO, signal.SIG_IGN)
descriptors = []
for name in sys.argv[2:]:
    fd = os.open(name, os.O_RDWR)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    descriptors.append(fd)
open(sys.argv[1], "w").close()
while True:
    signal.pause()
