#!/bin/sh
# Puts back what Duplicity's format cannot hold, into a tree that duplicity has restored; format.txt says what that is.
#
#     sh .dupext/restore.sh [--dry-run] [--no-links] [--no-sparse] [--no-acls] [--no-xattrs] [--no-times]
#                           [--no-flags] [--remove] [DIR]
#
# DIR is the tree; without it, the directory above the one that this script is in. The files are read from beside the
# script. With --remove the directory of the script goes in the end, if all went well. It can be run again. Exit status:
# 0 all of it is there now; 1 something is not, it says what; 2 wrong usage.
#
# Needs GNU coreutils, findutils, grep and sed, and for each step its own tool: setfacl (acl), setfattr (attr), chattr
# (e2fsprogs), fallocate (util-linux). Whatever the files say, nothing out of DIR is touched: names that lead out of it,
# or through a symbolic link, are refused.

set -u
LC_ALL=C
export LC_ALL
unset CDPATH POSIXLY_CORRECT
umask 077

# -- Paths

# Whether a path is `.` or begins with `./` and is in its plainest form.
is_plain() {
    case $1 in .) return 0 ;; ./?*) ;; *) return 1 ;; esac
    case ${1#./}/ in /* | *//* | ./* | */./* | ../* | */../*) return 1 ;; esac
}

# Whether a directory on the way to a path is a symbolic link. The last one without is remembered: names come in groups.
clear=.
is_through_link() {
    [ "${1%/*}" = "$clear" ] && return 1
    rest=${1#./} at=.
    while :; do
        case $rest in
        */*)
            at=$at/${rest%%/*} rest=${rest#*/}
            [ -L "$at" ] && return 0
            ;;
        *)
            clear=$at
            return 1
            ;;
        esac
    done
}

is_there() { [ -e "$1" ] || [ -L "$1" ]; }
is_file_or_directory() { [ ! -L "$1" ] && { [ -f "$1" ] || [ -d "$1" ]; }; }
is_allowed() { is_plain "$1" && ! is_through_link "$1"; }
refuse() { printf '%s\0' "$1" >>"$RESTORE_TMP/refused"; }
miss() { printf '%s\0' "$1" >>"$RESTORE_TMP/missing"; }

# Whether something can be done to a path; takes note of why not.
is_usable() {
    if ! is_allowed "$1"; then
        refuse "$1"
    elif ! is_there "$1"; then
        miss "$1"
    else
        return 0
    fi
    return 1
}

# -- Parts that xargs runs, with records as arguments, as many as fit

# `INODE COUNT PATH`, sorted by INODE: prints `INODE = PATH` for the first name of each set that is there.
part_first() {
    of=
    for record; do
        inode=${record%% *} path=${record#* } path=${path#* }
        [ "$inode" = "$of" ] && continue
        if is_allowed "$path" && is_there "$path" && { [ -L "$path" ] || [ ! -d "$path" ]; }; then
            of=$inode
            printf '%s = %s\0' "$inode" "$path"
        fi
    done
}

# The same records, those with `=` before the others of their set: prints pairs, which name is to be linked as which.
# A set may go on in the next run of this part: what has been found is handed on in a file.
part_links() {
    of='' source=''
    if [ -s "$RESTORE_TMP/set" ]; then
        of=$(head -n 1 "$RESTORE_TMP/set")
        source=$(tail -n +2 "$RESTORE_TMP/set" && echo .) # the dot, as $() cuts newlines off
        source=${source%.}
    fi
    for record; do
        inode=${record%% *} path=${record#* }
        count=${path%% *} path=${path#* }
        if [ "$count" = = ]; then
            [ "$inode" = "$of" ] || source=$path
            of=$inode
        elif ! is_allowed "$path"; then
            refuse "$path"
        elif [ "$inode" != "$of" ] || [ ! -d "${path%/*}" ]; then
            miss "$path"
        elif [ "$path" = "$source" ]; then
            :
        elif [ ! -L "$path" ] && [ -d "$path" ]; then
            printf '%s\0' "$path" >>"$RESTORE_TMP/in-the-way"
        elif [ -L "$path" ] || [ -L "$source" ] || ! [ "$path" -ef "$source" ]; then
            printf '%s\0%s\0' "$source" "$path"
            printf '%s\0' "${path%/*}" >>"$RESTORE_TMP/touched"
        fi
    done
    printf '%s\n%s' "$of" "$source" >"$RESTORE_TMP/set"
}

# Paths: prints those that are files.
part_holes() {
    for path; do
        is_usable "$path" || continue
        if [ ! -L "$path" ] && [ -f "$path" ]; then printf '%s\0' "$path"; else refuse "$path"; fi
    done
}

# `@SECONDS.NANOSECONDS PATH`: prints pairs of them.
part_times() {
    for record; do
        time=${record%% *} path=${record#* }
        case $time in @ | [!@]* | ?*[!0-9.-]*) refuse "$record" && continue ;; esac
        is_usable "$path" && printf '%s\0%s\0' "$time" "$path"
    done
}

# `+LETTERS PATH`: prints the paths of those that nothing can be done to as long as their flags are set.
part_frozen() {
    for record; do
        path=${record#* }
        case ${record%% *} in *[ia]*) ;; *) continue ;; esac
        is_allowed "$path" && is_file_or_directory "$path" && printf '%s\0' "$path"
    done
}

# `+LETTERS PATH`: sets the flags; one by one where all at once cannot be set, and the one that forbids more at the end.
part_flags() {
    for record; do
        letters=${record%% *} path=${record#* }
        case $letters in + | [!+]* | ?*[!A-Za-z]*) refuse "$record" && continue ;; esac
        is_usable "$path" || continue
        is_file_or_directory "$path" || { refuse "$path" && continue; }
        [ -n "$RESTORE_DRY" ] && continue
        chattr "$letters" "$path" 2>/dev/null && continue
        case $letters in *i*) letters=${letters%%i*}${letters#*i}i ;; esac
        while letters=${letters#?} && [ -n "$letters" ]; do
            chattr "+${letters%"${letters#?}"}" "$path" || echo >>"$RESTORE_TMP/failed"
        done
    done
}

case ${1-} in
--part-*)
    part=part_${1#--part-}
    shift
    "$part" "$@"
    exit 0
    ;;
esac

# -- The script itself

usage() {
    sed -n '/^#     sh/,/^#$/s/^#     //p' "$0"
    exit "$1"
}
say() { printf '%s\n' "$*"; }
complain() {
    printf 'restore.sh: %s\n' "$*" >&2
    echo >>"$RESTORE_TMP/failed"
}

remove=''
links=1 sparse=1 acls=1 xattrs=1 times=1 flags=1
RESTORE_DRY=''
while [ $# -gt 0 ]; do
    case $1 in
    --dry-run) RESTORE_DRY=1 ;;
    --no-links) links='' ;;
    --no-sparse) sparse='' ;;
    --no-acls) acls='' ;;
    --no-xattrs) xattrs='' ;;
    --no-times) times='' ;;
    --no-flags) flags='' ;;
    --remove) remove=1 ;;
    --help) usage 0 ;;
    --) shift && break ;;
    -*) usage 2 >&2 ;;
    *) break ;;
    esac
    shift
done
[ $# -le 1 ] || usage 2 >&2

for tool in comm find grep head join ln mktemp paste rm sed sort stat tail touch tr wc xargs; do
    command -v "$tool" >/dev/null || { printf 'restore.sh: %s is needed\n' "$tool" >&2 && exit 2; }
done

case $0 in /*) here=${0%/*} ;; */*) here=./${0%/*} ;; *) here=. ;; esac
here=$(cd -- "$here/" && pwd -P && echo .) || exit 2
here=${here%??} # a newline, and the dot that kept others
me=$here/${0##*/}
dir=${1-$here/..}
case $dir in /*) ;; *) dir=./$dir ;; esac
RESTORE_TMP=$(mktemp -d) || exit 2
case $RESTORE_TMP in /*) ;; *) RESTORE_TMP=$PWD/$RESTORE_TMP ;; esac
tmp=$RESTORE_TMP
export RESTORE_TMP RESTORE_DRY
trap 'rm -rf -- "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
cd -- "$dir/" || exit 2
cr=$(printf '\r')
jobs=$(nproc 2>/dev/null) || jobs=1

# Runs a part of this script over records that are read from standard input.
each() { xargs -0 -r sh "$me" "--part-$1" || complain "cannot go through all records of $2"; }
pairs() { paste -z -d ' ' - - <"$here/$1"; }
# Paths, each ended by a zero byte, as lines.
quoted() { sed -z -e 's/\\/\\134/g' -e 's/\n/\\012/g' -e 's/\r/\\015/g' | tr '\0' '\n'; }
count() { tr -cd '\0' <"$1" | wc -c; }
printable() { tr '\000-\011\013-\037\177' '?'; }
# Says what is wrong, with the number of lines in a file and the first ten.
complain_of() { # FILE WHAT
    [ -s "$1" ] || return 0
    complain "$(wc -l <"$1") $2:"
    head -n 10 "$1" | printable | sed 's/^/    /' >&2
}

# Whether a step is wanted, there is something to do, and there is the tool for it.
has() { # FILE TOOL WANTED
    [ -s "$here/$1" ] || return 1
    if [ -z "$3" ]; then
        say "$1: left out, as told"
    elif ! command -v "$2" >/dev/null; then
        complain "$1: left out, $2 is not installed"
    else
        case $1 in *.txtz) [ "$(tail -c 1 "$here/$1" | tr '\0' .)" = . ] || complain "$1: it is cut off" ;; esac
        return 0
    fi
    return 1
}

# Keeps times of modification that a step would change, to set them again.
keep_times() { sort -z -u | xargs -0 -r stat --printf='@%.9Y\0%n\0' -- >>"$tmp/kept"; }
set_times() { xargs -0 -r -n 2 -P "$jobs" touch -h -c -m -d || complain 'not all times could be set'; }
: >"$tmp/kept"

thaw() { # what an earlier run has made immutable
    pairs flags.txtz | each frozen flags.txtz >"$tmp/frozen"
    [ -n "$RESTORE_DRY" ] || xargs -0 -r chattr -f -ia -- <"$tmp/frozen" 2>/dev/null
}

make_links() {
    sort -z -s -k 1,1 "$here/hardlinks.txtz" >"$tmp/names"
    each first hardlinks.txtz <"$tmp/names" >"$tmp/firsts"
    : >"$tmp/touched"
    sort -z -s -k 1,1 "$tmp/firsts" "$tmp/names" | each links hardlinks.txtz >"$tmp/links"
    say "hard links: $(($(count "$tmp/links") / 2)) to make, of $(count "$tmp/names") names"
    [ -z "$RESTORE_DRY" ] || return 0
    keep_times <"$tmp/touched"
    xargs -0 -r -n 2 ln -f -P -T -- <"$tmp/links" || complain 'not all hard links could be made'
}

dig_holes() {
    # Extents may be longer than an argument can be. They are not needed.
    pairs sparse.txtz | sed -z 's/^[^ ]* //' | each holes sparse.txtz >"$tmp/sparse"
    say "holes: in $(count "$tmp/sparse") files, wherever they have nothing but zeros"
    [ -z "$RESTORE_DRY" ] || return 0
    keep_times <"$tmp/sparse"
    xargs -0 -r -n 1 fallocate -d -- <"$tmp/sparse" || complain 'not all holes could be made'
}

# Stanzas of acl.txt or attr.txt are applied to names that find finds, and to no others. setfacl itself would follow
# symbolic links, take `#file:../x` for a name, and lose blanks at a name's beginning.
#
# For that a stanza becomes a line, with carriage returns, of which getfacl and getfattr write none, between its lines.
apply() { # FILE KINDS COMMAND…: the file comes from standard input, in a plain form; kinds of files as find takes them
    file=$1
    tr -d '\r' | sed -e ':more' -e '$!{/\n$/!{N;b more' -e '}}' \
        -e 's/^\n*//;s/\n*$/\n\n/;s/\n# file: [^\n]*//g;s/\n/\r/g' |
        grep -a '^# file: ' | sort -s -t "$cr" -k 1,1 >"$tmp/stanzas"
    # shellcheck disable=SC2086
    find . $2 -print0 | quoted | sed -e 's,^\./,,' -e 's/^/# file: /' | sort >"$tmp/there"
    join -t "$cr" "$tmp/stanzas" "$tmp/there" | tr -d '\n' | tr '\r' '\n' | sed 's,^# file: ,&./,' >"$tmp/checked"
    join -t "$cr" -v 1 "$tmp/stanzas" "$tmp/there" | sed -e "s/$cr.*//" -e 's,^# file: ,./,' >>"$tmp/absent"
    say "$file: of $(grep -a -c '^# file: ' "$tmp/checked") files"
    [ -z "$RESTORE_DRY" ] || return 0
    shift 2
    "$@" --restore="$tmp/checked" 2>"$tmp/said" || complain "$file: not all of it could be set"
    printable <"$tmp/said" >&2
}

set_acls() {
    sed -E -e '/^(# (file|owner|group|flags): .*|(default:)?(user|group|mask|other):.*)?$/!d' \
        -e '/^# file: /s/\\\\/\\134/g' "$here/acl.txt" | apply acl.txt '! -type l' setfacl
}

set_attributes() {
    set -- -e '/^#/{/^# file: /!d;}'
    [ -n "$acls" ] || set -- "$@" -e '/^system\.posix_acl_/d'
    sed "$@" "$here/attr.txt" | apply attr.txt '' setfattr -h
}

give_times() {
    pairs times.txtz | each times times.txtz >"$tmp/times"
    say "times: of $(($(count "$tmp/times") / 2)) names"
    [ -n "$RESTORE_DRY" ] || set_times <"$tmp/times"
}

give_flags() {
    say "inode flags: of $(($(count "$here/flags.txtz") / 2)) files"
    pairs flags.txtz | each flags flags.txtz
}

[ -z "$flags" ] || [ ! -s "$here/flags.txtz" ] || ! command -v chattr >/dev/null || thaw
# Files get their names before all else; owners, which setfacl sets, come before capabilities, which they would remove.
! has hardlinks.txtz ln "$links" || make_links
! has sparse.txtz fallocate "$sparse" || dig_holes
! has acl.txt setfacl "$acls" || set_acls
! has attr.txt setfattr "$xattrs" || set_attributes
[ -n "$RESTORE_DRY" ] || set_times <"$tmp/kept"
! has times.txtz touch "$times" || give_times
! has flags.txtz chattr "$flags" || give_flags

[ ! -s "$here/sockets.txtz" ] || sed -z -n 'n;p' "$here/sockets.txtz" >"$tmp/sockets"
if [ -s "$tmp/sockets" ]; then
    say "sockets: $(count "$tmp/sockets") are not there: the programs that listen on them make them, a shell cannot"
fi
touch "$tmp/sockets" "$tmp/in-the-way" "$tmp/refused" "$tmp/missing" "$tmp/absent"
quoted <"$tmp/in-the-way" >"$tmp/directories"
complain_of "$tmp/directories" 'directories are where a hard link should be'
quoted <"$tmp/refused" >"$tmp/bad"
complain_of "$tmp/bad" 'entries are refused: no records, or names out of the tree or of another kind of file'
quoted <"$tmp/missing" >>"$tmp/absent"
quoted <"$tmp/sockets" | sort -u >"$tmp/socket-lines"
sort -u "$tmp/absent" | comm -23 - "$tmp/socket-lines" >"$tmp/not-there"
complain_of "$tmp/not-there" 'names are not there, or not in the tree'
result='Everything was put back.'
[ ! -s "$tmp/failed" ] || result='Not everything was put back: see above.'
[ -z "$RESTORE_DRY" ] || result='Nothing was changed.'
if [ -n "$remove" ] && [ -z "$RESTORE_DRY" ] && [ ! -s "$tmp/failed" ] && [ "$here" -ef ./.dupext ]; then
    # The directory above is a part of what was put back, with its time.
    touch -m -r . "$tmp/top"
    rm -rf -- "$here" && touch -c -m -r "$tmp/top" . || complain "$here: cannot be removed"
fi
say "$result"
[ ! -s "$tmp/failed" ] # the exit status
