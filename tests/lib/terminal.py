#!/usr/bin/python3 -I
# SPDX-License-Identifier: BSD-2-Clause
"""terminal.py DIR COMMAND...: a terminal without a person.

Runs COMMAND as the leader of a session on a new pseudo-terminal. What is
written to the fifo DIR/terminal.in is typed, what the terminal shows is
appended to DIR/terminal.log, its device's name is in DIR/terminal.name.
When COMMAND ends, its status goes to DIR/terminal.status as wait(2) has it.
Killing this program is hanging up: nobody else has the other end.
"""

import errno
import fcntl
import os
import select
import signal
import sys
import termios


def main(where, command):
    fifo = os.path.join(where, "terminal.in")
    os.mkfifo(fifo)
    # Open for writing as well, so that it never ends.
    typed = os.open(fifo, os.O_RDWR | os.O_CLOEXEC)
    log = os.open(os.path.join(where, "terminal.log"),
                  os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
    master, slave = os.openpty()
    name = os.path.join(where, "terminal.name")
    with open(name + ".new", "w", encoding="ascii") as f:
        f.write(os.ttyname(slave))
    child = os.fork()
    if child == 0:
        try:
            become(slave, command)
        finally:
            os._exit(127)
    os.close(slave)
    os.rename(name + ".new", name)
    copy(typed, master, log)
    _, status = os.waitpid(child, 0)
    with open(os.path.join(where, "terminal.status"), "w",
              encoding="ascii") as f:
        f.write(f"{status}\n")


def become(slave, command):
    """In the child: a login on the terminal, with nothing ignored."""
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in range(3):
        os.dup2(slave, fd)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        # Python ignores some, and so may whoever runs the tests.
        signal.signal(number, signal.SIG_DFL)
    os.execvp(command[0], command)


def copy(typed, master, log):
    """Until nobody has the terminal open any more."""
    while True:
        ready, _, _ = select.select([typed, master], [], [])
        if typed in ready:
            os.write(master, os.read(typed, 4096))
        if master in ready:
            try:
                shown = os.read(master, 65536)
            except OSError as e:
                if e.errno != errno.EIO:
                    raise
                return
            if not shown:
                return
            os.write(log, shown)


main(sys.argv[1], sys.argv[2:])
