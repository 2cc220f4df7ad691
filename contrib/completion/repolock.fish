# SPDX-License-Identifier: BSD-2-Clause
#
# fish completion for repolock.

function __repolock_sub
    set -l words (commandline -opc)
    if string match -q '*with-lock' -- $words[1]
        echo with-lock
    else if test (count $words) -gt 1
        echo $words[2]
    end
end

# True in sub-command $argv, before COMMAND or ID.
function __repolock_in
    contains -- (__repolock_sub) $argv; and not __repolock_operand
end

# The place of the first word that is no option and no option's value.
function __repolock_operand
    set -l words (commandline -opc)
    set -l i 3
    string match -q '*with-lock' -- $words[1]; and set i 2
    while test $i -le (count $words)
        switch $words[$i]
            case --
                set i (math $i + 1)
                test $i -le (count $words); and echo $i; and return 0
                return 1
            case -r --repo --name -w --wait -E --conflict-exit-code --ttl --reason --max-hold --lost-exit-code --kill-after --on-lost --descendants --break-stale -c --command --progress --events --interval
                set i (math $i + 2)
            case '-*'
                set i (math $i + 1)
            case '*'
                echo $i
                return 0
        end
    end
    return 1
end

function __repolock_command
    set -l at (__repolock_operand)
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    if test -n "$at"
        complete -C "$(string join ' ' -- (string escape -- $words[$at..-1])) $current"
    else
        __fish_complete_command
    end
end

function __repolock_location
    set -l token (string replace -r -- '^(--repo=|-r)' '' (commandline -ct))
    set -l scheme (string match -r -- '^(?:lease|flock|restic|borg):' $token)
    if test -n "$scheme"
        __fish_complete_path (string replace -- $scheme '' $token) | string replace -r -- '^' $scheme
        return
    end
    __fish_complete_directories $token
    printf '%s\t%s\n' lease: 'a lease in a directory' flock: 'a kernel lock on a file' restic: 'a restic repository' borg: 'a borg repository'
end

function __repolock_ids
    set -l words (commandline -opc)
    set -l repo
    for i in (seq (count $words))
        switch $words[$i]
            case -r --repo
                set repo -r $words[(math $i + 1)]
            case '--repo=*'
                set repo -r (string replace -- --repo= '' $words[$i])
        end
    end
    $words[1] list-locks $repo --json 2>/dev/null | string match -arg '"id":"([^"]*)"'
end

complete -c repolock -f
complete -c repolock -n 'test -z (__repolock_sub)""' -a with-lock -d 'Run a command under a lock'
complete -c repolock -n 'test -z (__repolock_sub)""' -a list-locks -d 'List locks'
complete -c repolock -n 'test -z (__repolock_sub)""' -a unlock -d 'Break locks'
complete -c repolock -n 'test -z (__repolock_sub)""' -s h -l help -d 'Show help'
complete -c repolock -n 'test -z (__repolock_sub)""' -s V -l version -d 'Show the version'

for program in repolock with-lock
    set -l every '__repolock_in with-lock list-locks unlock'
    complete -c $program -n $every -x -s r -l repo -a '(__repolock_location)' -d 'Where the lock is'
    complete -c $program -n $every -x -l name -d 'One of several leases'
    complete -c $program -n $every -l insecure-no-password -d 'restic: empty password'
    complete -c $program -n $every -s v -l verbose -d 'Say more'
    complete -c $program -n $every -s q -l quiet -d 'Say less'
    complete -c $program -n $every -s h -l help -d 'Show help'
    complete -c $program -n $every -s V -l version -d 'Show the version'

    set -l with '__repolock_in with-lock'
    complete -c $program -n $with -s x -l exclusive -d 'Keep everybody else out'
    complete -c $program -n $with -s s -l shared -d 'Let other shared holders in'
    complete -c $program -n $with -x -s w -l wait -a 'forever 30s 5m 1h' -d 'How long to wait'
    complete -c $program -n $with -s n -l nonblock -d 'Do not wait'
    complete -c $program -n $with -x -s E -l conflict-exit-code -d 'Exit code when not had'
    complete -c $program -n $with -x -l ttl -a '30s 1m 5m 1h' -d 'How long a lease is good for'
    complete -c $program -n $with -x -l reason -d Why
    complete -c $program -n $with -x -l max-hold -a '30m 1h 4h 12h' -d 'End COMMAND after that long'
    complete -c $program -n $with -x -l lost-exit-code -d 'Exit code when lost'
    complete -c $program -n $with -x -l kill-after -a '0 10s 1m' -d 'From SIGTERM to SIGKILL'
    complete -c $program -n $with -x -l on-lost -a 'term kill' -d 'What COMMAND gets when lost'
    complete -c $program -n $with -x -l descendants -a 'wait kill leave' -d 'What about processes left'
    complete -c $program -n $with -x -l break-stale -a 'safe all none' -d 'What is cleared'
    complete -c $program -n $with -l reentrant -d 'Run under an own lock'
    complete -c $program -n $with -x -s c -l command -d 'A line for /bin/sh'
    complete -c $program -n $with -x -l progress -a 'auto always never' -d 'How waiting is told'
    complete -c $program -n $with -r -F -l events -d 'Append events as JSON lines'
    complete -c $program -n 'contains -- (__repolock_sub) with-lock' -f -a '(__repolock_command)'
end

set -l list '__repolock_in list-locks'
complete -c repolock -n $list -l json -d 'One JSON document'
complete -c repolock -n $list -l watch -d 'Again and again'
complete -c repolock -n $list -x -l interval -a '1s 2s 10s' -d 'How often'
complete -c repolock -n $list -l exit-code -d 'Tell by exit code'

set -l unlock '__repolock_in unlock'
complete -c repolock -n $unlock -l force -d 'Also those not proved stale'
complete -c repolock -n $unlock -l all -d 'Every lock of the location'
complete -c repolock -n $unlock -s y -l yes -d 'Do not ask'
complete -c repolock -n $unlock -l dry-run -d 'Say what would be done'
complete -c repolock -n 'contains -- (__repolock_sub) unlock' -f -a '(__repolock_ids)'
